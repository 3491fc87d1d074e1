#include "grove/security/crypto/key-management/crypto.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace grove::key_management::crypto {

void start() {
  if (sodium_init() < 0) std::abort();
}

void random(std::span<std::byte> output) { randombytes_buf(output.data(), output.size()); }

std::array<std::byte, 32> sha256(Bytes input) {
  std::array<std::byte, 32> digest;
  crypto_hash_sha256(out(digest), in(input), input.size());
  return digest;
}

std::array<std::byte, 32> hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, in(key), key.size());
  for (const Bytes part : parts) crypto_auth_hmacsha256_update(&state, in(part), part.size());
  std::array<std::byte, 32> mac;
  crypto_auth_hmacsha256_final(&state, out(mac));
  sodium_memzero(&state, sizeof state);
  return mac;
}

Secret<32> hkdf_sha256(Bytes key, Bytes salt, std::string_view info) {
  constexpr std::byte kFirst{1};
  auto extracted = hmac_sha256(salt, {key});
  auto expanded = hmac_sha256(extracted, {as_bytes(info), Bytes(&kFirst, 1)});
  Secret<32> result;
  std::ranges::copy(expanded, result.begin());
  wipe(extracted);
  wipe(expanded);
  return result;
}

bool x25519(std::span<std::byte, 32> shared, std::span<const std::byte, 32> secret,
            std::span<const std::byte, 32> point) {
  return crypto_scalarmult(out(shared), in(secret), in(point)) == 0;
}

std::array<std::byte, 32> x25519_public(std::span<const std::byte, 32> secret) {
  std::array<std::byte, 32> point;
  crypto_scalarmult_base(out(point), in(secret));
  return point;
}

WrappedKey wrap_key(std::span<const std::byte, 32> key, const FileKey& file_key, std::span<const std::byte, 12> nonce) {
  WrappedKey wrapped;
  crypto_aead_chacha20poly1305_ietf_encrypt(out(wrapped), nullptr, in(file_key), file_key.size(), nullptr, 0, nullptr,
                                            in(nonce), in(key));
  return wrapped;
}

std::optional<FileKey> unwrap_key(std::span<const std::byte, 32> key, std::span<const std::byte, 32> wrapped,
                                  std::span<const std::byte, 12> nonce) {
  FileKey file_key;
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out(file_key), nullptr, nullptr, in(wrapped), wrapped.size(), nullptr,
                                                0, in(nonce), in(key)) != 0)
    return std::nullopt;
  return file_key;
}

namespace {

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Two characters for every 12 bits.
struct EncodeTable {
  char pairs[4096][2];
  constexpr EncodeTable() : pairs() {
    for (std::size_t i = 0; i < 4096; ++i) {
      pairs[i][0] = kBase64[i >> 6];
      pairs[i][1] = kBase64[i & 63];
    }
  }
};
constexpr EncodeTable kEncode;

/// The value of a character at each of the four places; bit 24 marks an
/// invalid one.
struct DecodeTable {
  std::uint32_t value[4][256];
  constexpr DecodeTable() : value() {
    for (std::size_t place = 0; place < 4; ++place) {
      for (auto& v : value[place]) v = 1u << 24;
      for (std::uint32_t i = 0; i < 64; ++i)
        value[place][static_cast<unsigned char>(kBase64[i])] = i << (18 - 6 * place);
    }
  }
};
constexpr DecodeTable kDecode;

}  // namespace

