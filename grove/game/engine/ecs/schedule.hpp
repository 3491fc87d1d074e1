#pragma once

#include "grove/game/engine/ecs/commands.hpp"
#include "grove/game/engine/ecs/events.hpp"
#include "grove/game/engine/ecs/query.hpp"

namespace grove::ecs {

// What a system may ask for, as its parameters:
//   Query<…>&         entities; it writes the components that its terms write
//   Res<T>            a resource to write; Res<const T>: to read
//   EventWriter<T>, EventReader<T>
//   Commands&         structural changes, applied when the systems of the stage are done
//   World&            everything: the system is a stage of its own

/// A resource, which exists: a system whose resource is missing isn't run.
template <class T>
class Res {
 public:
  explicit Res(T& value) noexcept : value_(&value) {}
  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_; }

 private:
  T* value_;
};

template <class T>
class EventWriter {
 public:
  explicit EventWriter(EventQueue<T>& queue) noexcept : queue_(&queue) {}
  void send(T event) const { queue_->send(std::move(event)); }

 private:
  EventQueue<T>* queue_;
};

/// Sees each event once.
template <class T>
class EventReader {
 public:
  EventReader(EventQueue<T>& queue, std::size_t reader) noexcept : queue_(&queue), reader_(reader) {}
  template <class F>
  void each(F&& f) const {
    queue_->read(reader_, f);
  }

 private:
  EventQueue<T>* queue_;
  std::size_t reader_;
};

namespace detail {

/// What a system touches.
struct Access {
  struct Resource {
    const TypeInfo* type;
    bool write;
  };
  std::vector<std::span<const Term>> queries;
  std::vector<Resource> resources;
  bool exclusive = false;
};
bool conflict(const Access& a, const Access& b);

struct Frame {
  World& world;
  Tick now, last;
  game::JobPool* pool;
  bool alone;  ///< The system has the world to itself.
};

/// What a system keeps for one parameter between runs.
template <class P>
struct Parameter;
template <class... Terms>
struct Parameter<Query<Terms...>&> {
  static void access(Access& access) { access.queries.push_back(Query<Terms...>::terms()); }
  explicit Parameter(World& world) : query(world) {}
  const TypeInfo* enter(const Frame& frame) {
    query.enter(frame.now, frame.last, frame.pool, frame.alone);
    return nullptr;
  }
  Query<Terms...>& get() { return query; }
  Query<Terms...> query;
};
template <class T>
struct Parameter<Res<T>> {
  using Value = std::remove_const_t<T>;
  static void access(Access& access) { access.resources.push_back({&type_info<Value>(), !std::is_const_v<T>}); }
  explicit Parameter(World&) {}
  const TypeInfo* enter(const Frame& frame) {
    value = frame.world.resource<Value>();
    return value == nullptr ? &type_info<Value>() : nullptr;
  }
  Res<T> get() { return Res<T>(*value); }
  T* value = nullptr;
};
template <class T>
struct Parameter<EventWriter<T>> {
  static void access(Access& access) { access.resources.push_back({&type_info<EventQueue<T>>(), true}); }
  explicit Parameter(World& world) { events<T>(world); }
  const TypeInfo* enter(const Frame& frame) {
    queue = frame.world.resource<EventQueue<T>>();
    return queue == nullptr ? &type_info<EventQueue<T>>() : nullptr;
  }
  EventWriter<T> get() { return EventWriter<T>(*queue); }
  EventQueue<T>* queue = nullptr;
};
template <class T>
struct Parameter<EventReader<T>> {
  // Readers only move their own cursors: they may run side by side.
  static void access(Access& access) { access.resources.push_back({&type_info<EventQueue<T>>(), false}); }
  explicit Parameter(World& world) : reader(events<T>(world).add_reader()) {}
  const TypeInfo* enter(const Frame& frame) {
    queue = frame.world.resource<EventQueue<T>>();
    return queue == nullptr || !queue->has_reader(reader) ? &type_info<EventQueue<T>>() : nullptr;
  }
  EventReader<T> get() { return {*queue, reader}; }
  EventQueue<T>* queue = nullptr;
  std::size_t reader;
};
template <>
struct Parameter<Commands&> {
  static void access(Access&) {}
  explicit Parameter(World&) {}
  const TypeInfo* enter(const Frame&) { return nullptr; }
  Commands& get() { return commands; }
  Commands commands;
};
template <>
struct Parameter<World&> {
  static void access(Access& access) { access.exclusive = true; }
  explicit Parameter(World&) {}
  const TypeInfo* enter(const Frame& frame) {
    world = &frame.world;
    return nullptr;
  }
  World& get() { return *world; }
  World* world = nullptr;
};

class System {
 public:
  virtual ~System() = default;
  virtual Access access() const = 0;
  /// Makes what the parameters keep; forgets what they kept of another world.
  virtual void bind(World& world) = 0;
  /// Returns the resource that is missing; the system wasn't run then.
  virtual const TypeInfo* run(const Frame& frame) noexcept = 0;
  virtual std::size_t apply(World& world) = 0;
};

template <class F, class... Ps>
class SystemOf final : public System {
 public:
  explicit SystemOf(F f) : f_(std::move(f)) {}
  Access access() const override {
    Access access;
    (Parameter<Ps>::access(access), ...);
    return access;
  }
  void bind(World& world) override { state_ = std::make_unique<State>(world); }
  const TypeInfo* run(const Frame& frame) noexcept override { return run(frame, std::index_sequence_for<Ps...>()); }
  std::size_t apply(World& world) override { return apply(world, std::index_sequence_for<Ps...>()); }

