#include "grove/web/common/ops.hpp"

#include <algorithm>

namespace grove::web {

std::uint32_t Ops::clone(const TemplateView& view) {
  const auto known = std::find(templates_.begin(), templates_.end(), &view);
  const auto index = static_cast<std::uint32_t>(known - templates_.begin());
  if (known == templates_.end()) {
    templates_.push_back(&view);
    put({word(Op::define_template), index});
    put_string(view.html);
    put({static_cast<std::uint32_t>(view.holes.size())});
    for (const Hole& hole : view.holes) put({hole.node << 1 | (hole.kind == HoleKind::text ? 1u : 0u)});
  }
  const std::size_t count = view.holes.size() + 1;
  std::uint32_t first = next_id_;
  if (count < free_.size() && !free_[count].empty()) {
    first = free_[count].back();
    free_[count].pop_back();
  } else {
    next_id_ += static_cast<std::uint32_t>(count);
  }
  put({word(Op::clone), index, first});
  return first;
}

void Ops::release(std::uint32_t first, std::uint32_t count) {
  put({word(Op::forget), first, count});
  if (free_.size() <= count) free_.resize(count + 1);
  free_[count].push_back(first);
}

std::uint32_t Ops::name_id(std::string_view name) {
  // A page has a dozen names; the last one asked for is the likeliest.
  const auto known = std::find(names_.begin(), names_.end(), name);
  const auto index = static_cast<std::uint32_t>(known - names_.begin());
  if (known == names_.end()) {
    names_.emplace_back(name);
    put({word(Op::define_name), index});
    put_string(name);
  }
  return index;
}

}  // namespace grove::web
