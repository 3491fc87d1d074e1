#include "tool/proof/prover.hpp"

#include <simdjson.h>

#include "grove/base/test/test.hpp"
#include "tool/proof/output.hpp"
#include "tool/proof/small_root.hpp"

using namespace grove;
using namespace grove::tool;

namespace {
std::vector<std::string> states(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> all;
  for (const Outcome& outcome : outcomes) all.push_back(outcome.run.state);
  return all;
}
}  // namespace

TEST_CASE_FIXTURE(SmallRoot, "each leaf gets the state that its build, tests and proof give it") {
  leaf("data/good", {{"proof", "echo figure conformance 7/9 cases; echo gap sgx: no such CPU"}, {"unit", "true"}});
  leaf("data/bad", {{"unit", "echo a.cpp:3: ERROR: no; exit 1"}, {"proof", "echo figure speed 2 op/s"}});
  leaf("data/absent", {{"unit", "true"}, {"proof", "echo not-run nats: install the Debian package nats; exit 77"}});
  leaf("data/unproven", {{"unit", "true"}});
  leaf("data/broken", {{"proof", "true"}}, "printf 'x.cpp:1:1: %s: no such thing' error && false");
  map.leaves.push_back({.id = "data/planned"});
  leaf("data/homeless", {{"proof", "true"}});
  map.leaves.back().debian = {"no-such-package-at-all"};
  map.leaves[2].prove = {"no-such-server-at-all"};

  const auto outcomes = prove(map, leaves(), {}, terminal);
  REQUIRE_OK(outcomes);
  CHECK(states(*outcomes) ==
        std::vector<std::string>{"passed", "failed", "not-run", "not-run", "failed", "not-run", "not-run"});
  const auto run = [&](std::size_t i) -> const Run& { return outcomes->at(i).run; };
  REQUIRE(run(0).figures.size() == 2);
  CHECK(shown_value(run(0).figures[0]) == "7/9 cases");
  CHECK(run(1).reason == "unit: a.cpp:3: ERROR: no");
  CHECK(run(1).figures.size() == 1);  // what could be shown is kept
  CHECK(run(2).reason == "proof: nats: install the Debian package nats");
  CHECK(outcomes->at(2).missing == std::vector<std::string>{"no-such-server-at-all"});
  CHECK(run(3).reason.find("no proof yet") != std::string::npos);
  CHECK(run(4).reason == "build: x.cpp:1:1: error: no such thing");
  CHECK(run(5).reason == "planned: not built yet");
  CHECK(run(6).reason == "to build it, install no-such-package-at-all");

  // What ran left evidence, what couldn't begin left none.
  const auto store = Store::open(Store::Access::read).value();
  CHECK(store.latest_all()->size() == 5);
  CHECK(store.latest("data/bad").value()->state == "failed");
  CHECK(!store.latest("data/planned").value());

  simdjson::dom::parser parser;
  simdjson::dom::element document;
  REQUIRE(parser.parse(prove_json(*outcomes)).get(document) == simdjson::SUCCESS);
  const auto first = document["leaves"].at(0);
  CHECK(std::string_view(first["id"]) == "data/good");
  CHECK(std::string_view(first["figures"].at(0)["unit"]) == "cases");
  CHECK(std::string_view(document["leaves"].at(1)["state"]) == "failed");
  const std::string junit = junit_xml(*outcomes);
  CHECK(junit.find("<testsuite name=\"data/bad\" tests=\"2\" failures=\"1\" skipped=\"0\"") != std::string::npos);
  CHECK(junit.find("<skipped message=\"nats: install") != std::string::npos);
}

TEST_CASE_FIXTURE(SmallRoot, "what passed and hasn't changed isn't run again, unless asked") {
  leaf("data/a", {{"proof", "echo run >>" + (map.root / "runs").string()}});
  leaf("data/b", {{"proof", "true"}});
  map.leaves[1].uses = {"data/a"};
  const auto unchanged = [&](ProveOptions options = {}) {
    const auto outcomes = prove(map, leaves(), options, terminal);
    REQUIRE_OK(outcomes);
    return std::pair{outcomes->at(0).unchanged, outcomes->at(1).unchanged};
  };
  CHECK(unchanged() == std::pair{false, false});
  CHECK(unchanged() == std::pair{true, true});
  CHECK(unchanged({.again = true}) == std::pair{false, false});
  write("grove/data/b/notes.md", "new");
  CHECK(unchanged() == std::pair{true, false});
  write("grove/data/a/a.hpp", "new");  // b uses a
  CHECK(unchanged() == std::pair{false, false});
  write("grove/data/a/peer/Cargo.toml", "a peer isn't part of the proof");
  CHECK(unchanged() == std::pair{true, true});
  write("grove/base/errc.hpp", "new");
  CHECK(unchanged() == std::pair{false, false});
  CHECK(*read_file(map.root / "runs") == "run\nrun\nrun\nrun\n");
}
