#include <bit>

#include "grove/chain/cryptography/hashing/blake3_wide.hpp"

namespace grove::hashing::blake3 {
namespace {

GROVE_INLINE std::uint32_t little(std::uint32_t x) {
  if constexpr (std::endian::native == std::endian::big) return __builtin_bswap32(x);
  return x;
}

GROVE_INLINE void state(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
                        std::uint8_t flags, std::uint32_t* v) {
  std::uint32_t m[16];
  std::memcpy(m, block, sizeof m);
  for (std::uint32_t& word : m) word = little(word);
  for (std::size_t i = 0; i < 8; ++i) v[i] = cv[i];
  for (std::size_t i = 0; i < 4; ++i) v[8 + i] = kIv[i];
  v[12] = static_cast<std::uint32_t>(counter);
  v[13] = static_cast<std::uint32_t>(counter >> 32);
  v[14] = length;
  v[15] = flags;
  rounds<Lanes1>(v, m);
}

void compress(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
              std::uint8_t flags, std::uint32_t* out) {
  std::uint32_t v[16];
  state(cv, block, length, counter, flags, v);
  for (std::size_t i = 0; i < 8; ++i) out[i] = v[i] ^ v[i + 8];
}

void hash_many(const Messages& messages, const std::uint32_t* key, std::uint8_t* out) {
  for (std::size_t i = 0; i < messages.count; ++i) {
    std::uint32_t cv[8];
    std::memcpy(cv, key, sizeof cv);
    for (std::size_t block = 0; block < messages.blocks; ++block) {
      unsigned flags = messages.flags;
      if (block == 0) flags |= messages.first_flags;
      if (block + 1 == messages.blocks) flags |= messages.last_flags;
      compress(cv, messages.data + (i * messages.blocks + block) * kBlock, kBlock,
               messages.counter + (messages.counts ? i : 0), static_cast<std::uint8_t>(flags), cv);
    }
    for (std::uint32_t& word : cv) word = little(word);
    std::memcpy(out + i * kCv, cv, kCv);
  }
}

void expand(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
            std::uint8_t flags, std::uint8_t* out, std::size_t count) {
  for (std::size_t n = 0; n < count; ++n) {
    std::uint32_t v[16];
    state(cv, block, length, counter + n, flags, v);
    for (std::size_t i = 0; i < 8; ++i) {
      v[i] = little(v[i] ^ v[i + 8]);
      v[i + 8] = little(v[i + 8] ^ cv[i]);
    }
    std::memcpy(out + n * kBlock, v, kBlock);
  }
}

}  // namespace

const Kernels kPortable = {1, compress, hash_many, expand};

}  // namespace grove::hashing::blake3
