#pragma once

// Where the elements of an array stand in memory: everything about shapes and
// strides that doesn't depend on the element's type, compiled once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>

#include "grove/base/error.hpp"

namespace grove::arrays {

using Index = std::ptrdiff_t;
inline constexpr int kMaxRank = 8;
inline constexpr int kDynamic = -1;  ///< A rank that is known at run time only.

/// Up to kMaxRank extents. One that is invalid (too many, or a product beyond
/// what memory can address) is reported by whatever allocates for it.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<Index> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const Index> extents) noexcept {
    for (const Index extent : extents) push(extent);
  }

  int rank() const noexcept { return rank_; }
  Index operator[](int axis) const noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  Index& operator[](int axis) noexcept { return extents_[static_cast<std::size_t>(axis)]; }
  std::span<const Index> extents() const noexcept { return {extents_.data(), static_cast<std::size_t>(rank_)}; }
  /// How many elements; of a valid shape.
  Index size() const noexcept {
    Index product = 1;
    for (const Index extent : extents()) product *= extent;
    return product;
  }
  void push(Index extent) noexcept {
    if (rank_ == kMaxRank) {
      extents_[0] = -1;
    } else {
      extents_[static_cast<std::size_t>(rank_++)] = extent;
    }
  }
  friend bool operator==(const Shape& a, const Shape& b) noexcept {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a[i] != b[i]) return false;
    return true;
  }

 private:
  int rank_ = 0;
  std::array<Index, kMaxRank> extents_{};
};

/// `(2, 3)`, as NumPy writes it.
std::string to_string(const Shape& shape);
/// The number of elements, or an error: an extent is negative, there are too
/// many dimensions, or the bytes exceed the address space.
Result<Index> checked_size(const Shape& shape, std::size_t item);

/// One index of a slice. A range counts from the end where it is negative, and
/// what lies outside the array is cut off, as in Python.
inline constexpr Index none = std::numeric_limits<Index>::min();  ///< Python's None: from or to the very end.
struct Range {
  Index from = none, to = none, step = 1;
};
constexpr Range range(Index from, Index to = none, Index step = 1) noexcept { return {from, to, step}; }
inline constexpr Range all{};
inline constexpr Range reversed{none, none, -1};
inline constexpr struct NewAxis {
} newaxis{};
inline constexpr struct Ellipsis {
} ellipsis{};

struct Slice {
  enum class Kind : std::uint8_t { index, range, newaxis, ellipsis };
  Slice(Index at) noexcept : kind(Kind::index), range{at} {}   // NOLINT(google-explicit-constructor)
  Slice(Range r) noexcept : kind(Kind::range), range(r) {}     // NOLINT(google-explicit-constructor)
  Slice(NewAxis) noexcept : kind(Kind::newaxis), range{} {}    // NOLINT(google-explicit-constructor)
  Slice(Ellipsis) noexcept : kind(Kind::ellipsis), range{} {}  // NOLINT(google-explicit-constructor)
  Kind kind;
  Range range;
};

/// Strides count elements, and may be negative (reversed) or zero (broadcast).
/// A layout made by a wrong index or axis carries the reason as its `fault`; it
/// is empty, and whoever evaluates what holds it gets the error.
struct Layout {
  Shape shape;
  std::array<Index, kMaxRank> strides{};
  const char* fault = nullptr;

  Index stride(int axis) const noexcept { return strides[static_cast<std::size_t>(axis)]; }
  bool contiguous() const noexcept;  ///< Row-major without gaps.

  static Layout row_major(const Shape& shape) noexcept;
  static Layout broken(const char* why) noexcept;

  /// `offset` gets what to add to the data pointer.
  Layout slice(std::span<const Slice> slices, Index& offset) const noexcept;
  /// Output axis i is input axis `order[i]`.
  Layout transpose(std::span<const int> order) const noexcept;
  Layout reshape(Shape shape) const noexcept;  ///< One extent may be -1. Never copies: a fault where it had to.
  Layout broadcast_to(const Shape& shape) const noexcept;
  /// Both axes become one, the last.
  Layout diagonal(int first, int second) const noexcept;
};

/// Counts a negative axis from the end; -1 when there is none such.
int normal_axis(int axis, int rank) noexcept;
Result<Shape> broadcast(const Shape& a, const Shape& b);

}  // namespace grove::arrays
