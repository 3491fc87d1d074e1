// grove: freestanding but for the heap
#pragma once

// Fine-grained reactivity: signals hold values, memos derive, effects act.
//
//   signals::Graph graph;
//   auto count = signals::signal(graph, 1);
//   auto twice = signals::memo(graph, [=] { return count() * 2; });
//   signals::effect(graph, [=] { show(twice()); });   // runs now and after each change
//   count.set(21);                                    // show(42)
//
// What a body reads while it runs is what it depends on, found anew in each
// run. A write starts only effects whose inputs changed in value, each once,
// and none ever sees a half-updated graph (no glitches). Memos run when they
// are read, at most once for each change.
//
// Handles are small, copied freely and captured by value; they own nothing.
// What a body creates is disposed of when it runs again or its scope ends. A
// handle that outlived its node is no danger: reads give `T{}` and a fault.
//
// Faults are values. A body that makes a faulty read (a cycle, a disposed
// signal, a faulty memo) runs on with the last value, or T{}; its memo is
// faulty in turn, its effect and the graph keep the fault. `try_get` stops
// that spread. Values are default-initialisable; where they have no ==, each
// write counts as a change.
//
// A graph and its handles are used by one thread at a time. Nothing recurses
// with the size of the graph. The same code runs natively and in WebAssembly.

#include <concepts>
#include <expected>
#include <type_traits>
#include <utility>

#include "grove/web/frontend/frameworks/signals/graph.hpp"

namespace grove::signals {

namespace detail {

template <class T>
struct SignalNode : Node {
  T current;
  T pending{};  ///< While kDirty.

  explicit SignalNode(T value) : current(std::move(value)) {
    static constexpr NodeType kType{update_node, destroy_node};
    type = &kType;
    flags = kMutable;
  }
  static bool update_node(Node* node) {
    auto* self = static_cast<SignalNode*>(node);
    const bool forced = self->flags & kForced;
    self->flags = kMutable;
    if (forced) return true;
    const bool is_new = changed(self->current, self->pending);
    self->current = std::move(self->pending);
    return is_new;
  }
  static void destroy_node(Node* node) {
    auto* self = static_cast<SignalNode*>(node);
    std::destroy_at(&self->current);
    std::destroy_at(&self->pending);
  }
};

template <class T>
struct MemoBase : Reactor {
  T value{};
};

template <class T, class Function>
struct MemoNode : MemoBase<T> {
  Function function;

  explicit MemoNode(Function f) : function(std::move(f)) {
    static constexpr NodeType kType{update_node, destroy_node};
    this->type = &kType;
    this->flags = kMutable | kMemo | kDirty | kFresh;
  }
  static bool update_node(Node* node) {
    auto* self = static_cast<MemoNode*>(node);
    T next = self->function();
    if (!changed(self->value, next)) return false;
    self->value = std::move(next);
    return true;
  }
  static void destroy_node(Node* node) {
    auto* self = static_cast<MemoNode*>(node);
    std::destroy_at(&self->value);
    std::destroy_at(&self->function);
  }
};

template <class Function>
struct EffectNode : Reactor {
  Function function;

  explicit EffectNode(Function f) : function(std::move(f)) {
    static constexpr NodeType kType{update_node, destroy_node};
    type = &kType;
    flags = kEffect;
  }
  static bool update_node(Node* node) {
    static_cast<EffectNode*>(node)->function();
    return false;
  }
  static void destroy_node(Node* node) { std::destroy_at(&static_cast<EffectNode*>(node)->function); }
};

struct ScopeNode : Reactor {
  ScopeNode() {
    static constexpr NodeType kType{nullptr, [](Node*) {}};
    type = &kType;
    flags = kScope;
  }
};

template <class Function>
struct CleanupNode : Node {
  Function function;

