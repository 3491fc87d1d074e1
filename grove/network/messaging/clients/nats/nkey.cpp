#include "grove/network/messaging/clients/nats/nkey.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdint>
#include <memory>
#include <utility>

namespace grove::nats {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* k) { EVP_PKEY_free(k); })>;
using Digest = std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* c) { EVP_MD_CTX_free(c); })>;

constexpr unsigned kSeed = 18U << 3;  // 'S'
constexpr unsigned kUser = 20U << 3;  // 'U'
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

/// CRC-16/XMODEM, as nkeys has it.
std::uint16_t crc16(std::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = ((crc & 0x8000U) != 0 ? crc << 1 ^ 0x1021U : crc << 1) & 0xffffU;
  }
  return static_cast<std::uint16_t>(crc);
}

std::string encode(std::string bytes) {
  const std::uint16_t crc = crc16(bytes);
  bytes += static_cast<char>(crc & 0xff);
  bytes += static_cast<char>(crc >> 8);
  std::string text;
  unsigned bits = 0;
  unsigned pending = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (pending += 8; pending >= 5; pending -= 5) text += kBase32[bits >> (pending - 5) & 31U];
    bits &= 0xffU;
  }
  if (pending != 0) text += kBase32[bits << (5 - pending) & 31U];
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

Result<std::string> decode(std::string_view text) {
  if (text.size() > 128) return fail(Errc::parse, "an nkey is at most 128 characters long");
  std::string bytes;
  unsigned bits = 0;
  unsigned pending = 0;
  for (const char c : text) {
    const std::size_t digit = kBase32.find(c);
    if (digit == std::string_view::npos) return fail(Errc::parse, "an nkey holds only A-Z and 2-7");
    bits = (bits << 5 | static_cast<unsigned>(digit)) & 0xfffU;
    pending += 5;
    if (pending >= 8) {
      pending -= 8;
      bytes += static_cast<char>(bits >> pending & 0xffU);
    }
  }
  if (bytes.size() < 3 || pending >= 5 || (bits & ((1U << pending) - 1)) != 0)
    return fail(Errc::parse, "an nkey doesn't end like that");
  const auto crc = static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[bytes.size() - 2]) |
                                              static_cast<unsigned char>(bytes[bytes.size() - 1]) << 8);
  bytes.resize(bytes.size() - 2);
  if (crc16(bytes) != crc) return fail(Errc::parse, "the nkey's checksum is wrong; a character is mistyped or missing");
  return bytes;
}

std::unexpected<Error> openssl_failed(const char* what) {
  return fail(Errc::internal, std::string("OpenSSL could not ") + what);
}

}  // namespace

Result<KeyPair> KeyPair::make(std::byte role, const std::array<unsigned char, 32>& secret) {
  KeyPair pair;
  pair.secret_ = secret;
  pair.role_ = role;
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), secret.size()));
  std::string open(33, '\0');
  open[0] = static_cast<char>(role);
  std::size_t size = 32;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(open.data()) + 1, &size) != 1)
    return openssl_failed("derive an Ed25519 public key");
  pair.public_key_ = encode(open);
  return pair;
}

KeyPair::KeyPair(KeyPair&& other) noexcept
    : secret_(other.secret_), role_(other.role_), public_key_(std::move(other.public_key_)) {
  OPENSSL_cleanse(other.secret_.data(), other.secret_.size());
}
KeyPair& KeyPair::operator=(KeyPair&& other) noexcept {
  std::swap(secret_, other.secret_);
  std::swap(role_, other.role_);
  std::swap(public_key_, other.public_key_);
  return *this;
}
KeyPair::~KeyPair() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

Result<KeyPair> KeyPair::generate() {
  std::array<unsigned char, 32> secret{};
  if (RAND_bytes(secret.data(), secret.size()) != 1) return openssl_failed("make random bytes");
  auto pair = make(std::byte{kUser}, secret);
  OPENSSL_cleanse(secret.data(), secret.size());
  return pair;
}

Result<KeyPair> KeyPair::from_seed(std::string_view seed) {
  GROVE_TRY(std::string bytes, decode(seed));
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (bytes.size() != 34 || (first & 0xf8U) != kSeed) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return fail(Errc::parse, "an nkey seed starts with S, its role, and holds 32 bytes");
  }
  const auto role = static_cast<std::byte>((first & 7U) << 5 | static_cast<unsigned char>(bytes[1]) >> 3);
  std::array<unsigned char, 32> secret{};
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<unsigned char>(bytes[i + 2]);
  auto pair = make(role, secret);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  OPENSSL_cleanse(secret.data(), secret.size());
  return pair;
}

std::string KeyPair::seed() const {
  const auto role = static_cast<unsigned>(role_);
  std::string bytes{static_cast<char>(kSeed | role >> 5), static_cast<char>((role & 31U) << 3)};
  for (const unsigned char b : secret_) bytes += static_cast<char>(b);
  return encode(std::move(bytes));
}

Result<std::string> KeyPair::sign(std::string_view text) const {
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret_.data(), secret_.size()));
  const Digest digest(EVP_MD_CTX_new());
  std::string signature(64, '\0');
  std::size_t size = signature.size();
  if (!key || !digest || EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes_of(text),
                     text.size()) != 1)
    return openssl_failed("sign");
  return signature;
}

Result<bool> verify(std::string_view public_key, std::string_view text, std::string_view signature) {
  GROVE_TRY(const std::string bytes, decode(public_key));
  if (bytes.size() != 33) return fail(Errc::parse, "a public nkey holds 32 bytes");
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(bytes) + 1, 32));
  const Digest digest(EVP_MD_CTX_new());
  if (!key || !digest || EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, key.get()) != 1)
    return openssl_failed("set up a verification");
  return EVP_DigestVerify(digest.get(), bytes_of(signature), signature.size(), bytes_of(text), text.size()) == 1;
}

std::string base64_url(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  unsigned bits = 0;
  unsigned pending = 0;
  for (const char c : bytes) {
    bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xffffU;
    for (pending += 8; pending >= 6; pending -= 6) text += kAlphabet[bits >> (pending - 6) & 63U];
  }
  if (pending != 0) text += kAlphabet[bits << (6 - pending) & 63U];
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  unsigned bits = 0;
  unsigned pending = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return fail(Errc::parse, "text that is not base64");
    bits = (bits << 6 | static_cast<unsigned>(digit)) & 0xffffU;
    pending += 6;
    if (pending >= 8) {
      pending -= 8;
      bytes += static_cast<char>(bits >> pending & 0xffU);
    }
  }
  if (pending == 6) return fail(Errc::truncated, "base64 text of an impossible length");
  return bytes;
}

}  // namespace grove::nats
