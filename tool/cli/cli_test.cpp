#include <simdjson.h>

#include <string>
#include <vector>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"
#include "tool/cli/command.hpp"
#include "tool/cli/terminal.hpp"

using namespace grove;
using namespace grove::tool;

namespace {

ProcessOutput grove_says(std::vector<std::string> arguments) {
  static const TempDir home = *TempDir::make("grove-cli");
  arguments.insert(arguments.begin(), GROVE_PROGRAM);
  ProcessOptions options;
  options.environment = {{"GROVE_ROOT", GROVE_SOURCE_ROOT},
                         {"XDG_CACHE_HOME", home.path()},
                         {"GROVE_EVIDENCE", home.path() / "evidence.sqlite"},
                         {"LC_ALL", "C.UTF-8"}};
  Result<ProcessOutput> output = run_process(arguments, options);
  REQUIRE_OK(output);
  return std::move(*output);
}

std::vector<std::string> command_names() {
  const std::string help = grove_says({"--help"}).out;
  std::vector<std::string> names;
  for (std::size_t at = help.find("\n  "); at != std::string::npos; at = help.find("\n  ", at + 1))
    names.push_back(help.substr(at + 3, help.find(' ', at + 3) - at - 3));
  return names;
}

}  // namespace

TEST_CASE("every command explains itself in both languages and exits 0") {
  const auto names = command_names();
  REQUIRE(names.size() >= 12);
  for (const std::string& name : names) {
    const ProcessOutput help = grove_says({name, "--help"});
    CHECK(help.status == 0);
    CHECK_MESSAGE(help.out.find("usage: grove " + name) == 0, name);
    CHECK_MESSAGE(help.out.find("--json") != std::string::npos, name);
    bool has_chinese = false;
    for (const char c : help.out) has_chinese = has_chinese || static_cast<unsigned char>(c) >= 0xe4;
    CHECK_MESSAGE(has_chinese, name);
  }
}

TEST_CASE("an unknown command or option exits 2 and names the nearest") {
  ProcessOutput output = grove_says({"prvoe"});
  CHECK(output.status == 2);
  CHECK(output.err.find("did you mean prove?") != std::string::npos);
  output = grove_says({"find", "--limt", "3", "x"});
  CHECK(output.status == 2);
  CHECK(output.err.find("did you mean --limit?") != std::string::npos);
  output = grove_says({"find", "x", "--limit"});
  CHECK(output.status == 2);
  CHECK(output.err.find("--limit needs a value") != std::string::npos);
  CHECK(grove_says({}).status == 2);
}

TEST_CASE("an error is JSON too when JSON was asked for") {
  const ProcessOutput output = grove_says({"show", "data/nothing/here", "--json"});
  CHECK(output.status == 2);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  REQUIRE(parser.parse(output.out).get(root) == simdjson::SUCCESS);
  std::string_view error;
  CHECK(root["error"].get(error) == simdjson::SUCCESS);
  CHECK(error.find("no leaf is called data/nothing/here") != std::string_view::npos);
}

TEST_CASE("tree and find print the documented JSON, best first") {
  for (const auto& arguments : {std::vector<std::string>{"tree", "--json"}, {"find", "限流", "--json"}}) {
    const ProcessOutput output = grove_says(arguments);
    CHECK(output.status == 0);
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    REQUIRE(parser.parse(output.out).get(root) == simdjson::SUCCESS);
    simdjson::dom::array leaves;
    REQUIRE(root["leaves"].get(leaves) == simdjson::SUCCESS);
    CHECK(leaves.size() == (arguments.size() == 2 ? 173 : leaves.size()));
    std::size_t complete = 0;
    for (const simdjson::dom::element leaf : leaves) {
      std::string_view id;
      std::string_view en;
      std::string_view zh;
      std::string_view state;
      complete += leaf["id"].get(id) == simdjson::SUCCESS && leaf["title"]["en"].get(en) == simdjson::SUCCESS &&
                  leaf["title"]["zh"].get(zh) == simdjson::SUCCESS && leaf["state"].get(state) == simdjson::SUCCESS;
      if (complete == 1 && arguments.size() == 3) CHECK(id == "network/web/middleware/rate-limit");
    }
    CHECK(complete == leaves.size());
  }
}

TEST_CASE("show takes a leaf's last name when only one leaf has it, and lists them when several do") {
  CHECK(grove_says({"show", "lsm"}).out.find("data/database/storage/lsm") != std::string::npos);
  const ProcessOutput several = grove_says({"show", "zero-copy"});
  CHECK(several.status == 2);
  CHECK(several.err.find("network/performance/zero-copy") != std::string::npos);
  CHECK(several.err.find("web/performance/zero-copy") != std::string::npos);
}

TEST_CASE("nothing found exits 1, a pipe gets no escape sequences") {
  CHECK(grove_says({"find", "qqqqzzzz"}).status == 1);
  CHECK(grove_says({"tree"}).out.find('\033') == std::string::npos);
}

TEST_CASE("arguments: flags, values, lists, and words after --") {
  const std::vector<OptionSpec> options{{"--with", "LEAF", ""}, {"--yes", "", ""}};
  const std::vector<std::string_view> words{"a", "--with", "x,y", "--yes", "--with=z", "--", "--yes"};
  const auto parsed = Arguments::parse(options, words);
  REQUIRE_OK(parsed);
  CHECK(parsed->has("--yes"));
  CHECK(parsed->values("--with") == std::vector<std::string>{"x", "y", "z"});
  CHECK(parsed->positional() == std::vector<std::string>{"a", "--yes"});
  CHECK_FAILS(Arguments::parse(options, std::vector<std::string_view>{"--yes=1"}), Errc::invalid_argument);
}

TEST_CASE("text is measured and wrapped by columns, Chinese two to a character") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("调度器") == 6);
  CHECK(display_width("\033[1mab\033[0m") == 2);
  CHECK(wrap("one two three", 8) == std::vector<std::string>{"one two", "three"});
  CHECK(wrap("调度调度，调度", 8) == std::vector<std::string>{"调度调度，", "调度"});
  CHECK(wrap("", 8) == std::vector<std::string>{""});
  CHECK(wrap("incomprehensibilities", 8).size() == 1);
}
