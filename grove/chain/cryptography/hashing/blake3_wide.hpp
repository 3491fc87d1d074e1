#pragma once

// Private to BLAKE3's kernels: several messages at once, one in each lane, and
// one message over four lanes. Sections as in the BLAKE3 paper (O'Connor,
// Aumasson, Neves, Wilcox-O'Hearn, 2020).

#include "grove/chain/cryptography/hashing/blake3_kernels.hpp"
#include "grove/chain/cryptography/hashing/lanes.hpp"

namespace grove::hashing::blake3 {
namespace {

/// Section 2.2: the message words in the order in which each round takes them.
struct Schedule {
  std::uint8_t at[7][16] = {};
  constexpr Schedule() {
    constexpr std::uint8_t kPermutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
    for (std::uint8_t i = 0; i < 16; ++i) at[0][i] = i;
    for (int r = 1; r < 7; ++r)
      for (int i = 0; i < 16; ++i) at[r][i] = at[r - 1][kPermutation[i]];
  }
};
constexpr Schedule kSchedule;

/// A step for four columns (Turn 0) or four diagonals (Turn 1) of the state.
/// Each line is done for all four before the next starts, and `keep` holds the
/// compiler to that: its own order leaves the vector units idle a quarter of the
/// time.
template <class V, std::size_t Turn, int D, int B>
GROVE_INLINE void mix(typename V::R* v, const typename V::R* m, const std::uint8_t* order, std::size_t half) {
  using R = typename V::R;
  const auto all = [&](auto&& step) __attribute__((always_inline)) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      R &a = v[i], &b = v[4 + (i + Turn) % 4], &c = v[8 + (i + 2 * Turn) % 4], &d = v[12 + (i + 3 * Turn) % 4];
      V::keep(step(a, b, c, d, m[order[8 * Turn + 2 * i + half]]));
    });
  };
#define GROVE_STEP(to, value)                                                          \
  all([](R& a, R& b, R& c, R& d, const R& word) __attribute__((always_inline)) -> R& { \
    (void)a, (void)b, (void)c, (void)d, (void)word;                                    \
    return to = value;                                                                 \
  })
  GROVE_STEP(a, V::add(a, word));
  GROVE_STEP(a, V::add(a, b));
  GROVE_STEP(d, V::exor(d, a));
  GROVE_STEP(d, V::template ror<D>(d));
  GROVE_STEP(c, V::add(c, d));
  GROVE_STEP(b, V::exor(b, c));
  GROVE_STEP(b, V::template ror<B>(b));
#undef GROVE_STEP
}

template <class V>
GROVE_INLINE void rounds(typename V::R* v, const typename V::R* m) {
  unroll<7>([&](auto r) __attribute__((always_inline)) {
    mix<V, 0, 16, 12>(v, m, kSchedule.at[r], 0);
    mix<V, 0, 8, 7>(v, m, kSchedule.at[r], 1);
    mix<V, 1, 16, 12>(v, m, kSchedule.at[r], 0);
    mix<V, 1, 8, 7>(v, m, kSchedule.at[r], 1);
  });
}

