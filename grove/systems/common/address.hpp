// grove: freestanding
#pragma once

#include <compare>
#include <cstdint>

namespace grove::sys {

/// A byte address that can't be mistaken for one of another kind. Arithmetic is
/// in bytes and wraps as the machine's does. Free to copy; no invariants (what is
/// canonical depends on the paging mode, see `VirtAddr`'s users).
template <class Kind>
class Address {
 public:
  constexpr Address() noexcept = default;
  constexpr explicit Address(std::uint64_t value) noexcept : value_(value) {}

  constexpr std::uint64_t value() const noexcept { return value_; }
  /// `alignment` is a power of two.
  constexpr bool is_aligned(std::uint64_t alignment) const noexcept { return (value_ & (alignment - 1)) == 0; }
  constexpr Address align_down(std::uint64_t alignment) const noexcept { return Address(value_ & ~(alignment - 1)); }

  constexpr Address& operator+=(std::uint64_t bytes) noexcept {
    value_ += bytes;
    return *this;
  }
  friend constexpr Address operator+(Address a, std::uint64_t bytes) noexcept { return Address(a.value_ + bytes); }
  friend constexpr Address operator-(Address a, std::uint64_t bytes) noexcept { return Address(a.value_ - bytes); }
  friend constexpr std::uint64_t operator-(Address a, Address b) noexcept { return a.value_ - b.value_; }
  friend constexpr auto operator<=>(Address, Address) noexcept = default;

 private:
  std::uint64_t value_ = 0;
};

/// What the memory bus sees.
using PhysAddr = Address<struct PhysicalKind>;
/// What a program sees.
using VirtAddr = Address<struct VirtualKind>;

}  // namespace grove::sys
