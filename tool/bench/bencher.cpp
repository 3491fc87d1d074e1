#include "tool/bench/bencher.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "grove/base/process.hpp"
#include "tool/bench/statistics.hpp"
#include "tool/project/packages.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/output.hpp"
#include "tool/proof/prover.hpp"

namespace grove::tool {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSeed = "1";

/// Reads one JSON object's members by type; remembers what was missing.
class ObjectReader {
 public:
  explicit ObjectReader(std::string_view line) {
    if (parser_.parse(line.data(), line.size()).get(object_) != simdjson::SUCCESS) missing_ = "no JSON object";
  }
  template <class T>
  T get(const char* name) {
    T value{};
    if (missing_.empty() && object_[name].get(value) != simdjson::SUCCESS) missing_ = std::string("no ") + name;
    return value;
  }
  Result<void> check(std::string_view line) const {
    if (missing_.empty()) return {};
    return fail(Errc::protocol,
                "the bench program printed a line with " + missing_ + ": " + std::string(line.substr(0, 200)));
  }

 private:
  dom::parser parser_;
  dom::element object_;
  std::string missing_;
};

Result<std::vector<WorkloadInfo>> list_workloads(const std::string& program) {
  GROVE_TRY(const auto output, run_child({program, "--list"}));
  if (output.status != 0)
    return fail(Errc::protocol, program + " --list failed: " + std::string(last_lines(output.err, 1)));
  std::vector<WorkloadInfo> all;
  for (std::string_view rest = output.out; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    GROVE_TRY(auto one, read_workload(rest.substr(0, end)));
    all.push_back(std::move(one));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return all;
}

Result<Measurement> measure(std::vector<std::string> command, double seconds) {
  command.insert(command.end(), {"--seconds", std::to_string(seconds)});
  GROVE_TRY(const auto output, run_child(command));
  if (output.status != 0)
    return fail(Errc::unavailable, output.err.empty() ? "exit status " + std::to_string(output.status)
                                                      : std::string(last_lines(output.err, 1)));
  return read_measurement(last_lines(output.out, 1));
}

/// A comparison whose two sides didn't do the same work is no measurement.
constexpr Errc kDifferentWork = Errc::conflict;

Result<Ratio> compare(const Comparison& comparison, const BenchOptions& options, const std::string& step,
                      Terminal& terminal) {
  std::vector<double> ratios;
  std::array<std::vector<double>, 2> throughputs;
  std::array<std::vector<double>, 2> peaks;
  Ratio result{.workload = comparison.workload, .peer = comparison.peer, .pairs = options.pairs};
  result.unit = comparison.unit;
  const std::array<const std::vector<std::string>*, 2> commands{&comparison.our_command, &comparison.peer_command};
  for (int pair = -1; pair < options.pairs; ++pair) {  // pair -1 warms up
    terminal.progress(
        step + " " + comparison.workload + " / " + comparison.peer + ": " +
        (pair < 0 ? "warming up" : "pair " + std::to_string(pair + 1) + " of " + std::to_string(options.pairs)));
    std::array<Measurement, 2> sides;
    for (std::size_t side = 0; side < 2; ++side) {
      auto measured = measure(*commands[side], options.seconds);
      if (!measured) return std::unexpected(std::move(measured).error().with(side == 0 ? "Grove" : comparison.peer));
      sides[side] = std::move(*measured);
    }
    if (sides[0].checksum != sides[1].checksum)
      return fail(kDifferentWork, "not the same work: Grove's checksum is " + sides[0].checksum + ", " +
                                      comparison.peer + "'s is " + sides[1].checksum);
    if (pair < 0) continue;
    result.checksum = sides[0].checksum;
    ratios.push_back(sides[0].throughput() / sides[1].throughput());
    for (std::size_t side = 0; side < 2; ++side) {
      throughputs[side].push_back(sides[side].throughput());
      peaks[side].push_back(static_cast<double>(sides[side].peak_bytes));
    }
  }
  const Interval interval = median_interval(ratios);
  result.ratio = median(ratios);
  result.low = interval.low;
  result.high = interval.high;
  result.our_throughput = median(throughputs[0]);
  result.peer_throughput = median(throughputs[1]);
  result.our_peak = static_cast<std::int64_t>(median(peaks[0]));
  result.peer_peak = static_cast<std::int64_t>(median(peaks[1]));
  return result;
}

/// Builds the peer and says where its program is. Reads cargo's messages: they name it.
Result<std::string> build_peer(const Map& map, const Leaf& leaf, const std::string& step, Terminal& terminal) {
  if (!find_program("cargo"))
    return fail(Errc::not_found, "the peer needs cargo 1.85 or newer: apt-get install cargo-web");
  ProcessOptions options{.merge_error = true};
  std::string program;
  options.on_line = [&](std::string_view line) {
    if (!line.starts_with('{')) {
      terminal.progress(step + ": cargo" + std::string(line.substr(0, 100)));
      return;
    }
    dom::parser parser;
    dom::element message;
    std::string_view executable;
    if (parser.parse(line.data(), line.size()).get(message) == simdjson::SUCCESS &&
        message["executable"].get(executable) == simdjson::SUCCESS)
      program = executable;
  };
  const auto target = map.root / "build/peer" / leaf.id;
  terminal.progress(step + ": building the peer");
  GROVE_TRY(const auto output,
            run_child({"cargo", "build", "--release", "--locked", "--message-format", "json-render-diagnostics",
                       "--manifest-path", (map.root / "grove" / leaf.id / "peer/Cargo.toml").string(), "--target-dir",
                       target.string()},
                      options));
  if (output.status != 0 || program.empty())
    return fail(Errc::unavailable, "cargo can't build the peer: " + failure_reason(output.out));
  return program;
}

bool has_bench(const Map& map, const Leaf& leaf) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(map.root / "grove" / leaf.id, error))
    if (entry.path().filename().string().ends_with("_bench.cpp")) return true;
  return false;
}

