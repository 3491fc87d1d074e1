#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>

#include "grove/base/error.hpp"
#include "grove/game/common/state.hpp"
#include "grove/game/engine/ecs/component.hpp"

namespace grove::ecs {

class World;

namespace detail {

struct Archetype;

struct Ticks {
  std::uint32_t added, changed;
};

/// The head of a 16 KiB block that holds rows of one archetype: after it one
/// `all_changed` tick for each column, then the entities, then for each column
/// its ticks and its values, all as arrays.
///
/// A row's column changed at the younger of its own tick and `all_changed`: a
/// query that hands out every row of a chunk writes one number, not one a row.
struct Chunk {
  Archetype* archetype;
  std::uint32_t index;  ///< In archetype->chunks.
  std::uint32_t count;  ///< Rows; every chunk but the archetype's last is full.

  std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this); }
  std::uint32_t* all_changed() noexcept { return reinterpret_cast<std::uint32_t*>(this + 1); }
  template <class T>
  T* array(std::uint32_t offset) noexcept {
    return reinterpret_cast<T*>(bytes() + offset);
  }
};
inline constexpr std::size_t kChunkBytes = 16384;

struct Column {
  const TypeInfo* type;
  std::uint32_t id;     ///< Of the component in this world; columns are sorted by it.
  std::uint32_t ticks;  ///< Offsets in the chunk.
  std::uint32_t data;
};

/// Where rows go when a bundle is added or removed, and what to copy.
struct Edge {
  struct Copy {
    std::uint32_t from_index, to_index;
    Column from, to;
  };
  struct Target {
    std::uint32_t column, ticks, data;
    bool fresh;  ///< The row did not have this component before.
  };
  Archetype* to;
  std::vector<Copy> copies;
  std::vector<Target> bundle;          ///< Add: the bundle's columns in `to`.
  std::vector<std::uint32_t> dropped;  ///< Remove: columns of `from`.
};

struct Archetype {
  std::uint32_t index = 0;
  std::uint32_t capacity = 0;  ///< Rows of a chunk.
  std::uint32_t entities = 0;  ///< Offset of the entities in a chunk.
  std::size_t block_bytes = kChunkBytes;
  bool hooked = false;
  std::vector<Column> columns;
  PointerIndex column_of;  ///< By TypeInfo.
  std::vector<Chunk*> chunks;
  PointerIndex add_edges, remove_edges;  ///< By Bundle, into `edges`.
  std::vector<std::unique_ptr<Edge>> edges;

  std::size_t rows() const noexcept {
    return chunks.empty() ? 0 : (chunks.size() - 1) * capacity + chunks.back()->count;
  }
};

struct Slot {
  std::uint32_t generation;
  std::uint32_t row;  ///< Of a free slot: the next free one.
  Chunk* chunk;       ///< Null: free.
};

/// A new row whose ticks are set and whose values are not constructed yet.
struct Place {
  Chunk* chunk = nullptr;
  std::uint32_t row = 0;
  Entity entity;
  const Edge* edge = nullptr;
};

/// How a resource takes part in snapshots and in update_events.
struct ResourceOps {
  bool (*save)(const void*, game::StateBlob&);  ///< Null: it doesn't take part.
  bool (*check)(std::span<const std::byte>);    ///< May these bytes be loaded?
  void (*load)(void*, std::span<const std::byte>);
  void (*reset)(void*);  ///< For one that isn't in the snapshot; null: it is removed.
  void (*age)(void*);    ///< Null: nothing happens.
};
template <class T>
struct ResourceOpsOf {
  static constexpr ResourceOps kOps = [] {
    if constexpr (std::is_trivially_copyable_v<T>) {
      return ResourceOps{[](const void* at, game::StateBlob& blob) {
                           game::append(blob, at, sizeof(T));
                           return true;
                         },
                         [](std::span<const std::byte> bytes) { return bytes.size() == sizeof(T); },
                         [](void* at, std::span<const std::byte> bytes) { std::memcpy(at, bytes.data(), sizeof(T)); },
                         nullptr, nullptr};
    } else {
      return ResourceOps{};
    }
  }();
};

template <class T, class... Rest>
constexpr bool distinct() {
  if constexpr (sizeof...(Rest) == 0)
    return true;
  else
    return (!std::is_same_v<T, Rest> && ...) && distinct<Rest...>();
}

class QueryState;

}  // namespace detail

