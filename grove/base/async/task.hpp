#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "grove/base/async/context.hpp"

namespace grove {

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase : PromiseBase {
  static std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    static bool await_ready() noexcept { return false; }
    template <class Promise>
    static std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
      return done.promise().continuation;  // symmetric transfer: no stack growth
    }
    static void await_resume() noexcept {}
  };
  static FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
  std::exception_ptr exception;
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
  std::optional<T> value;
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object() noexcept;
  static void return_void() noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

/// A lazy coroutine: it starts when it is awaited, on the awaiting thread, and
/// hands its result (or exception) to the one that awaits it. The Task owns the
/// frame; destroying an unfinished Task destroys the frame, which is safe while
/// it is suspended. Not thread safe: a task stays on its loop's thread.
///
/// GCC 12 miscompiles `co_await` inside `?:` and inside braced argument lists;
/// give such a result a name first.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept { return Awaiter{handle_, nullptr}; }
  /// Awaits it in another context than the caller's. The context must live
  /// until the task is done.
  auto in(const Context& context) && noexcept { return Awaiter{handle_, &context}; }

 private:
  friend promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct Awaiter {
    Handle handle;
    const Context* context;
    static bool await_ready() noexcept { return false; }
    template <class Promise>
    Handle await_suspend(std::coroutine_handle<Promise> caller) noexcept {
      handle.promise().continuation = caller;
      handle.promise().context = context != nullptr ? context : caller.promise().context;
      return handle;
    }
    T await_resume() { return handle.promise().take(); }
  };

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Handle handle_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> detail::TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace grove