bool has_peer(const Map& map, const Leaf& leaf) {
  std::error_code error;
  return fs::exists(map.root / "grove" / leaf.id / "peer/Cargo.toml", error);
}

/// Measures one leaf into its run: ratios, state, reason.
void bench_leaf(const Map& map, const Leaf& leaf, const fs::path& program, const BenchOptions& options,
                const std::string& step, Terminal& terminal, Run* run) {
  std::vector<std::string> problems;
  run->state = "passed";
  // A difference in the work is a failure; everything else could not be run.
  const auto problem = [&](const std::string& what, Errc code) {
    problems.push_back(what);
    if (code == kDifferentWork || code == Errc::protocol)
      run->state = "failed";
    else if (run->state == "passed")
      run->state = "not-run";
  };
  const auto ours = list_workloads(program.string());
  if (!ours) {
    problem(ours.error().message(), ours.error().code());
  } else {
    std::string peer_program;
    std::vector<WorkloadInfo> theirs;
    std::string peer_name = "peer";
    const auto crate = std::ranges::find(leaf.peers, "crate", &Peer::kind);
    if (crate != leaf.peers.end()) peer_name = crate->name;
    if (has_peer(map, leaf)) {
      auto built = build_peer(map, leaf, step, terminal);
      if (built) {
        peer_program = *built;
        auto list = list_workloads(peer_program);
        if (list)
          theirs = std::move(*list);
        else
          problem(list.error().message(), list.error().code());
      } else {
        problem(built.error().message(), built.error().code());
      }
    }
    const auto comparisons = pair_up(program.string(), *ours, peer_program, theirs, peer_name);
    if (comparisons.empty() && problems.empty())
      problem("nothing to compare with: no peer/ and no baseline has a workload of the same name", Errc::not_found);
    for (const Comparison& comparison : comparisons) {
      auto ratio = compare(comparison, options, step, terminal);
      if (ratio)
        run->ratios.push_back(std::move(*ratio));
      else
        problem(comparison.workload + " / " + comparison.peer + ": " + ratio.error().message(), ratio.error().code());
    }
  }
  for (const std::string& one : problems) run->reason += (run->reason.empty() ? "" : "; ") + one;
}

}  // namespace

Result<WorkloadInfo> read_workload(std::string_view line) {
  ObjectReader reader(line);
  WorkloadInfo info;
  info.name = reader.get<std::string_view>("workload");
  info.size = reader.get<std::uint64_t>("size");
  info.unit = reader.get<std::string_view>("unit");
  info.baseline_of = reader.get<std::string_view>("baseline_of");
  GROVE_CHECK(reader.check(line));
  return info;
}

Result<Measurement> read_measurement(std::string_view line) {
  ObjectReader reader(line);
  Measurement measurement;
  measurement.work = reader.get<std::uint64_t>("work");
  measurement.seconds = reader.get<double>("seconds");
  measurement.peak_bytes = reader.get<std::int64_t>("peak_bytes");
  measurement.checksum = reader.get<std::string_view>("checksum");
  GROVE_CHECK(reader.check(line));
  if (measurement.work == 0 || !(measurement.seconds > 0))
    return fail(Errc::protocol, "a run did no work or took no time: " + std::string(line.substr(0, 200)));
  return measurement;
}

