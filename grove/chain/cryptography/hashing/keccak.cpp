#include "grove/chain/cryptography/hashing/keccak.hpp"

#include <bit>
#include <utility>

namespace grove::hashing {
namespace {

constexpr std::uint64_t kRound[24] = {0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
                                      0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
                                      0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
                                      0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
                                      0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
                                      0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

/// rho's rotation of lane x + 5 y (FIPS 202, table 2).
constexpr int kRho[25] = {0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14};

/// theta, rho, pi, chi and iota from one state to another.
inline __attribute__((always_inline)) void round(const std::uint64_t* a, std::uint64_t* e, std::uint64_t constant) {
  std::uint64_t c[5], d[5];
  [&]<std::size_t... X>(std::index_sequence<X...>) __attribute__((always_inline)) {
    ((c[X] = a[X] ^ a[X + 5] ^ a[X + 10] ^ a[X + 15] ^ a[X + 20]), ...);
    ((d[X] = c[(X + 4) % 5] ^ std::rotl(c[(X + 1) % 5], 1)), ...);
    const auto plane = [&]<std::size_t Y>(std::integral_constant<std::size_t, Y>) __attribute__((always_inline)) {
      // pi brings lane (x, y) from (x + 3 y, x)
      const std::uint64_t b[5] = {
          std::rotl(a[5 * X + (X + 3 * Y) % 5] ^ d[(X + 3 * Y) % 5], kRho[5 * X + (X + 3 * Y) % 5])...};
      ((e[5 * Y + X] = b[X] ^ (~b[(X + 1) % 5] & b[(X + 2) % 5])), ...);
    };
    (plane(std::integral_constant<std::size_t, X>{}), ...);
  }(std::make_index_sequence<5>{});
  e[0] ^= constant;
}

inline __attribute__((always_inline)) void permute(std::uint64_t* state) {
  std::uint64_t a[25], e[25];
  std::memcpy(a, state, sizeof a);
  for (std::size_t i = 0; i < 24; i += 2) {
    round(a, e, kRound[i]);
    round(e, a, kRound[i + 1]);
  }
  std::memcpy(state, a, sizeof a);
}

#if defined(__x86_64__)
// and-not and rotations that leave their operand alone
__attribute__((target("bmi,bmi2"))) void permute_bmi(std::uint64_t* state) { permute(state); }
#endif

}  // namespace

void keccak_f1600(std::uint64_t* state) noexcept {
#if defined(__x86_64__)
  static const bool bmi = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (bmi) return permute_bmi(state);
#endif
  permute(state);
}

}  // namespace grove::hashing
