// The blob, all numbers as in memory:
//   magic, tick, slot count, first free slot, alive, counts of components,
//   archetypes and resources
//   components   name size, size, name
//   slots        generation, next free (kTaken: in use)
//   archetypes   column count, rows, component of each column; then for each
//                chunk's worth of rows: entities, and for each column its
//                all_changed tick, ticks, values
//   resources    name size, bytes, name, value

#include <algorithm>
#include <set>

#include "grove/base/bytes.hpp"
#include "grove/game/engine/ecs/world.hpp"

namespace grove::ecs {

using detail::Archetype;
using detail::Chunk;
using detail::PointerIndex;
using detail::Slot;
using detail::Ticks;

namespace {

constexpr std::uint32_t kNone = ~0u;
constexpr std::uint32_t kTaken = ~0u - 1;
constexpr std::uint64_t kMagic = 0x3153434556524721;

struct Header {
  std::uint64_t magic, tick;
  std::uint32_t slots, first_free, alive, components, archetypes, resources;
};
struct NameHeader {
  std::uint32_t name, size;
};
struct SavedSlot {
  std::uint32_t generation, next;
};
struct ArchetypeHeader {
  std::uint32_t columns, rows;
};

template <class T>
bool read(ByteReader& in, T& value) {
  const auto bytes = in.bytes(sizeof(T));
  if (bytes) std::memcpy(&value, bytes->data(), sizeof(T));
  return bytes.has_value();
}
/// Elements that may lie anywhere; `copy` puts them where they belong.
template <class T>
struct Packed {
  const std::byte* data;
  std::size_t size;
  T operator[](std::size_t i) const {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    return value;
  }
  void copy(T* to, std::size_t first, std::size_t count) const {
    if (count != 0) std::memcpy(to, data + first * sizeof(T), count * sizeof(T));
  }
};
template <class T>
bool read(ByteReader& in, Packed<T>& array, std::size_t count) {
  if (count > in.remaining() / sizeof(T)) return false;
  array = {in.bytes(count * sizeof(T))->data(), count};
  return true;
}

}  // namespace

Result<void> World::snapshot(game::StateBlob& blob) const {
  for (const auto& archetype : archetypes_) {
    for (const auto& column : archetype->columns) {
      if (!column.type->trivially_copyable && archetype->rows() != 0)
        return fail(Errc::unsupported, "snapshot: " + std::string(column.type->name) + " isn't trivially copyable");
    }
  }
  blob.clear();
  const auto saved = [](const Resource& it) { return it.value != nullptr && it.ops->save != nullptr; };
  game::append(blob, Header{kMagic, tick_, static_cast<std::uint32_t>(slots_.size()), first_free_,
                            static_cast<std::uint32_t>(alive_), static_cast<std::uint32_t>(components_.size()),
                            static_cast<std::uint32_t>(archetypes_.size()),
                            static_cast<std::uint32_t>(std::count_if(resources_.begin(), resources_.end(), saved))});
  for (const auto& it : components_) {
    game::append(blob, NameHeader{static_cast<std::uint32_t>(it.type->name.size()), it.type->size});
    game::append(blob, it.type->name.data(), it.type->name.size());
  }
  const std::size_t slots = blob.size();
  blob.resize(slots + slots_.size() * sizeof(SavedSlot));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const SavedSlot slot{slots_[i].generation, slots_[i].chunk != nullptr ? kTaken : slots_[i].row};
    std::memcpy(blob.data() + slots + i * sizeof slot, &slot, sizeof slot);
  }
  for (const auto& archetype : archetypes_) {
    game::append(blob, ArchetypeHeader{static_cast<std::uint32_t>(archetype->columns.size()),
                                       static_cast<std::uint32_t>(archetype->rows())});
    for (const auto& column : archetype->columns) game::append(blob, column.id);
    for (auto* chunk : archetype->chunks) {
      const std::size_t rows = chunk->count;
      game::append(blob, chunk->array<Entity>(archetype->entities), rows * sizeof(Entity));
      for (std::size_t i = 0; i < archetype->columns.size(); ++i) {
        const auto& column = archetype->columns[i];
        game::append(blob, chunk->all_changed()[i]);
        game::append(blob, chunk->array<Ticks>(column.ticks), rows * sizeof(Ticks));
        if (column.type->size != 0) game::append(blob, chunk->bytes() + column.data, rows * column.type->size);
      }
    }
  }
  for (const auto& it : resources_) {
    if (!saved(it)) continue;
    const std::size_t at = blob.size();
    game::append(blob, NameHeader{});
    game::append(blob, it.type->name.data(), it.type->name.size());
    const std::size_t value = blob.size();
    it.ops->save(it.value, blob);
    const NameHeader header{static_cast<std::uint32_t>(it.type->name.size()),
                            static_cast<std::uint32_t>(blob.size() - value)};
    std::memcpy(blob.data() + at, &header, sizeof header);
  }
  return {};
}

