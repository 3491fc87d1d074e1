#pragma once

#include <coroutine>
#include <deque>
#include <optional>
#include <utility>

#include "grove/base/async/loop.hpp"

namespace grove {

/// Values that one side of a loop produces and tasks of the same loop wait for,
/// first come, first served. It has no bound of its own: the producer, which
/// never waits, looks at `size` and decides. A value handed to a waiter is never
/// lost to a stop that comes later. Must outlive its waiters. Loop's thread only.
template <class T>
class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  bool empty() const noexcept { return values_.empty(); }
  std::size_t size() const noexcept { return values_.size(); }
  bool closed() const noexcept { return why_.has_value(); }

  /// True when it went straight to a waiter, false when it is stored. A closed
  /// queue drops it.
  bool push(T value) {
    if (closed()) return false;
    if (first_ == nullptr) {
      values_.push_back(std::move(value));
      return false;
    }
    first_->wake(Result<T>(std::move(value)));
    return true;
  }
  /// What is stored still comes out; after it every `pop` gives this error. The
  /// first close counts.
  void close(Error why) {
    if (closed()) return;
    why_.emplace(std::move(why));
    while (first_ != nullptr) first_->wake(std::unexpected(*why_));
  }
  void clear() noexcept { values_.clear(); }
  std::optional<T> try_pop() {
    if (values_.empty()) return std::nullopt;
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    return value;
  }

  /// `Result<T> value = co_await queue.pop();` `cancelled` when stopped first.
  auto pop() noexcept { return Waiter(*this); }

 private:
  class Waiter final : StopCallback {
   public:
    explicit Waiter(Queue& queue) noexcept : queue_(queue) {}
    ~Waiter() { leave(); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    bool await_ready() const noexcept { return !queue_.values_.empty() || queue_.closed(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      const Context& context = *caller.promise().context;
      if (context.stop != nullptr && !context.stop->add(*this)) {
        result_.emplace(fail(Errc::cancelled, "stopped while waiting"));
        return false;
      }
      caller_ = caller;
      loop_ = context.loop;
      previous_ = queue_.last_;
      (previous_ != nullptr ? previous_->next_ : queue_.first_) = this;
      queue_.last_ = this;
      listed_ = true;
      return true;
    }
    Result<T> await_resume() {
      if (result_) return std::move(*result_);
      if (queue_.values_.empty()) return std::unexpected(*queue_.why_);
      Result<T> value(std::move(queue_.values_.front()));
      queue_.values_.pop_front();
      return value;
    }

   private:
    friend class Queue;
    void wake(Result<T> result) {
      unlink();
      leave();
      result_.emplace(std::move(result));
      loop_->resume_soon(caller_);
    }
    void on_stop() noexcept override { wake(fail(Errc::cancelled, "stopped while waiting")); }
    void leave() noexcept {
      if (!listed_) return;
      (previous_ != nullptr ? previous_->next_ : queue_.first_) = next_;
      (next_ != nullptr ? next_->previous_ : queue_.last_) = previous_;
      previous_ = next_ = nullptr;
      listed_ = false;
    }

    Queue& queue_;
    Loop* loop_ = nullptr;
    std::coroutine_handle<> caller_;
    Waiter* next_ = nullptr;
    Waiter* previous_ = nullptr;
    std::optional<Result<T>> result_;
    bool listed_ = false;
  };

  std::deque<T> values_;
  std::optional<Error> why_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace grove