 private:
  template <std::size_t I, class P>
  struct Held : Parameter<P> {
    using Parameter<P>::Parameter;
  };
  template <class Is>
  struct StateOf;
  template <std::size_t... Is>
  struct StateOf<std::index_sequence<Is...>> : Held<Is, Ps>... {
    explicit StateOf([[maybe_unused]] World& world) : Held<Is, Ps>(world)... {}
  };
  using State = StateOf<std::index_sequence_for<Ps...>>;

  template <std::size_t... Is>
  const TypeInfo* run(const Frame& frame, std::index_sequence<Is...>) {
    const TypeInfo* missing = nullptr;
    ((missing = missing != nullptr ? missing : static_cast<Held<Is, Ps>&>(*state_).enter(frame)), ...);
    if (missing == nullptr) f_(static_cast<Held<Is, Ps>&>(*state_).get()...);
    return missing;
  }
  template <std::size_t... Is>
  std::size_t apply([[maybe_unused]] World& world, std::index_sequence<Is...>) {
    std::size_t refused = 0;
    const auto one = [&](auto& parameter) {
      if constexpr (requires { parameter.commands; }) refused += parameter.commands.apply(world);
    };
    (one(static_cast<Held<Is, Ps>&>(*state_)), ...);
    return refused;
  }

  F f_;
  std::unique_ptr<State> state_;
};

template <class F, class R, class... Ps>
std::unique_ptr<System> make_system(F f, R (F::*)(Ps...)) {
  return std::make_unique<SystemOf<F, Ps...>>(std::move(f));
}
template <class F, class R, class... Ps>
std::unique_ptr<System> make_system(F f, R (F::*)(Ps...) const) {
  return std::make_unique<SystemOf<F, Ps...>>(std::move(f));
}
template <class F>
std::unique_ptr<System> make_system(F f) {
  return make_system(std::move(f), &F::operator());
}
template <class R, class... Ps>
std::unique_ptr<System> make_system(R (*f)(Ps...)) {
  return std::make_unique<SystemOf<R (*)(Ps...), Ps...>>(f);
}

}  // namespace detail

/// Systems (functions, lambdas) that run once a frame. What each touches follows
/// from its signature; two that conflict run one after the other, in the order
/// in which they were added unless `after` says otherwise, and all others run
/// at the same time. So a parallel run leaves exactly what a serial one leaves.
/// A system must not throw: that ends the program.
class Schedule {
 public:
  class Ref {
   public:
    /// Runs after, or before, another system of the same stage.
    Ref after(Ref other);
    Ref before(Ref other);
    /// For messages.
    Ref named(std::string name);

   private:
    friend class Schedule;
    Ref(Schedule& schedule, std::size_t index) : schedule_(&schedule), index_(index) {}
    Schedule* schedule_;
    std::size_t index_;
  };

  Schedule();
  ~Schedule();
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  template <class F>
  Ref add(F system) {
    return add_system(detail::make_system(std::move(system)));
  }
  /// Ends a stage: what was added so far runs and its commands are applied
  /// before anything that is added later. The last stage ends by itself.
  void flush();

  /// Runs every system once, in one thread, or on the threads of the pool.
  /// invalid_argument: `after` and `before` make a cycle, or go against the
  /// stages (nothing has run). not_found: a resource was missing, its system was
  /// left out and all others ran. conflict: called from inside an iteration.
  Result<void> run(World& world) { return run(world, nullptr); }
  Result<void> run(World& world, game::JobPool& pool) { return run(world, &pool); }

  /// How many commands the world refused in the last run.
  std::size_t refused() const noexcept { return refused_; }
  /// The systems in serial order, each with those that it waits for: "move",
  /// "collide < move". Empty when `run` would fail.
  std::vector<std::string> describe();

 private:
  struct Node;

  Ref add_system(std::unique_ptr<detail::System> system);
  Result<void> build();
  Result<void> run(World& world, game::JobPool* pool);
  void run_node(Node& node);
  void run_stage(std::span<Node* const> stage);

  std::vector<std::unique_ptr<Node>> nodes_;  ///< As added.
  std::vector<Node*> order_;                  ///< Serial order.
  std::size_t stage_ = 0;                     ///< That systems are added to.
  bool alone_ = false;                        ///< It holds an exclusive system.
  bool built_ = false;
  World* world_ = nullptr;
  std::shared_ptr<const int> identity_;  ///< Of the world that the systems are bound to.
  game::JobPool* pool_ = nullptr;
  void (*work_)(void*) = nullptr;
  std::atomic<std::size_t> left_{0};
  std::size_t refused_ = 0;
};

}  // namespace grove::ecs
