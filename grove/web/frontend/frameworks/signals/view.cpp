#include "grove/web/frontend/frameworks/signals/view.hpp"

namespace grove::signals::detail {

std::vector<bool> longest_increasing(const std::vector<std::uint32_t>& old_places) {
  std::vector<std::uint32_t> ends;  // ends[k]: index of the smallest end of an increasing run of k + 1.
  std::vector<std::uint32_t> before(old_places.size(), kNew);
  for (std::uint32_t i = 0; i < old_places.size(); ++i) {
    if (old_places[i] == kNew) continue;
    const auto at = std::lower_bound(ends.begin(), ends.end(), old_places[i],
                                     [&](std::uint32_t end, std::uint32_t place) { return old_places[end] < place; });
    if (at != ends.begin()) before[i] = *(at - 1);
    if (at == ends.end()) {
      ends.push_back(i);
    } else {
      *at = i;
    }
  }
  std::vector<bool> stays(old_places.size(), false);
  for (std::uint32_t i = ends.empty() ? kNew : ends.back(); i != kNew; i = before[i]) stays[i] = true;
  return stays;
}

}  // namespace grove::signals::detail