struct World::Restorer {
  struct SavedArchetype {
    std::vector<std::uint32_t> columns;  ///< Components of the world, as saved.
    std::vector<std::uint32_t> sorted;
    std::uint32_t rows, capacity;
    ByteReader chunks;
  };
  struct SavedResource {
    std::uint32_t index;
    std::span<const std::byte> value;
  };

  World& world;
  ByteReader in;
  Header header{};
  std::vector<std::uint32_t> components{};  ///< The world's id of each saved component.
  Packed<SavedSlot> slots{};
  std::vector<SavedArchetype> archetypes{};
  std::set<std::vector<std::uint32_t>> tables{};
  std::vector<SavedResource> resources{};

  static std::unexpected<Error> damaged(const char* what) {
    return fail(Errc::corrupt, std::string("restore: damaged snapshot: ") + what);
  }

  Result<void> check() {
    if (!read(in, header) || header.magic != kMagic) return damaged("no header");
    if (header.tick == 0 || header.tick > ~Tick{0} / 2) return damaged("its tick");
    for (std::uint32_t i = 0; i < header.components; ++i) {
      GROVE_TRY(const auto named, name("component"));
      std::uint32_t id = 0;
      while (id < world.components_.size() && !(world.components_[id].type->name == named.text && !taken(id))) ++id;
      if (id == world.components_.size())
        return fail(Errc::not_found, "restore: no component " + std::string(named.text) + " is registered");
      if (world.components_[id].type->size != named.size) return damaged("the size of a component");
      components.push_back(id);
    }
    GROVE_CHECK(check_slots());
    std::vector<bool> seen(header.slots);
    std::uint64_t alive = 0;
    for (std::uint32_t i = 0; i < header.archetypes; ++i) GROVE_CHECK(check_archetype(i, seen, alive));
    if (header.archetypes == 0 || alive != header.alive) return damaged("the number of entities");
    for (std::uint32_t i = 0; i < header.slots; ++i) {
      if ((slots[i].next == kTaken) != seen[i]) return damaged("an entity without a row");
    }
    for (std::uint32_t i = 0; i < header.resources; ++i) {
      GROVE_TRY(const auto named, name("resource"));
      const auto value = in.bytes(named.size);
      if (!value) return damaged("it ends early");
      std::uint32_t index = 0;
      while (index < world.resources_.size() && world.resources_[index].type->name != named.text) ++index;
      if (index == world.resources_.size() || world.resources_[index].value == nullptr)
        return fail(Errc::not_found, "restore: the world has no resource " + std::string(named.text));
      const auto* ops = world.resources_[index].ops;
      if (ops->check == nullptr || !ops->check(*value)) return damaged("a resource");
      resources.push_back({index, *value});
    }
    if (!in.empty()) return damaged("bytes after its end");
    return {};
  }

