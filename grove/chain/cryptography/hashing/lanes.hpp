#pragma once

// Private to the kernels: 1, 4, 8 or 16 words of 32 bits as one value. Included
// by files that are compiled for different instruction sets, hence the unnamed
// namespace: nothing of it may be shared between them.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define GROVE_INLINE inline __attribute__((always_inline))

namespace grove::hashing {
namespace {

// keep(x): x is in a register here, and what is kept stays in the order in which
// it is written; no instruction.

/// Calls function(0), function(1), … with constants.
template <std::size_t Count, class Function>
GROVE_INLINE void unroll(Function&& function) {
  [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
    (function(std::integral_constant<std::size_t, I>{}), ...);
  }(std::make_index_sequence<Count>{});
}

struct Lanes1 {
  using R = std::uint32_t;
  static constexpr std::size_t kLanes = 1;
  static GROVE_INLINE void keep(R&) {}
  static GROVE_INLINE R set(std::uint32_t x) { return x; }
  static GROVE_INLINE R add(R a, R b) { return a + b; }
  static GROVE_INLINE R exor(R a, R b) { return a ^ b; }
  template <int N>
  static GROVE_INLINE R ror(R a) {
    return a >> N | a << (32 - N);
  }
  template <int N>
  static GROVE_INLINE R shr(R a) {
    return a >> N;
  }
  static GROVE_INLINE R exor3(R a, R b, R c) { return a ^ b ^ c; }
  static GROVE_INLINE R choose(R a, R b, R c) { return ((b ^ c) & a) ^ c; }
  static GROVE_INLINE R majority(R a, R b, R c) { return (a & b) | ((a | b) & c); }
};

#if defined(__SSE4_1__)
struct Lanes4 {
  using R = __m128i;
  static constexpr std::size_t kLanes = 4;
  static GROVE_INLINE R load(const void* p) { return _mm_loadu_si128(static_cast<const R*>(p)); }
  static GROVE_INLINE void store(void* p, R a) { _mm_storeu_si128(static_cast<R*>(p), a); }
  static GROVE_INLINE void keep(R& a) { asm volatile("" : "+x"(a)); }
  static GROVE_INLINE R set(std::uint32_t x) { return _mm_set1_epi32(static_cast<int>(x)); }
  static GROVE_INLINE R add(R a, R b) { return _mm_add_epi32(a, b); }
  static GROVE_INLINE R exor(R a, R b) { return _mm_xor_si128(a, b); }
  template <int N>
  static GROVE_INLINE R ror(R a) {
#if defined(__AVX512VL__)
    return _mm_ror_epi32(a, N);
#else
    if constexpr (N == 16) return _mm_shuffle_epi8(a, _mm_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302));
    if constexpr (N == 8) return _mm_shuffle_epi8(a, _mm_set_epi64x(0x0c0f0e0d080b0a09, 0x0407060500030201));
    return _mm_or_si128(_mm_srli_epi32(a, N), _mm_slli_epi32(a, 32 - N));
#endif
  }
  static GROVE_INLINE void transpose(R* r) {
    const R a = _mm_unpacklo_epi32(r[0], r[1]), b = _mm_unpackhi_epi32(r[0], r[1]);
    const R c = _mm_unpacklo_epi32(r[2], r[3]), d = _mm_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm_unpacklo_epi64(a, c), r[1] = _mm_unpackhi_epi64(a, c);
    r[2] = _mm_unpacklo_epi64(b, d), r[3] = _mm_unpackhi_epi64(b, d);
  }
  /// m[j]: word j after `offset` of each lane's input.
  static GROVE_INLINE void load_transposed(const std::uint8_t* const* input, std::size_t offset, R* m) {
    unroll<kLanes>([&](auto i) __attribute__((always_inline)) { m[i] = load(input[i] + offset); });
    transpose(m);
  }
};
#endif

#if defined(__AVX2__)
struct Lanes8 {
  using R = __m256i;
  static constexpr std::size_t kLanes = 8;
  static GROVE_INLINE R load(const void* p) { return _mm256_loadu_si256(static_cast<const R*>(p)); }
  static GROVE_INLINE void store(void* p, R a) { _mm256_storeu_si256(static_cast<R*>(p), a); }
  static GROVE_INLINE void keep(R& a) { asm volatile("" : "+x"(a)); }
  static GROVE_INLINE R set(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static GROVE_INLINE R add(R a, R b) { return _mm256_add_epi32(a, b); }
  static GROVE_INLINE R exor(R a, R b) { return _mm256_xor_si256(a, b); }
  template <int N>
  static GROVE_INLINE R ror(R a) {
#if defined(__AVX512VL__)
    return _mm256_ror_epi32(a, N);
#else
    if constexpr (N == 16)
      return _mm256_shuffle_epi8(a,
                                 _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302)));
    if constexpr (N == 8)
      return _mm256_shuffle_epi8(a,
                                 _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0f0e0d080b0a09, 0x0407060500030201)));
    return _mm256_or_si256(_mm256_srli_epi32(a, N), _mm256_slli_epi32(a, 32 - N));
