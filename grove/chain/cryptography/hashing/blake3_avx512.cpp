#if defined(__x86_64__)
#include "grove/chain/cryptography/hashing/blake3_wide.hpp"

namespace grove::hashing::blake3 {
namespace {

void compress(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
              std::uint8_t flags, std::uint32_t* out) {
  compress_rows(cv, block, length, counter, flags, out);
}

void hash_many(const Messages& messages, const std::uint32_t* key, std::uint8_t* out) {
  hash_rest<Lanes16, Lanes8, Lanes4>(kAvx512, messages, key, out);
}

}  // namespace

const Kernels kAvx512 = {16, compress, hash_many, expand_lanes<Lanes16>};

}  // namespace grove::hashing::blake3
#endif
