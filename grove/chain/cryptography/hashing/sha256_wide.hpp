#pragma once

// Private to SHA-256's kernels: one message in each lane.

#include "grove/chain/cryptography/hashing/lanes.hpp"
#include "grove/chain/cryptography/hashing/sha256_kernels.hpp"

namespace grove::hashing::sha256_impl {
namespace {

template <class V>
GROVE_INLINE void round(typename V::R* s, std::size_t i, typename V::R wk) {
  using R = typename V::R;
  // s turns by one place with each round instead of its values
  R &a = s[(64 - i) % 8], &b = s[(65 - i) % 8], &c = s[(66 - i) % 8], &d = s[(67 - i) % 8];
  R &e = s[(68 - i) % 8], &f = s[(69 - i) % 8], &g = s[(70 - i) % 8], &h = s[(71 - i) % 8];
  const R big1 = V::exor3(V::template ror<6>(e), V::template ror<11>(e), V::template ror<25>(e));
  const R t1 = V::add(V::add(h, wk), V::add(big1, V::choose(e, f, g)));
  const R big0 = V::exor3(V::template ror<2>(a), V::template ror<13>(a), V::template ror<22>(a));
  d = V::add(d, t1);
  h = V::add(t1, V::add(big0, V::majority(a, b, c)));
}

/// One block, whose 16 words it uses up.
template <class V>
GROVE_INLINE void block(typename V::R* state, typename V::R* w) {
  using R = typename V::R;
  R s[8];
  unroll<8>([&](auto i) __attribute__((always_inline)) { s[i] = state[i]; });
  unroll<64>([&](auto i) __attribute__((always_inline)) {
    if constexpr (i >= 16) {
      const R x = w[(i + 1) % 16], y = w[(i + 14) % 16];
      const R small0 = V::exor3(V::template ror<7>(x), V::template ror<18>(x), V::template shr<3>(x));
      const R small1 = V::exor3(V::template ror<17>(y), V::template ror<19>(y), V::template shr<10>(y));
      w[i % 16] = V::add(V::add(w[i % 16], small0), V::add(w[(i + 9) % 16], small1));
    }
    round<V>(s, i, V::add(w[i % 16], V::set(kRound[i])));
  });
  unroll<8>([&](auto i) __attribute__((always_inline)) { state[i] = V::add(state[i], s[i]); });
}

/// From the 16 words of each lane's message to the 8 words of its digest.
template <class V>
GROVE_INLINE void hash64_words(typename V::R* w, bool twice, typename V::R* state) {
  using R = typename V::R;
  unroll<8>([&](auto i) __attribute__((always_inline)) { state[i] = V::set(kInitial[i]); });
  block<V>(state, w);
  R s[8];
  unroll<8>([&](auto i) __attribute__((always_inline)) { s[i] = state[i]; });
  unroll<64>([&](auto i) __attribute__((always_inline)) { round<V>(s, i, V::set(kPadding.at[i])); });
  unroll<8>([&](auto i) __attribute__((always_inline)) { state[i] = V::add(state[i], s[i]); });
  if (!twice) return;
  unroll<8>([&](auto i) __attribute__((always_inline)) {
    w[i] = state[i];
    w[i + 8] = V::set(i == 0 ? 0x80000000 : i == 7 ? 256 : 0);
    state[i] = V::set(kInitial[i]);
  });
  block<V>(state, w);
}

template <class V>
std::size_t hash64_lanes(const std::uint8_t* in, std::size_t count, bool twice, std::uint8_t* out) {
  using R = typename V::R;
  constexpr std::size_t kLanes = V::kLanes;
  std::size_t done = 0;
  for (; done + kLanes <= count; done += kLanes, in += 64 * kLanes, out += 32 * kLanes) {
    R w[16], state[16];
    unroll<16 / kLanes>([&](auto part) __attribute__((always_inline)) {
      unroll<kLanes>([&](auto i) __attribute__((always_inline)) {
        w[kLanes * part + i] = V::swap_bytes(V::load(in + 64 * i + 4 * kLanes * part));
      });
      V::transpose(w + kLanes * part);
    });
    hash64_words<V>(w, twice, state);
    unroll<8>([&](auto i) __attribute__((always_inline)) { state[i + 8] = state[i] = V::swap_bytes(state[i]); });
    V::transpose(state);
    alignas(64) std::uint8_t row[4 * kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
      V::store(row, state[i]);
      std::memcpy(out + 32 * i, row, 32);
    }
  }
  return done;
}

}  // namespace
}  // namespace grove::hashing::sha256_impl
