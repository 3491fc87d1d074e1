#include "tool/map/states.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "tool/evidence/store.hpp"

namespace grove::tool {

std::map<std::string, LeafState, std::less<>> evidence_states() {
  std::map<std::string, LeafState, std::less<>> states;
  const Result<Store> store = Store::open(Store::Access::read);
  if (!store) return states;
  const Result<std::vector<Summary>> summaries = store->latest_all();
  if (!summaries) return states;
  for (const Summary& summary : *summaries) {
    LeafState& state = states[summary.leaf];
    state.name = summary.state == "passed" ? "proven" : summary.state == "failed" ? "failed" : "built";
    for (const Ratio& ratio : summary.ratios) {
      if (!state.ratios) state.ratios = {ratio.ratio, ratio.ratio};
      state.ratios->first = std::min(state.ratios->first, ratio.ratio);
      state.ratios->second = std::max(state.ratios->second, ratio.ratio);
    }
    // Measured is what is proven and has been compared.
    if (state.name == "proven" && state.ratios) state.name = "measured";
  }
  return states;
}

LeafState state_of(const std::map<std::string, LeafState, std::less<>>& known, std::string_view id, bool built) {
  if (!built) return {};
  const auto found = known.find(id);
  return found != known.end() ? found->second : LeafState{"built", {}};
}

std::string shown(const Terminal& terminal, const LeafState& state) {
  const Style style = state.name == "failed"    ? Style::red
                      : state.name == "planned" ? Style::dim
                      : state.name == "built"   ? Style::yellow
                                                : Style::green;
  std::string text = state.name;
  if (state.ratios) {
    std::array<char, 48> ratios{};
    std::snprintf(ratios.data(), ratios.size(), " %.2f–%.2f×", state.ratios->first, state.ratios->second);
    text += ratios.data();
  }
  return terminal.styled(style, text);
}

}  // namespace grove::tool