#endif
  }
  template <int N>
  static GROVE_INLINE R shr(R a) {
    return _mm256_srli_epi32(a, N);
  }
  static GROVE_INLINE R exor3(R a, R b, R c) { return exor(exor(a, b), c); }
  static GROVE_INLINE R choose(R a, R b, R c) { return exor(_mm256_and_si256(exor(b, c), a), c); }
  static GROVE_INLINE R majority(R a, R b, R c) {
    return _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(_mm256_or_si256(a, b), c));
  }
  static GROVE_INLINE R swap_bytes(R a) {
    return _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)));
  }
  static GROVE_INLINE void transpose(R* r) {
    R a[8], b[8];
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
      a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    });
    unroll<2>([&](auto i) __attribute__((always_inline)) {
      b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
      b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
      b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
      b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    });
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
      r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    });
  }
  /// As above. Inserting from memory leaves the one port that shuffles alone.
  static GROVE_INLINE void load_transposed(const std::uint8_t* const* input, std::size_t offset, R* m) {
    const auto part = [&](std::size_t lane, std::size_t at) __attribute__((always_inline)) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(input[lane] + offset + at));
    };
    unroll<2>([&](auto k) __attribute__((always_inline)) {
      R t[4];  // words 4 k to 4 k + 3 of lanes j and j + 4
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        t[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(part(j, 16 * k)), part(j + 4, 16 * k), 1);
      });
      const R a = _mm256_unpacklo_epi32(t[0], t[1]), b = _mm256_unpackhi_epi32(t[0], t[1]);
      const R c = _mm256_unpacklo_epi32(t[2], t[3]), d = _mm256_unpackhi_epi32(t[2], t[3]);
      m[4 * k] = _mm256_unpacklo_epi64(a, c), m[4 * k + 1] = _mm256_unpackhi_epi64(a, c);
      m[4 * k + 2] = _mm256_unpacklo_epi64(b, d), m[4 * k + 3] = _mm256_unpackhi_epi64(b, d);
    });
  }
};
#endif

#if defined(__AVX512F__)
struct Lanes16 {
  using R = __m512i;
  static constexpr std::size_t kLanes = 16;
  static GROVE_INLINE R load(const void* p) { return _mm512_loadu_si512(p); }
  static GROVE_INLINE void store(void* p, R a) { _mm512_storeu_si512(p, a); }
  static GROVE_INLINE void keep(R& a) { asm volatile("" : "+v"(a)); }
  static GROVE_INLINE R set(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static GROVE_INLINE R add(R a, R b) { return _mm512_add_epi32(a, b); }
  static GROVE_INLINE R exor(R a, R b) { return _mm512_xor_si512(a, b); }
  template <int N>
  static GROVE_INLINE R ror(R a) {
    return _mm512_ror_epi32(a, N);
  }
  template <int N>
  static GROVE_INLINE R shr(R a) {
    return _mm512_srli_epi32(a, N);
  }
  static GROVE_INLINE R exor3(R a, R b, R c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
  static GROVE_INLINE R choose(R a, R b, R c) { return _mm512_ternarylogic_epi32(a, b, c, 0xca); }
  static GROVE_INLINE R majority(R a, R b, R c) { return _mm512_ternarylogic_epi32(a, b, c, 0xe8); }
  static GROVE_INLINE R swap_bytes(R a) {
    return _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)));
  }
  static GROVE_INLINE void transpose(R* r) {
    R a[16], b[16];
    unroll<8>([&](auto i) __attribute__((always_inline)) {
      a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
      a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    });
    // b[4 k + j]: in each quarter q, word 4 q + j of rows 4 k to 4 k + 3
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
      b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
      b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
      b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    });
    unroll<4>([&](auto j) __attribute__((always_inline)) {
      const R even01 = _mm512_shuffle_i32x4(b[j], b[j + 4], 0x88), odd01 = _mm512_shuffle_i32x4(b[j], b[j + 4], 0xdd);
      const R even23 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0x88);
      const R odd23 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0xdd);
      r[j] = _mm512_shuffle_i32x4(even01, even23, 0x88);
      r[j + 4] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
      r[j + 8] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
      r[j + 12] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
    });
  }
  /// As above. Inserting from memory leaves the one port that shuffles alone.
  static GROVE_INLINE void load_transposed(const std::uint8_t* const* input, std::size_t offset, R* m) {
    R t[16], u[16];
    const auto part = [&](std::size_t lane, std::size_t at) __attribute__((always_inline)) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(input[lane] + offset + at));
    };
    // t[4 k + j]: words 4 k to 4 k + 3 of lanes j, j + 4, j + 8, j + 12
    unroll<16>([&](auto i) __attribute__((always_inline)) {
      constexpr std::size_t j = i % 4, at = i / 4 * 16;
      R r = _mm512_castsi128_si512(part(j, at));
      r = _mm512_inserti32x4(r, part(j + 4, at), 1);
      r = _mm512_inserti32x4(r, part(j + 8, at), 2);
      t[i] = _mm512_inserti32x4(r, part(j + 12, at), 3);
    });
    unroll<4>([&](auto k) __attribute__((always_inline)) {
      u[4 * k] = _mm512_unpacklo_epi32(t[4 * k], t[4 * k + 1]);
      u[4 * k + 1] = _mm512_unpackhi_epi32(t[4 * k], t[4 * k + 1]);
      u[4 * k + 2] = _mm512_unpacklo_epi32(t[4 * k + 2], t[4 * k + 3]);
      u[4 * k + 3] = _mm512_unpackhi_epi32(t[4 * k + 2], t[4 * k + 3]);
      m[4 * k] = _mm512_unpacklo_epi64(u[4 * k], u[4 * k + 2]);
      m[4 * k + 1] = _mm512_unpackhi_epi64(u[4 * k], u[4 * k + 2]);
      m[4 * k + 2] = _mm512_unpacklo_epi64(u[4 * k + 1], u[4 * k + 3]);
      m[4 * k + 3] = _mm512_unpackhi_epi64(u[4 * k + 1], u[4 * k + 3]);
    });
  }
};
#endif

}  // namespace
}  // namespace grove::hashing
