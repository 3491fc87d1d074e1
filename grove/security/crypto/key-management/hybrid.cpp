#include "grove/security/crypto/key-management/hybrid.hpp"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace grove::key_management::hybrid {
namespace {

using crypto::Bytes;

/// SHA-3 and SHAKE (FIPS 202) of the parts, one after the other.
void keccak(const EVP_MD* kind, std::initializer_list<Bytes> parts, std::span<std::byte> digest) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  bool good = context != nullptr && EVP_DigestInit_ex(context.get(), kind, nullptr) == 1;
  for (const Bytes part : parts) good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  good = good && ((EVP_MD_get_flags(kind) & EVP_MD_FLAG_XOF) != 0
                      ? EVP_DigestFinalXOF(context.get(), crypto::out(digest), digest.size()) == 1
                      : EVP_DigestFinal_ex(context.get(), crypto::out(digest), nullptr) == 1);
  if (!good) std::abort();  // out of memory; there is no other way to fail
}

}  // namespace

namespace mlkem768 {
namespace {

// Polynomials over Z_q with 256 coefficients, always reduced to [0, q). All
// arithmetic on secrets is free of branches and divisions (KyberSlash).
constexpr std::uint32_t kQ = 3329;
constexpr std::size_t kRank = 3;
using Poly = std::array<std::uint16_t, 256>;
using Vector = std::array<Poly, kRank>;

constexpr std::uint16_t below_2q(std::uint32_t x) noexcept {
  x -= kQ;
  return static_cast<std::uint16_t>(x + (kQ & (0 - (x >> 31))));
}
/// Barrett: x below 2^24.
constexpr std::uint16_t reduce(std::uint32_t x) noexcept {
  return below_2q(x - static_cast<std::uint32_t>(std::uint64_t{x} * 5039 >> 24) * kQ);
}
constexpr std::uint16_t add(std::uint32_t a, std::uint32_t b) noexcept { return below_2q(a + b); }
constexpr std::uint16_t sub(std::uint32_t a, std::uint32_t b) noexcept { return below_2q(a + kQ - b); }
constexpr std::uint16_t mul(std::uint32_t a, std::uint32_t b) noexcept { return reduce(a * b); }

/// 17^bitreverse7(i), and 17^(2 bitreverse7(i) + 1) (FIPS 203, appendix A).
struct Zetas {
  std::array<std::uint16_t, 128> power{};
  std::array<std::uint16_t, 128> odd{};
  constexpr Zetas() {
    std::array<std::uint16_t, 256> of{};
    of[0] = 1;
    for (std::size_t i = 1; i < 256; ++i) of[i] = mul(of[i - 1], 17);
    for (std::size_t i = 0; i < 128; ++i) {
      std::size_t reversed = 0;
      for (unsigned bit = 0; bit < 7; ++bit) reversed |= (i >> bit & 1) << (6 - bit);
      power[i] = of[reversed];
      odd[i] = of[2 * reversed + 1];
    }
  }
};
constexpr Zetas kZetas;

void ntt(Poly& f) noexcept {
  std::size_t k = 1;
  for (std::size_t length = 128; length >= 2; length /= 2) {
    for (std::size_t start = 0; start < 256; start += 2 * length) {
      const std::uint16_t zeta = kZetas.power[k++];
      for (std::size_t j = start; j < start + length; ++j) {
        const std::uint16_t t = mul(zeta, f[j + length]);
        f[j + length] = sub(f[j], t);
        f[j] = add(f[j], t);
      }
    }
  }
}

void inverse_ntt(Poly& f) noexcept {
  std::size_t k = 127;
  for (std::size_t length = 2; length <= 128; length *= 2) {
    for (std::size_t start = 0; start < 256; start += 2 * length) {
      const std::uint16_t zeta = kZetas.power[k--];
      for (std::size_t j = start; j < start + length; ++j) {
        const std::uint16_t t = f[j];
        f[j] = add(t, f[j + length]);
        f[j + length] = mul(zeta, sub(f[j + length], t));
      }
    }
  }
  for (auto& c : f) c = mul(c, 3303);  // 1/128
}

/// sum += a * b, in the NTT domain.
void multiply_add(Poly& sum, const Poly& a, const Poly& b) noexcept {
  for (std::size_t i = 0; i < 128; ++i) {
    const std::uint32_t a0 = a[2 * i], a1 = a[2 * i + 1], b0 = b[2 * i], b1 = b[2 * i + 1];
    sum[2 * i] = add(sum[2 * i], add(mul(a0, b0), mul(mul(a1, b1), kZetas.odd[i])));
    sum[2 * i + 1] = add(sum[2 * i + 1], add(mul(a0, b1), mul(a1, b0)));
  }
}

Poly product(const Vector& a, const Vector& b) noexcept {
  Poly sum{};
  for (std::size_t i = 0; i < kRank; ++i) multiply_add(sum, a[i], b[i]);
  return sum;
}

void add_to(Poly& a, const Poly& b) noexcept {
  for (std::size_t i = 0; i < 256; ++i) a[i] = add(a[i], b[i]);
}

/// Uniform in the NTT domain out of SHAKE128 (algorithm 7). Eight blocks hold
/// 896 candidates, each taken with 81 %: that they don't suffice is beyond 2^-400.
Poly sample_uniform(Bytes rho, std::uint8_t first, std::uint8_t second) {
  const std::array<std::byte, 2> index{std::byte{first}, std::byte{second}};
  std::array<std::byte, std::size_t{168} * 8> stream;
  keccak(EVP_shake128(), {rho, index}, stream);
  Poly f{};
  std::size_t count = 0;
  for (std::size_t i = 0; i + 3 <= stream.size() && count < 256; i += 3) {
    const auto b0 = std::to_integer<std::uint16_t>(stream[i]);
    const auto b1 = std::to_integer<std::uint16_t>(stream[i + 1]);
    const auto b2 = std::to_integer<std::uint16_t>(stream[i + 2]);
    const auto d1 = static_cast<std::uint16_t>(b0 | (b1 & 15) << 8);
    const auto d2 = static_cast<std::uint16_t>(b1 >> 4 | b2 << 4);
    if (d1 < kQ) f[count++] = d1;
    if (d2 < kQ && count < 256) f[count++] = d2;
  }
  return f;
}

/// Small, centred binomial with eta = 2 (algorithm 8), out of PRF(key, nonce).
Poly sample_small(std::span<const std::byte, 32> key, std::uint8_t nonce) {
  const std::byte last{nonce};
  Secret<128> stream;
  keccak(EVP_shake256(), {key, Bytes(&last, 1)}, stream);
  Poly f;
  for (std::size_t i = 0; i < 128; ++i) {
    const auto byte = std::to_integer<std::uint32_t>(stream[i]);
    const std::uint32_t pairs = (byte & 0x55) + (byte >> 1 & 0x55);
    f[2 * i] = sub(pairs & 3, pairs >> 2 & 3);
    f[2 * i + 1] = sub(pairs >> 4 & 3, pairs >> 6);
  }
  return f;
}

/// round(2^bits / q * x) mod 2^bits, by a reciprocal that is exact here.
constexpr std::uint32_t compress(std::uint32_t x, unsigned bits) noexcept {
  constexpr std::uint64_t kReciprocal = (std::uint64_t{1} << 36) / kQ + 1;
  const std::uint64_t scaled = (std::uint64_t{x} << bits) + kQ / 2;
  return static_cast<std::uint32_t>(scaled * kReciprocal >> 36) & ((1u << bits) - 1);
}
constexpr bool compress_is_exact(unsigned bits) {
  for (std::uint32_t x = 0; x < kQ; ++x)
    if (compress(x, bits) != ((x << bits) + kQ / 2) / kQ % (1u << bits)) return false;
  return true;
}
static_assert(compress_is_exact(1) && compress_is_exact(4) && compress_is_exact(10));
constexpr std::uint16_t decompress(std::uint32_t x, unsigned bits) noexcept {
  return static_cast<std::uint16_t>((x * kQ + (1u << (bits - 1))) >> bits);
}

template <class Map>
void encode(const Poly& f, unsigned bits, std::span<std::byte> out, Map map) noexcept {
  std::uint32_t held = 0;
  unsigned count = 0;
  std::size_t at = 0;
  for (const std::uint16_t c : f) {
    held |= map(c) << count;
    for (count += bits; count >= 8; count -= 8, held >>= 8) out[at++] = static_cast<std::byte>(held);
  }
}
template <class Map>
Poly decode(Bytes in, unsigned bits, Map map) noexcept {
  Poly f;
  std::uint32_t held = 0;
  unsigned count = 0;
  std::size_t at = 0;
  for (auto& c : f) {
    for (; count < bits; count += 8) held |= std::to_integer<std::uint32_t>(in[at++]) << count;
    c = map(held & ((1u << bits) - 1));
    held >>= bits;
    count -= bits;
  }
  return f;
}

constexpr std::size_t kPolySize = 384;  ///< At 12 bits a coefficient.
void encode_vector(const Vector& v, std::span<std::byte> out) noexcept {
  for (std::size_t i = 0; i < kRank; ++i)
    encode(v[i], 12, out.subspan(i * kPolySize, kPolySize), [](std::uint32_t c) { return c; });
}
Vector decode_vector(Bytes in) noexcept {
  Vector v;
  for (std::size_t i = 0; i < kRank; ++i)
    v[i] = decode(in.subspan(i * kPolySize, kPolySize), 12, [](std::uint32_t c) { return reduce(c); });
  return v;
}

/// K-PKE.Encrypt (algorithm 14).
void encrypt(std::span<const std::byte, kEncapsulationKeySize> key, std::span<const std::byte, 32> message,
             std::span<const std::byte, 32> randomness, std::span<std::byte, kCiphertextSize> ciphertext) {
  const Vector t = decode_vector(key);
  const Bytes rho = key.last<32>();
  Vector y;
  for (std::size_t i = 0; i < kRank; ++i) {
    y[i] = sample_small(randomness, static_cast<std::uint8_t>(i));
    ntt(y[i]);
  }
  for (std::size_t i = 0; i < kRank; ++i) {
    Vector column;
    for (std::size_t j = 0; j < kRank; ++j)
      column[j] = sample_uniform(rho, static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(j));
    Poly u = product(column, y);
    inverse_ntt(u);
    add_to(u, sample_small(randomness, static_cast<std::uint8_t>(kRank + i)));
    encode(u, 10, ciphertext.subspan(i * 320, 320), [](std::uint32_t c) { return compress(c, 10); });
  }
  Poly v = product(t, y);
  inverse_ntt(v);
  add_to(v, sample_small(randomness, 2 * kRank));
  add_to(v, decode(message, 1, [](std::uint32_t c) { return decompress(c, 1); }));
  encode(v, 4, ciphertext.last<128>(), [](std::uint32_t c) { return compress(c, 4); });
  wipe(std::as_writable_bytes(std::span(y)));
}

}  // namespace

void generate(std::span<const std::byte, 64> seed, std::span<std::byte, kEncapsulationKeySize> encapsulation_key,
              std::span<std::byte, kDecapsulationKeySize> decapsulation_key) {
  constexpr std::byte kRankByte{kRank};
  Secret<64> expanded;
  keccak(EVP_sha3_512(), {seed.first<32>(), Bytes(&kRankByte, 1)}, expanded);
  const auto rho = std::span(expanded).first<32>();
  const auto sigma = std::span<const std::byte, 64>(expanded).last<32>();
  Vector s;
  for (std::size_t i = 0; i < kRank; ++i) {
    s[i] = sample_small(sigma, static_cast<std::uint8_t>(i));
    ntt(s[i]);
  }
  Vector t;
  for (std::size_t i = 0; i < kRank; ++i) {
    Vector row;
    for (std::size_t j = 0; j < kRank; ++j)
      row[j] = sample_uniform(rho, static_cast<std::uint8_t>(j), static_cast<std::uint8_t>(i));
    t[i] = sample_small(sigma, static_cast<std::uint8_t>(kRank + i));
    ntt(t[i]);
    add_to(t[i], product(row, s));
  }
  encode_vector(t, encapsulation_key.first<3 * kPolySize>());
  std::ranges::copy(rho, encapsulation_key.last<32>().begin());
  encode_vector(s, decapsulation_key.first<3 * kPolySize>());
  std::ranges::copy(encapsulation_key, decapsulation_key.begin() + 3 * kPolySize);
  keccak(EVP_sha3_256(), {encapsulation_key}, decapsulation_key.subspan<3 * kPolySize + kEncapsulationKeySize, 32>());
  std::ranges::copy(seed.last<32>(), decapsulation_key.last<32>().begin());
  wipe(std::as_writable_bytes(std::span(s)));
}

bool valid(std::span<const std::byte, kEncapsulationKeySize> encapsulation_key) {
  std::array<std::byte, 3 * kPolySize> again;
  encode_vector(decode_vector(encapsulation_key), again);
  return std::ranges::equal(again, encapsulation_key.first<3 * kPolySize>());
}

Secret<32> encapsulate(std::span<const std::byte, kEncapsulationKeySize> encapsulation_key,
                       std::span<const std::byte, 32> message, std::span<std::byte, kCiphertextSize> ciphertext) {
  std::array<std::byte, 32> hash;
  keccak(EVP_sha3_256(), {encapsulation_key}, hash);
  Secret<64> both;  // the shared key, then the randomness
  keccak(EVP_sha3_512(), {message, hash}, both);
  encrypt(encapsulation_key, message, std::span<const std::byte, 64>(both).last<32>(), ciphertext);
  Secret<32> shared;
  std::copy_n(both.begin(), 32, shared.begin());
  return shared;
}

Secret<32> decapsulate(std::span<const std::byte, kDecapsulationKeySize> decapsulation_key,
                       std::span<const std::byte, kCiphertextSize> ciphertext) {
  const auto encapsulation_key = decapsulation_key.subspan<3 * kPolySize, kEncapsulationKeySize>();
  const auto hash = decapsulation_key.subspan<3 * kPolySize + kEncapsulationKeySize, 32>();
  Vector s = decode_vector(decapsulation_key.first<3 * kPolySize>());
  Vector u;
  for (std::size_t i = 0; i < kRank; ++i) {
    u[i] = decode(ciphertext.subspan(i * 320, 320), 10, [](std::uint32_t c) { return decompress(c, 10); });
    ntt(u[i]);
  }
  Poly w = product(s, u);
  inverse_ntt(w);
  const Poly v = decode(ciphertext.last<128>(), 4, [](std::uint32_t c) { return decompress(c, 4); });
  for (std::size_t i = 0; i < 256; ++i) w[i] = sub(v[i], w[i]);
  Secret<32> message;
  encode(w, 1, message, [](std::uint32_t c) { return compress(c, 1); });

  Secret<64> both;
  keccak(EVP_sha3_512(), {message, hash}, both);
  Secret<32> rejected;
  keccak(EVP_shake256(), {decapsulation_key.last<32>(), ciphertext}, rejected);
  std::array<std::byte, kCiphertextSize> again;
  encrypt(encapsulation_key, message, std::span<const std::byte, 64>(both).last<32>(), again);
  // In constant time: the rejection key when the ciphertext isn't the one that the message gives.
  const auto same = static_cast<std::byte>(sodium_memcmp(again.data(), ciphertext.data(), again.size()));
  Secret<32> shared;
  for (std::size_t i = 0; i < 32; ++i) shared[i] = (both[i] & ~same) | (rejected[i] & same);
  wipe(std::as_writable_bytes(std::span(s)));
  wipe(std::as_writable_bytes(std::span(w)));
  return shared;
}

}  // namespace mlkem768

