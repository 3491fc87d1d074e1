#include "grove/game/engine/ecs/query.hpp"

#include <algorithm>

namespace grove::ecs::detail {

void QueryState::match_archetypes() {
  if (epoch_ != world_->epoch_) {
    matches_.clear();
    columns_.clear();
    match_of_.clear();
    seen_ = 0;
    epoch_ = world_->epoch_;
  }
  for (; seen_ < world_->archetypes_.size(); ++seen_) {
    match_of_.push_back(Match::kAbsent);
    Archetype& archetype = *world_->archetypes_[seen_];
    auto at = std::make_unique<Match::At[]>(terms_.size());
    bool matches = true;
    for (std::size_t i = 0; i < terms_.size() && matches; ++i) {
      at[i] = {Match::kAbsent, 0, 0};
      if (terms_[i].kind == Kind::entity) continue;
      const auto column = archetype.column_of.find(terms_[i].type);
      const bool present = column != PointerIndex::kNone;
      if (present) at[i] = {column, archetype.columns[column].ticks, archetype.columns[column].data};
      if (terms_[i].kind == Kind::optional_read || terms_[i].kind == Kind::optional_write) continue;
      matches = present != (terms_[i].kind == Kind::without);
    }
    if (!matches) continue;
    match_of_.back() = static_cast<std::uint32_t>(matches_.size());
    matches_.push_back({&archetype, at.get()});
    columns_.push_back(std::move(at));
  }
}

std::vector<QueryState::Span> QueryState::pieces(std::size_t grain, bool mark) {
  std::vector<Span> spans;
  const auto step = static_cast<std::uint32_t>(std::clamp<std::size_t>(grain, 1, kChunkBytes));
  for (const auto& match : matches_) {
    for (auto* chunk : match.archetype->chunks) {
      for (std::size_t i = 0; mark && i < terms_.size(); ++i) {
        const auto kind = terms_[i].kind;
        if ((kind == Kind::write || kind == Kind::optional_write) && match.terms[i].column != Match::kAbsent)
          chunk->all_changed()[match.terms[i].column] = now32(now_);
      }
      for (std::uint32_t row = 0; row < chunk->count; row += step)
        spans.push_back({match, chunk, row, std::min(chunk->count, row + step)});
    }
  }
  return spans;
}

bool QueryState::locate(Entity entity, Span& span) {
  const Slot* const at = world_->slot(entity);
  if (at == nullptr) return false;
  const auto match = match_of_[at->chunk->archetype->index];
  if (match == Match::kAbsent) return false;
  span = {matches_[match], at->chunk, at->row, at->row + 1};
  return true;
}

}  // namespace grove::ecs::detail
