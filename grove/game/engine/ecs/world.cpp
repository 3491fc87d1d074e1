#include "grove/game/engine/ecs/world.hpp"

#include <algorithm>
#include <bit>

namespace grove::ecs {

using detail::Archetype;
using detail::Bundle;
using detail::Chunk;
using detail::Column;
using detail::Edge;
using detail::kChunkBytes;
using detail::Place;
using detail::PointerIndex;
using detail::Slot;
using detail::Ticks;

namespace {

constexpr std::uint32_t kNone = ~0u;
constexpr std::uint32_t kOldest = 1u << 31;
constexpr Tick kForgetEvery = Tick{1} << 30;
constexpr std::align_val_t kBlockAlign{64};
// Blocks lie 16 KiB and three cache lines apart. At a power of two the heads of
// all chunks would share one set of the L1 cache.
constexpr std::size_t kBlockStride = kChunkBytes + 192;

std::uint32_t younger(std::uint32_t a, std::uint32_t b, std::uint32_t now) noexcept {
  return now - a < now - b ? a : b;
}

template <std::size_t N>
void copy_fixed(std::byte* to, const std::byte* from) noexcept {
  std::memcpy(to, from, N);
}
/// Most components are a few words: no call for these.
[[gnu::always_inline]] inline void copy_bytes(std::byte* to, const std::byte* from, std::uint32_t size) noexcept {
  switch (size) {
    case 0: return;
    case 4: return copy_fixed<4>(to, from);
    case 8: return copy_fixed<8>(to, from);
    case 12: return copy_fixed<12>(to, from);
    case 16: return copy_fixed<16>(to, from);
    default: std::memcpy(to, from, size);
  }
}
inline void relocate(const TypeInfo& type, std::byte* to, std::byte* from) noexcept {
  if (type.relocate == nullptr)
    copy_bytes(to, from, type.size);
  else if (type.size != 0)
    type.relocate(to, from);
}
std::byte* value_at(Chunk& chunk, const Column& column, std::uint32_t row) noexcept {
  return chunk.bytes() + column.data + std::size_t{row} * column.type->size;
}
void destroy_value(Chunk& chunk, const Column& column, std::uint32_t row) noexcept {
  if (column.type->destroy != nullptr && column.type->size != 0) column.type->destroy(value_at(chunk, column, row));
}

/// Gives each row its own tick again, so that rows with older ones can join.
[[gnu::noinline]] void spread_all_changed(Chunk& chunk, std::uint32_t column, std::uint32_t now) noexcept {
  auto& all = chunk.all_changed()[column];
  Ticks* const ticks = chunk.array<Ticks>(chunk.archetype->columns[column].ticks);
  for (std::uint32_t i = 0; i < chunk.count; ++i) ticks[i].changed = younger(ticks[i].changed, all, now);
  all = now - kOldest;
}

/// The ticks of a row that moves; it stays as old as it was.
[[gnu::always_inline]] inline void carry_ticks(Chunk& from, const Column& a, std::uint32_t a_index, std::uint32_t a_row,
                                               Chunk& to, const Column& b, std::uint32_t b_index, std::uint32_t b_row,
                                               std::uint32_t now) noexcept {
  Ticks ticks = from.array<Ticks>(a.ticks)[a_row];
  ticks.changed = younger(ticks.changed, from.all_changed()[a_index], now);
  if (now - to.all_changed()[b_index] < now - ticks.changed) [[unlikely]]
    spread_all_changed(to, b_index, now);
  to.array<Ticks>(b.ticks)[b_row] = ticks;
}

}  // namespace

void PointerIndex::put(const void* key, std::uint32_t value) {
  if (2 * (count_ + 1) > cells_.size()) {
    auto old = std::move(cells_);
    cells_.assign(std::max<std::size_t>(4, old.size() * 2), {});
    shift_ = 64 - std::countr_zero(cells_.size());
    count_ = 0;
    for (const auto& cell : old) {
      if (cell.key != nullptr) put(cell.key, cell.value);
    }
  }
  std::size_t at = home(key);
  while (cells_[at].key != nullptr && cells_[at].key != key) at = (at + 1) & (cells_.size() - 1);
  if (cells_[at].key == nullptr) ++count_;
  cells_[at] = {key, value};
}

const Bundle World::kEmptyBundle{nullptr, 0};

World::World() : next_forgetting_(kForgetEvery), first_free_(kNone) { archetype({}); }

World::~World() {
  for (auto& it : archetypes_) empty_archetype(*it);
  for (auto& it : resources_) destroy_resource(it);
  for (auto* slab : slabs_) ::operator delete(slab, kBlockAlign);
}

// --- archetypes ---

std::uint32_t World::component(const TypeInfo& type) {
  const auto known = component_of_.find(&type);
  if (known != PointerIndex::kNone) return known;
  const auto id = static_cast<std::uint32_t>(components_.size());
  components_.push_back({&type, {}});
  component_of_.put(&type, id);
  return id;
}

Archetype& World::archetype(std::vector<std::uint32_t> ids) {
  if (const auto known = archetype_of_.find(ids); known != archetype_of_.end()) return *archetypes_[known->second];
  auto made = std::make_unique<Archetype>();
  made->index = static_cast<std::uint32_t>(archetypes_.size());
  for (const auto id : ids) {
    const auto& it = components_[id];
    made->column_of.put(it.type, static_cast<std::uint32_t>(made->columns.size()));
    made->columns.push_back({it.type, id, 0, 0});
    made->hooked |= it.hooks[0] || it.hooks[1];
  }
  lay_out(*made);
  archetypes_.push_back(std::move(made));
  archetype_of_.emplace(std::move(ids), archetypes_.back()->index);
  return *archetypes_.back();
}

void World::lay_out(Archetype& it) {
  const auto align = [](std::size_t offset, std::size_t to) { return (offset + to - 1) & ~(to - 1); };
  std::size_t row = sizeof(Entity);
  for (const auto& column : it.columns) row += sizeof(Ticks) + column.type->size;
  const auto layout = [&](std::size_t rows) {
    std::size_t end = align(sizeof(Chunk) + it.columns.size() * sizeof(std::uint32_t), alignof(Entity) * 2);
    it.entities = static_cast<std::uint32_t>(end);
    end += rows * sizeof(Entity);
    for (auto& column : it.columns) {
      column.ticks = static_cast<std::uint32_t>(end);
      end += rows * sizeof(Ticks);
    }
    for (auto& column : it.columns) {
      if (column.type->size == 0) continue;
      end = align(end, std::max<std::size_t>(column.type->align, 64));
      column.data = static_cast<std::uint32_t>(end);
      end += rows * column.type->size;
    }
    return end;
  };
  std::size_t rows = kChunkBytes / row;
  while (rows > 1 && layout(rows) > kChunkBytes) --rows;
  rows = std::max<std::size_t>(rows, 1);
  it.capacity = static_cast<std::uint32_t>(rows);
  it.block_bytes = std::max(kChunkBytes, layout(rows));  // A component larger than a chunk has blocks of its own.
}

Edge& World::link(Archetype& from, std::vector<std::uint32_t> ids, const Bundle& bundle) {
  Archetype& to = archetype(std::move(ids));
  auto edge = std::make_unique<Edge>();
  edge->to = &to;
  for (std::uint32_t i = 0; i < from.columns.size(); ++i) {
    const auto column = to.column_of.find(from.columns[i].type);
    if (column == PointerIndex::kNone)
      edge->dropped.push_back(i);
    else
      edge->copies.push_back({i, column, from.columns[i], to.columns[column]});
  }
  for (std::uint32_t i = 0; i < bundle.count; ++i) {
    const auto column = to.column_of.find(bundle.types[i]);
    if (column == PointerIndex::kNone) continue;
    edge->bundle.push_back({column, to.columns[column].ticks, to.columns[column].data,
                            from.column_of.find(bundle.types[i]) == PointerIndex::kNone});
  }
  from.edges.push_back(std::move(edge));
  return *from.edges.back();
}

Edge& World::add_edge(Archetype& from, const Bundle& bundle) {
  if (const auto at = from.add_edges.find(&bundle); at != PointerIndex::kNone) return *from.edges[at];
  std::vector<std::uint32_t> ids;
  for (const auto& column : from.columns) ids.push_back(column.id);
  for (std::uint32_t i = 0; i < bundle.count; ++i) ids.push_back(component(*bundle.types[i]));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  auto& edge = link(from, std::move(ids), bundle);
  from.add_edges.put(&bundle, static_cast<std::uint32_t>(from.edges.size() - 1));
  return edge;
}

Edge& World::remove_edge(Archetype& from, const Bundle& bundle) {
  if (const auto at = from.remove_edges.find(&bundle); at != PointerIndex::kNone) return *from.edges[at];
  std::vector<std::uint32_t> ids;
  for (const auto& column : from.columns) {
    if (std::find(bundle.types, bundle.types + bundle.count, column.type) == bundle.types + bundle.count)
      ids.push_back(column.id);
  }
  auto& edge = link(from, std::move(ids), bundle);
  from.remove_edges.put(&bundle, static_cast<std::uint32_t>(from.edges.size() - 1));
  return edge;
}

// --- chunks and slots ---

Chunk& World::add_chunk(Archetype& archetype) {
  archetype.chunks.reserve(archetype.chunks.size() + 1);
  void* memory = nullptr;
  if (archetype.block_bytes > kChunkBytes) {
    memory = ::operator new(archetype.block_bytes, kBlockAlign);
  } else {
    if (blocks_.empty()) {
      blocks_.reserve(slab_blocks_);
      slabs_.reserve(slabs_.size() + 1);
      auto* slab = static_cast<std::byte*>(::operator new(slab_blocks_ * kBlockStride, kBlockAlign));
      slabs_.push_back(slab);
      for (std::size_t i = slab_blocks_; i-- > 0;) blocks_.push_back(reinterpret_cast<Chunk*>(slab + i * kBlockStride));
      slab_blocks_ = std::min<std::size_t>(slab_blocks_ * 2, 256);
    }
    memory = blocks_.back();
    blocks_.pop_back();
  }
  auto* chunk = ::new (memory) Chunk{&archetype, static_cast<std::uint32_t>(archetype.chunks.size()), 0};
  std::fill_n(chunk->all_changed(), archetype.columns.size(), static_cast<std::uint32_t>(tick_) - kOldest);
  archetype.chunks.push_back(chunk);
  return *chunk;
}

void World::close_chunk(Chunk& chunk) noexcept {
  Archetype& archetype = *chunk.archetype;
  archetype.chunks.pop_back();
  if (archetype.block_bytes > kChunkBytes)
    ::operator delete(&chunk, kBlockAlign);
  else
    blocks_.push_back(&chunk);
}

void World::empty_archetype(Archetype& archetype) noexcept {
  while (!archetype.chunks.empty()) {
    Chunk& chunk = *archetype.chunks.back();
    for (const auto& column : archetype.columns) {
      if (column.type->destroy == nullptr) continue;
      for (std::uint32_t row = 0; row < chunk.count; ++row) destroy_value(chunk, column, row);
    }
    close_chunk(chunk);
  }
}

Entity World::take_slot(Chunk* chunk, std::uint32_t row) {
  std::uint32_t index = first_free_;
  if (index != kNone) {
    first_free_ = slots_[index].row;
    slots_[index].row = row;
    slots_[index].chunk = chunk;
  } else {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back({1, row, chunk});
  }
  ++alive_;
  return {index, slots_[index].generation};
}

void World::free_slot(std::uint32_t index) noexcept {
  auto& slot = slots_[index];
  slot.chunk = nullptr;
  --alive_;
  if (++slot.generation == kNone) return;  // Used up: nobody gets this index again.
  slot.row = first_free_;
  first_free_ = index;
}

/// Moves the archetype's last row into a row whose values are gone.
void World::fill_hole(Chunk& chunk, std::uint32_t row) {
  Archetype& archetype = *chunk.archetype;
  Chunk& last = *archetype.chunks.back();
  const std::uint32_t last_row = last.count - 1;
  if (&last != &chunk || last_row != row) {
    Entity* const from = last.array<Entity>(archetype.entities) + last_row;
    chunk.array<Entity>(archetype.entities)[row] = *from;
    for (std::uint32_t i = 0; i < archetype.columns.size(); ++i) {
      const auto& column = archetype.columns[i];
      relocate(*column.type, value_at(chunk, column, row), value_at(last, column, last_row));
      if (&last == &chunk)
        chunk.array<Ticks>(column.ticks)[row] = chunk.array<Ticks>(column.ticks)[last_row];
      else
        carry_ticks(last, column, i, last_row, chunk, column, i, row, static_cast<std::uint32_t>(tick_));
    }
    auto& slot = slots_[from->index];
    slot.chunk = &chunk;
    slot.row = row;
  }
  if (--last.count == 0) close_chunk(last);
}

/// Moves an entity's row along an edge. Values of the edge's fresh columns are
/// left to be constructed, values that the edge drops are destroyed.
void World::move_row(Slot& slot, Entity entity, const Edge& edge) {
  Chunk& from = *slot.chunk;
  const std::uint32_t from_row = slot.row;
  Archetype& source = *from.archetype;
  Archetype& target = *edge.to;
  Chunk& to = open_chunk(target);
  const std::uint32_t row = to.count;
  const auto now = static_cast<std::uint32_t>(tick_);
  to.array<Entity>(target.entities)[row] = entity;
  for (const auto& copy : edge.copies) {
    relocate(*copy.to.type, value_at(to, copy.to, row), value_at(from, copy.from, from_row));
    carry_ticks(from, copy.from, copy.from_index, from_row, to, copy.to, copy.to_index, row, now);
  }
  to.count = row + 1;
  slot.chunk = &to;
  slot.row = row;
  for (const auto i : edge.dropped) destroy_value(from, source.columns[i], from_row);
  fill_hole(from, from_row);
}

// --- structural changes ---

Place World::place(const Bundle& bundle) {
  if (locks_ != 0) return {};
  if (slots_.size() >= kNone && first_free_ == kNone) return {};
  const Edge& edge = add_edge(*archetypes_[0], bundle);
  Archetype& to = *edge.to;
  Chunk& chunk = open_chunk(to);
  const std::uint32_t row = chunk.count;
  const Entity entity = take_slot(&chunk, row);
  chunk.count = row + 1;
  chunk.array<Entity>(to.entities)[row] = entity;
  const auto now = static_cast<std::uint32_t>(tick_);
  for (const auto& target : edge.bundle) chunk.array<Ticks>(target.ticks)[row] = {now, now};
  return {&chunk, row, entity, &edge};
}

/// Where up to `wanted` rows may be constructed, from at.row on; the world is
/// locked until commit_rows.
std::uint32_t World::open_rows(const Bundle& bundle, std::size_t wanted, Place& at) {
  if (locks_ != 0 || wanted > kNone - slots_.size()) return 0;
  const Edge& edge = add_edge(*archetypes_[0], bundle);
  Chunk& chunk = open_chunk(*edge.to);
  at = {&chunk, chunk.count, {}, &edge};
  ++locks_;
  return static_cast<std::uint32_t>(std::min<std::size_t>(wanted, edge.to->capacity - chunk.count));
}

void World::commit_rows(Place at, std::uint32_t rows, std::vector<Entity>* out) {
  if (at.chunk == nullptr) return;
  --locks_;
  if (rows == 0) {
    if (at.chunk->count == 0) close_chunk(*at.chunk);
    return;
  }
  const auto now = static_cast<std::uint32_t>(tick_);
  const std::uint32_t first = at.chunk->count;
  Entity* const entities = at.chunk->array<Entity>(at.edge->to->entities);
  for (std::uint32_t i = 0; i < rows; ++i) entities[first + i] = take_slot(at.chunk, first + i);
  for (const auto& target : at.edge->bundle)
    std::fill_n(at.chunk->array<Ticks>(target.ticks) + first, rows, Ticks{now, now});
  at.chunk->count += rows;
  if (out != nullptr) out->insert(out->end(), entities + first, entities + first + rows);
  if (at.chunk->archetype->hooked) [[unlikely]] {
    for (std::uint32_t i = first; i < first + rows; ++i) added({at.chunk, i, entities[i], at.edge});
  }
}

Outcome<Place> World::extend(Entity entity, const Bundle& bundle) {
  if (locks_ != 0) return std::unexpected(Errc::conflict);
  Slot* const at = slot(entity);
  if (at == nullptr) return std::unexpected(Errc::not_found);
  const Edge& edge = add_edge(*at->chunk->archetype, bundle);
  if (edge.to != at->chunk->archetype) move_row(*at, entity, edge);
  Chunk& chunk = *at->chunk;
  const auto now = static_cast<std::uint32_t>(tick_);
  for (const auto& target : edge.bundle) {
    Ticks& ticks = chunk.array<Ticks>(target.ticks)[at->row];
    ticks.changed = now;
    if (target.fresh) ticks.added = now;
  }
  return Place{&chunk, at->row, entity, &edge};
}

Outcome<> World::shrink(Entity entity, const Bundle& bundle) {
  if (locks_ != 0) return std::unexpected(Errc::conflict);
  Slot* const at = slot(entity);
  if (at == nullptr) return std::unexpected(Errc::not_found);
  const Edge& edge = remove_edge(*at->chunk->archetype, bundle);
  if (edge.dropped.empty()) return std::unexpected(Errc::not_found);
  if (at->chunk->archetype->hooked) [[unlikely]] {
    for (const auto column : edge.dropped) removing(*at->chunk, at->row, column);
  }
  move_row(*at, entity, edge);
  return {};
}

Outcome<> World::despawn(Entity entity) {
  if (locks_ != 0) return std::unexpected(Errc::conflict);
  Slot* const at = slot(entity);
  if (at == nullptr) return std::unexpected(Errc::not_found);
  Chunk& chunk = *at->chunk;
  const std::uint32_t row = at->row;
  const auto& columns = chunk.archetype->columns;
  if (chunk.archetype->hooked) [[unlikely]] {
    for (std::uint32_t i = 0; i < columns.size(); ++i) removing(chunk, row, i);
  }
  for (const auto& column : columns) destroy_value(chunk, column, row);
  fill_hole(chunk, row);
  free_slot(entity.index);
  return {};
}

Outcome<> World::clear() {
  if (locks_ != 0) return std::unexpected(Errc::conflict);
  for (auto& it : archetypes_) empty_archetype(*it);
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].chunk != nullptr) free_slot(i);
  }
  return {};
}