  explicit CleanupNode(Function f) : function(std::move(f)) {
    static constexpr NodeType kType{nullptr, destroy_node};
    type = &kType;
  }
  static void destroy_node(Node* node) {
    auto* self = static_cast<CleanupNode*>(node);
    self->function();
    std::destroy_at(&self->function);
  }
};

/// A node and the generation that it had.
class Handle {
 public:
  /// Whether the node is still there.
  bool alive() const noexcept { return node_->generation == generation_; }
  /// Disposes of the node and what it owns; again or on nothing: no effect.
  void dispose() const {
    if (alive()) node_->graph->dispose(node_);
  }
  friend bool operator==(const Handle&, const Handle&) = default;

 protected:
  Handle() = default;
  explicit Handle(Node* node) noexcept : node_(node), generation_(node->generation) {}

  Node* node_ = const_cast<Node*>(&kNowhere);  // Never written: no handle is alive there.
  std::uint32_t generation_ = 0;
};

}  // namespace detail

/// A value that can be written. Default-constructed: a handle to nothing.
template <class T>
class Signal : public detail::Handle {
  static_assert(std::default_initializable<T> && !std::is_reference_v<T> && !std::is_const_v<T>);

 public:
  using value_type = T;
  Signal() = default;
  explicit Signal(detail::SignalNode<T>* node) noexcept : Handle(node) {}

  /// The value, tracked. The reference holds until the next write or disposal.
  const T& operator()() const {
    const T& value = peek();
    if (alive()) [[likely]] {
      node_->graph->track(node_);
    }
    return value;
  }
  /// The value, not tracked.
  const T& peek() const {
    if (!alive()) [[unlikely]] {
      if (node_->graph != nullptr) node_->graph->poison(Fault::disposed);
      return detail::nothing<T>();
    }
    auto* node = static_cast<detail::SignalNode<T>*>(node_);
    if (node->flags & detail::kDirty) node->graph->commit(node);
    return node->current;
  }
  /// The value, tracked, or `disposed`; nothing becomes faulty.
  std::expected<T, Fault> try_get() const {
    if (!alive()) return std::unexpected(Fault::disposed);
    return (*this)();
  }

  /// Writes. An equal value changes nothing. Fails with `disposed` or `write_in_memo`.
  std::expected<void, Fault> set(T value) const {
    if (!alive()) return std::unexpected(Fault::disposed);
    auto* node = static_cast<detail::SignalNode<T>*>(node_);
    Graph& graph = *node->graph;
    if (!graph.may_write()) return std::unexpected(Fault::write_in_memo);
    if (node->flags & detail::kForced) graph.commit(node);
    const bool waiting = node->flags & detail::kDirty;
    if (!detail::changed(waiting ? node->pending : node->current, value)) return {};
    if (node->subs == nullptr) {
      node->flags = detail::kMutable;
      node->current = std::move(value);
      return {};
    }
    node->flags |= detail::kDirty;
    node->pending = std::move(value);
    graph.written(node);
    return {};
  }

  /// Changes the value in place: `change(T&)`. Always counts as a change.
  template <std::invocable<T&> Function>
  std::expected<void, Fault> update(Function&& change) const {
    if (!alive()) return std::unexpected(Fault::disposed);
    auto* node = static_cast<detail::SignalNode<T>*>(node_);
    Graph& graph = *node->graph;
    if (!graph.may_write()) return std::unexpected(Fault::write_in_memo);
    if (node->flags & detail::kDirty) graph.commit(node);
    std::forward<Function>(change)(node->current);
    if (!alive()) return {};
    node->flags |= detail::kDirty | detail::kForced;
    graph.written(node);
    return {};
  }
};

/// A value derived by a function. Default-constructed: a handle to nothing.
template <class T>
class Memo : public detail::Handle {
 public:
  using value_type = T;
  Memo() = default;
  explicit Memo(detail::MemoBase<T>* node) noexcept : Handle(node) {}

