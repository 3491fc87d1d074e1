#pragma once

// The primitives that the format names, over libsodium, in the shapes that the
// rest of this folder wants. Not a public face.

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/base/text.hpp"
#include "grove/security/crypto/key-management/secret.hpp"

namespace grove::key_management::crypto {

using Bytes = std::span<const std::byte>;

// The libraries' headers forbid null, which an empty span may hold.
inline const unsigned char* in(Bytes bytes) noexcept {
  static constexpr unsigned char kNothing = 0;
  return bytes.empty() ? &kNothing : reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* out(std::span<std::byte> bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

/// Starts libsodium; every entry point that may come first calls it.
void start();

void random(std::span<std::byte> out);
std::array<std::byte, 32> sha256(Bytes input);
/// Over the parts, one after the other.
std::array<std::byte, 32> hmac_sha256(Bytes key, std::initializer_list<Bytes> parts);
/// RFC 5869, one block. An empty salt is allowed.
Secret<32> hkdf_sha256(Bytes key, Bytes salt, std::string_view info);

/// X25519 (RFC 7748); false when the shared secret is all zeros.
bool x25519(std::span<std::byte, 32> shared, std::span<const std::byte, 32> secret,
            std::span<const std::byte, 32> point);
std::array<std::byte, 32> x25519_public(std::span<const std::byte, 32> secret);

/// A file key under ChaCha20-Poly1305 (RFC 8439); without a nonce it is zero,
/// for keys that are used once.
using WrappedKey = std::array<std::byte, 32>;
WrappedKey wrap_key(std::span<const std::byte, 32> key, const FileKey& file_key,
                    std::span<const std::byte, 12> nonce = std::array<std::byte, 12>{});
std::optional<FileKey> unwrap_key(std::span<const std::byte, 32> key, std::span<const std::byte, 32> wrapped,
                                  std::span<const std::byte, 12> nonce = std::array<std::byte, 12>{});

/// RFC 4648, section 4. `padded`: with `=`. Decoding takes canonical text only.
std::size_t base64_size(std::size_t bytes, bool padded) noexcept;
void base64_encode(Bytes input, char* output, bool padded) noexcept;
std::string base64(Bytes input);  ///< Unpadded.
/// Bytes written, or nothing when the text isn't canonical. `output` holds at
/// least text.size() * 3 / 4 bytes.
std::optional<std::size_t> base64_decode(std::string_view text, std::byte* output, bool padded) noexcept;
std::optional<std::vector<std::byte>> base64_decode(std::string_view text);
template <std::size_t kSize>
std::optional<std::array<std::byte, kSize>> base64_decode_exactly(std::string_view text) {
  if (text.size() != base64_size(kSize, false)) return std::nullopt;
  std::array<std::byte, kSize + 2> bytes;
  if (base64_decode(text, bytes.data(), false) != kSize) return std::nullopt;
  std::array<std::byte, kSize> result;
  std::copy_n(bytes.begin(), kSize, result.begin());
  return result;
}

/// BIP 173 without its limit on length. The human-readable part is lower case;
/// `upper` puts all of the text in upper case.
void bech32_encode(std::string_view prefix, Bytes data, bool upper, std::span<char> output);
std::size_t bech32_size(std::string_view prefix, std::size_t bytes) noexcept;
struct Bech32 {
  std::string prefix;  ///< In the case that the text has.
  SecretBuffer data;
};
Result<Bech32> bech32_decode(std::string_view text);

}  // namespace grove::key_management::crypto
