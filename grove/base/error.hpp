#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "grove/base/errc.hpp"

namespace grove {

/// The one error type: a code to branch on and a message that says what
/// failed, on what, and why, in words that a user can act on.
class Error {
 public:
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}
  /// A bare code, so that freestanding code's `expected<T, Errc>` converts.
  Error(Errc code) : Error(code, errc_name(code)) {}  // NOLINT(google-explicit-constructor)

  /// From `errno`; the code follows the number, the message ends in its text.
  static Error from_errno(std::string_view what, int number = errno);

  Errc code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }

  /// Puts what was being done in front: "open the index: no such file".
  Error&& with(std::string_view context) && {
    message_.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }

  friend bool operator==(const Error& a, Errc b) noexcept { return a.code_ == b; }

 private:
  Errc code_;
  std::string message_;
};

/// A value or an Error. No exception leaves a component.
template <class T = void>
using Result = std::expected<T, Error>;

/// `return fail(Errc::parse, "line 3: …");`
inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected<Error>(std::in_place, code, std::move(message));
}
inline std::unexpected<Error> fail_errno(std::string_view what, int number = errno) {
  return std::unexpected<Error>(Error::from_errno(what, number));
}

}  // namespace grove

// libstdc++ 12's expected has no and_then/transform, hence macros. Each
// evaluates its expression once and returns the error to the caller.
#define GROVE_CONCAT_(a, b) a##b
#define GROVE_CONCAT(a, b) GROVE_CONCAT_(a, b)

/// `GROVE_TRY(auto value, may_fail());`
#define GROVE_TRY(declaration, ...) GROVE_TRY_(return, GROVE_CONCAT(grove_try_, __COUNTER__), declaration, __VA_ARGS__)
/// `GROVE_CHECK(may_fail());` for a Result<void>, or to drop the value.
#define GROVE_CHECK(...) GROVE_CHECK_(return, GROVE_CONCAT(grove_try_, __COUNTER__), __VA_ARGS__)
/// The same inside coroutines.
#define GROVE_CO_TRY(declaration, ...) \
  GROVE_TRY_(co_return, GROVE_CONCAT(grove_try_, __COUNTER__), declaration, __VA_ARGS__)
#define GROVE_CO_CHECK(...) GROVE_CHECK_(co_return, GROVE_CONCAT(grove_try_, __COUNTER__), __VA_ARGS__)

#define GROVE_TRY_(leave, name, declaration, ...)                \
  auto&& name = (__VA_ARGS__);                                   \
  if (!name) leave ::std::unexpected(::std::move(name).error()); \
  declaration = *::std::move(name)
#define GROVE_CHECK_(leave, name, ...) \
  if (auto&& name = (__VA_ARGS__); !name) leave ::std::unexpected(::std::move(name).error())
