#include "tool/bench/bencher.hpp"

#include "grove/base/test/test.hpp"
#include "tool/proof/small_root.hpp"

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

TEST_CASE_FIXTURE(SmallRoot, "a workload is compared in pairs; different work is refused, the rest is kept") {
  leaf("data/a", {});
  leaf("data/none", {});
  write("grove/data/a/a_bench.cpp", "");
  cmake += "add_custom_target(grove-data-a-bench)\n";
  // A program that speaks the protocol: "twice" takes twice as long as "once", "other" gives another checksum.
  const std::string program = "build/release/grove/data/a/grove-data-a-bench";
  write(program, R"(#!/bin/sh
line() { echo "{\"workload\":\"$1\",\"size\":1,\"unit\":\"op\",\"baseline_of\":\"$2\"}"; }
[ "$1" = --list ] && { line once; line twice once; line other once; line absent once; exit; }
seconds=1 checksum=aa
case $2 in twice) seconds=2 ;; other) checksum=bb ;; absent) echo "no such server" >&2; exit 2 ;; esac
echo "{\"work\":100,\"seconds\":$seconds,\"peak_bytes\":4096,\"checksum\":\"$checksum\"}"
)");
  std::filesystem::permissions(map.root / program, std::filesystem::perms::owner_all);

  const auto outcomes = bench(map, leaves(), true, {.pairs = 6, .seconds = 0}, terminal);
  REQUIRE_OK(outcomes);
  REQUIRE(outcomes->size() == 2);
  const Run& run = outcomes->at(0).run;
  CHECK(run.state == "failed");
  CHECK(run.reason.find("once / other: not the same work: Grove's checksum is aa, other's is bb") != std::string::npos);
  CHECK(run.reason.find("once / absent: absent: no such server") != std::string::npos);
  REQUIRE(run.ratios.size() == 1);
  CHECK(run.ratios[0].peer == "twice");
  CHECK(run.ratios[0].ratio == 2);
  CHECK(run.ratios[0].pairs == 6);
  CHECK(run.ratios[0].our_throughput == 100);
  CHECK(outcomes->at(1).run.reason == "it has no bench program");
  const auto kept = Store::open(Store::Access::read).value().latest("data/a").value();
  REQUIRE(kept);
  CHECK(kept->best()->ratio == 2);
}