std::size_t base64_size(std::size_t bytes, bool padded) noexcept {
  return padded ? (bytes + 2) / 3 * 4 : bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

void base64_encode(Bytes input, char* output, bool padded) noexcept {
  const auto* p = in(input);
  std::size_t left = input.size();
  for (; left >= 3; left -= 3, p += 3, output += 4) {
    const std::uint32_t word = std::uint32_t{p[0]} << 16 | std::uint32_t{p[1]} << 8 | p[2];
    std::memcpy(output, kEncode.pairs[word >> 12], 2);
    std::memcpy(output + 2, kEncode.pairs[word & 0xfff], 2);
  }
  if (left == 0) return;
  const std::uint32_t word = std::uint32_t{p[0]} << 16 | (left == 2 ? std::uint32_t{p[1]} << 8 : 0);
  *output++ = kBase64[word >> 18];
  *output++ = kBase64[word >> 12 & 63];
  if (left == 2) *output++ = kBase64[word >> 6 & 63];
  if (padded) std::fill_n(output, left == 2 ? 1 : 2, '=');
}

std::string base64(Bytes input) {
  std::string text(base64_size(input.size(), false), '\0');
  base64_encode(input, text.data(), false);
  return text;
}

std::optional<std::size_t> base64_decode(std::string_view text, std::byte* output, bool padded) noexcept {
  if (padded) {
    if (text.size() % 4 != 0) return std::nullopt;
    if (text.ends_with('=')) text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const first = output;
  std::uint32_t bad = 0;
  std::size_t left = text.size();
  for (; left >= 4; left -= 4, p += 4, output += 3) {
    const std::uint32_t word =
        kDecode.value[0][p[0]] | kDecode.value[1][p[1]] | kDecode.value[2][p[2]] | kDecode.value[3][p[3]];
    bad |= word;
    output[0] = static_cast<std::byte>(word >> 16);
    output[1] = static_cast<std::byte>(word >> 8);
    output[2] = static_cast<std::byte>(word);
  }
  if (left == 1) return std::nullopt;
  if (left > 1) {
    const std::uint32_t word =
        kDecode.value[0][p[0]] | kDecode.value[1][p[1]] | (left == 3 ? kDecode.value[2][p[2]] : 0);
    bad |= word;
    if ((word & (left == 3 ? 0xff : 0xffff)) != 0) return std::nullopt;  // bits that encode nothing
    *output++ = static_cast<std::byte>(word >> 16);
    if (left == 3) *output++ = static_cast<std::byte>(word >> 8);
  }
  if ((bad >> 24) != 0) return std::nullopt;
  return static_cast<std::size_t>(output - first);
}

std::optional<std::vector<std::byte>> base64_decode(std::string_view text) {
  std::vector<std::byte> bytes(text.size() * 3 / 4);
  const auto size = base64_decode(text, bytes.data(), false);
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

namespace {

constexpr std::string_view kBech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

constexpr std::uint32_t bech32_step(std::uint32_t checksum, std::uint32_t value) noexcept {
  constexpr std::uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  const std::uint32_t top = checksum >> 25;
  checksum = (checksum & 0x1ffffff) << 5 ^ value;
  for (unsigned i = 0; i < 5; ++i)
    if ((top >> i & 1) != 0) checksum ^= kGenerator[i];
  return checksum;
}

std::uint32_t bech32_prefix(std::string_view lower) noexcept {
  std::uint32_t checksum = 1;
  for (const char c : lower) checksum = bech32_step(checksum, static_cast<unsigned char>(c) >> 5);
  checksum = bech32_step(checksum, 0);
  for (const char c : lower) checksum = bech32_step(checksum, static_cast<unsigned char>(c) & 31);
  return checksum;
}

constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr char to_lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr char to_upper(char c) { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::size_t bech32_size(std::string_view prefix, std::size_t bytes) noexcept {
  return prefix.size() + 1 + (bytes * 8 + 4) / 5 + 6;
}

void bech32_encode(std::string_view prefix, Bytes data, bool upper, std::span<char> output) {
  std::uint32_t checksum = bech32_prefix(prefix);
  std::size_t at = prefix.size();
  std::copy(prefix.begin(), prefix.end(), output.begin());
  output[at++] = '1';
  const auto put = [&](std::uint32_t value) {
    checksum = bech32_step(checksum, value);
    output[at++] = kBech32[value];
  };
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::byte byte : data) {
    bits = (bits << 8 | std::to_integer<std::uint32_t>(byte)) & 0xfff;
    for (count += 8; count >= 5; count -= 5) put(bits >> (count - 5) & 31);
  }
  if (count > 0) put(bits << (5 - count) & 31);
  for (int i = 0; i < 6; ++i) checksum = bech32_step(checksum, 0);
  checksum ^= 1;
  for (unsigned i = 0; i < 6; ++i) output[at++] = kBech32[checksum >> (5 * (5 - i)) & 31];
  if (upper) std::ranges::transform(output, output.begin(), to_upper);
}

Result<Bech32> bech32_decode(std::string_view text) {
  if (std::ranges::any_of(text, is_upper) && std::ranges::any_of(text, is_lower))
    return fail(Errc::parse, "the key mixes upper and lower case");
  const std::size_t separator = text.rfind('1');
  if (separator == std::string_view::npos || separator == 0 || text.size() - separator < 7)
    return fail(Errc::parse, "the text is no Bech32 key");
  std::string prefix(text.substr(0, separator));
  if (std::ranges::any_of(prefix, [](char c) { return c < 33 || c > 126; }))
    return fail(Errc::parse, "the key's prefix has an invalid character");
  std::string lower = prefix;
  std::ranges::transform(lower, lower.begin(), to_lower);
  std::uint32_t checksum = bech32_prefix(lower);
  const std::string_view body = text.substr(separator + 1);
  SecretBuffer data((body.size() - 6) * 5 / 8);
  std::size_t at = 0;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const std::size_t value = kBech32.find(to_lower(body[i]));
    if (value == std::string_view::npos) return fail(Errc::parse, "the key has an invalid character");
    checksum = bech32_step(checksum, static_cast<std::uint32_t>(value));
    if (i + 6 >= body.size()) continue;
    bits = (bits << 5 | static_cast<std::uint32_t>(value)) & 0xfff;
    if ((count += 5) >= 8) data.bytes()[at++] = static_cast<std::byte>(bits >> (count -= 8));
  }
  if (checksum != 1) return fail(Errc::parse, "the key's checksum is wrong; a character may be missing or mistyped");
  if (count >= 5 || (bits & ((1u << count) - 1)) != 0) return fail(Errc::parse, "the key ends in stray bits");
  return Bech32{std::move(prefix), std::move(data)};
}

}  // namespace grove::key_management::crypto
