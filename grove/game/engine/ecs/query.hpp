#pragma once

#include "grove/game/common/jobs.hpp"
#include "grove/game/engine/ecs/world.hpp"

namespace grove::ecs {

// The terms of a query. The callback of `each` takes, in order, what the terms
// marked with * hand out.
//   T&, const T&   * the component; `T&` marks it as changed for every entity handed out
//   T*, const T*   * the component, or null when the entity lacks it
//   Mut<T>         * the component, marked as changed only when it is written
//   Entity         * the handle
//   With<T>, Without<T>    only entities that have, or lack, T
//   Added<T>, Changed<T>   only entities to which T was added, or whose T was
//                          changed, since this query (its system) last ran
template <class T>
struct With {};
template <class T>
struct Without {};
template <class T>
struct Added {};
template <class T>
struct Changed {};

/// A component that keeps track of being written. Valid inside the callback.
template <class T>
class Mut {
 public:
  Mut(T* value, std::uint32_t* changed, std::uint32_t now) noexcept : value_(value), changed_(changed), now_(now) {}
  const T& get() const noexcept { return *value_; }
  const T& operator*() const noexcept { return *value_; }
  const T* operator->() const noexcept { return value_; }
  T& write() const noexcept {
    *changed_ = now_;
    return *value_;
  }

 private:
  T* value_;
  std::uint32_t* changed_;
  std::uint32_t now_;
};

namespace detail {

enum class Kind : std::uint8_t {
  entity,
  read,
  write,
  optional_read,
  optional_write,
  mut,
  with,
  without,
  added,
  changed
};

struct Term {
  Kind kind;
  const TypeInfo* type;  ///< Null: the entity.
};

constexpr bool hands_out(Kind kind) { return kind <= Kind::mut; }
constexpr bool filters_rows(Kind kind) { return kind >= Kind::added; }
constexpr bool writes(Kind kind) { return kind == Kind::write || kind == Kind::optional_write || kind == Kind::mut; }

/// Where a query finds its columns in one archetype.
struct Match {
  static constexpr std::uint32_t kAbsent = ~0u;
  struct At {
    std::uint32_t column, ticks, data;
  };
  Archetype* archetype;
  const At* terms;
};

/// What every query is, whatever its types: which archetypes match and where
/// their columns are. Follows the world's archetypes as they come and go.
class QueryState {
 public:
  struct Span {  ///< Rows to visit.
    Match match;
    Chunk* chunk;
    std::uint32_t begin, end;
  };

  QueryState(World& world, std::span<const Term> terms) : world_(&world), terms_(terms) { refresh(); }
  QueryState(const QueryState&) = delete;
  QueryState& operator=(const QueryState&) = delete;

  /// A system's run: the ticks are the schedule's, and unless the system runs
  /// alone the world is locked already.
  void enter(Tick now, Tick last, game::JobPool* pool, bool alone) {
    now_ = now;
    last_ = last;
    pool_ = pool;
    ticks_given_ = true;
    locked_ = !alone;
    refresh();
  }

 protected:
  /// One iteration: locks the world and takes a tick unless a schedule did.
  class Pass {
   public:
    explicit Pass(QueryState& query, bool all = true) : query_(query), all_(all) {
      query.refresh();
      if (!query.ticks_given_) query.now_ = query.world_->next_tick();
      if (!query.locked_) ++query.world_->locks_;
    }
    ~Pass() {
      if (!query_.locked_) --query_.world_->locks_;
      if (query_.ticks_given_) return;
      if (all_) query_.last_ = query_.now_;
      // What is changed after this pass is newer than it.
      ++query_.world_->tick_;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    QueryState& query_;
    bool all_;  ///< Every row was looked at, so that what is older isn't new any more.
  };

  void refresh() {
    if (seen_ != world_->archetypes_.size() || epoch_ != world_->epoch_) [[unlikely]]
      match_archetypes();
  }
  void match_archetypes();
  /// The chunks' rows in pieces of at most `grain`; marks what is written.
  std::vector<Span> pieces(std::size_t grain, bool mark);
  bool locate(Entity entity, Span& span);
  static std::uint32_t now32(Tick tick) noexcept { return static_cast<std::uint32_t>(tick); }
  /// A tick younger than this was not there when the query last ran.
  std::uint32_t horizon() const noexcept {
    return static_cast<std::uint32_t>(std::min<Tick>(now_ - last_, Tick{1} << 31));
  }

