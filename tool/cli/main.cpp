#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/json.hpp"
#include "tool/cli/command.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {
namespace {

constexpr std::string_view kVersion = GROVE_VERSION;

std::vector<Command> commands() {
  return {tree_command(), find_command(),  show_command(),  new_command(),      add_command(),  update_command(),
          diff_command(), prove_command(), bench_command(), evidence_command(), test_command(), leaf_command()};
}

void print_help(Terminal& terminal) {
  terminal.line(terminal.styled(Style::bold, "grove") +
                "  the executable application map for C++ · 可执行的 C++ 应用地图");
  terminal.line();
  terminal.line("usage: grove COMMAND [OPTIONS]");
  terminal.line();
  std::vector<std::vector<std::string>> rows;
  for (const Command& command : commands())
    rows.push_back({"  " + terminal.styled(Style::cyan, command.name),
                    std::string(terminal.prefers_chinese() ? command.summary_zh : command.summary_en)});
  terminal.table(rows);
  terminal.line();
  terminal.line("grove COMMAND --help says more; every command takes --json.");
}

void print_help(Terminal& terminal, const Command& command) {
  terminal.line("usage: grove " + std::string(command.name) + " " + std::string(command.usage));
  terminal.line();
  terminal.line(command.summary_en);
  terminal.line(command.summary_zh);
  terminal.line();
  std::vector<std::vector<std::string>> rows;
  for (const OptionSpec& option : command.options)
    rows.push_back(
        {"  " + std::string(option.name) + (option.value_name.empty() ? "" : " " + std::string(option.value_name)),
         std::string(option.help)});
  rows.push_back({"  --json", "print the answer as JSON"});
  rows.push_back({"  --help", "print this"});
  terminal.table(rows);
  if (!command.details.empty()) {
    terminal.line();
    terminal.print(command.details);
  }
}

int fail_with(Terminal& terminal, bool json, const Error& error) {
  if (json)
    terminal.line(JsonWriter()
                      .begin_object()
                      .member("error", error.message())
                      .member("code", errc_name(error.code()))
                      .end_object()
                      .str());
  terminal.note("grove: " + error.message());
  return 2;
}

int run(const std::vector<std::string_view>& words) {
  Terminal terminal(stdout, stderr);
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print_help(terminal);
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "--version") {
    terminal.line("grove " + std::string(kVersion));
    return 0;
  }
  std::vector<std::string> names;
  for (Command& command : commands()) {
    names.emplace_back(command.name);
    if (command.name != words[0]) continue;
    bool json = false;
    std::vector<std::string_view> rest;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "--help" || words[i] == "-h") {
        print_help(terminal, command);
        return 0;
      }
      if (words[i] == "--json")
        json = true;
      else
        rest.push_back(words[i]);
    }
    Result<Arguments> arguments = Arguments::parse(command.options, rest);
    if (!arguments) return fail_with(terminal, json, std::move(arguments).error().with(command.name));
    Invocation invocation{std::move(*arguments), terminal, json};
    const Result<int> code = command.run(invocation);
    terminal.end_progress();
    return code ? *code : fail_with(terminal, json, code.error());
  }
  terminal.note("grove: no command is called " + std::string(words[0]) + "; did you mean " +
                nearest(words[0], names, 1).at(0) + "?");
  return 2;
}

}  // namespace
}  // namespace grove::tool

int main(int argc, char** argv) { return grove::tool::run({argv + 1, argv + argc}); }
