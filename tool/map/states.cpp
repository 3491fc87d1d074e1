#include "tool/map/states.hpp"

#include <array>
#include <cstdio>

namespace grove::tool {

std::map<std::string, LeafState, std::less<>> evidence_states() { return {}; }

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
  if (state.ratio) {
    std::array<char, 24> ratio{};
    std::snprintf(ratio.data(), ratio.size(), " %.2f×", *state.ratio);
    text += ratio.data();
  }
  return terminal.styled(style, text);
}

}  // namespace grove::tool
