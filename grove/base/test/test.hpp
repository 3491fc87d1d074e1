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
#define CHECK_OK(result) CHECK_MESSAGE((result).has_value(), ::grove::test::why(result))
#define REQUIRE_OK(result) REQUIRE_MESSAGE((result).has_value(), ::grove::test::why(result))
/// Checks that a Result failed with this code, and shows what came instead.
#define CHECK_FAILS(result, errc) \
  CHECK_MESSAGE((!(result).has_value() && (result).error() == (errc)), ::grove::test::why(result))

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
