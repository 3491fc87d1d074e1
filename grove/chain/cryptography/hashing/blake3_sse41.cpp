#if defined(__x86_64__)
#include "grove/chain/cryptography/hashing/blake3_wide.hpp"

namespace grove::hashing::blake3 {
namespace {

void compress(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
              std::uint8_t flags, std::uint32_t* out) {
  compress_rows(cv, block, length, counter, flags, out);
}

void hash_many(const Messages& messages, const std::uint32_t* key, std::uint8_t* out) {
  hash_rest<Lanes4>(kSse41, messages, key, out);
}

}  // namespace

const Kernels kSse41 = {4, compress, hash_many, expand_lanes<Lanes4>};

}  // namespace grove::hashing::blake3
#endif
