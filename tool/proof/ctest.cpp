#include "tool/proof/ctest.hpp"

#include <simdjson.h>

#include <algorithm>

#include "grove/base/process.hpp"

namespace grove::tool {

namespace dom = simdjson::dom;

namespace {

/// Empty when it is no text.
std::string text_of(dom::element element) {
  std::string_view text;
  return element.get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

/// Calls `function(element)` for each item of a member that is an array; nothing for anything else.
template <class Function>
void each(dom::element parent, std::string_view member, Function&& function) {
  dom::array items;
  if (parent[member].get(items) != simdjson::SUCCESS) return;
  for (const dom::element item : items) function(item);
}

void read_property(dom::element property, TestProgram* test) {
  std::string_view name;
  dom::element value;
  if (property["name"].get(name) != simdjson::SUCCESS || property["value"].get(value) != simdjson::SUCCESS) return;
  double number = 0;
  if (name == "WORKING_DIRECTORY") test->directory = text_of(value);
  if (name == "TIMEOUT" && value.get(number) == simdjson::SUCCESS)
    test->timeout = std::chrono::seconds(static_cast<int>(number));
  if (name == "SKIP_RETURN_CODE" && value.get(number) == simdjson::SUCCESS)
    test->skip_status = static_cast<int>(number);
  if (name == "ENVIRONMENT")
    each(property, "value", [&](dom::element entry) {
      const std::string text = text_of(entry);
      if (const std::size_t equals = text.find('='); equals != std::string::npos)
        test->environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    });
}

}  // namespace

Result<std::map<std::string, std::vector<TestProgram>, std::less<>>> read_tests(std::string_view json) {
  dom::parser parser;
  dom::element document;
  // ctest may say something before the document.
  json.remove_prefix(std::min(json.find('{'), json.size()));
  if (const auto error = parser.parse(json.data(), json.size()).get(document); error != simdjson::SUCCESS)
    return fail(Errc::parse, std::string("read the list of tests from ctest: ") + simdjson::error_message(error));
  std::map<std::string, std::vector<TestProgram>, std::less<>> tests;
  each(document, "tests", [&](dom::element entry) {
    std::string_view name;
    if (entry["name"].get(name) != simdjson::SUCCESS) return;
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return;
    TestProgram test;
    test.part = name.substr(dot + 1);
    each(entry, "command", [&](dom::element word) { test.command.push_back(text_of(word)); });
    each(entry, "properties", [&](dom::element property) { read_property(property, &test); });
    tests[std::string(name.substr(0, dot))].push_back(std::move(test));
  });
  for (auto& [id, parts] : tests)
    std::stable_partition(parts.begin(), parts.end(), [](const TestProgram& t) { return t.part != "proof"; });
  return tests;
}

Result<std::map<std::string, std::vector<TestProgram>, std::less<>>> list_tests(const std::filesystem::path& build) {
  GROVE_TRY(const auto output, run_process({"ctest", "--test-dir", build.string(), "--show-only=json-v1"}));
  if (output.status != 0)
    return fail(Errc::internal, "ctest doesn't list the tests of " + build.string() + ": " + output.err);
  return read_tests(output.out);
}

}  // namespace grove::tool