/// V::kLanes messages, or fewer, with the last one in all lanes that are left.
template <class V>
void hash_lanes(const Messages& messages, const std::uint32_t* key, std::uint8_t* out) {
  using R = typename V::R;
  constexpr std::size_t kLanes = V::kLanes;
  const std::uint8_t* input[kLanes];
  alignas(64) std::uint32_t low[kLanes], high[kLanes];
  const std::uint8_t* next = messages.data;
  for (std::size_t i = 0; i < kLanes; ++i) {
    input[i] = next;
    if (i + 1 < messages.count) next += messages.blocks * kBlock;
    const std::uint64_t counter = messages.counter + (messages.counts ? i : 0);
    low[i] = static_cast<std::uint32_t>(counter);
    high[i] = static_cast<std::uint32_t>(counter >> 32);
  }
  R h[8];
  unroll<8>([&](auto i) __attribute__((always_inline)) { h[i] = V::set(key[i]); });
  for (std::size_t block = 0; block < messages.blocks; ++block) {
    unsigned flags = messages.flags;
    if (block == 0) flags |= messages.first_flags;
    if (block + 1 == messages.blocks) flags |= messages.last_flags;
    // Sixteen streams are more than the CPU's own prefetching follows.
    for (std::size_t i = 0; i < kLanes; ++i) __builtin_prefetch(input[i] + block * kBlock + 512);
    R m[16];
    unroll<16 / kLanes>([&](auto part) __attribute__((always_inline)) {
      V::load_transposed(input, block * kBlock + 4 * kLanes * part, m + kLanes * part);
    });
    R v[16];
    unroll<8>([&](auto i) __attribute__((always_inline)) { v[i] = h[i]; });
    unroll<4>([&](auto i) __attribute__((always_inline)) { v[8 + i] = V::set(kIv[i]); });
    v[12] = V::load(low);
    v[13] = V::load(high);
    v[14] = V::set(kBlock);
    v[15] = V::set(flags);
    rounds<V>(v, m);
    unroll<8>([&](auto i) __attribute__((always_inline)) { h[i] = V::exor(v[i], v[i + 8]); });
  }
  if constexpr (kLanes == 4) {
    V::transpose(h);
    V::transpose(h + 4);
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      V::store(out + 32 * i, h[i]);
      V::store(out + 32 * i + 16, h[i + 4]);
    });
  } else if constexpr (kLanes == 8) {
    V::transpose(h);
    unroll<8>([&](auto i) __attribute__((always_inline)) { V::store(out + 32 * i, h[i]); });
  } else {
    R t[16];
    unroll<16>([&](auto i) __attribute__((always_inline)) { t[i] = h[i % 8]; });
    V::transpose(t);
    alignas(64) std::uint8_t row[64];
    for (std::size_t i = 0; i < 16; ++i) {
      V::store(row, t[i]);
      std::memcpy(out + 32 * i, row, 32);
    }
  }
}

/// All messages: full lanes first, then what is left in fewer lanes, or with
/// lanes idle where that is cheaper, one by one at the end.
template <class V, class... Narrower>
void hash_rest(const Kernels& kernels, Messages messages, const std::uint32_t* key, std::uint8_t* out) {
  const auto skip = [&](std::size_t count) {
    messages.data += count * messages.blocks * kBlock;
    messages.count -= count;
    if (messages.counts) messages.counter += count;
    out += count * kCv;
  };
  while (messages.count >= V::kLanes) {
    hash_lanes<V>(messages, key, out);
    skip(V::kLanes);
  }
  if (messages.count > V::kLanes / 2) {
    std::uint8_t all[V::kLanes * kCv];
    hash_lanes<V>(messages, key, all);
    std::memcpy(out, all, messages.count * kCv);
    return;
  }
  if constexpr (sizeof...(Narrower) > 0) {
    if (messages.count > 0) hash_rest<Narrower...>(kernels, messages, key, out);
  } else {
    for (; messages.count > 0; skip(1)) {
      std::uint32_t cv[8];
      std::memcpy(cv, key, sizeof cv);
      for (std::size_t block = 0; block < messages.blocks; ++block) {
        unsigned flags = messages.flags;
        if (block == 0) flags |= messages.first_flags;
        if (block + 1 == messages.blocks) flags |= messages.last_flags;
        kernels.compress(cv, messages.data + block * kBlock, kBlock, messages.counter, static_cast<std::uint8_t>(flags),
                         cv);
      }
      std::memcpy(out, cv, kCv);
    }
  }
}

/// Extended output (section 2.6), V::kLanes blocks at once, the last ones of a
/// short run thrown away.
template <class V>
void expand_lanes(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length, std::uint64_t counter,
                  std::uint8_t flags, std::uint8_t* out, std::size_t count) {
  using R = typename V::R;
  constexpr std::size_t kLanes = V::kLanes;
  std::uint32_t words[16];
  std::memcpy(words, block, sizeof words);
  while (count > 0) {
    alignas(64) std::uint32_t low[kLanes], high[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
      low[i] = static_cast<std::uint32_t>(counter + i);
      high[i] = static_cast<std::uint32_t>((counter + i) >> 32);
    }
    R v[16], m[16];
    unroll<16>([&](auto i) __attribute__((always_inline)) { m[i] = V::set(words[i]); });
    unroll<8>([&](auto i) __attribute__((always_inline)) { v[i] = V::set(cv[i]); });
    unroll<4>([&](auto i) __attribute__((always_inline)) { v[8 + i] = V::set(kIv[i]); });
    v[12] = V::load(low);
    v[13] = V::load(high);
    v[14] = V::set(length);
    v[15] = V::set(flags);
    rounds<V>(v, m);
    unroll<8>([&](auto i) __attribute__((always_inline)) {
      v[i] = V::exor(v[i], v[i + 8]);
      v[i + 8] = V::exor(v[i + 8], V::set(cv[i]));
    });
    alignas(64) std::uint8_t all[kLanes * kBlock];
    unroll<16 / kLanes>([&](auto part) __attribute__((always_inline)) {
      V::transpose(v + kLanes * part);
      unroll<kLanes>([&](auto i) __attribute__((always_inline)) {
        V::store(all + i * kBlock + 4 * kLanes * part, v[kLanes * part + i]);
      });
    });
    const std::size_t some = count < kLanes ? count : kLanes;
    std::memcpy(out, all, some * kBlock);
    out += some * kBlock;
    count -= some;
    counter += some;
  }
}

