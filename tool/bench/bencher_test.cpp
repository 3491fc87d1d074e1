#include "tool/bench/bencher.hpp"

#include "grove/base/test/test.hpp"

using namespace grove;
using namespace grove::tool;

TEST_CASE("the lines of the bench protocol are read, others refused") {
  const auto info = read_workload(R"({"workload":"get","size":1000,"unit":"op","baseline_of":""})");
  REQUIRE_OK(info);
  CHECK(info->size == 1000);
  const auto run = read_measurement(
      R"({"workload":"get","size":1,"seed":1,"runs":2,"work":50,"unit":"op","seconds":0.5,"peak_bytes":4096,"checksum":"00ff"})");
  REQUIRE_OK(run);
  CHECK(run->throughput() == 100);
  CHECK(run->checksum == "00ff");
  CHECK_FAILS(read_measurement(R"({"work":0,"seconds":1,"peak_bytes":1,"checksum":"0"})"), Errc::protocol);
  CHECK_FAILS(read_measurement(R"({"work":1,"seconds":0,"peak_bytes":1,"checksum":"0"})"), Errc::protocol);
  CHECK_FAILS(read_measurement(R"({"work":1,"seconds":1,"peak_bytes":1})"), Errc::protocol);
  CHECK_FAILS(read_measurement("warming up"), Errc::protocol);
  CHECK_FAILS(read_workload(""), Errc::protocol);
}

TEST_CASE("workloads are compared by name, suffixed peers with the name before the @, baselines with theirs") {
  const std::vector<WorkloadInfo> ours{{"get", 10, "op", ""}, {"get-std", 10, "op", "get"}, {"put", 5, "op", ""}};
  const std::vector<WorkloadInfo> theirs{{"get", 99, "op", ""}, {"get@moka", 99, "op", ""}, {"scan", 1, "op", ""}};
  const auto pairs = pair_up("a", ours, "b", theirs, "lru");
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0].peer == "lru");
  CHECK(pairs[0].our_command == std::vector<std::string>{"a", "--workload", "get", "--size", "10", "--seed", "1"});
  CHECK(pairs[0].peer_command == std::vector<std::string>{"b", "--workload", "get", "--size", "10", "--seed", "1"});
  CHECK(pairs[1].peer == "moka");
  CHECK(pairs[1].peer_command[2] == "get@moka");
  CHECK(pairs[2].workload == "get");
  CHECK(pairs[2].peer == "get-std");
  CHECK(pairs[2].peer_command[0] == "a");
}
