// grove: freestanding
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "grove/base/errc.hpp"

namespace grove {

/// A cursor over bytes that somebody else wrote. Every read is bounds-checked
/// and leaves the cursor where it was when it fails. Views point into the
/// input, which must outlive them. Not thread safe; cheap to copy (a look-ahead
/// is a copy).
class ByteReader {
 public:
  template <class T>
  using Read = std::expected<T, Errc>;

  constexpr ByteReader() noexcept = default;
  constexpr explicit ByteReader(std::span<const std::byte> input) noexcept : input_(input) {}

  constexpr std::size_t position() const noexcept { return position_; }
  constexpr std::size_t remaining() const noexcept { return input_.size() - position_; }
  constexpr bool empty() const noexcept { return remaining() == 0; }
  constexpr std::span<const std::byte> rest() const noexcept { return input_.subspan(position_); }

  constexpr Read<std::span<const std::byte>> bytes(std::size_t count) noexcept {
    if (count > remaining()) return std::unexpected(Errc::truncated);
    const auto view = input_.subspan(position_, count);
    position_ += count;
    return view;
  }
  constexpr Read<void> skip(std::size_t count) noexcept {
    if (count > remaining()) return std::unexpected(Errc::truncated);
    position_ += count;
    return {};
  }

  constexpr Read<std::uint8_t> u8() noexcept { return big<std::uint8_t>(); }
  constexpr Read<std::uint16_t> u16be() noexcept { return big<std::uint16_t>(); }
  constexpr Read<std::uint32_t> u32be() noexcept { return big<std::uint32_t>(); }
  constexpr Read<std::uint64_t> u64be() noexcept { return big<std::uint64_t>(); }
  constexpr Read<std::uint16_t> u16le() noexcept { return little<std::uint16_t>(); }
  constexpr Read<std::uint32_t> u32le() noexcept { return little<std::uint32_t>(); }
  constexpr Read<std::uint64_t> u64le() noexcept { return little<std::uint64_t>(); }

  /// Base-128 little-endian varint of at most 64 bits. `parse` when a tenth
  /// byte carries bits beyond the 64th.
  constexpr Read<std::uint64_t> varint() noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      if (i >= remaining()) return std::unexpected(Errc::truncated);
      const auto byte = std::to_integer<std::uint64_t>(input_[position_ + i]);
      if (i == 9 && byte > 1) return std::unexpected(Errc::parse);
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        position_ += i + 1;
        return value;
      }
    }
    return std::unexpected(Errc::parse);
  }

 private:
  template <std::unsigned_integral T>
  constexpr Read<T> big() noexcept {
    if (sizeof(T) > remaining()) return std::unexpected(Errc::truncated);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value = value << 8 | std::to_integer<std::uint64_t>(input_[position_ + i]);
    position_ += sizeof(T);
    return static_cast<T>(value);
  }
  template <std::unsigned_integral T>
  constexpr Read<T> little() noexcept {
    if (sizeof(T) > remaining()) return std::unexpected(Errc::truncated);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value |= std::to_integer<std::uint64_t>(input_[position_ + i]) << (8 * i);
    position_ += sizeof(T);
    return static_cast<T>(value);
  }

  std::span<const std::byte> input_;
  std::size_t position_ = 0;
};

/// Writes into a fixed buffer that the caller owns. A write that does not fit
/// writes nothing and returns `limit`.
class ByteWriter {
 public:
  using Write = std::expected<void, Errc>;

  constexpr explicit ByteWriter(std::span<std::byte> output) noexcept : output_(output) {}

  constexpr std::size_t position() const noexcept { return position_; }
  constexpr std::size_t remaining() const noexcept { return output_.size() - position_; }
  constexpr std::span<const std::byte> written() const noexcept { return output_.first(position_); }

  constexpr Write bytes(std::span<const std::byte> input) noexcept {
    if (input.size() > remaining()) return std::unexpected(Errc::limit);
    for (std::size_t i = 0; i < input.size(); ++i) output_[position_ + i] = input[i];
    position_ += input.size();
    return {};
  }

  constexpr Write u8(std::uint8_t value) noexcept { return big(value); }
  constexpr Write u16be(std::uint16_t value) noexcept { return big(value); }
  constexpr Write u32be(std::uint32_t value) noexcept { return big(value); }
  constexpr Write u64be(std::uint64_t value) noexcept { return big(value); }
  constexpr Write u16le(std::uint16_t value) noexcept { return little(value); }
  constexpr Write u32le(std::uint32_t value) noexcept { return little(value); }
  constexpr Write u64le(std::uint64_t value) noexcept { return little(value); }

  constexpr Write varint(std::uint64_t value) noexcept {
    const std::size_t size = value == 0 ? 1 : static_cast<std::size_t>(std::bit_width(value) + 6) / 7;
    if (size > remaining()) return std::unexpected(Errc::limit);
    for (; value >= 0x80; value >>= 7) output_[position_++] = static_cast<std::byte>(value | 0x80);
    output_[position_++] = static_cast<std::byte>(value);
    return {};
  }

 private:
  template <std::unsigned_integral T>
  constexpr Write big(T value) noexcept {
    if (sizeof(T) > remaining()) return std::unexpected(Errc::limit);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      output_[position_ + i] = static_cast<std::byte>(std::uint64_t{value} >> (8 * (sizeof(T) - 1 - i)));
    position_ += sizeof(T);
    return {};
  }
  template <std::unsigned_integral T>
  constexpr Write little(T value) noexcept {
    if (sizeof(T) > remaining()) return std::unexpected(Errc::limit);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      output_[position_ + i] = static_cast<std::byte>(std::uint64_t{value} >> (8 * i));
    position_ += sizeof(T);
    return {};
  }

  std::span<std::byte> output_;
  std::size_t position_ = 0;
};

}  // namespace grove