// --- values ---

const void* World::find(Entity entity, const TypeInfo& type) const noexcept {
  const Slot* const at = slot(entity);
  if (at == nullptr) return nullptr;
  const auto i = at->chunk->archetype->column_of.find(&type);
  if (i == PointerIndex::kNone) return nullptr;
  return value_at(*at->chunk, at->chunk->archetype->columns[i], at->row);
}

void* World::find_mut(Entity entity, const TypeInfo& type) noexcept {
  const Slot* const at = slot(entity);
  if (at == nullptr) return nullptr;
  const auto i = at->chunk->archetype->column_of.find(&type);
  if (i == PointerIndex::kNone) return nullptr;
  const auto& column = at->chunk->archetype->columns[i];
  at->chunk->array<Ticks>(column.ticks)[at->row].changed = static_cast<std::uint32_t>(tick_);
  return value_at(*at->chunk, column, at->row);
}

// --- hooks, resources, ticks ---

namespace {
struct Locked {
  explicit Locked(int& locks) noexcept : locks(locks) { ++locks; }
  ~Locked() { --locks; }
  int& locks;
};
}  // namespace

void World::added(const Place& at) {
  const Locked locked(locks_);
  for (const auto& target : at.edge->bundle) {
    const auto& column = at.chunk->archetype->columns[target.column];
    const auto& hook = components_[column.id].hooks[0];
    if (target.fresh && hook) hook(at.entity, value_at(*at.chunk, column, at.row));
  }
}

