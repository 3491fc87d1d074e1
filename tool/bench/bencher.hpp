#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tool/cli/terminal.hpp"
#include "tool/evidence/store.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {

/// A line of `--list` of a bench program (grove/base/bench/bench.hpp).
struct WorkloadInfo {
  std::string name;
  std::size_t size = 0;
  std::string unit;
  std::string baseline_of;
};
Result<WorkloadInfo> read_workload(std::string_view line);

/// The line that a bench program prints of one run.
struct Measurement {
  std::uint64_t work = 0;
  double seconds = 0;
  std::int64_t peak_bytes = 0;
  std::string checksum;

  double throughput() const { return static_cast<double>(work) / seconds; }
};
Result<Measurement> read_measurement(std::string_view line);

/// What is compared with what.
struct Comparison {
  std::string workload;                  ///< As it is shown.
  std::string peer;                      ///< As it is shown: a crate, or the baseline's name.
  std::vector<std::string> our_command;  ///< With all options but the seconds.
  std::vector<std::string> peer_command;
  std::string unit;
};

/// The pairs that can be compared: a peer's workload of the same name (before
/// an `@crate` suffix), and our own baselines. `peer_name` is what the peer's
/// unsuffixed workloads are called.
std::vector<Comparison> pair_up(const std::string& our_program, const std::vector<WorkloadInfo>& ours,
                                const std::string& peer_program, const std::vector<WorkloadInfo>& theirs,
                                const std::string& peer_name);

struct BenchOptions {
  int pairs = 7;
  double seconds = 1;
  bool install = false;
};

struct BenchOutcome {
  const Leaf* leaf = nullptr;
  Run run;
};

/// Measures the leaves that have a bench program, and stores the evidence.
/// Leaves without one are left out, unless `named`: then they are "not-run".
Result<std::vector<BenchOutcome>> bench(const Map& map, const std::vector<const Leaf*>& leaves, bool named,
                                        const BenchOptions& options, Terminal& terminal);

}  // namespace grove::tool
