#pragma once

// The one test style: doctest, one TEST_CASE for one behaviour, named by it.
// Values of Grove's own types print through the overloads here.

#include <doctest/doctest.h>

#include <ostream>

#include "grove/base/error.hpp"

namespace grove {
inline std::ostream& operator<<(std::ostream& out, Errc code) { return out << errc_name(code); }
inline std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << error.message() << " (" << error.code() << ')';
}
}  // namespace grove

/// Checks that a Result holds a value, and shows its error when it does not.
#define CHECK_OK(...) GROVE_TEST_OK_(CHECK_MESSAGE, __VA_ARGS__)
#define REQUIRE_OK(...) GROVE_TEST_OK_(REQUIRE_MESSAGE, __VA_ARGS__)
/// Checks that a Result failed with this code, and shows what came instead.
#define CHECK_FAILS(result, errc)                                                \
  do {                                                                           \
    const auto& grove_result = (result);                                         \
    CHECK_MESSAGE((!grove_result.has_value() && grove_result.error() == (errc)), \
                  #result ": " << ::grove::test::why(grove_result));             \
  } while (false)
#define GROVE_TEST_OK_(check, ...)                                                          \
  do {                                                                                      \
    const auto& grove_result = (__VA_ARGS__);                                               \
    check(grove_result.has_value(), #__VA_ARGS__ ": " << ::grove::test::why(grove_result)); \
  } while (false)

namespace grove::test {
template <class T>
std::string why(const std::expected<T, Error>& result) {
  if (result) return "it succeeded";
  return result.error().message() + " (" + errc_name(result.error().code()) + ")";
}
template <class T>
std::string why(const std::expected<T, Errc>& result) {
  return result ? "it succeeded" : errc_name(result.error());
}
}  // namespace grove::test
