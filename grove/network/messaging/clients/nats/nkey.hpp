#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "grove/base/error.hpp"

namespace grove::nats {

/// A user's Ed25519 key pair in NATS's own text form (nkeys: base32 of prefix,
/// 32 bytes and CRC-16): the seed "SU…" is the secret, the public key "U…" goes
/// into the server's configuration. The seed is wiped from memory at the end.
/// Thread safe once made.
class KeyPair {
 public:
  /// A fresh user key.
  static Result<KeyPair> generate();
  /// `parse` when the text isn't a seed or its checksum is wrong. Any role's
  /// seed is taken (user, account, operator, server, cluster, curve excluded).
  static Result<KeyPair> from_seed(std::string_view seed);

  KeyPair(KeyPair&& other) noexcept;
  KeyPair& operator=(KeyPair&& other) noexcept;
  ~KeyPair();

  std::string seed() const;
  const std::string& public_key() const noexcept { return public_key_; }
  /// The 64-byte Ed25519 signature of the text (the server's nonce), raw.
  Result<std::string> sign(std::string_view text) const;

 private:
  KeyPair() = default;
  static Result<KeyPair> make(std::byte role, const std::array<unsigned char, 32>& secret);
  std::array<unsigned char, 32> secret_{};
  std::byte role_{};
  std::string public_key_;
};

/// Checks a signature against a public key in text form.
Result<bool> verify(std::string_view public_key, std::string_view text, std::string_view signature);

/// RFC 4648 base64 with the URL alphabet, without padding, as CONNECT's `sig`.
std::string base64_url(std::string_view bytes);
/// The standard alphabet; padding may be left out. `parse` on anything else.
Result<std::string> from_base64(std::string_view text);

}  // namespace grove::nats
