#include <algorithm>
#include <charconv>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/bench/bencher.hpp"
#include "tool/bench/plot.hpp"
#include "tool/cli/command.hpp"
#include "tool/evidence/report.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

template <class T>
Result<T> number_option(const Arguments& arguments, std::string_view name, T standard, T least) {
  const auto text = arguments.value(name);
  if (!text) return standard;
  T value{};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < least)
    return fail(Errc::invalid_argument, std::string(name) + " takes a number of at least " +
                                            human_number(static_cast<double>(least)) + ", not " + *text);
  return value;
}

std::string bench_json(const std::vector<BenchOutcome>& outcomes) {
  JsonWriter json;
  json.begin_object().key("ratios").begin_array();
  for (const BenchOutcome& outcome : outcomes)
    for (const Ratio& r : outcome.run.ratios) {
      json.begin_object().member("id", outcome.run.leaf).member("workload", r.workload).member("peer", r.peer);
      json.member("ratio", r.ratio).member("low", r.low).member("high", r.high).member("pairs", r.pairs);
      json.member("our_peak_bytes", r.our_peak).member("peer_peak_bytes", r.peer_peak).end_object();
    }
  json.end_array().key("problems").begin_array();
  for (const BenchOutcome& outcome : outcomes)
    if (outcome.run.state != "passed")
      json.begin_object()
          .member("id", outcome.run.leaf)
          .member("state", outcome.run.state)
          .member("reason", outcome.run.reason)
          .end_object();
  return std::move(json.end_array().end_object()).str();
}

void print_outcomes(const std::vector<BenchOutcome>& outcomes, Terminal& terminal) {
  std::vector<std::vector<std::string>> rows;
  for (const BenchOutcome& outcome : outcomes)
    for (const Ratio& r : outcome.run.ratios) {
      const Style style = r.low > 1 ? Style::green : r.high < 1 ? Style::red : Style::plain;
      if (rows.empty()) rows.push_back({"leaf", "workload", "peer", "ratio (95 %)", "Grove", "peer", "peak memory"});
      rows.push_back({outcome.run.leaf, r.workload, r.peer, terminal.styled(style, shown_ratio(r)),
                      human_number(r.our_throughput) + " " + r.unit + "/s",
                      human_number(r.peer_throughput) + " " + r.unit + "/s",
                      shown_bytes(r.our_peak) + " / " + shown_bytes(r.peer_peak)});
    }
  terminal.table(rows);
  if (!rows.empty()) terminal.line("\nA ratio above 1: Grove is ahead.");
  for (const BenchOutcome& outcome : outcomes) {
    if (outcome.run.state == "passed") continue;
    const bool failed = outcome.run.state == "failed";
    terminal.line(terminal.styled(failed ? Style::red : Style::yellow, failed ? "failed" : "not run") + "  " +
                  outcome.run.leaf + ": " + outcome.run.reason);
  }
}

/// One plot for each leaf in build/plots/, or all of them in one file.
Result<std::vector<std::string>> write_plots(const Map& map, const std::vector<BenchOutcome>& outcomes,
                                             const std::optional<std::string>& file) {
  std::vector<std::string> written;
  std::vector<Ratio> all;
  const Run* last = nullptr;
  const bool several = std::ranges::count_if(outcomes, [](const BenchOutcome& o) { return !o.run.ratios.empty(); }) > 1;
  const auto footer = [](const Run& run) {
    return iso_date(run.time) + ", " + run.machine.cpu + ", " + std::to_string(run.machine.cores) + " cores, " +
           run.machine.compiler;
  };
  for (const BenchOutcome& outcome : outcomes) {
    const Run& run = outcome.run;
    if (run.ratios.empty()) continue;
    last = &run;
    if (file) {
      for (Ratio ratio : run.ratios) {
        if (several) ratio.workload = run.leaf.substr(run.leaf.rfind('/') + 1) + " " + ratio.workload;
        all.push_back(std::move(ratio));
      }
      continue;
    }
    const auto path = map.root / "build/plots" / (run.leaf + ".svg");
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    GROVE_CHECK(write_file(path, ratio_plot(run.leaf, run.ratios, footer(run))));
    written.push_back(path.lexically_relative(map.root).string());
  }
  if (file && last != nullptr) {
    GROVE_CHECK(write_file(*file, ratio_plot(several ? "Grove and its peers" : last->leaf, all, footer(*last))));
    written.push_back(*file);
  }
  return written;
}

Result<int> run(Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  BenchOptions options{.install = arguments.has("--install")};
  GROVE_TRY(options.pairs, number_option(arguments, "--pairs", options.pairs, 1));
  GROVE_TRY(options.seconds, number_option(arguments, "--seconds", options.seconds, 0.0));
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Map map, load_map(root));
  GROVE_TRY(const auto leaves, match(map, arguments.positional()));
  const InterruptGuard guard;
  GROVE_TRY(const auto outcomes, bench(map, leaves, !arguments.positional().empty(), options, invocation.terminal));
  GROVE_TRY(const auto plots, write_plots(map, outcomes, arguments.value("--plot")));
  if (invocation.json) {
    invocation.terminal.line(bench_json(outcomes));
  } else {
    print_outcomes(outcomes, invocation.terminal);
    for (const std::string& plot : plots) invocation.terminal.line("plot: " + plot);
    if (outcomes.empty()) invocation.terminal.line("no leaf has a bench program yet");
  }
  if (std::ranges::any_of(outcomes, [](const BenchOutcome& o) { return o.run.state == "failed"; })) return 1;
  return std::ranges::any_of(outcomes, [](const BenchOutcome& o) { return !o.run.ratios.empty(); }) ? 0 : 2;
}

}  // namespace

Command bench_command() {
  return {
      "bench",
      "[PATTERN…]",
      "measures leaves against their peers on the same work, and keeps the evidence",
      "与对应的 Rust 库在同样的工作负载上对比测量，保留证据",
      "Runs alternate A B A B; runs whose checksums differ are refused. The ratio is the median over the pairs of\n"
      "the peer's time over Grove's for the same work, with its 95 % interval (by order statistics; fewer than six\n"
      "pairs give their range). Above 1, Grove is ahead. Plots go to build/plots/.\n"
      "Exit status: 0; 1 when two sides didn't do the same work or a build fails; 2 when nothing could be measured.\n\n"
      "  grove bench data/cache --pairs 15\n",
      {{"--pairs", "N", "pairs of runs for each workload (7)"},
       {"--seconds", "S", "of work in each run (1)"},
       {"--plot", "FILE", "one plot with everything, instead of one for each leaf"},
       {"--install", "", "install the Debian packages that are missing, without asking"}},
      run};
}

}  // namespace grove::tool
