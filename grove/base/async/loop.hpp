#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <coroutine>
#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "grove/base/async/resume.hpp"
#include "grove/base/async/task.hpp"

namespace grove {

namespace detail {
/// The root of a tree of tasks; the frame destroys itself at its end, or is
/// destroyed by its owner's list when the owner goes first.
class Root {
 public:
  struct List;
  struct promise_type : PromiseBase {
    promise_type() noexcept = default;
    promise_type(const promise_type&) = delete;
    promise_type& operator=(const promise_type&) = delete;
    ~promise_type();
    Root get_return_object() noexcept { return Root(*this); }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    static std::suspend_never final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    static void unhandled_exception() noexcept { std::terminate(); }  // the body catches everything
    List* list = nullptr;
    promise_type* next = nullptr;
    promise_type* previous = nullptr;
  };
  struct List {
    List() noexcept = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() { clear(); }
    void clear() noexcept {
      while (first != nullptr) std::coroutine_handle<promise_type>::from_promise(*first).destroy();
    }
    bool empty() const noexcept { return first == nullptr; }
    promise_type* first = nullptr;
  };
  void start(List& list, const Context& context) {
    promise_->list = &list;
    promise_->context = &context;
    promise_->next = list.first;
    if (list.first != nullptr) list.first->previous = promise_;
    list.first = promise_;
    std::coroutine_handle<promise_type>::from_promise(*promise_).resume();
  }

 private:
  explicit Root(promise_type& promise) noexcept : promise_(&promise) {}
  promise_type* promise_;
};

inline Root::promise_type::~promise_type() {
  if (list == nullptr) return;
  (previous != nullptr ? previous->next : list->first) = next;
  if (next != nullptr) next->previous = previous;
}
}  // namespace detail

namespace detail {
/// The deadlines of one loop, behind one timer. A deadline that is given up in
/// time, as nearly all are, leaves the timer alone, so it costs no system call.
class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit Deadlines(boost::asio::io_context& io) : timer_(io) {}

  /// Requests a stop at its time, unless it is destroyed before.
  class Entry {
   public:
    Entry(Deadlines& all, StopSource& stop, Time when) : all_(all), stop_(stop) {
      if (when == Time::max()) return;
      at_ = all_.entries_.emplace(when, this);
      listed_ = true;
      if (when < all_.armed_) all_.arm(when);
    }
    ~Entry() {
      if (listed_) all_.entries_.erase(at_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    bool expired() const noexcept { return expired_; }

   private:
    friend class Deadlines;
    Deadlines& all_;
    StopSource& stop_;
    std::multimap<Time, Entry*>::iterator at_;
    bool listed_ = false;
    bool expired_ = false;
  };

 private:
  void arm(Time when) {
    armed_ = when;
    timer_.expires_at(when);
    timer_.async_wait([this](const boost::system::error_code& code) {
      if (!code) fire();
    });
  }
  void fire() {
    armed_ = Time::max();
    const Time now = std::chrono::steady_clock::now();
    while (!entries_.empty() && entries_.begin()->first <= now) {
      Entry& entry = *entries_.begin()->second;
      entries_.erase(entries_.begin());
      entry.listed_ = false;
      entry.expired_ = true;
      entry.stop_.request_stop();
    }
    if (!entries_.empty()) arm(entries_.begin()->first);
  }

  boost::asio::steady_timer timer_;
  Time armed_ = Time::max();
  std::multimap<Time, Entry*> entries_;
};
}  // namespace detail

/// The one event loop: a Boost.Asio io_context on epoll, run by one thread. A
/// program that wants more cores makes one Loop for each. Everything here but
/// `post` and `request_stop` belongs to the loop's thread.
class Loop {
 public:
  Loop() : io_(1) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// Destroys what is still suspended; destructors in those frames run.
  ~Loop() { roots_.clear(); }

  boost::asio::io_context& io() noexcept { return io_; }
  detail::Deadlines& deadlines() noexcept { return deadlines_; }

