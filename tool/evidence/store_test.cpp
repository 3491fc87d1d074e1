#include "tool/evidence/store.hpp"

#include <sqlite3.h>

#include <fstream>
#include <thread>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"

using grove::Errc;
using grove::TempDir;
using namespace grove::tool;

namespace {

Run sample(std::string kind, std::string leaf, std::string state = "passed") {
  Run run;
  run.time = 1'700'000'000;
  run.kind = std::move(kind);
  run.leaf = std::move(leaf);
  run.state = std::move(state);
  run.seconds = 1.5;
  run.content_hash = "abc";
  run.commit = "0123";
  run.dirty = true;
  run.machine = {"g++ 12", "Linux", "a cpu", 2, std::int64_t{1} << 34};
  run.packages = R"({"zlib1g-dev":"1.2"})";
  return run;
}

struct Fixture {
  TempDir folder = TempDir::make("store-test").value();
  std::filesystem::path file = folder.path() / "state/evidence.sqlite";
  Store write() { return Store::open(Store::Access::write, file).value(); }
  Store read() { return Store::open(Store::Access::read, file).value(); }
  void sql(const char* text) {
    sqlite3* database = nullptr;
    sqlite3_open(file.c_str(), &database);
    CHECK(sqlite3_exec(database, text, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "reading where nothing was written yet is empty and makes no file") {
  const Store store = read();
  CHECK(store.latest_all().value().empty());
  CHECK(!store.latest("a/b").value());
  CHECK(store.runs({}).value().empty());
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE_FIXTURE(Fixture, "a run comes back as it was stored") {
  Store store = write();
  Run run = sample("bench", "data/cache/lru");
  run.figures = {{"conformance", 7, "cases", "7/9"}};
  run.ratios = {{"get", "moka", 1.25, 1.1, 1.4, 7, "op", 2e6, 1.6e6, 1000, 2000, "ff"}};
  REQUIRE_OK(store.add(run));
  const auto back = read().last("bench", "data/cache/lru").value();
  REQUIRE(back);
  CHECK(back->time == run.time);
  CHECK(back->dirty);
  CHECK(back->machine.memory == run.machine.memory);
  CHECK(back->packages == run.packages);
  REQUIRE(back->figures.size() == 1);
  CHECK(back->figures[0].text == "7/9");
  REQUIRE(back->ratios.size() == 1);
  CHECK(back->ratios[0].high == 1.4);
  CHECK(back->ratios[0].peer_peak == 2000);
  CHECK(back->ratios[0].checksum == "ff");
}

TEST_CASE_FIXTURE(Fixture, "the summary is the newest proof and the newest measurement, best ratio first") {
  Store store = write();
  REQUIRE_OK(store.add(sample("prove", "a/b")));
  REQUIRE_OK(store.add(sample("prove", "a/b", "failed")));
  Run bench = sample("bench", "a/b");
  bench.ratios = {{"slow", "p", 0.5, 0.4, 0.6}, {"fast", "p", 3, 2, 4}};
  REQUIRE_OK(store.add(bench));
  REQUIRE_OK(store.add(sample("bench", "a/b", "not-run")));  // compared nothing: hides nothing
  REQUIRE_OK(store.add(sample("bench", "a/c")));
  const auto all = read().latest_all().value();
  REQUIRE(all.size() == 2);
  CHECK(all[0].leaf == "a/b");
  CHECK(all[0].state == "failed");
  REQUIRE(all[0].best() != nullptr);
  CHECK(all[0].best()->workload == "fast");
  CHECK(all[0].ratios.size() == 2);
  CHECK(all[1].state.empty());
  CHECK(all[1].best() == nullptr);
  CHECK(store.latest("a/b").value()->state == "failed");
  CHECK(!store.latest("a").value());
}

TEST_CASE_FIXTURE(Fixture, "runs are filtered by whole segments, kind and age") {
  Store store = write();
  for (const char* leaf : {"data/cache/lru", "data/cachet", "data/cache/lru"})
    REQUIRE_OK(store.add(sample("prove", leaf)));
  REQUIRE_OK(store.add(sample("bench", "data/cache/lru")));
  CHECK(store.runs({}).value().size() == 4);
  CHECK(store.runs({{"data/cache"}, "", 0}).value().size() == 3);
  CHECK(store.runs({{"data/cache", "data/cachet"}, "prove", 0}).value().size() == 3);
  CHECK(store.runs({{}, "", 1}).value().size() == 3);
  CHECK(store.runs({}).value().front().kind == "bench");
}

TEST_CASE_FIXTURE(Fixture, "a damaged file, a foreign database and a newer schema are told apart") {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << std::string(8192, 'x');
  for (const auto access : {Store::Access::read, Store::Access::write}) {
    const auto opened = Store::open(access, file);
    CHECK_FAILS(opened, Errc::corrupt);
    CHECK(opened.error().message().find("mv " + file.string()) != std::string::npos);
  }
  std::filesystem::remove(file);
  sql("CREATE TABLE theirs (x)");
  CHECK_FAILS(Store::open(Store::Access::write, file), Errc::corrupt);
  std::filesystem::remove(file);
  write();
  sql("PRAGMA user_version = 99");
  const auto newer = Store::open(Store::Access::read, file);
  CHECK_FAILS(newer, Errc::unsupported);
  CHECK(newer.error().message().find("update Grove") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "writers at the same time all get through, the first open included") {
  std::vector<std::jthread> writers;
  std::vector<std::string> problems(8);
  for (std::size_t i = 0; i < problems.size(); ++i)
    writers.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        auto store = Store::open(Store::Access::write, file);
        if (!store) {
          problems[i] = store.error().message();
          return;
        }
        if (const auto added = store->add(sample("prove", "a/" + std::to_string(i))); !added)
          problems[i] = added.error().message();
      }
    });
  writers.clear();
  for (const std::string& problem : problems) CHECK(problem == "");
  CHECK(read().runs({}).value().size() == 80);
}

TEST_CASE_FIXTURE(Fixture, "a run that can't be stored whole is not stored at all") {
  Store store = write();
  CHECK(!store.add(sample("prove", "a/b", "perhaps")));
  CHECK(store.runs({}).value().empty());
}