  World* world_;
  std::span<const Term> terms_;
  std::size_t seen_ = 0;
  std::uint64_t epoch_ = 0;
  std::vector<Match> matches_;
  std::vector<std::uint32_t> match_of_;  ///< By archetype.
  std::vector<std::unique_ptr<Match::At[]>> columns_;
  Tick now_ = 0;
  Tick last_ = 0;
  game::JobPool* pool_ = nullptr;
  bool ticks_given_ = false;
  bool locked_ = false;
};

/// One term in one chunk: at(row) is what the callback gets, pass(row) whether a
/// filter lets the row through, mark(row) notes a write.
struct Cursor {
  std::uint32_t now, horizon;
};
template <class T, Kind K>
struct FetchValue {
  static constexpr Kind kKind = K;
  static constexpr const TypeInfo* type() {
    static_assert(!std::is_empty_v<std::remove_const_t<T>>, "a tag has no value: use With");
    return &type_info<std::remove_const_t<T>>();
  }
};
struct FetchNothing {
  FetchNothing(Chunk&, const Match::At&, Cursor) noexcept {}
  static bool pass(std::uint32_t) noexcept { return true; }
  static void mark(std::uint32_t) noexcept {}
};

template <class T>
struct Fetch;

template <class T>
struct Fetch<T&> : FetchValue<T, std::is_const_v<T> ? Kind::read : Kind::write> {
  using Value = std::remove_const_t<T>;
  Fetch(Chunk& chunk, const Match::At& at, Cursor cursor) noexcept
      : values(chunk.array<Value>(at.data)), ticks(chunk.array<Ticks>(at.ticks)), now(cursor.now) {}
  T& at(std::uint32_t row) const noexcept { return values[row]; }
  static bool pass(std::uint32_t) noexcept { return true; }
  void mark(std::uint32_t row) const noexcept {
    if constexpr (!std::is_const_v<T>) ticks[row].changed = now;
  }
  Value* values;
  Ticks* ticks;
  std::uint32_t now;
};
template <class T>
struct Fetch<T*> : FetchValue<T, std::is_const_v<T> ? Kind::optional_read : Kind::optional_write> {
  using Value = std::remove_const_t<T>;
  Fetch(Chunk& chunk, const Match::At& at, Cursor cursor) noexcept
      : values(at.column == Match::kAbsent ? nullptr : chunk.array<Value>(at.data)),
        ticks(at.column == Match::kAbsent ? nullptr : chunk.array<Ticks>(at.ticks)),
        now(cursor.now) {}
  T* at(std::uint32_t row) const noexcept { return values == nullptr ? nullptr : values + row; }
  static bool pass(std::uint32_t) noexcept { return true; }
  void mark(std::uint32_t row) const noexcept {
    if constexpr (!std::is_const_v<T>) {
      if (ticks != nullptr) ticks[row].changed = now;
    }
  }
  Value* values;
  Ticks* ticks;
  std::uint32_t now;
};
template <class T>
struct Fetch<Mut<T>> : FetchValue<T, Kind::mut> {
  Fetch(Chunk& chunk, const Match::At& at, Cursor cursor) noexcept
      : values(chunk.array<T>(at.data)), ticks(chunk.array<Ticks>(at.ticks)), now(cursor.now) {}
  Mut<T> at(std::uint32_t row) const noexcept { return {values + row, &ticks[row].changed, now}; }
  static bool pass(std::uint32_t) noexcept { return true; }
  static void mark(std::uint32_t) noexcept {}
  T* values;
  Ticks* ticks;
  std::uint32_t now;
};
template <>
struct Fetch<Entity> {
  static constexpr Kind kKind = Kind::entity;
  static constexpr const TypeInfo* type() { return nullptr; }
  Fetch(Chunk& chunk, const Match::At&, Cursor) noexcept : values(chunk.array<Entity>(chunk.archetype->entities)) {}
  Entity at(std::uint32_t row) const noexcept { return values[row]; }
  static bool pass(std::uint32_t) noexcept { return true; }
  static void mark(std::uint32_t) noexcept {}
  const Entity* values;
};
template <class T>
struct Fetch<With<T>> : FetchNothing {
  static constexpr Kind kKind = Kind::with;
  static constexpr const TypeInfo* type() { return &type_info<T>(); }
  using FetchNothing::FetchNothing;
};
template <class T>
struct Fetch<Without<T>> : FetchNothing {
  static constexpr Kind kKind = Kind::without;
  static constexpr const TypeInfo* type() { return &type_info<T>(); }
  using FetchNothing::FetchNothing;
};
template <class T>
struct Fetch<Added<T>> {
  static constexpr Kind kKind = Kind::added;
  static constexpr const TypeInfo* type() { return &type_info<T>(); }
  Fetch(Chunk& chunk, const Match::At& at, Cursor cursor) noexcept
      : ticks(chunk.array<Ticks>(at.ticks)), cursor(cursor) {}
  bool pass(std::uint32_t row) const noexcept { return cursor.now - ticks[row].added < cursor.horizon; }
  static void mark(std::uint32_t) noexcept {}
  const Ticks* ticks;
  Cursor cursor;
};
template <class T>
struct Fetch<Changed<T>> {
  static constexpr Kind kKind = Kind::changed;
  static constexpr const TypeInfo* type() { return &type_info<T>(); }
  Fetch(Chunk& chunk, const Match::At& at, Cursor cursor) noexcept
      : ticks(chunk.array<Ticks>(at.ticks)),
        all(cursor.now - chunk.all_changed()[at.column] < cursor.horizon),
        cursor(cursor) {}
  bool pass(std::uint32_t row) const noexcept { return all || cursor.now - ticks[row].changed < cursor.horizon; }
  static void mark(std::uint32_t) noexcept {}
  const Ticks* ticks;
  bool all;
  Cursor cursor;
};

template <class... Fs>
struct FetchList {};
/// The fetches that hand something out.
template <class Done, class... Fs>
struct HandsOut {
  using Type = Done;
};
template <class... Done, class F, class... Rest>
struct HandsOut<FetchList<Done...>, F, Rest...>
    : std::conditional_t<hands_out(F::kKind), HandsOut<FetchList<Done..., F>, Rest...>,
                         HandsOut<FetchList<Done...>, Rest...>> {};

}  // namespace detail

/// Visits the entities that match the terms. Keep it: it remembers which tables
/// match and when it last ran. Entities are visited table by table in the order
/// in which the tables came to be, which is the same in equal worlds. It must
/// not outlive the world. A callback that changes a component does so in place;
/// structural changes are refused while it runs.
template <class... Terms>
class Query : public detail::QueryState {
  static_assert(sizeof...(Terms) > 0 && sizeof...(Terms) <= 16, "1 to 16 terms");
  static constexpr detail::Term kTerms[] = {{detail::Fetch<Terms>::kKind, detail::Fetch<Terms>::type()}...};
  static constexpr bool kFilters = (detail::filters_rows(detail::Fetch<Terms>::kKind) || ...);
  using Out = typename detail::HandsOut<detail::FetchList<>, detail::Fetch<Terms>...>::Type;

