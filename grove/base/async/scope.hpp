#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "grove/base/async/loop.hpp"

namespace grove {

/// Tasks that run side by side and end together (structured concurrency). Made
/// by with_scope only, which is what guarantees that none outlives it.
class Scope {
 public:
  explicit Scope(const Context& outer) noexcept : stop_(outer.stop), context_{outer.loop, &stop_, outer.deadline} {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Starts the task now; it runs until it first suspends. An exception that
  /// leaves it stops its siblings and is thrown by with_scope.
  void spawn(Task<void> task) {
    ++running_;
    child(std::move(task)).start(children_, context_);
  }
  void cancel() noexcept { stop_.request_stop(); }
  const Context& context() const noexcept { return context_; }

 private:
  template <class Body>
  friend auto with_scope(Body body) -> std::invoke_result_t<Body&, Scope&>;

  detail::Root child(Task<void> task) {
    try {
      co_await std::move(task);
    } catch (...) {
      if (!exception_) exception_ = std::current_exception();
      cancel();
    }
    if (--running_ == 0 && waiter_) context_.loop->resume_soon(std::exchange(waiter_, nullptr));
  }
  auto join() noexcept {
    struct Awaiter {
      Scope& scope;
      bool await_ready() const noexcept { return scope.running_ == 0; }
      void await_suspend(std::coroutine_handle<> caller) const noexcept { scope.waiter_ = caller; }
      void await_resume() const {
        if (scope.exception_) std::rethrow_exception(scope.exception_);
      }
    };
    return Awaiter{*this};
  }

  StopSource stop_;
  Context context_;
  std::coroutine_handle<> waiter_;
  std::exception_ptr exception_;
  std::size_t running_ = 0;
  detail::Root::List children_;
};

/// Runs `body(scope)`, a coroutine, then waits for everything that it spawned.
/// When the body gives an error or throws, its children are stopped first.
/// `co_await with_scope([&](Scope& s) -> Task<Result<void>> { s.spawn(…); … });`
template <class Body>
auto with_scope(Body body) -> std::invoke_result_t<Body&, Scope&> {
  using T = typename std::invoke_result_t<Body&, Scope&>::value_type;
  const Context& outer = co_await current_context();
  Scope scope(outer);
  std::exception_ptr exception;
  if constexpr (std::is_void_v<T>) {
    try {
      co_await body(scope).in(scope.context());
    } catch (...) {
      exception = std::current_exception();
      scope.cancel();
    }
    co_await scope.join();
    if (exception) std::rethrow_exception(exception);
  } else {
    std::optional<T> result;
    try {
      result.emplace(co_await body(scope).in(scope.context()));
      if constexpr (requires { result->error(); })
        if (!result->has_value()) scope.cancel();
    } catch (...) {
      exception = std::current_exception();
      scope.cancel();
    }
    co_await scope.join();
    if (exception) std::rethrow_exception(exception);
    co_return std::move(*result);
  }
}

}  // namespace grove
