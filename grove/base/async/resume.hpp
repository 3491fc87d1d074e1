#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <coroutine>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "grove/base/async/context.hpp"
#include "grove/base/error.hpp"

namespace grove {

/// The Error for an Asio or system error code. End of stream is `closed`, an
/// aborted operation is `cancelled`.
Error error_from(const boost::system::error_code& code);

/// Completion token for any Asio operation whose signature is
/// `void(error_code)` or `void(error_code, T)`:
/// `Result<std::size_t> n = co_await socket.async_read_some(buffer, resume);`
///
/// The operation's state lies in the awaiting coroutine's frame, so there is no
/// allocation and no frame of its own (asio::awaitable has both). When the
/// task's context is stopped the operation is cancelled and gives `cancelled`.
struct Resume {};
inline constexpr Resume resume{};

namespace detail {

template <class T>
struct ResumeSlot {
  std::optional<T> value;
  Result<T> take(const boost::system::error_code& code) {
    if (code) return std::unexpected(error_from(code));
    return std::move(*value);
  }
};
template <>
struct ResumeSlot<void> {
  static Result<void> take(const boost::system::error_code& code) {
    if (code) return std::unexpected(error_from(code));
    return {};
  }
};

template <class T, class Initiation, class... Args>
class ResumeOperation final : StopCallback {
 public:
  template <class I, class... A>
  explicit ResumeOperation(I&& initiation, A&&... args)
      : initiation_(std::forward<I>(initiation)), args_(std::forward<A>(args)...) {}

  static bool await_ready() noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    if (StopSource* stop = caller.promise().context->stop; stop != nullptr && !stop->add(*this)) {
      code_ = boost::asio::error::operation_aborted;
      return false;
    }
    caller_ = caller;
    // Asio never completes an operation inside its initiating function.
    std::apply([&](auto&... args) { std::move(initiation_)(Handler{this}, std::move(args)...); }, args_);
    return true;
  }
  Result<T> await_resume() { return slot_.take(code_); }

 private:
  struct Handler {
    ResumeOperation* operation;
    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return operation->signal_.slot(); }
    template <class... V>
    void operator()(const boost::system::error_code& code, V&&... value) const {
      ResumeOperation& op = *operation;
      op.unlink();
      op.code_ = code;
      if constexpr (sizeof...(V) == 1) op.slot_.value.emplace(std::forward<V>(value)...);
      op.caller_.resume();
    }
  };
  void on_stop() noexcept override { signal_.emit(boost::asio::cancellation_type::terminal); }

  Initiation initiation_;
  std::tuple<Args...> args_;
  std::coroutine_handle<> caller_;
  boost::asio::cancellation_signal signal_;
  boost::system::error_code code_;
  [[no_unique_address]] ResumeSlot<T> slot_;
};

template <class T>
struct ResumeResult {
  template <class Initiation, class... Args>
  static auto initiate(Initiation&& initiation, const Resume& /*token*/, Args&&... args) {
    return ResumeOperation<T, std::decay_t<Initiation>, std::decay_t<Args>...>(std::forward<Initiation>(initiation),
                                                                               std::forward<Args>(args)...);
  }
};

}  // namespace detail
}  // namespace grove

template <>
class boost::asio::async_result<grove::Resume, void(boost::system::error_code)>
    : public grove::detail::ResumeResult<void> {};
template <class T>
class boost::asio::async_result<grove::Resume, void(boost::system::error_code, T)>
    : public grove::detail::ResumeResult<std::decay_t<T>> {};
