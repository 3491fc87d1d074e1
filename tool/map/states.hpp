#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tool/cli/terminal.hpp"

namespace grove::tool {

/// How far a leaf has come, from disk and from evidence.
struct LeafState {
  std::string name = "planned";  ///< planned, built, proven, measured, failed
  /// The lowest and the highest ratio of its workloads; above 1, Grove is ahead.
  std::optional<std::pair<double, double>> ratios;
};

/// The states of all leaves that evidence knows; empty without evidence, or
/// when it can't be read (`grove evidence` says why).
std::map<std::string, LeafState, std::less<>> evidence_states();

LeafState state_of(const std::map<std::string, LeafState, std::less<>>& known, std::string_view id, bool built);

/// "proven", coloured, with the ratios when there are some.
std::string shown(const Terminal& terminal, const LeafState& state);

}  // namespace grove::tool