  void apply() {
    // Tables stay where the snapshot has the same ones in the same place, so that
    // queries and edges need not be found again.
    for (auto& it : world.archetypes_) world.empty_archetype(*it);
    std::size_t same = 0;
    for (const bool renumbered = renumber();
         !renumbered && same < std::min(archetypes.size(), world.archetypes_.size()); ++same) {
      const auto& columns = world.archetypes_[same]->columns;
      const auto& saved = archetypes[same].sorted;
      if (!std::equal(columns.begin(), columns.end(), saved.begin(), saved.end(),
                      [](const detail::Column& column, std::uint32_t id) { return column.id == id; }))
        break;
    }
    if (same < world.archetypes_.size()) {
      ++world.epoch_;
      world.archetypes_.resize(same);
      std::erase_if(world.archetype_of_, [&](const auto& it) { return it.second >= same; });
      for (auto& it : world.archetypes_) {
        it->add_edges.clear();
        it->remove_edges.clear();
        it->edges.clear();
      }
    }
    world.tick_ = header.tick;
    world.next_forgetting_ = header.tick + (Tick{1} << 30);
    world.alive_ = header.alive;
    world.first_free_ = header.first_free;
    world.slots_.resize(header.slots);
    for (std::uint32_t i = 0; i < header.slots; ++i) world.slots_[i] = {slots[i].generation, slots[i].next, nullptr};
    for (auto& saved : archetypes) fill(saved);
    for (auto& it : world.resources_) {
      const auto found = std::find_if(resources.begin(), resources.end(),
                                      [&](const auto& saved) { return &world.resources_[saved.index] == &it; });
      if (found != resources.end())
        it.ops->load(it.value, found->value);
      else if (it.value != nullptr && it.ops->reset != nullptr)
        it.ops->reset(it.value);
      else if (it.ops->save != nullptr)
        world.destroy_resource(it);
    }
  }

 private:
  struct Named {
    std::string_view text;
    std::uint32_t size;
  };
  Result<Named> name(const char* what) {
    NameHeader head{};
    if (!read(in, head)) return damaged(what);
    const auto bytes = in.bytes(head.name);
    if (!bytes) return damaged(what);
    return Named{{reinterpret_cast<const char*>(bytes->data()), bytes->size()}, head.size};
  }
  bool taken(std::uint32_t id) const { return std::find(components.begin(), components.end(), id) != components.end(); }

  Result<void> check_slots() {
    if (!read(in, slots, header.slots)) return damaged("it ends early");
    // The list of free slots: each once, and none in use.
    std::vector<bool> listed(header.slots);
    for (std::uint32_t at = header.first_free; at != kNone; at = slots[at].next) {
      if (at >= header.slots || listed[at] || slots[at].next == kTaken) return damaged("the list of free slots");
      listed[at] = true;
    }
    for (std::uint32_t i = 0; i < header.slots; ++i) {
      const auto [generation, next] = slots[i];
      if (generation == 0 || (listed[i] || next == kTaken) == (generation == kNone)) return damaged("a slot");
    }
    return {};
  }

  Result<void> check_archetype(std::uint32_t index, std::vector<bool>& seen, std::uint64_t& alive) {
    ArchetypeHeader head{};
    Packed<std::uint32_t> ids{};
    if (!read(in, head) || !read(in, ids, head.columns)) return damaged("it ends early");
    SavedArchetype saved{{}, {}, head.rows, 0, {}};
    std::size_t row_bytes = 0;
    for (std::size_t i = 0; i < ids.size; ++i) {
      if (ids[i] >= components.size()) return damaged("a column");
      saved.columns.push_back(components[ids[i]]);
      const auto& type = *world.components_[components[ids[i]]].type;
      if (!type.trivially_copyable && head.rows != 0) return damaged("a component that can't be copied");
      row_bytes += sizeof(Ticks) + type.size;
    }
    saved.sorted = saved.columns;
    std::sort(saved.sorted.begin(), saved.sorted.end());
    if (std::adjacent_find(saved.sorted.begin(), saved.sorted.end()) != saved.sorted.end())
      return damaged("a column twice");
    if ((index == 0) != saved.sorted.empty()) return damaged("the order of its tables");
    if (!tables.insert(saved.sorted).second) return damaged("a table twice");
    if (head.rows != 0) {
      // Cheap to know without making the table: lay one out.
      Archetype table;
      for (const auto id : saved.sorted) table.columns.push_back({world.components_[id].type, id, 0, 0});
      world.lay_out(table);
      saved.capacity = table.capacity;
    }
    saved.chunks = in;
    for (std::uint32_t left = head.rows; left != 0;) {
      const std::uint32_t rows = std::min(left, saved.capacity);
      Packed<Entity> entities{};
      if (!read(in, entities, rows)) return damaged("it ends early");
      for (std::uint32_t i = 0; i < rows; ++i) {
        const Entity entity = entities[i];
        if (entity.index >= header.slots || slots[entity.index].next != kTaken ||
            slots[entity.index].generation != entity.generation || seen[entity.index])
          return damaged("a row's entity");
        seen[entity.index] = true;
      }
      if (!in.skip(row_bytes * rows + saved.columns.size() * sizeof(std::uint32_t))) return damaged("it ends early");
      left -= rows;
      alive += rows;
    }
    archetypes.push_back(std::move(saved));
    return {};
  }