namespace {

struct Keys {
  std::array<std::byte, mlkem768::kEncapsulationKeySize> encapsulation_key;
  Secret<mlkem768::kDecapsulationKeySize> decapsulation_key;
  Secret<32> x25519;
};

void expand(std::span<const std::byte, 32> seed, Keys& keys) {
  Secret<96> expanded;
  keccak(EVP_shake256(), {seed}, expanded);
  const std::span<const std::byte, 96> parts(expanded);
  mlkem768::generate(parts.first<64>(), keys.encapsulation_key, keys.decapsulation_key);
  std::ranges::copy(parts.last<32>(), keys.x25519.begin());
}

Secret<32> combine(Bytes mlkem, Bytes x25519, Bytes share, Bytes public_key) {
  constexpr std::string_view kLabel = R"(\.//^\)";
  Secret<32> shared;
  keccak(EVP_sha3_256(), {mlkem, x25519, share, public_key, as_bytes(kLabel)}, shared);
  return shared;
}

/// The key and the nonce of HPKE's first message (RFC 9180, 5.1).
struct Schedule {
  Secret<32> key;
  std::array<std::byte, 12> nonce;
};

Schedule schedule(const Secret<32>& shared) {
  constexpr std::string_view kInfo = "age-encryption.org/mlkem768x25519";
  // "HPKE-v1", then the suite: "HPKE", KEM 0x647a, HKDF-SHA256, ChaCha20Poly1305.
  constexpr std::string_view kSuite("HPKE-v1HPKE\x64\x7a\x00\x01\x00\x03", 17);
  constexpr std::string_view kOne("\x01", 1);
  const auto extract = [&](Bytes salt, std::string_view label, std::string_view input) {
    return crypto::hmac_sha256(salt, {as_bytes(kSuite), as_bytes(label), as_bytes(input)});
  };
  const std::array<std::byte, 1> mode{};
  const auto id = extract({}, "psk_id_hash", "");
  const auto info = extract({}, "info_hash", kInfo);
  auto secret = extract(shared, "secret", "");
  const auto expanded = [&](std::string_view size, std::string_view label) {
    return crypto::hmac_sha256(secret,
                               {as_bytes(size), as_bytes(kSuite), as_bytes(label), mode, id, info, as_bytes(kOne)});
  };
  auto key = expanded(std::string_view("\x00\x20", 2), "key");
  const auto nonce = expanded(std::string_view("\x00\x0c", 2), "base_nonce");
  Schedule result;
  std::ranges::copy(key, result.key.begin());
  std::copy_n(nonce.begin(), 12, result.nonce.begin());
  wipe(key);
  wipe(secret);
  return result;
}

}  // namespace

