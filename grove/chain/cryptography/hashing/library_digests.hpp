#pragma once

#include <memory>
#include <span>

#include "grove/base/error.hpp"
#include "grove/chain/cryptography/hashing/digest.hpp"

// The hashes that OpenSSL and libsodium compute.

namespace grove::hashing {

/// Which of OpenSSL's hashes, and the size of its digest.
struct OpensslAlgorithm {
  const char* name;
  std::size_t size;
};

/// The untyped part of OpensslHash.
class OpensslContext {
 public:
  static Result<OpensslContext> create(const OpensslAlgorithm& algorithm);
  Result<void> update(std::span<const std::byte> data);
  Result<void> finish(std::span<std::byte> digest);

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  OpensslContext(const OpensslAlgorithm* algorithm, void* context) : algorithm_(algorithm), context_(context) {}
  const OpensslAlgorithm* algorithm_;
  std::unique_ptr<void, Free> context_;
};

/// A hash of OpenSSL's. Making one costs more than hashing a short message:
/// keep it; `finish` leaves it ready for the next message. `unsupported` when
/// OpenSSL's configuration leaves the algorithm out. Used by one thread at a time.
template <const OpensslAlgorithm& Algorithm>
class OpensslHash {
 public:
  static constexpr std::size_t kDigestSize = Algorithm.size;
  using Digest = hashing::Digest<kDigestSize>;

  static Result<OpensslHash> create() {
    GROVE_TRY(OpensslContext context, OpensslContext::create(Algorithm));
    return OpensslHash(std::move(context));
  }
  Result<void> update(std::span<const std::byte> data) { return context_.update(data); }
  Result<Digest> finish() {
    Digest digest;
    GROVE_CHECK(context_.finish(digest));
    return digest;
  }
  static Result<Digest> hash(std::span<const std::byte> data) {
    GROVE_TRY(OpensslHash hasher, create());
    GROVE_CHECK(hasher.update(data));
    return hasher.finish();
  }

 private:
  explicit OpensslHash(OpensslContext context) : context_(std::move(context)) {}
  OpensslContext context_;
};

inline constexpr OpensslAlgorithm kSha512Algorithm{"SHA2-512", 64}, kSha384Algorithm{"SHA2-384", 48},
    kSha3_256Algorithm{"SHA3-256", 32}, kSha3_384Algorithm{"SHA3-384", 48}, kSha3_512Algorithm{"SHA3-512", 64},
    kRipemd160Algorithm{"RIPEMD160", 20};
using Sha384 = OpensslHash<kSha384Algorithm>;
using Sha512 = OpensslHash<kSha512Algorithm>;
using Sha3_256 = OpensslHash<kSha3_256Algorithm>;
using Sha3_384 = OpensslHash<kSha3_384Algorithm>;
using Sha3_512 = OpensslHash<kSha3_512Algorithm>;
using Ripemd160 = OpensslHash<kRipemd160Algorithm>;

/// Bitcoin's HASH160: RIPEMD-160 of the SHA-256.
Result<Ripemd160::Digest> hash160(std::span<const std::byte> data);

/// BLAKE2b (RFC 7693) by libsodium, into 1 to 64 bytes, with a key of 0 to 64.
/// The digest's size is part of the hash. Used by one thread at a time.
class Blake2b {
 public:
  /// `invalid_argument` when a size is out of range.
  static Result<Blake2b> create(std::size_t digest_size, std::span<const std::byte> key = {});
  Blake2b(const Blake2b& other);
  Blake2b& operator=(const Blake2b& other);
  Blake2b(Blake2b&&) noexcept = default;
  Blake2b& operator=(Blake2b&&) noexcept = default;

  void update(std::span<const std::byte> data) noexcept;
  /// Of all data so far; more may follow. Fills the first digest_size bytes
  /// of `digest`; `invalid_argument` when it is smaller.
  Result<void> finish(std::span<std::byte> digest) const;

 private:
  struct Free {
    void operator()(void* state) const noexcept;
  };
  Blake2b() = default;
  std::unique_ptr<void, Free> state_;  ///< libsodium wants it aligned to 64 bytes; erased when freed.
  std::size_t size_ = 0;
};

template <std::size_t Size = 32>
Result<Digest<Size>> blake2b(std::span<const std::byte> data, std::span<const std::byte> key = {}) {
  GROVE_TRY(Blake2b hasher, Blake2b::create(Size, key));
  hasher.update(data);
  Digest<Size> digest;
  GROVE_CHECK(hasher.finish(digest));
  return digest;
}

}  // namespace grove::hashing