  /// Gives components the numbers that they had: they decide the order of
  /// columns, and so the hash. False: they have them already.
  bool renumber() {
    std::vector<std::uint32_t> now(world.components_.size(), kNone);
    for (std::uint32_t i = 0; i < components.size(); ++i) now[components[i]] = i;
    std::uint32_t next = header.components;
    for (auto& id : now) id = id == kNone ? next++ : id;
    if (std::is_sorted(now.begin(), now.end())) return false;
    std::vector<Component> sorted(now.size());
    for (std::size_t i = 0; i < now.size(); ++i) sorted[now[i]] = std::move(world.components_[i]);
    world.components_ = std::move(sorted);
    for (std::uint32_t i = 0; i < now.size(); ++i) world.component_of_.put(world.components_[i].type, i);
    for (auto& it : archetypes) {
      for (auto& id : it.columns) id = now[id];
      it.sorted = it.columns;
      std::sort(it.sorted.begin(), it.sorted.end());
    }
    return true;
  }

  void fill(SavedArchetype& saved) {
    Archetype& archetype = world.archetype(saved.sorted);
    std::vector<std::uint32_t> columns;
    for (const auto id : saved.columns) columns.push_back(archetype.column_of.find(world.components_[id].type));
    for (std::uint32_t left = saved.rows; left != 0;) {
      Chunk& chunk = world.open_chunk(archetype);
      const std::uint32_t rows = std::min(left, archetype.capacity);
      chunk.count = rows;
      const auto take = [&](void* to, std::size_t size) {
        if (size != 0) std::memcpy(to, saved.chunks.bytes(size)->data(), size);
      };
      auto* const entities = chunk.array<Entity>(archetype.entities);
      take(entities, rows * sizeof(Entity));
      for (std::uint32_t i = 0; i < rows; ++i) {
        auto& slot = world.slots_[entities[i].index];
        slot.chunk = &chunk;
        slot.row = i;
      }
      for (const auto i : columns) {
        const auto& column = archetype.columns[i];
        take(&chunk.all_changed()[i], sizeof(std::uint32_t));
        take(chunk.array<Ticks>(column.ticks), rows * sizeof(Ticks));
        take(chunk.bytes() + column.data, std::size_t{rows} * column.type->size);
      }
      left -= rows;
    }
  }
};

Result<void> World::restore(std::span<const std::byte> blob) {
  if (locks_ != 0) return fail(Errc::conflict, "restore: a query is iterating");
  Restorer restorer{*this, ByteReader(blob)};
  GROVE_CHECK(restorer.check());
  restorer.apply();
  return {};
}

std::uint64_t World::state_hash() const {
  std::uint64_t hash = 0;
  const auto add = [&](const void* data, std::size_t size) {
    hash = game::xxh64({static_cast<const std::byte*>(data), size}, hash);
  };
  for (const auto& archetype : archetypes_) {
    for (auto* chunk : archetype->chunks) {
      add(chunk->array<Entity>(archetype->entities), chunk->count * sizeof(Entity));
      for (const auto& column : archetype->columns) {
        if (!column.type->trivially_copyable) return 0;
        add(&column.id, sizeof column.id);
        add(chunk->bytes() + column.data, std::size_t{chunk->count} * column.type->size);
      }
    }
  }
  return hash;
}

}  // namespace grove::ecs