  /// Runs the loop until the task is done, and gives its result. Tasks that
  /// were spawned meanwhile stay, and go on in the next run. An exception of
  /// the task is thrown here, and std::logic_error when the task waits for
  /// something that nobody will do (the loop is then good only to be destroyed).
  template <class T>
  T run(Task<T> task) {
    Outcome<T> outcome;
    drive(std::move(task), outcome).start(roots_, context_);
    for (int in_a_row = 0; !outcome.done;) {
      if (!ready_.empty() && ++in_a_row < kMostInARow) {
        const std::coroutine_handle<> next = ready_.front();
        ready_.pop_front();
        next.resume();
        continue;
      }
      in_a_row = 0;
      if (io_.stopped()) io_.restart();
      if (!ready_.empty())
        io_.poll();
      else if (io_.run_one() == 0)
        break;
    }
    require(outcome.done);
    return outcome.take();
  }

  /// Starts a task that nobody awaits; it runs inside `run`. An exception that
  /// leaves it ends the program.
  void spawn(Task<void> task) { detach(std::move(task)).start(roots_, context_); }

  /// Resumes it from the loop, after what became ready before. Without the cost
  /// of a `post`, which asks the operating system for news each time.
  void resume_soon(std::coroutine_handle<> suspended) { ready_.push_back(suspended); }
  /// Runs `function` on the loop's thread. Thread safe.
  template <class Function>
  void post(Function&& function) {
    boost::asio::post(io_, std::forward<Function>(function));
  }
  /// Asks every task of this loop to stop. Thread safe.
  void request_stop() {
    post([this] { stop_.request_stop(); });
  }

 private:
  template <class T>
  struct Outcome {
    std::optional<T> value;
    std::exception_ptr exception;
    bool done = false;
    T take() {
      if (exception) std::rethrow_exception(exception);
      return std::move(*value);
    }
  };
  static void require(bool done) {
    if (!done) throw std::logic_error("the task waits for something that nothing in its loop will do");
  }

  template <class T>
  static detail::Root drive(Task<T> task, Outcome<T>& outcome) {
    try {
      if constexpr (std::is_void_v<T>)
        co_await std::move(task);
      else
        outcome.value.emplace(co_await std::move(task));
    } catch (...) {
      outcome.exception = std::current_exception();
    }
    outcome.done = true;
  }
  static detail::Root detach(Task<void> task) { co_await std::move(task); }

  /// Then sockets and timers get their turn.
  static constexpr int kMostInARow = 64;

  std::deque<std::coroutine_handle<>> ready_;
  boost::asio::io_context io_;
  detail::Deadlines deadlines_{io_};
  StopSource stop_;
  Context context_{this, &stop_};
  detail::Root::List roots_;
};

template <>
struct Loop::Outcome<void> {
  std::exception_ptr exception;
  bool done = false;
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

/// Suspends for at least `duration`; `cancelled` when stopped meanwhile.
Task<Result<void>> sleep_for(std::chrono::steady_clock::duration duration);

/// Lets other ready work run first.
Task<void> yield_now();

/// Awaits `work`, but asks it to stop at the deadline and then gives `timeout`.
/// It always waits for `work` to end, so nothing is left half done. A result
/// that arrives in spite of the stop is kept.
template <class T>
Task<Result<T>> with_deadline(std::chrono::steady_clock::time_point when, Task<Result<T>> work) {
  const Context& outer = co_await current_context();
  StopSource stop(outer.stop);
  Context inner{outer.loop, &stop, std::min(outer.deadline, when)};
  const detail::Deadlines::Entry entry(outer.loop->deadlines(), stop, inner.deadline);
  Result<T> result = co_await std::move(work).in(inner);
  if (!result && entry.expired() && result.error() == Errc::cancelled)
    co_return fail(Errc::timeout, "the deadline passed");
  co_return result;
}
template <class T>
Task<Result<T>> with_timeout(std::chrono::steady_clock::duration duration, Task<Result<T>> work) {
  return with_deadline(std::chrono::steady_clock::now() + duration, std::move(work));
}

}  // namespace grove
