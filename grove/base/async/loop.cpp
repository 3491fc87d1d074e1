#include "grove/base/async/loop.hpp"

#include <string_view>

namespace grove {

Error error_from(const boost::system::error_code& code) {
  namespace asio = boost::asio;
  if (code == asio::error::operation_aborted) return {Errc::cancelled, "stopped while waiting"};
  if (code == asio::error::eof) return {Errc::closed, "the other end closed the stream"};
  if (code.category() == boost::system::system_category()) {
    Error error = Error::from_errno("", code.value());
    return {error.code(), code.message()};
  }
  if (code.category() == asio::error::get_netdb_category() || code.category() == asio::error::get_addrinfo_category())
    return {Errc::unavailable, code.message()};
  // By name, so that a program without TLS doesn't link OpenSSL.
  const std::string_view category = code.category().name();
  if (category == "asio.ssl") return {Errc::protocol, "TLS: " + code.message()};
  if (category == "asio.ssl.stream") return {Errc::closed, "the other end closed TLS without a shutdown"};
  return {Errc::io, code.message()};
}

Task<Result<void>> sleep_for(std::chrono::steady_clock::duration duration) {
  const Context& context = co_await current_context();
  boost::asio::steady_timer timer(context.loop->io(), duration);
  co_return co_await timer.async_wait(resume);
}

Task<void> yield_now() {
  struct Awaiter {
    Loop& loop;
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> caller) const { loop.resume_soon(caller); }
    static void await_resume() noexcept {}
  };
  const Context& context = co_await current_context();
  co_await Awaiter{*context.loop};
}

}  // namespace grove
