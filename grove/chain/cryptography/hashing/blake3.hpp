#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "grove/base/error.hpp"
#include "grove/chain/cryptography/hashing/digest.hpp"

namespace grove::hashing {

namespace blake3 {
struct Kernels;
struct Node;
}  // namespace blake3

/// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020): hash, keyed hash,
/// key derivation and extended output, over a Merkle tree of 1 KiB chunks that
/// vector lanes and threads share. Holds 2 KiB, no heap. Keys are not erased.
/// An object is used by one thread at a time; copies are independent.
class Blake3 {
 public:
  static constexpr std::size_t kDigestSize = 32;
  using Digest = hashing::Digest<kDigestSize>;
  using Key = std::array<std::byte, 32>;

  explicit Blake3(Isa isa = Isa::automatic) noexcept;
  /// A MAC or PRF; the key must be uniformly random.
  static Blake3 keyed(const Key& key, Isa isa = Isa::automatic) noexcept;
  /// Derives keys from the key material that it is then given. The context is
  /// a constant of the application: "example.com 2026-01-01 session tokens".
  static Blake3 derive(std::string_view context, Isa isa = Isa::automatic) noexcept;

  /// With `threads` above 1, as many threads hash the large part of `data`;
  /// worth it from about 1 MiB on. Fewer run if the system grants fewer.
  void update(std::span<const std::byte> data, unsigned threads = 1);

  /// Fills all of `into` with the bytes from `offset` on. Called from several
  /// threads at once.
  using Source = std::function<Result<void>(std::uint64_t offset, std::span<std::byte> into)>;
  /// As `update` with `size` bytes that the threads fetch for themselves, 1 MiB
  /// at a time. After an error this object is as it was before.
  Result<void> update_from(const Source& source, std::uint64_t size, unsigned threads = 1);

  /// Of all data so far; more may follow.
  Digest finish() const noexcept;
  /// Extended output from byte `position` of 2^64 on; its first 32 bytes are
  /// the digest.
  void xof(std::span<std::byte> output, std::uint64_t position = 0) const noexcept;

  /// Bytes so far.
  std::uint64_t size() const noexcept { return chunks_ * 1024 + blocks_ * 64 + length_; }

  /// Of a whole message; the quickest way for short ones.
  static Digest hash(std::span<const std::byte> data, unsigned threads = 1, Isa isa = Isa::automatic);
  /// Of many messages of 64 bytes, one after the other: the nodes of a Merkle
  /// tree. `digests` has data.size() / 64 places and may be where the data
  /// starts. Each result equals `hash` of its message.
  static void hash_64(std::span<const std::byte> data, std::span<Digest> digests, Isa isa = Isa::automatic) noexcept;

 private:
  Blake3(const std::uint32_t* key, std::uint8_t flags, Isa isa) noexcept;
  void add(const std::uint8_t* data, std::size_t size) noexcept;
  void merge(std::uint64_t chunks) noexcept;
  void push(const std::uint8_t* cv, std::uint64_t chunks) noexcept;
  void push_pair(const std::uint8_t* pair, std::uint64_t subtree_chunks) noexcept;
  blake3::Node top() const noexcept;

  const blake3::Kernels* kernels_;
  std::uint32_t key_[8];
  std::uint8_t flags_;
  // The chunk being filled.
  std::uint8_t length_ = 0;  ///< Of block_.
  std::uint8_t blocks_ = 0;  ///< Already in cv_.
  std::uint32_t cv_[8];
  std::uint8_t block_[64];
  // Finished subtrees, large ones first; equal ones wait to be joined, since
  // only the end of the message shows which node is the root.
  std::uint64_t chunks_ = 0;
  std::uint8_t depth_ = 0;
  std::uint8_t stack_[55 * 32];
};

}  // namespace grove::hashing
