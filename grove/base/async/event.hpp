#pragma once

#include <coroutine>

#include "grove/base/async/loop.hpp"

namespace grove {

/// Something that happens once (until `reset`) and that tasks of one loop wait
/// for. `set` wakes every waiter through the loop, never inside the call. Must
/// outlive its waiters. Loop's thread only.
class Event {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool is_set() const noexcept { return set_; }
  void reset() noexcept { set_ = false; }
  void set() {
    set_ = true;
    while (first_ != nullptr) first_->wake();
  }

  /// `Result<void> r = co_await event.wait();` `cancelled` when stopped first.
  auto wait() noexcept { return Waiter(*this); }

 private:
  class Waiter final : StopCallback {
   public:
    explicit Waiter(Event& event) noexcept : event_(event) {}
    ~Waiter() { leave(); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    bool await_ready() const noexcept { return event_.set_; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      const Context& context = *caller.promise().context;
      if (context.stop != nullptr && !context.stop->add(*this)) {
        cancelled_ = true;
        return false;
      }
      caller_ = caller;
      loop_ = context.loop;
      next_ = event_.first_;
      if (next_ != nullptr) next_->previous_ = this;
      event_.first_ = this;
      listed_ = true;
      return true;
    }
    Result<void> await_resume() const {
      if (cancelled_) return fail(Errc::cancelled, "stopped while waiting");
      return {};
    }
    void wake() {
      unlink();
      leave();
      loop_->resume_soon(caller_);
    }

   private:
    friend class Event;
    void on_stop() noexcept override {
      cancelled_ = true;
      wake();
    }
    void leave() noexcept {
      if (!listed_) return;
      (previous_ != nullptr ? previous_->next_ : event_.first_) = next_;
      if (next_ != nullptr) next_->previous_ = previous_;
      previous_ = next_ = nullptr;
      listed_ = false;
    }

    Event& event_;
    Loop* loop_ = nullptr;
    std::coroutine_handle<> caller_;
    Waiter* next_ = nullptr;
    Waiter* previous_ = nullptr;
    bool listed_ = false;
    bool cancelled_ = false;
  };

  Waiter* first_ = nullptr;
  bool set_ = false;
};

}  // namespace grove
