#if defined(__x86_64__)
// SHA-256 by the CPU's SHA instructions. Their latency bounds one message, so
// short ones are hashed two at a time.

#include "grove/chain/cryptography/hashing/lanes.hpp"
#include "grove/chain/cryptography/hashing/sha256_kernels.hpp"

namespace grove::hashing::sha256_impl {
namespace {

GROVE_INLINE __m128i load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
GROVE_INLINE void store(void* p, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
GROVE_INLINE __m128i swap_bytes(__m128i x) {
  return _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

/// The instructions want the state as the words a b e f and c d g h, high to low.
struct State {
  __m128i abef, cdgh;
};
GROVE_INLINE State pack(__m128i dcba, __m128i hgfe) {
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}
GROVE_INLINE void unpack(const State& s, __m128i& dcba, __m128i& hgfe) {
  const __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
  dcba = _mm_blend_epi16(feba, dchg, 0xf0);
  hgfe = _mm_alignr_epi8(dchg, feba, 8);
}
GROVE_INLINE State initial() { return pack(load(kInitial), load(kInitial + 4)); }

GROVE_INLINE void four_rounds(State& s, __m128i wk) {
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, wk);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/// One block for each of Ways states; m[4 * way] are its words, used up.
template <std::size_t Ways>
GROVE_INLINE void block(State* states, __m128i* m) {
  State s[Ways];
  unroll<Ways>([&](auto way) __attribute__((always_inline)) { s[way] = states[way]; });
  unroll<16>([&](auto i) __attribute__((always_inline)) {
    const __m128i k = load(kRound + 4 * i);
    unroll<Ways>([&](auto way) __attribute__((always_inline)) {
      __m128i* const w = m + 4 * way;
      if constexpr (i >= 4)
        w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]),
                                                      _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4)),
                                        w[(i + 3) % 4]);
      four_rounds(s[way], _mm_add_epi32(w[i % 4], k));
    });
  });
  unroll<Ways>([&](auto way) __attribute__((always_inline)) {
    states[way].abef = _mm_add_epi32(states[way].abef, s[way].abef);
    states[way].cdgh = _mm_add_epi32(states[way].cdgh, s[way].cdgh);
  });
}

template <std::size_t Ways>
GROVE_INLINE void hash64(const std::uint8_t* in, bool twice, std::uint8_t* out) {
  State states[Ways];
  __m128i m[4 * Ways];
  unroll<Ways>([&](auto way) __attribute__((always_inline)) {
    states[way] = initial();
    unroll<4>([&](auto i)
                  __attribute__((always_inline)) { m[4 * way + i] = swap_bytes(load(in + 64 * way + 16 * i)); });
  });
  block<Ways>(states, m);
  State s[Ways];
  unroll<Ways>([&](auto way) __attribute__((always_inline)) { s[way] = states[way]; });
  unroll<16>([&](auto i) __attribute__((always_inline)) {
    const __m128i wk = load(kPadding.at + 4 * i);
    unroll<Ways>([&](auto way) __attribute__((always_inline)) { four_rounds(s[way], wk); });
  });
  unroll<Ways>([&](auto way) __attribute__((always_inline)) {
    states[way].abef = _mm_add_epi32(states[way].abef, s[way].abef);
    states[way].cdgh = _mm_add_epi32(states[way].cdgh, s[way].cdgh);
  });
  if (twice) {
    unroll<Ways>([&](auto way) __attribute__((always_inline)) {
      unpack(states[way], m[4 * way], m[4 * way + 1]);
      m[4 * way + 2] = _mm_set_epi32(0, 0, 0, static_cast<int>(0x80000000));
      m[4 * way + 3] = _mm_set_epi32(256, 0, 0, 0);
      states[way] = initial();
    });
    block<Ways>(states, m);
  }
  unroll<Ways>([&](auto way) __attribute__((always_inline)) {
    __m128i dcba, hgfe;
    unpack(states[way], dcba, hgfe);
    store(out + 32 * way, swap_bytes(dcba));
    store(out + 32 * way + 16, swap_bytes(hgfe));
  });
}

}  // namespace

void compress_ni(std::uint32_t* state, const std::uint8_t* blocks, std::size_t count) {
  State s = pack(load(state), load(state + 4));
  for (; count > 0; --count, blocks += 64) {
    __m128i m[4];
    unroll<4>([&](auto i) __attribute__((always_inline)) { m[i] = swap_bytes(load(blocks + 16 * i)); });
    block<1>(&s, m);
  }
  __m128i dcba, hgfe;
  unpack(s, dcba, hgfe);
  store(state, dcba);
  store(state + 4, hgfe);
}

std::size_t hash64_ni(const std::uint8_t* in, std::size_t count, bool twice, std::uint8_t* out) {
  std::size_t done = 0;
  for (; done + 2 <= count; done += 2) hash64<2>(in + 64 * done, twice, out + 32 * done);
  if (done < count) hash64<1>(in + 64 * done, twice, out + 32 * done);
  return count;
}

}  // namespace grove::hashing::sha256_impl
#endif