  /// The value, tracked, computed if it has to be. The reference holds until
  /// the memo next runs or is disposed of. Faults: see the top of the file.
  const T& operator()() const {
    const T& value = peek();
    if (alive()) [[likely]] {
      node_->graph->track(node_);
    }
    return value;
  }
  /// The value, not tracked.
  const T& peek() const {
    Fault fault;
    const T* value = up_to_date(fault);
    if (fault != Fault::none && node_->graph != nullptr) [[unlikely]] {
      node_->graph->poison(fault);
    }
    return value != nullptr ? *value : detail::nothing<T>();
  }
  /// The value, tracked, or why there is none; the reader does not become faulty.
  std::expected<T, Fault> try_get() const {
    Fault fault;
    const T* value = up_to_date(fault);
    if (value != nullptr) node_->graph->track(node_);
    if (fault != Fault::none) return std::unexpected(fault);
    return *value;
  }

 private:
  const T* up_to_date(Fault& fault) const {
    using namespace detail;
    fault = Fault::disposed;
    if (!alive()) [[unlikely]]
      return nullptr;
    auto* node = static_cast<MemoBase<T>*>(node_);
    Fault now = Fault::none;
    if (node->flags & (kDirty | kPending | kRunning | kChecking)) {
      now = node->graph->resolve(node);
      if (!alive()) return nullptr;  // Its own run disposed of it.
    }
    fault = now != Fault::none ? now : node->fault;
    return &node->value;
  }
};

/// A function that runs again whenever what it read changes.
class Effect : public detail::Handle {
 public:
  Effect() = default;
  explicit Effect(detail::Reactor* node) noexcept : Handle(node) {}
  /// What its last run met.
  Fault fault() const noexcept { return alive() ? node_->fault : Fault::disposed; }
};

/// Owns what its functions create, until it is disposed of.
class Scope : public detail::Handle {
 public:
  Scope() = default;
  explicit Scope(detail::ScopeNode* node) noexcept : Handle(node) {}
  /// The effect that runs now starts before those that the scope will hold, as
  /// it does before those that it creates itself.
  void after_running_effect() const {
    if (alive()) node_->graph->put_before(static_cast<detail::Reactor*>(node_));
  }
  /// Runs `function` untracked, as a batch; what it creates belongs to the
  /// scope. On a scope that is gone nothing runs.
  template <std::invocable Function>
  void run(Function&& function) const {
    if (alive()) node_->graph->run_owned(static_cast<detail::Reactor*>(node_), std::forward<Function>(function));
  }
};

template <class T>
Signal<std::decay_t<T>> signal(Graph& graph, T&& value) {
  return Signal<std::decay_t<T>>(graph.create<detail::SignalNode<std::decay_t<T>>>(std::forward<T>(value)));
}

/// `function()` gives the value. It must not write; it runs when it is first
/// read and when it is read after a change.
template <std::invocable Function>
auto memo(Graph& graph, Function function) {
  using T = std::decay_t<std::invoke_result_t<Function&>>;
  auto* node = graph.create<detail::MemoNode<T, Function>>(std::move(function));
  node->effect = graph.enclosing_effect();
  graph.register_memo(node);
  return Memo<T>(node);
}

/// Runs `function` now, and again after each change of what it read.
template <std::invocable Function>
Effect effect(Graph& graph, Function function) {
  auto* node = graph.create<detail::EffectNode<Function>>(std::move(function));
  node->effect = graph.enclosing_effect();
  const Effect handle(node);
  graph.start(node);
  return handle;
}

inline Scope scope(Graph& graph) {
  auto* node = graph.create<detail::ScopeNode>();
  node->effect = graph.enclosing_effect();
  return Scope(node);
}

/// Runs `function` once, before what runs now runs again or is disposed of;
/// outside everything: when the graph ends. Nothing is tracked in it.
template <std::invocable Function>
void on_cleanup(Graph& graph, Function function) {
  graph.create<detail::CleanupNode<Function>>(std::move(function));
}

}  // namespace grove::signals