/// Entities and their components. An entity is a row in the table (archetype)
/// of all entities with the same set of components; tables are stored in 16 KiB
/// chunks, column by column, so that a query walks plain arrays.
///
/// A world is used by one thread at a time; Schedule and Query::par_each are
/// the ways to more. While a query iterates, or a hook runs, structural changes
/// (spawn, despawn, insert, remove, clear, restore) are refused with `conflict`
/// and change nothing: queue them in Commands. Pointers to components hold
/// until the next structural change. Memory that runs out is std::bad_alloc.
class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // --- entities ---

  /// A new entity with these components, at most 16 at once (tags are empty
  /// types). The null entity when the world is iterating or 2^32 - 1 entities
  /// exist.
  template <class... Ts>
  Entity spawn(Ts... values) {
    if constexpr (sizeof...(Ts) == 0) {
      return place(kEmptyBundle).entity;
    } else {
      static_assert(detail::distinct<Ts...>(), "the same component twice");
      const detail::Place at = place(detail::BundleOf<Ts...>::kBundle);
      if (at.chunk == nullptr) return {};
      construct(at, std::index_sequence_for<Ts...>(), values...);
      if (at.chunk->archetype->hooked) [[unlikely]]
        added(at);
      return at.entity;
    }
  }

  /// `count` entities; make(i) gives a std::tuple of the components of the i-th.
  /// Returns how many were spawned: `count`, or 0 when the world is iterating.
  /// Appends the handles to `out` if that isn't null.
  template <class Make>
  std::size_t spawn_batch(std::size_t count, Make&& make, std::vector<Entity>* out = nullptr);

  /// Destroys the entity and its components. not_found: it is dead already.
  Outcome<> despawn(Entity entity);

  bool alive(Entity entity) const noexcept { return slot(entity) != nullptr; }
  std::size_t size() const noexcept { return alive_; }
  /// Destroys all entities; their handles become stale. Resources stay.
  Outcome<> clear();

  // --- components ---

  /// Adds components, or replaces those that the entity has already.
  template <class... Ts>
  Outcome<> insert(Entity entity, Ts... values) {
    static_assert(detail::distinct<Ts...>(), "the same component twice");
    const auto at = extend(entity, detail::BundleOf<Ts...>::kBundle);
    if (!at) return std::unexpected(at.error());
    replace(*at, std::index_sequence_for<Ts...>(), values...);
    if (at->chunk->archetype->hooked) [[unlikely]]
      added(*at);
    return {};
  }

  /// Removes those of the components that the entity has; not_found when it has
  /// none of them or is dead.
  template <class... Ts>
  Outcome<> remove(Entity entity) {
    static_assert(detail::distinct<Ts...>(), "the same component twice");
    return shrink(entity, detail::BundleOf<Ts...>::kBundle);
  }

  template <class T>
  bool has(Entity entity) const noexcept {
    const detail::Slot* const at = slot(entity);
    return at != nullptr && at->chunk->archetype->column_of.find(&type_info<T>()) != detail::PointerIndex::kNone;
  }
  /// Null when the entity is dead or lacks the component.
  template <class T>
  const T* get(Entity entity) const noexcept {
    static_assert(!std::is_empty_v<T>, "a tag has no value: use has");
    return static_cast<const T*>(find(entity, type_info<T>()));
  }
  /// As `get`, and marks the component as changed.
  template <class T>
  T* get_mut(Entity entity) noexcept {
    static_assert(!std::is_empty_v<T>, "a tag has no value: use has");
    return static_cast<T*>(find_mut(entity, type_info<T>()));
  }

  /// Makes a type known before its first use, so that a fresh world can restore
  /// a snapshot that has it. Worlds that are built up by themselves have equal
  /// state hashes only if they came to know their components in the same order.
  template <class... Ts>
  void register_components() {
    (component(type_info<Ts>()), ...);
  }

  /// Runs after T was added to an entity (not when it was replaced), or before
  /// it is removed by remove or despawn (not when the world is cleared, restored
  /// or destroyed). One hook a type and kind; empty: none. Must not throw.
  template <class T>
  void on_add(std::function<void(Entity, T&)> hook) {
    set_hook(type_info<T>(), 0, erase(std::move(hook)));
  }
  template <class T>
  void on_remove(std::function<void(Entity, T&)> hook) {
    set_hook(type_info<T>(), 1, erase(std::move(hook)));
  }

  // --- resources: at most one value of a type ---

  /// Replaces the value if there is one.
  template <class T>
  T& set_resource(T value) {
    auto& slot = resource_slot(type_info<T>(), detail::ResourceOpsOf<T>::kOps);
    if (slot.value == nullptr)
      slot.value = ::new (::operator new(sizeof(T), std::align_val_t{alignof(T)})) T(std::move(value));
    else
      *static_cast<T*>(slot.value) = std::move(value);
    return *static_cast<T*>(slot.value);
  }
  template <class T>
  T* resource() const noexcept {
    const auto at = resource_of_.find(&type_info<T>());
    return at == detail::PointerIndex::kNone ? nullptr : static_cast<T*>(resources_[at].value);
  }
  template <class T>
  bool remove_resource() {
    return drop_resource(type_info<T>());
  }
  /// Once a frame: events that have lived for two of these calls are dropped.
  void update_events();

  // --- state ---

  /// Writes the whole world: entities, components, change ticks, trivially
  /// copyable resources and event queues of such events. Other resources are
  /// left out. unsupported, naming it, when a component in use isn't trivially
  /// copyable. The blob is replaced; its memory is reused.
  Result<void> snapshot(game::StateBlob& blob) const;

  /// Puts the world back: the same handles, the same order of iteration, the
  /// same handles for what is spawned next. The blob may come from another world
  /// or process of the same build whose component types are registered here. Its
  /// structure is checked and nothing is changed when it is damaged; the bytes
  /// inside components are taken as they are. Resources that take part in
  /// snapshots and aren't in the blob are removed.
  Result<void> restore(std::span<const std::byte> blob);

  /// XXH64 over entities and components in the order of iteration. The bytes
  /// between members count too: give such types no padding. 0 for a world with
  /// components in use that aren't trivially copyable.
  std::uint64_t state_hash() const;

  Tick tick() const noexcept { return tick_; }
  /// Lets time pass without anything happening; for tests of long uptimes.
  void skip_ticks(Tick count);

  /// True while structural changes are refused.
  bool iterating() const noexcept { return locks_ != 0; }
  std::size_t archetype_count() const noexcept { return archetypes_.size(); }

 private:
  friend class detail::QueryState;
  friend class Schedule;

  using Hook = std::function<void(Entity, void*)>;
  struct Component {
    const TypeInfo* type;
    Hook hooks[2];  ///< Added, removed.
  };
  struct Resource {
    const TypeInfo* type;
    const detail::ResourceOps* ops;
    void* value;
  };
  /// Reads a snapshot twice: first to check it, then to apply it.
  struct Restorer;

  template <class T>
  static Hook erase(std::function<void(Entity, T&)> hook) {
    if (!hook) return {};
    return [hook = std::move(hook)](Entity entity, void* value) { hook(entity, *static_cast<T*>(value)); };
  }
  template <std::size_t... Is, class... Ts>
  static void construct(const detail::Place& at, std::index_sequence<Is...>, Ts&... values) {
    (put<Ts>(at, Is, std::move(values)), ...);
  }
  template <class T>
  static void put(const detail::Place& at, std::size_t i, T&& value) {
    if constexpr (!std::is_empty_v<T>)
      ::new (at.chunk->array<T>(at.edge->bundle[i].data) + at.row) T(std::forward<T>(value));
  }
  template <std::size_t... Is, class... Ts>
  static void replace(const detail::Place& at, std::index_sequence<Is...>, Ts&... values) {
    (put_over<Ts>(at, Is, std::move(values)), ...);
  }
  template <class T>
  static void put_over(const detail::Place& at, std::size_t i, T&& value) {
    if constexpr (!std::is_empty_v<T>) {
      T* const to = at.chunk->array<T>(at.edge->bundle[i].data) + at.row;
      if constexpr (!std::is_trivially_destructible_v<T>) {
        if (!at.edge->bundle[i].fresh) to->~T();
      }
      ::new (to) T(std::forward<T>(value));
    }
  }

  detail::Slot* slot(Entity entity) noexcept {
    if (entity.index >= slots_.size()) return nullptr;
    auto& it = slots_[entity.index];
    return it.generation == entity.generation && it.chunk != nullptr ? &it : nullptr;
  }
  const detail::Slot* slot(Entity entity) const noexcept { return const_cast<World*>(this)->slot(entity); }

  std::uint32_t component(const TypeInfo& type);
  detail::Archetype& archetype(std::vector<std::uint32_t> ids);
  void lay_out(detail::Archetype& archetype);
  detail::Edge& add_edge(detail::Archetype& from, const detail::Bundle& bundle);
  detail::Edge& remove_edge(detail::Archetype& from, const detail::Bundle& bundle);
  detail::Edge& link(detail::Archetype& from, std::vector<std::uint32_t> ids, const detail::Bundle& bundle);

  detail::Place place(const detail::Bundle& bundle);
  /// Rows being constructed: they count once they are whole, also when the
  /// callback that makes them throws.
  struct OpenRows {
    World& world;
    detail::Place at;
    std::uint32_t rows;
    std::vector<Entity>* out;
    ~OpenRows() { world.commit_rows(at, rows, out); }
  };
  std::uint32_t open_rows(const detail::Bundle& bundle, std::size_t wanted, detail::Place& at);
  void commit_rows(detail::Place at, std::uint32_t rows, std::vector<Entity>* out);
  Outcome<detail::Place> extend(Entity entity, const detail::Bundle& bundle);
  Outcome<> shrink(Entity entity, const detail::Bundle& bundle);
  void added(const detail::Place& at);
  void removing(detail::Chunk& chunk, std::uint32_t row, std::uint32_t column);
  const void* find(Entity entity, const TypeInfo& type) const noexcept;
  void* find_mut(Entity entity, const TypeInfo& type) noexcept;

  Entity take_slot(detail::Chunk* chunk, std::uint32_t row);
  void free_slot(std::uint32_t index) noexcept;
  detail::Chunk& open_chunk(detail::Archetype& archetype) {
    if (!archetype.chunks.empty() && archetype.chunks.back()->count < archetype.capacity)
      return *archetype.chunks.back();
    return add_chunk(archetype);
  }
  detail::Chunk& add_chunk(detail::Archetype& archetype);
  void move_row(detail::Slot& slot, Entity entity, const detail::Edge& edge);
  void fill_hole(detail::Chunk& chunk, std::uint32_t row);
  void empty_archetype(detail::Archetype& archetype) noexcept;
  void close_chunk(detail::Chunk& chunk) noexcept;

  void set_hook(const TypeInfo& type, int kind, Hook hook);
  Resource& resource_slot(const TypeInfo& type, const detail::ResourceOps& ops);
  bool drop_resource(const TypeInfo& type);
  void destroy_resource(Resource& resource) noexcept;
  void forget_old_ticks();
  Tick next_tick() {
    if (++tick_ >= next_forgetting_) [[unlikely]]
      forget_old_ticks();
    return tick_;
  }

  static const detail::Bundle kEmptyBundle;

  std::shared_ptr<const int> identity_ = std::make_shared<const int>();  ///< No two worlds share it, ever.
  int locks_ = 0;
  Tick tick_ = 1;
  Tick next_forgetting_;
  std::size_t alive_ = 0;
  std::uint64_t epoch_ = 0;  ///< Changes when archetypes go away.
  std::vector<detail::Slot> slots_;
  std::uint32_t first_free_;
  std::vector<std::unique_ptr<detail::Archetype>> archetypes_;  ///< [0] has no columns.
  std::map<std::vector<std::uint32_t>, std::uint32_t> archetype_of_;
  detail::PointerIndex component_of_, resource_of_;
  std::vector<Component> components_;
  std::vector<Resource> resources_;
  std::vector<std::byte*> slabs_;       ///< Each holds several blocks.
  std::vector<detail::Chunk*> blocks_;  ///< Free ones of 16 KiB.
  std::size_t slab_blocks_ = 4;
};

template <class Make>
std::size_t World::spawn_batch(std::size_t count, Make&& make, std::vector<Entity>* out) {
  using Tuple = std::remove_cvref_t<decltype(make(std::size_t{}))>;
  return [&]<class... Ts>(std::type_identity<std::tuple<Ts...>>) {
    static_assert(detail::distinct<Ts...>(), "the same component twice");
    if (out != nullptr) out->reserve(out->size() + count);
    for (std::size_t done = 0; done < count;) {
      OpenRows batch{*this, {}, 0, out};
      const std::uint32_t room = open_rows(detail::BundleOf<Ts...>::kBundle, count - done, batch.at);
      if (room == 0) return done;
      for (; batch.rows < room; ++batch.rows, ++batch.at.row) {
        Tuple values = make(done + batch.rows);
        construct(batch.at, std::index_sequence_for<Ts...>(), std::get<Ts>(values)...);
      }
      done += room;
    }
    return count;
  }(std::type_identity<Tuple>());
}

}  // namespace grove::ecs
