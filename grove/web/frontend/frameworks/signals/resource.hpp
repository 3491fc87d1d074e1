// grove: freestanding but for the heap
#pragma once

// Two things made of signals: values that come later, and state with parts.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "grove/web/frontend/frameworks/signals/signals.hpp"

namespace grove::signals {

/// What is known of a value that comes later. While it loads again, the last
/// value or error is still there.
template <class T>
struct Loading {
  bool loading = false;
  std::optional<T> value;
  std::optional<std::string> error;  ///< Why the last load failed.
};

/// One load's answer, to be given once, from anything that waits on the
/// graph's thread (a fetch, a coroutine). An answer that comes after a newer
/// load was started, or after the resource is gone, is passed over.
template <class T>
class Answer {
 public:
  Answer(Signal<Loading<T>> state, std::shared_ptr<std::uint64_t> latest)
      : state_(state), latest_(std::move(latest)), load_(*latest_) {}

  void resolve(T value) const { give({false, std::move(value), std::nullopt}); }
  void reject(std::string error) const {
    if (!state_.alive()) return;
    give({false, state_.peek().value, std::move(error)});
  }
  /// Whether anybody still waits for it; what loads may stop when not.
  bool wanted() const noexcept { return state_.alive() && load_ == *latest_; }

 private:
  void give(Loading<T> loaded) const {
    if (!wanted()) return;
    ++*latest_;
    state_.set(std::move(loaded));
  }

  Signal<Loading<T>> state_;
  std::shared_ptr<std::uint64_t> latest_;
  std::uint64_t load_;
};

/// A value loaded by `load(Answer<T>)`, again whenever what `load` read changes.
template <class T>
class Resource {
 public:
  template <std::invocable<Answer<T>> Load>
  Resource(Graph& graph, Load load) : state_(signal(graph, Loading<T>())), again_(signal(graph, std::uint32_t{0})) {
    auto latest = std::make_shared<std::uint64_t>(0);
    effect(graph, [&graph, state = state_, again = again_, latest, load = std::move(load)]() mutable {
      (void)again();
      ++*latest;
      graph.untrack([&] { state.update([](Loading<T>& now) { now.loading = true; }); });
      load(Answer<T>(state, latest));
    });
  }

  /// All of the state, tracked.
  const Loading<T>& operator()() const { return state_(); }
  bool loading() const { return state_().loading; }
  const std::optional<T>& value() const { return state_().value; }
  const std::optional<std::string>& error() const { return state_().error; }
  /// Loads again.
  void refetch() const {
    (void)again_.update([](std::uint32_t& count) { ++count; });
  }

 private:
  Signal<Loading<T>> state_;
  Signal<std::uint32_t> again_;
};

/// State with parts: readers of a part run only when that part changes. A write
/// costs a comparison for each part that is read, so it suits dozens of parts;
/// collections are better as signals in rows (view.hpp's `each`).
template <class T>
class Store {
 public:
  Store(Graph& graph, T value) : graph_(&graph), state_(signal(graph, std::move(value))) {}

  const T& operator()() const { return state_(); }
  const T& peek() const { return state_.peek(); }
  /// `change(T&)` in place.
  template <std::invocable<T&> Function>
  std::expected<void, Fault> update(Function&& change) const {
    return state_.update(std::forward<Function>(change));
  }
  /// A part: `select(&State::name)`, or a function of the state.
  template <class Lens>
  auto select(Lens lens) const {
    return memo(*graph_, [state = state_, lens = std::move(lens)] { return std::invoke(lens, state()); });
  }

 private:
  Graph* graph_;
  Signal<T> state_;
};

}  // namespace grove::signals