std::vector<Comparison> pair_up(const std::string& our_program, const std::vector<WorkloadInfo>& ours,
                                const std::string& peer_program, const std::vector<WorkloadInfo>& theirs,
                                const std::string& peer_name) {
  std::vector<Comparison> all;
  const auto command = [](const std::string& program, const std::string& workload, std::size_t size) {
    return std::vector<std::string>{program,  "--workload",      workload, "--size", std::to_string(size),
                                    "--seed", std::string(kSeed)};
  };
  for (const WorkloadInfo& own : ours) {
    // Both sides get our size: the peer's default may differ.
    const auto add = [&](const std::string& peer, const std::string& program, const std::string& workload) {
      all.push_back(
          {own.name, peer, command(our_program, own.name, own.size), command(program, workload, own.size), own.unit});
    };
    for (const WorkloadInfo& their : theirs) {
      const std::size_t at = their.name.find('@');
      if (their.name.substr(0, at) == own.name)
        add(at == std::string::npos ? peer_name : their.name.substr(at + 1), peer_program, their.name);
    }
    for (const WorkloadInfo& baseline : ours)
      if (baseline.baseline_of == own.name) add(baseline.name, our_program, baseline.name);
  }
  return all;
}

Result<std::vector<BenchOutcome>> bench(const Map& map, const std::vector<const Leaf*>& leaves, bool named,
                                        const BenchOptions& options, Terminal& terminal) {
  std::vector<const Leaf*> measurable;
  bool peers = false;
  for (const Leaf* leaf : leaves)
    if (leaf->built && has_bench(map, *leaf)) {
      measurable.push_back(leaf);
      peers = peers || has_peer(map, *leaf);
    }
  if (options.install) {
    std::vector<std::string> needed = all_packages(map, measurable);
    if (peers && !find_program("cargo")) needed.emplace_back("cargo-web");
    GROVE_TRY(const auto missing, missing_packages(needed));
    GROVE_CHECK(install_packages(missing, true, terminal));
  }
  GROVE_TRY(auto provenance, Provenance::look(map));
  GROVE_TRY(auto store, Store::open(Store::Access::write));

  std::vector<BenchOutcome> outcomes;
  std::vector<const Leaf*> wanted;
  std::vector<std::string> targets;
  for (const Leaf* leaf : leaves) {
    const bool can = std::ranges::find(measurable, leaf) != measurable.end();
    if (!can && !named) continue;
    BenchOutcome& outcome = outcomes.emplace_back(BenchOutcome{.leaf = leaf});
    outcome.run.leaf = leaf->id;
    outcome.run.state = "not-run";
    const auto missing = provenance.missing(build_packages(map, *leaf));
    if (!leaf->built) {
      outcome.run.reason = "planned: not built yet";
    } else if (!can) {
      outcome.run.reason = "it has no bench program";
    } else if (!missing.empty()) {
      outcome.run.reason = "missing packages:";
      for (const std::string& package : missing) outcome.run.reason += " " + package;
    } else {
      outcome.run.state.clear();
      wanted.push_back(leaf);
      targets.push_back(target_name(leaf->id) + "-bench");
    }
  }
  if (wanted.empty()) return outcomes;

  BuildTree tree(map.root, "release", terminal);
  GROVE_CHECK(configure_for(map, provenance, wanted, &tree));
  GROVE_TRY(const auto build, tree.build(targets, "building"));
  std::size_t n = 0;
  for (BenchOutcome& outcome : outcomes) {
    if (!outcome.run.state.empty()) continue;
    const Leaf& leaf = *outcome.leaf;
    const std::string target = target_name(leaf.id) + "-bench";
    const std::string step = "[" + std::to_string(++n) + "/" + std::to_string(wanted.size()) + "] " + leaf.id;
    GROVE_TRY(outcome.run, provenance.begin("bench", leaf, ContentHasher::Peer::included));
    const auto start = std::chrono::steady_clock::now();
    bool built = build.built;
    if (!built) {
      GROVE_TRY(const auto own, tree.build({target}, step));
      built = own.built;
      if (!built) {
        outcome.run.state = "failed";
        outcome.run.reason = "build: " + failure_reason(own.log);
      }
    }
    if (built) bench_leaf(map, leaf, tree.leaf_folder(leaf.id) / target, options, step, terminal, &outcome.run);
    outcome.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    GROVE_TRY(outcome.run.id, store.add(outcome.run));
  }
  terminal.end_progress();
  return outcomes;
}

}  // namespace grove::tool
