#include <algorithm>
#include <array>
#include <cstdio>

#include "grove/base/process.hpp"
#include "tool/cli/command.hpp"
#include "tool/evidence/report.hpp"
#include "tool/map/load.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/output.hpp"
#include "tool/proof/prover.hpp"

namespace grove::tool {
namespace {

std::string shown_seconds(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  return text.data();
}

/// The figures that fit, what counts most first: conformance, then the rest in their order.
std::string shown_figures(const std::vector<Figure>& figures, std::size_t width) {
  std::vector<Figure> order = figures;
  std::ranges::stable_partition(order, [](const Figure& f) { return !f.text.empty() && f.unit != "gap"; });
  std::string text;
  for (const Figure& figure : order) {
    const std::string next = (text.empty() ? "" : ", ") + figure.name + " " + shown_value(figure);
    if (display_width(text + next) > width) return text + (text.empty() ? "" : ", ") + "…";
    text += next;
  }
  return text;
}

void print_outcomes(const std::vector<Outcome>& outcomes, bool named, Terminal& terminal) {
  std::vector<std::vector<std::string>> rows;
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t not_run = 0;
  std::size_t planned = 0;
  std::vector<std::string> missing;
  for (const Outcome& outcome : outcomes) {
    const Run& run = outcome.run;
    if (!outcome.leaf->built) {
      ++planned;
      if (!named) continue;
    }
    passed += run.state == "passed";
    failed += run.state == "failed";
    not_run += run.state == "not-run" && outcome.leaf->built;
    for (const std::string& package : outcome.missing)
      if (std::ranges::find(missing, package) == missing.end()) missing.push_back(package);
    const Style style = run.state == "passed" ? Style::green : run.state == "failed" ? Style::red : Style::yellow;
    const std::string time = outcome.unchanged ? iso_date(run.time) : run.seconds > 0 ? shown_seconds(run.seconds) : "";
    rows.push_back({terminal.styled(style, run.state == "not-run" ? "not run" : run.state), run.leaf,
                    terminal.styled(Style::dim, time),
                    run.state == "passed" ? shown_figures(run.figures, 70) : run.reason});
  }
  terminal.table(rows);
  for (const Outcome& outcome : outcomes) {
    if (outcome.run.state != "failed") continue;
    terminal.line();
    terminal.line(terminal.styled(Style::red, outcome.run.leaf) + " failed; the end of build/release/grove/" +
                  outcome.run.leaf + "/prove.log:");
    terminal.line(outcome.failure_log());
  }
  if (!rows.empty()) terminal.line();
  std::string sum = std::to_string(passed) + " passed, " + std::to_string(failed) + " failed, " +
                    std::to_string(not_run) + " not run";
  if (planned != 0) sum += ", " + std::to_string(planned) + " planned (not built yet)";
  const auto unchanged = std::ranges::count_if(outcomes, &Outcome::unchanged);
  if (unchanged != 0)
    sum += "; " + std::to_string(unchanged) + " unchanged since they passed (--again runs them all the same)";
  terminal.line(sum);
  if (!missing.empty()) {
    std::string list;
    for (const std::string& package : missing) list += " " + package;
    terminal.line("missing packages:" + list + "; --install gets them");
  }
}

Result<int> run(Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Map map, load_map(root));
  GROVE_TRY(const auto leaves, match(map, arguments.positional()));
  const InterruptGuard guard;
  GROVE_TRY(const auto outcomes,
            prove(map, leaves, {.again = arguments.has("--again"), .install = arguments.has("--install")},
                  invocation.terminal));
  if (const auto file = arguments.value("--junit")) GROVE_CHECK(write_file(*file, junit_xml(outcomes)));
  if (invocation.json)
    invocation.terminal.line(prove_json(outcomes));
  else
    print_outcomes(outcomes, !arguments.positional().empty(), invocation.terminal);
  const auto any = [&](std::string_view state) {
    return std::ranges::any_of(outcomes, [&](const Outcome& outcome) { return outcome.run.state == state; });
  };
  return any("failed") ? 1 : any("passed") ? 0 : 2;
}

}  // namespace

Command prove_command() {
  return {"prove",
          "[PATTERN…]",
          "builds, tests and proves leaves against the real thing, and keeps the evidence",
          "构建、测试组件，并对照真实系统验证，保留证据",
          "A pattern is a leaf's id or the start of one (data/cache); without one, all leaves are proven.\n"
          "What passed and hasn't changed since (sources, compiler, packages) isn't run again.\n"
          "Exit status: 0; 1 when a leaf fails; 2 when none could be run.\n\n"
          "  grove prove data/database\n"
          "  grove prove --install --junit proof.xml\n",
          {{"--again", "", "run what passed and hasn't changed, too"},
           {"--install", "", "install the Debian packages that are missing, without asking"},
           {"--junit", "FILE", "write a JUnit report"}},
          run};
}

}  // namespace grove::tool