#if defined(__SSE4_1__)
/// One block with a row of the state in each register. On diagonals the rows a,
/// c and d turn, not b, which is the last to be ready.
GROVE_INLINE void compress_rows(const std::uint32_t* cv, const std::uint8_t* block, std::uint8_t length,
                                std::uint64_t counter, std::uint8_t flags, std::uint32_t* out) {
  using V = Lanes4;
  const auto pick = [](__m128i x, __m128i y, auto control) __attribute__((always_inline)) {
    return _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(x), _mm_castsi128_ps(y), decltype(control)::value));
  };
#define GROVE_PICK(x, y, a, b, c, d) pick(x, y, std::integral_constant<int, (a) | (b) << 2 | (c) << 4 | (d) << 6>{})
#define GROVE_TURN(x, a, b, c, d) _mm_shuffle_epi32(x, (a) | (b) << 2 | (c) << 4 | (d) << 6)
  const __m128i l0 = V::load(block), l1 = V::load(block + 16), l2 = V::load(block + 32), l3 = V::load(block + 48);
  // the words that the columns and then the diagonals take
  __m128i m0 = GROVE_PICK(l0, l1, 0, 2, 0, 2), m1 = GROVE_PICK(l0, l1, 1, 3, 1, 3);
  __m128i m2 = GROVE_PICK(l2, l3, 0, 2, 0, 2), m3 = GROVE_PICK(l2, l3, 1, 3, 1, 3);
  m2 = GROVE_TURN(m2, 3, 0, 1, 2);
  m3 = GROVE_TURN(m3, 3, 0, 1, 2);
  __m128i a = V::load(cv), b = V::load(cv + 4), c = V::load(kIv);
  __m128i d = _mm_set_epi32(flags, length, static_cast<int>(counter >> 32), static_cast<int>(counter));
  const auto step = [&](__m128i mx, __m128i my) __attribute__((always_inline)) {
    a = V::add(V::add(a, mx), b);
    d = V::ror<16>(V::exor(d, a));
    c = V::add(c, d);
    b = V::ror<12>(V::exor(b, c));
    a = V::add(V::add(a, my), b);
    d = V::ror<8>(V::exor(d, a));
    c = V::add(c, d);
    b = V::ror<7>(V::exor(b, c));
  };
  unroll<7>([&](auto r) __attribute__((always_inline)) {
    step(m0, m1);
    a = GROVE_TURN(a, 3, 0, 1, 2);
    d = GROVE_TURN(d, 2, 3, 0, 1);
    c = GROVE_TURN(c, 1, 2, 3, 0);
    step(m2, m3);
    a = GROVE_TURN(a, 1, 2, 3, 0);
    d = GROVE_TURN(d, 2, 3, 0, 1);
    c = GROVE_TURN(c, 3, 0, 1, 2);
    if constexpr (r < 6) {  // the permutation, on words in this order
      const __m128i n0 = GROVE_PICK(m0, m1, 1, 2, 1, 3);
      const __m128i n1 = GROVE_PICK(m0, _mm_blend_epi16(m2, m3, 0xc0), 3, 0, 2, 3);
      const __m128i left = _mm_blend_epi16(m3, m2, 0xc0);
      const __m128i n2 = GROVE_PICK(_mm_unpacklo_epi32(left, m1), left, 0, 1, 3, 1);
      const __m128i n3 = GROVE_PICK(m2, _mm_unpackhi_epi32(m3, m1), 1, 0, 0, 1);
      m0 = GROVE_TURN(n0, 0, 2, 3, 1);
      m1 = GROVE_TURN(n1, 0, 2, 1, 3);
      m2 = n2;
      m3 = GROVE_TURN(n3, 0, 2, 3, 1);
    }
  });
#undef GROVE_PICK
#undef GROVE_TURN
  V::store(out, V::exor(a, c));
  V::store(out + 4, V::exor(b, d));
}
#endif

}  // namespace
}  // namespace grove::hashing::blake3
