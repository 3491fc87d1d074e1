#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "grove/chain/cryptography/hashing/digest.hpp"

namespace grove::hashing {

/// SHA-256 (FIPS 180-4), by the CPU's SHA instructions where it has them. Used
/// by one thread at a time; copies are independent. No heap.
class Sha256 {
 public:
  static constexpr std::size_t kDigestSize = 32;
  using Digest = hashing::Digest<kDigestSize>;

  explicit Sha256(Isa isa = Isa::automatic) noexcept;
  void update(std::span<const std::byte> data) noexcept;
  /// Of all data so far; more may follow.
  Digest finish() const noexcept;

  static Digest hash(std::span<const std::byte> data, Isa isa = Isa::automatic) noexcept;

 private:
  void (*compress_)(std::uint32_t*, const std::uint8_t*, std::size_t);
  std::uint64_t size_ = 0;
  std::uint32_t state_[8];
  std::uint8_t block_[64];
};

inline Sha256::Digest sha256(std::span<const std::byte> data) noexcept { return Sha256::hash(data); }
/// Bitcoin's hash: SHA-256 of the SHA-256.
inline Sha256::Digest sha256d(std::span<const std::byte> data) noexcept { return Sha256::hash(Sha256::hash(data)); }

/// Many messages of 64 bytes, one after the other (the nodes of a Merkle tree),
/// several at once. `digests` has data.size() / 64 places and may start where
/// the data starts; what is beyond the shorter of both is left alone.
void sha256_64(std::span<const std::byte> data, std::span<Sha256::Digest> digests, Isa isa = Isa::automatic) noexcept;
/// The same with Bitcoin's double hash.
void sha256d_64(std::span<const std::byte> data, std::span<Sha256::Digest> digests, Isa isa = Isa::automatic) noexcept;

}  // namespace grove::hashing
