#if defined(__x86_64__)
#include "grove/chain/cryptography/hashing/sha256_wide.hpp"

namespace grove::hashing::sha256_impl {

std::size_t hash64_avx512(const std::uint8_t* in, std::size_t count, bool twice, std::uint8_t* out) {
  return hash64_lanes<Lanes16>(in, count, twice, out);
}

}  // namespace grove::hashing::sha256_impl
#endif