void World::removing(Chunk& chunk, std::uint32_t row, std::uint32_t i) {
  const Locked locked(locks_);
  const auto& column = chunk.archetype->columns[i];
  const auto& hook = components_[column.id].hooks[1];
  if (hook) hook(chunk.array<Entity>(chunk.archetype->entities)[row], value_at(chunk, column, row));
}

void World::set_hook(const TypeInfo& type, int kind, Hook hook) {
  const auto id = component(type);
  components_[id].hooks[kind] = std::move(hook);
  for (auto& it : archetypes_) {
    it->hooked = std::any_of(it->columns.begin(), it->columns.end(), [&](const Column& column) {
      return components_[column.id].hooks[0] || components_[column.id].hooks[1];
    });
  }
}

World::Resource& World::resource_slot(const TypeInfo& type, const detail::ResourceOps& ops) {
  auto at = resource_of_.find(&type);
  if (at == PointerIndex::kNone) {
    at = static_cast<std::uint32_t>(resources_.size());
    resources_.push_back({&type, &ops, nullptr});
    resource_of_.put(&type, at);
  }
  return resources_[at];
}

bool World::drop_resource(const TypeInfo& type) {
  const auto at = resource_of_.find(&type);
  if (at == PointerIndex::kNone || resources_[at].value == nullptr) return false;
  destroy_resource(resources_[at]);
  return true;
}

