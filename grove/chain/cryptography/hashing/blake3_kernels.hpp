#pragma once

// Private to BLAKE3: what one instruction set provides.

#include <cstddef>
#include <cstdint>

namespace grove::hashing::blake3 {

inline constexpr std::uint32_t kIv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
inline constexpr std::size_t kBlock = 64, kChunk = 1024, kCv = 32, kMaxLanes = 16;

enum Flag : std::uint8_t {
  kChunkStart = 1,
  kChunkEnd = 2,
  kParent = 4,
  kRoot = 8,
  kKeyedHash = 16,
  kDeriveContext = 32,
  kDeriveMaterial = 64,
};

/// Equal numbers of whole blocks, one message after the other.
struct Messages {
  const std::uint8_t* data;
  std::size_t count;
  std::size_t blocks;  ///< Of each message.
  std::uint64_t counter;
  bool counts;  ///< The counter grows by one with each message.
  std::uint8_t flags, first_flags, last_flags;
};

struct Kernels {
  std::size_t lanes;
  /// One block; the new chaining value may be the old one's place.
  void (*compress)(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
                   std::uint8_t flags, std::uint32_t* out);
  /// The chaining values of all messages, 32 bytes each.
  void (*hash_many)(const Messages&, const std::uint32_t* key, std::uint8_t* out);
  /// `count` blocks of 64 bytes of extended output from `counter` on.
  void (*expand)(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
                 std::uint8_t flags, std::uint8_t* out, std::size_t count);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kSse41, kAvx2, kAvx512;
#endif

}  // namespace grove::hashing::blake3