 public:
  static constexpr std::span<const detail::Term> terms() { return kTerms; }

  explicit Query(World& world) : QueryState(world, kTerms) {}

  /// f(…) for each entity.
  template <class F>
  void each(F&& f) {
    const Pass pass(*this);
    const detail::Cursor cursor{now32(now_), horizon()};
    for (const auto& match : matches_) {
      for (auto* chunk : match.archetype->chunks) {
        if constexpr (!kFilters) mark_all(match, *chunk, cursor.now, std::index_sequence_for<Terms...>());
        rows<false>(f, match, *chunk, 0, chunk->count, cursor, std::index_sequence_for<Terms...>());
      }
    }
  }

  /// f(…) for each entity, on the threads of the pool, at most `grain` entities
  /// at a time. f must be safe to call for different entities at once and must
  /// not throw. Without a pool: the pool of the schedule that runs the system.
  template <class F>
  void par_each(game::JobPool& pool, F&& f, std::size_t grain = 512) {
    const Pass pass(*this);
    const detail::Cursor cursor{now32(now_), horizon()};
    // Few entities are still shared out, so that heavy work on them is.
    const auto spans = pieces(std::min(grain, count() / (pool.threads() * std::size_t{8}) + 32), !kFilters);
    pool.parallel_for(spans.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (; begin < end; ++begin) {
        const auto& it = spans[begin];
        rows<false>(f, it.match, *it.chunk, it.begin, it.end, cursor, std::index_sequence_for<Terms...>());
      }
    });
  }
  template <class F>
  void par_each(F&& f, std::size_t grain = 512) {
    if (pool_ == nullptr)
      each(f);
    else
      par_each(*pool_, f, grain);
  }