void World::destroy_resource(Resource& it) noexcept {
  if (it.value == nullptr) return;
  if (it.type->destroy != nullptr) it.type->destroy(it.value);
  ::operator delete(it.value, std::align_val_t{it.type->align});
  it.value = nullptr;
}

void World::update_events() {
  for (auto& it : resources_) {
    if (it.value != nullptr && it.ops->age != nullptr) it.ops->age(it.value);
  }
}

void World::skip_ticks(Tick count) {
  for (; count > kForgetEvery; count -= kForgetEvery) {
    tick_ += kForgetEvery;
    forget_old_ticks();
  }
  tick_ += count;
  if (tick_ >= next_forgetting_) forget_old_ticks();
}

/// Keeps every stored tick within 2^32 of now, so that ages never wrap round.
void World::forget_old_ticks() {
  next_forgetting_ = tick_ + kForgetEvery;
  const auto now = static_cast<std::uint32_t>(tick_);
  const auto forget = [&](std::uint32_t& tick) {
    if (now - tick > kOldest) tick = now - kOldest;
  };
  for (auto& archetype : archetypes_) {
    for (auto* chunk : archetype->chunks) {
      for (std::size_t i = 0; i < archetype->columns.size(); ++i) {
        forget(chunk->all_changed()[i]);
        Ticks* const ticks = chunk->array<Ticks>(archetype->columns[i].ticks);
        for (std::uint32_t row = 0; row < chunk->count; ++row) {
          forget(ticks[row].added);
          forget(ticks[row].changed);
        }
      }
    }
  }
}

}  // namespace grove::ecs
