#include "grove/chain/cryptography/hashing/sha256.hpp"

#include <algorithm>
#include <bit>

#include "grove/chain/cryptography/hashing/sha256_wide.hpp"

namespace grove::hashing {

namespace sha256_impl {

namespace {

std::uint32_t load_big(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}
void store_big(std::uint8_t* p, const std::uint32_t* words) {
  for (std::size_t i = 0; i < 32; ++i) p[i] = static_cast<std::uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
}

Compress compressor(Isa isa) {
#if defined(__x86_64__)
  static const bool ni = supported(Isa::sha_ni);
  if (ni && (isa == Isa::automatic || isa == Isa::sha_ni)) return compress_ni;
#endif
  (void)isa;
  return compress_portable;
}

void hash64(std::span<const std::byte> data, std::span<Sha256::Digest> digests, Isa isa, bool twice) {
  const auto* in = reinterpret_cast<const std::uint8_t*>(data.data());
  auto* out = reinterpret_cast<std::uint8_t*>(digests.data());
  std::size_t count = std::min(data.size() / 64, digests.size());
  [[maybe_unused]] const auto run = [&](Hash64 hash) {
    const std::size_t done = hash(in, count, twice, out);
    in += 64 * done;
    out += 32 * done;
    count -= done;
  };
#if defined(__x86_64__)
  static const bool avx512 = supported(Isa::avx512), ni = supported(Isa::sha_ni), avx2 = supported(Isa::avx2);
  const bool automatic = isa == Isa::automatic;
  if (avx512 && (automatic || isa == Isa::avx512)) run(hash64_avx512);
  if (ni && (automatic || isa == Isa::sha_ni)) run(hash64_ni);
  if (avx2 && (automatic || isa == Isa::avx2)) run(hash64_avx2);
#endif
  run(hash64_portable);
}

}  // namespace

void compress_portable(std::uint32_t* state, const std::uint8_t* blocks, std::size_t count) {
  for (; count > 0; --count, blocks += 64) {
    std::uint32_t w[16];
    for (std::size_t i = 0; i < 16; ++i) w[i] = load_big(blocks + 4 * i);
    block<Lanes1>(state, w);
  }
}

std::size_t hash64_portable(const std::uint8_t* in, std::size_t count, bool twice, std::uint8_t* out) {
  for (std::size_t n = 0; n < count; ++n) {
    std::uint32_t w[16], state[8];
    for (std::size_t i = 0; i < 16; ++i) w[i] = load_big(in + 64 * n + 4 * i);
    hash64_words<Lanes1>(w, twice, state);
    store_big(out + 32 * n, state);
  }
  return count;
}

}  // namespace sha256_impl

using namespace sha256_impl;

namespace {

/// The end of a message: `rest` bytes below 64, then the padding and the length.
Sha256::Digest close(Compress compress, std::uint32_t* state, const std::uint8_t* data, std::uint64_t size) {
  std::uint8_t tail[128] = {};
  const auto rest = static_cast<std::size_t>(size % 64);
  if (rest > 0) std::memcpy(tail, data, rest);
  tail[rest] = 0x80;
  const std::size_t blocks = rest < 56 ? 1 : 2;
  const std::uint64_t bits = size << 3;
  for (std::size_t i = 0; i < 8; ++i) tail[64 * blocks - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
  compress(state, tail, blocks);
  Sha256::Digest digest;
  store_big(reinterpret_cast<std::uint8_t*>(digest.data()), state);
  return digest;
}

}  // namespace

Sha256::Sha256(Isa isa) noexcept : compress_(compressor(isa)) { std::memcpy(state_, kInitial, sizeof state_); }

void Sha256::update(std::span<const std::byte> input) noexcept {
  const auto* data = reinterpret_cast<const std::uint8_t*>(input.data());
  std::size_t size = input.size();
  if (size == 0) return;
  const auto held = static_cast<std::size_t>(size_ % 64);
  size_ += size;
  if (held > 0) {
    const std::size_t some = std::min(size, 64 - held);
    std::memcpy(block_ + held, data, some);
    if (held + some < 64) return;
    compress_(state_, block_, 1);
    data += some;
    size -= some;
  }
  if (size >= 64) compress_(state_, data, size / 64);
  if (size % 64 > 0) std::memcpy(block_, data + size / 64 * 64, size % 64);
}

Sha256::Digest Sha256::finish() const noexcept {
  std::uint32_t state[8];
  std::memcpy(state, state_, sizeof state);
  return close(compress_, state, block_, size_);
}

Sha256::Digest Sha256::hash(std::span<const std::byte> input, Isa isa) noexcept {
  const auto* data = reinterpret_cast<const std::uint8_t*>(input.data());
  if (input.size() == 64) {
    Digest digest;
    hash64(input, {&digest, 1}, isa, false);
    return digest;
  }
  const Compress compress = compressor(isa);
  std::uint32_t state[8];
  std::memcpy(state, kInitial, sizeof state);
  const std::size_t whole = input.size() / 64;
  if (whole > 0) compress(state, data, whole);
  return close(compress, state, whole > 0 ? data + 64 * whole : data, input.size());
}

void sha256_64(std::span<const std::byte> data, std::span<Sha256::Digest> digests, Isa isa) noexcept {
  hash64(data, digests, isa, false);
}
void sha256d_64(std::span<const std::byte> data, std::span<Sha256::Digest> digests, Isa isa) noexcept {
  hash64(data, digests, isa, true);
}

}  // namespace grove::hashing
