#pragma once

#include <chrono>
#include <coroutine>

namespace grove {

class Loop;

/// Something to tell when a stop is requested. Linked into a StopSource
/// without allocation; unlinks itself when destroyed.
class StopCallback {
 public:
  StopCallback() noexcept = default;
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;

 protected:
  ~StopCallback() { unlink(); }
  /// Runs on the loop's thread, at most once, after the callback is unlinked.
  virtual void on_stop() noexcept = 0;
  void unlink() noexcept {
    if (next_ == nullptr) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

 private:
  friend class StopSource;
  StopCallback* next_ = nullptr;
  StopCallback* previous_ = nullptr;
};

/// Cancellation of everything below one point of the task tree. Belongs to one
/// loop and is used on its thread only, so it needs neither locks nor atomics;
/// Loop::post carries a request over from another thread.
class StopSource final : private StopCallback {
 public:
  StopSource() noexcept { head_.next_ = head_.previous_ = &head_; }
  /// Stops when the parent does. The parent must outlive this one.
  explicit StopSource(StopSource* parent) noexcept : StopSource() {
    if (parent != nullptr && !parent->add(*this)) stopped_ = true;
  }

  bool stopped() const noexcept { return stopped_; }
  void request_stop() noexcept {
    stopped_ = true;
    while (head_.next_ != &head_) {
      StopCallback& callback = *head_.next_;
      callback.unlink();
      callback.on_stop();
    }
  }
  /// False when the stop has been requested already; on_stop will not run.
  bool add(StopCallback& callback) noexcept {
    if (stopped_) return false;
    callback.unlink();
    callback.next_ = &head_;
    callback.previous_ = head_.previous_;
    head_.previous_->next_ = &callback;
    head_.previous_ = &callback;
    return true;
  }

 private:
  struct Head final : StopCallback {
    void on_stop() noexcept override {}
  };
  void on_stop() noexcept override { request_stop(); }

  Head head_;
  bool stopped_ = false;
};

/// What a task inherits from the one that awaits it: its loop, the stop that
/// reaches it, and the earliest deadline above it. Lives in the frame of whoever
/// made it (Loop, with_scope, with_deadline) and outlives the tasks that see it.
struct Context {
  Loop* loop = nullptr;
  StopSource* stop = nullptr;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

namespace detail {
struct PromiseBase {
  const Context* context = nullptr;
  std::coroutine_handle<> continuation = std::noop_coroutine();
};
}  // namespace detail

/// `const Context& context = co_await current_context();` Does not suspend.
struct CurrentContext {
  const Context* context = nullptr;
  static bool await_ready() noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) noexcept {
    context = caller.promise().context;
    return false;
  }
  const Context& await_resume() const noexcept { return *context; }
};
inline CurrentContext current_context() noexcept { return {}; }

}  // namespace grove