bool valid(const PublicKey& key) { return mlkem768::valid(std::span(key).first<mlkem768::kEncapsulationKeySize>()); }

PublicKey public_key(std::span<const std::byte, 32> seed) {
  Keys keys;
  expand(seed, keys);
  PublicKey key;
  std::ranges::copy(keys.encapsulation_key, key.begin());
  std::ranges::copy(crypto::x25519_public(keys.x25519), key.begin() + keys.encapsulation_key.size());
  return key;
}

Result<Sealed> seal(const PublicKey& key, const FileKey& file_key) {
  const std::span<const std::byte, kPublicSize> parts(key);
  Sealed sealed;
  const auto out = std::span(sealed.encapsulated);
  Secret<32> message, ephemeral, x25519;
  crypto::random(message);
  crypto::random(ephemeral);
  const auto mlkem = mlkem768::encapsulate(parts.first<mlkem768::kEncapsulationKeySize>(), message,
                                           out.first<mlkem768::kCiphertextSize>());
  const auto share = crypto::x25519_public(ephemeral);
  std::ranges::copy(share, out.last<32>().begin());
  if (!crypto::x25519(x25519, ephemeral, parts.last<32>()))
    return fail(Errc::invalid_argument, "the recipient's key is a point of low order");
  const auto [wrap_key, nonce] = schedule(combine(mlkem, x25519, share, parts.last<32>()));
  sealed.wrapped = crypto::wrap_key(wrap_key, file_key, nonce);
  return sealed;
}

Result<std::optional<FileKey>> open(std::span<const std::byte, 32> seed, const Encapsulated& encapsulated,
                                    std::span<const std::byte, 32> wrapped) {
  Keys keys;
  expand(seed, keys);
  const std::span<const std::byte, kEncapsulatedSize> parts(encapsulated);
  Secret<32> x25519;
  if (!crypto::x25519(x25519, keys.x25519, parts.last<32>()))
    return fail(Errc::parse, "header: the mlkem768x25519 stanza's share is a point of low order");
  const auto mlkem = mlkem768::decapsulate(keys.decapsulation_key, parts.first<mlkem768::kCiphertextSize>());
  const auto [key, nonce] = schedule(combine(mlkem, x25519, parts.last<32>(), crypto::x25519_public(keys.x25519)));
  return crypto::unwrap_key(key, wrapped, nonce);
}

}  // namespace grove::key_management::hybrid
