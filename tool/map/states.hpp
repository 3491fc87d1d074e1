#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tool/cli/terminal.hpp"

namespace grove::tool {

/// How far a leaf has come, from disk and from evidence.
struct LeafState {
  std::string name = "planned";  ///< planned, built, proven, measured, failed
  std::optional<double> ratio;   ///< Of the workload nearest to 1 or worse: the honest one.
};

/// The states of all leaves that evidence knows; empty without evidence.
std::map<std::string, LeafState, std::less<>> evidence_states();

LeafState state_of(const std::map<std::string, LeafState, std::less<>>& known, std::string_view id, bool built);

/// "proven", coloured, with the ratio when there is one.
std::string shown(const Terminal& terminal, const LeafState& state);

}  // namespace grove::tool
