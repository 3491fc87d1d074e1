#include "tool/proof/ctest.hpp"

#include "grove/base/test/test.hpp"

using namespace grove;
using namespace grove::tool;

TEST_CASE("tests are read with all that running them needs, the proof last") {
  const auto tests = read_tests(R"(note
{"kind":"ctestInfo","tests":[
 {"name":"a/b.proof","command":["/x/proof"],"properties":[{"name":"TIMEOUT","value":1800.0},
  {"name":"SKIP_RETURN_CODE","value":77},{"name":"ENVIRONMENT","value":["A=b=c","none"]}]},
 {"name":"a/b.unit","command":["/x/unit","--fast"],"properties":[{"name":"WORKING_DIRECTORY","value":"/x"}]},
 {"name":"a/c.unit","properties":[]},
 {"name":"nameless"}]})");
  REQUIRE_OK(tests);
  REQUIRE(tests->size() == 2);
  const auto& parts = tests->at("a/b");
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].part == "unit");
  CHECK(parts[0].command == std::vector<std::string>{"/x/unit", "--fast"});
  CHECK(parts[0].directory == "/x");
  CHECK(parts[0].skip_status == -1);
  CHECK(parts[1].timeout == std::chrono::seconds(1800));
  CHECK(parts[1].skip_status == 77);
  REQUIRE(parts[1].environment.size() == 1);
  CHECK(parts[1].environment[0].second == "b=c");
  CHECK(tests->at("a/c")[0].command.empty());
}

TEST_CASE("what is no list of tests is an error") {
  CHECK_FAILS(read_tests("no such folder"), Errc::parse);
  CHECK_FAILS(read_tests("{\"tests\":["), Errc::parse);
}
