#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "grove/chain/cryptography/hashing/digest.hpp"

namespace grove::hashing {

/// The permutation Keccak-f[1600] (FIPS 202), on 25 lanes, x first.
void keccak_f1600(std::uint64_t* state) noexcept;

/// A sponge over it: `Rate` bytes a permutation; `Suffix` holds the domain bits
/// and the first padding bit. Used by one thread at a time; no heap.
template <std::size_t Rate, std::uint8_t Suffix, std::size_t Size>
class Sponge {
 public:
  static_assert(Rate % 8 == 0 && Rate < 200 && Size <= Rate);
  static constexpr std::size_t kDigestSize = Size;
  using Digest = hashing::Digest<Size>;

  void update(std::span<const std::byte> data) noexcept {
    const std::byte* p = data.data();
    std::size_t size = data.size();
    while (size > 0 && at_ > 0) --size, take(*p++);  // to the start of a block
    for (; size >= Rate; size -= Rate, p += Rate) {
      for (std::size_t i = 0; i < Rate / 8; ++i) state_[i] ^= little(p + 8 * i);
      keccak_f1600(state_);
    }
    for (; at_ + 8 <= 8 * (size / 8); at_ += 8) state_[at_ / 8] ^= little(p + at_);
    for (const std::size_t whole = at_; size > whole; --size) take(p[at_]);
  }

  /// Of all data so far; more may follow.
  Digest finish() const noexcept {
    std::uint64_t state[25];
    std::memcpy(state, state_, sizeof state);
    state[at_ / 8] ^= std::uint64_t{Suffix} << (8 * (at_ % 8));
    state[Rate / 8 - 1] ^= std::uint64_t{0x80} << 56;
    keccak_f1600(state);
    Digest digest;
    for (std::size_t i = 0; i < Size; ++i) digest[i] = static_cast<std::byte>(state[i / 8] >> (8 * (i % 8)));
    return digest;
  }

  static Digest hash(std::span<const std::byte> data) noexcept {
    Sponge sponge;
    sponge.update(data);
    return sponge.finish();
  }

 private:
  static std::uint64_t little(const std::byte* p) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) word |= std::to_integer<std::uint64_t>(p[i]) << (8 * i);
    return word;
  }
  void take(std::byte byte) noexcept {
    state_[at_ / 8] ^= std::to_integer<std::uint64_t>(byte) << (8 * (at_ % 8));
    if (++at_ == Rate) {
      keccak_f1600(state_);
      at_ = 0;
    }
  }

  std::uint64_t state_[25] = {};
  std::size_t at_ = 0;  ///< Bytes taken of the current block.
};

/// Ethereum's hash: Keccak as it was before FIPS 202 added domain bits, so not SHA3-256.
using Keccak256 = Sponge<136, 0x01, 32>;
using Keccak512 = Sponge<72, 0x01, 64>;

inline Keccak256::Digest keccak256(std::span<const std::byte> data) noexcept { return Keccak256::hash(data); }

}  // namespace grove::hashing
