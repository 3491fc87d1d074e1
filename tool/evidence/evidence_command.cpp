#include <charconv>

#include "grove/base/process.hpp"
#include "tool/cli/command.hpp"
#include "tool/evidence/report.hpp"
#include "tool/evidence/store.hpp"
#include "tool/map/load.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

void print_runs(const std::vector<Run>& runs, Terminal& terminal) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const Run& run, std::string what) {
    const Style style = run.state == "passed" ? Style::green : run.state == "failed" ? Style::red : Style::yellow;
    rows.push_back({terminal.styled(Style::dim, iso_time(run.time)), run.kind,
                    terminal.styled(style, run.state == "not-run" ? "not run" : run.state), run.leaf, std::move(what)});
  };
  for (const Run& run : runs) {
    const std::size_t before = rows.size();
    if (!run.reason.empty()) row(run, run.reason);
    for (const Figure& figure : run.figures) row(run, figure.name + " " + shown_value(figure));
    for (const Ratio& r : run.ratios) row(run, r.workload + " against " + r.peer + ": " + shown_ratio(r));
    if (rows.size() == before) row(run, "");
    // What is the same as on the line above stays blank.
    for (std::size_t i = before + 1; i < rows.size(); ++i)
      for (std::size_t column = 0; column < 4; ++column) rows[i][column].clear();
  }
  terminal.table(rows);
}

Result<int> run(Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  RunFilter filter{.last = 1};
  if (const auto text = arguments.value("--last")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), filter.last);
    if (error != std::errc{} || end != text->data() + text->size() || filter.last < 0)
      return fail(Errc::invalid_argument, "--last takes a number, 0 for all, not " + *text);
  }
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Map map, load_map(root));
  if (!arguments.positional().empty()) {
    GROVE_TRY(const auto leaves, match(map, arguments.positional()));
    for (const Leaf* leaf : leaves) filter.leaves.push_back(leaf->id);
  }
  GROVE_TRY(const auto store, Store::open(Store::Access::read));
  GROVE_TRY(const auto runs, store.runs(filter));
  if (const auto file = arguments.value("--write")) {
    GROVE_CHECK(write_file(*file, evidence_markdown(map, runs)));
    if (!invocation.json) invocation.terminal.line("wrote " + *file);
  }
  if (invocation.json)
    invocation.terminal.line(evidence_json(runs));
  else if (runs.empty())
    invocation.terminal.line("no evidence yet in " + store.file().string() + "; grove prove and grove bench make some");
  else if (!arguments.has("--write"))
    print_runs(runs, invocation.terminal);
  return 0;
}

}  // namespace

Command evidence_command() {
  return {"evidence",
          "[PATTERN…]",
          "lists what prove and bench left behind: figures, ratios, versions, machine, commit",
          "列出验证与测量留下的证据：数据、比值、版本、机器、提交",
          "The evidence is one SQLite file: $GROVE_EVIDENCE, else ~/.local/state/grove/evidence.sqlite.\n\n"
          "  grove evidence data/cache --last 5\n"
          "  grove evidence --write docs/evidence.md\n",
          {{"--last", "N", "so many runs of each leaf and kind, the newest (1; 0: all)"},
           {"--write", "FILE", "write the report in Markdown"}},
          run};
}

}  // namespace grove::tool