  /// f(spans…) for each chunk: std::span<Pos>, std::span<const Vel>, … in the
  /// order of the terms; for SIMD. Only for queries of T&, const T& and filters
  /// that need no look at rows.
  template <class F>
  void each_chunk(F&& f) {
    static_assert(!kFilters, "Added and Changed look at rows");
    const Pass pass(*this);
    for (const auto& match : matches_) {
      for (auto* chunk : match.archetype->chunks) {
        mark_all(match, *chunk, now32(now_), std::index_sequence_for<Terms...>());
        spans(f, match, *chunk, std::index_sequence_for<Terms...>(), Out());
      }
    }
  }

  /// f(…) for one entity; false when it is dead or doesn't match.
  template <class F>
  bool with(Entity entity, F&& f) {
    const Pass pass(*this, false);
    Span at{};
    if (!locate(entity, at)) return false;
    const detail::Cursor cursor{now32(now_), horizon()};
    return rows<true>(f, at.match, *at.chunk, at.begin, at.end, cursor, std::index_sequence_for<Terms...>()) != 0;
  }

  /// How many entities the tables that match hold; Added and Changed are not
  /// looked at.
  std::size_t count() {
    refresh();
    std::size_t total = 0;
    for (const auto& match : matches_) total += match.archetype->rows();
    return total;
  }

 private:
  template <std::size_t... Is>
  static void mark_all(const detail::Match& match, detail::Chunk& chunk, std::uint32_t now,
                       std::index_sequence<Is...>) noexcept {
    const auto mark = [&](detail::Kind kind, const detail::Match::At& at) {
      if ((kind == detail::Kind::write || kind == detail::Kind::optional_write) && at.column != detail::Match::kAbsent)
        chunk.all_changed()[at.column] = now;
    };
    (mark(kTerms[Is].kind, match.terms[Is]), ...);
  }

  template <bool kOne, class F, std::size_t... Is>
  static std::size_t rows(F& f, const detail::Match& match, detail::Chunk& chunk, std::uint32_t begin,
                          std::uint32_t end, detail::Cursor cursor, std::index_sequence<Is...>) {
    return loop<kOne>(f, begin, end, Out(), detail::Fetch<Terms>(chunk, match.terms[Is], cursor)...);
  }
  /// The loop over plain pointers that the compiler gets to see.
  template <bool kOne, class F, class... Outs>
  static std::size_t loop(F& f, std::uint32_t row, const std::uint32_t end, detail::FetchList<Outs...>,
                          detail::Fetch<Terms>... fetches) {
    std::size_t visited = 0;
    for (; row < end; ++row) {
      if constexpr (kFilters) {
        if (!(fetches.pass(row) && ...)) continue;
      }
      if constexpr (kFilters || kOne) {
        (fetches.mark(row), ...);
        ++visited;
      }
      call(f, row, pick<Outs>(fetches...)...);
    }
    return visited;
  }
  template <class F, class... Outs>
  static void call(F& f, std::uint32_t row, const Outs&... outs) {
    f(outs.at(row)...);
  }
  template <class Wanted, class First, class... Rest>
  static const Wanted& pick(const First& first, const Rest&... rest) noexcept {
    if constexpr (std::is_same_v<Wanted, First>)
      return first;
    else
      return pick<Wanted>(rest...);
  }
  template <class F, std::size_t... Is, class... Outs>
  static void spans(F& f, const detail::Match& match, detail::Chunk& chunk, std::index_sequence<Is...>,
                    detail::FetchList<Outs...>) {
    const auto run = [&](const detail::Fetch<Terms>&... fetches) {
      f(std::span(&pick<Outs>(fetches...).at(0), chunk.count)...);
    };
    run(detail::Fetch<Terms>(chunk, match.terms[Is], {})...);
  }
};

}  // namespace grove::ecs
