#include "grove/security/crypto/key-management/keys.hpp"

#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "grove/security/crypto/key-management/crypto.hpp"
#include "grove/security/crypto/key-management/hybrid.hpp"
#include "grove/security/crypto/key-management/ssh.hpp"

namespace grove::key_management {
namespace {

std::unexpected<Error> bad_stanza(std::string_view type, std::string_view what) {
  return fail(Errc::parse, "header: the " + std::string(type) + " stanza's " + std::string(what));
}

// ---- X25519

constexpr std::string_view kX25519 = "X25519";
constexpr std::string_view kX25519Label = "age-encryption.org/v1/X25519";
constexpr std::string_view kX25519Prefix = "age";
constexpr std::string_view kX25519SecretPrefix = "age-secret-key-";

std::array<std::byte, 64> join(std::span<const std::byte, 32> a, std::span<const std::byte, 32> b) {
  std::array<std::byte, 64> both;
  std::ranges::copy(a, both.begin());
  std::ranges::copy(b, both.begin() + 32);
  return both;
}

class X25519Recipient final : public Recipient::Method {
 public:
  explicit X25519Recipient(const std::array<std::byte, 32>& key) : key_(key) {}

  Result<Stanza> wrap(const FileKey& file_key) const override {
    Secret<32> ephemeral;
    crypto::random(ephemeral);
    const auto share = crypto::x25519_public(ephemeral);
    Secret<32> shared;
    if (!crypto::x25519(shared, ephemeral, key_))
      return fail(Errc::invalid_argument, "the recipient's key is a point of low order");
    const auto wrapped = crypto::wrap_key(crypto::hkdf_sha256(shared, join(share, key_), kX25519Label), file_key);
    return Stanza{{std::string(kX25519), crypto::base64(share)}, {wrapped.begin(), wrapped.end()}};
  }
  std::string text() const override {
    std::string text(crypto::bech32_size(kX25519Prefix, key_.size()), '\0');
    crypto::bech32_encode(kX25519Prefix, key_, false, text);
    return text;
  }

 private:
  std::array<std::byte, 32> key_;
};

class X25519Identity final : public Identity::Method {
 public:
  explicit X25519Identity(SecretBuffer secret) : secret_(std::move(secret)), public_(crypto::x25519_public(key())) {}

  Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
    for (const Stanza& stanza : stanzas) {
      if (stanza.type() != kX25519) continue;
      if (stanza.arguments.size() != 2) return bad_stanza(kX25519, "arguments are not two");
      const auto share = crypto::base64_decode_exactly<32>(stanza.arguments[1]);
      if (!share) return bad_stanza(kX25519, "share is not 32 bytes of canonical base64");
      if (stanza.body.size() != 32) return bad_stanza(kX25519, "body is not 32 bytes");
      Secret<32> shared;
      if (!crypto::x25519(shared, key(), *share)) return bad_stanza(kX25519, "share is a point of low order");
      const auto wrap_key = crypto::hkdf_sha256(shared, join(*share, public_), kX25519Label);
      if (auto file_key = crypto::unwrap_key(wrap_key, std::span(stanza.body).first<32>())) return file_key;
    }
    return std::nullopt;
  }
  Result<Recipient> recipient() const override { return Recipient::of(std::make_shared<X25519Recipient>(public_)); }
  Result<SecretBuffer> text() const override {
    SecretBuffer text(crypto::bech32_size(kX25519SecretPrefix, 32));
    crypto::bech32_encode(kX25519SecretPrefix, secret_.bytes(), true,
                          {reinterpret_cast<char*>(text.bytes().data()), text.size()});
    return text;
  }

 private:
  std::span<const std::byte, 32> key() const { return secret_.bytes().first<32>(); }
  SecretBuffer secret_;
  std::array<std::byte, 32> public_;
};

// ---- the post-quantum hybrid

constexpr std::string_view kHybrid = "mlkem768x25519";
constexpr std::string_view kHybridPrefix = "age1pq";
constexpr std::string_view kHybridSecretPrefix = "age-secret-key-pq-";

class HybridRecipient final : public Recipient::Method {
 public:
  explicit HybridRecipient(const hybrid::PublicKey& key) : key_(key) {}

  Result<Stanza> wrap(const FileKey& file_key) const override {
    GROVE_TRY(const auto sealed, hybrid::seal(key_, file_key));
    return Stanza{{std::string(kHybrid), crypto::base64(sealed.encapsulated)},
                  {sealed.wrapped.begin(), sealed.wrapped.end()}};
  }
  std::string text() const override {
    std::string text(crypto::bech32_size(kHybridPrefix, key_.size()), '\0');
    crypto::bech32_encode(kHybridPrefix, key_, false, text);
    return text;
  }
  std::string_view company() const override { return "post-quantum"; }

 private:
  hybrid::PublicKey key_;
};

class HybridIdentity final : public Identity::Method {
 public:
  explicit HybridIdentity(SecretBuffer seed) : seed_(std::move(seed)) {}

  Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
    for (const Stanza& stanza : stanzas) {
      if (stanza.type() != kHybrid) continue;
      if (stanza.arguments.size() != 2) return bad_stanza(kHybrid, "arguments are not two");
      const auto encapsulated = crypto::base64_decode_exactly<hybrid::kEncapsulatedSize>(stanza.arguments[1]);
      if (!encapsulated) return bad_stanza(kHybrid, "share is not 1120 bytes of canonical base64");
      if (stanza.body.size() != 32) return bad_stanza(kHybrid, "body is not 32 bytes");
      GROVE_TRY(auto file_key, hybrid::open(seed(), *encapsulated, std::span(stanza.body).first<32>()));
      if (file_key) return file_key;
    }
    return std::nullopt;
  }
  Result<Recipient> recipient() const override {
    return Recipient::of(std::make_shared<HybridRecipient>(hybrid::public_key(seed())));
  }
  Result<SecretBuffer> text() const override {
    SecretBuffer text(crypto::bech32_size(kHybridSecretPrefix, 32));
    crypto::bech32_encode(kHybridSecretPrefix, seed_.bytes(), true,
                          {reinterpret_cast<char*>(text.bytes().data()), text.size()});
    return text;
  }

 private:
  std::span<const std::byte, 32> seed() const { return seed_.bytes().first<32>(); }
  SecretBuffer seed_;
};

// ---- passphrases

constexpr std::string_view kScrypt = "scrypt";
constexpr std::string_view kScryptLabel = "age-encryption.org/v1/scrypt";
constexpr int kMaxWorkFactor = 22;

Result<Secret<32>> scrypt(const SecretBuffer& passphrase, std::span<const std::byte, 16> salt, int work_factor) {
  std::vector<std::byte> labelled(kScryptLabel.size() + salt.size());
  std::ranges::copy(as_bytes(kScryptLabel), labelled.begin());
  std::ranges::copy(salt, labelled.begin() + kScryptLabel.size());
  Secret<32> key;
  if (crypto_pwhash_scryptsalsa208sha256_ll(crypto::in(passphrase.bytes()), passphrase.size(), crypto::in(labelled),
                                            labelled.size(), std::uint64_t{1} << work_factor, 8, 1, crypto::out(key),
                                            key.size()) != 0)
    return fail(Errc::no_space, "scrypt with a work factor of " + std::to_string(work_factor) + " needs " +
                                    std::to_string(std::uint64_t{1} << work_factor >> 10) + " MiB of memory");
  return key;
}

class ScryptRecipient final : public Recipient::Method {
 public:
  ScryptRecipient(SecretBuffer passphrase, int work_factor)
      : passphrase_(std::move(passphrase)), work_factor_(work_factor) {}

  Result<Stanza> wrap(const FileKey& file_key) const override {
    std::array<std::byte, 16> salt;
    crypto::random(salt);
    GROVE_TRY(const auto key, scrypt(passphrase_, salt, work_factor_));
    const auto wrapped = crypto::wrap_key(key, file_key);
    return Stanza{{std::string(kScrypt), crypto::base64(salt), std::to_string(work_factor_)},
                  {wrapped.begin(), wrapped.end()}};
  }
  std::string_view company() const override { return "passphrase"; }

 private:
  SecretBuffer passphrase_;
  int work_factor_;
};

class ScryptIdentity final : public Identity::Method {
 public:
  ScryptIdentity(SecretBuffer passphrase, int max_work_factor)
      : passphrase_(std::move(passphrase)), max_work_factor_(max_work_factor) {}

  Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
    // That it stands alone was checked for every identity.
    const Stanza& stanza = stanzas.front();
    if (stanza.type() != kScrypt) return std::nullopt;
    if (stanza.arguments.size() != 3) return bad_stanza(kScrypt, "arguments are not three");
    const auto salt = crypto::base64_decode_exactly<16>(stanza.arguments[1]);
    if (!salt) return bad_stanza(kScrypt, "salt is not 16 bytes of canonical base64");
    const std::string_view digits = stanza.arguments[2];
    if (digits.front() == '0' || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
      return bad_stanza(kScrypt, "work factor is not a decimal number");
    if (stanza.body.size() != 32) return bad_stanza(kScrypt, "body is not 32 bytes");
    int work_factor = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), work_factor);
    if (error != std::errc{} || work_factor > max_work_factor_)
      return fail(Errc::limit, "header: the passphrase's work factor is above " + std::to_string(max_work_factor_));
    GROVE_TRY(const auto key, scrypt(passphrase_, *salt, work_factor));
    return crypto::unwrap_key(key, std::span(stanza.body).first<32>());
  }
  Result<Recipient> recipient() const override { return Recipient::passphrase(passphrase_.text()); }
  Result<SecretBuffer> text() const override {
    return fail(Errc::unsupported, "a passphrase has no form in a key file");
  }

 private:
  SecretBuffer passphrase_;
  int max_work_factor_;
};

// ---- text

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

template <class T>
Result<std::vector<T>> parse_lines(std::string_view text) {
  std::vector<T> all;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    auto one = T::parse(line);
    if (!one) return std::unexpected(std::move(one).error().with("line " + std::to_string(number)));
    all.push_back(*std::move(one));
  }
  if (all.empty()) return fail(Errc::not_found, "the file holds no keys");
  return all;
}

}  // namespace

Result<Recipient> Recipient::parse(std::string_view text) {
  crypto::start();
  if (text.starts_with("ssh-")) return ssh::parse_recipient(text);
  if (!text.starts_with("age1")) return fail(Errc::parse, "a recipient starts with age1 or ssh-");
  GROVE_TRY(const auto key, crypto::bech32_decode(text));
  if (key.prefix == kX25519Prefix) {
    if (key.data.size() != 32) return fail(Errc::parse, "an age1 recipient's key is 32 bytes");
    std::array<std::byte, 32> point;
    std::ranges::copy(key.data.bytes(), point.begin());
    return of(std::make_shared<X25519Recipient>(point));
  }
  if (key.prefix == kHybridPrefix) {
    if (key.data.size() != hybrid::kPublicSize)
      return fail(Errc::parse, "an age1pq recipient's key is " + std::to_string(hybrid::kPublicSize) + " bytes");
    hybrid::PublicKey bytes;
    std::ranges::copy(key.data.bytes(), bytes.begin());
    if (!hybrid::valid(bytes)) return fail(Errc::parse, "the age1pq recipient's key has a coefficient out of range");
    return of(std::make_shared<HybridRecipient>(bytes));
  }
  return fail(Errc::unsupported, key.prefix + " is a plugin's recipient; plugins aren't run");
}

Result<std::vector<Recipient>> Recipient::parse_file(std::string_view text) { return parse_lines<Recipient>(text); }

Result<Recipient> Recipient::passphrase(std::string_view passphrase, int work_factor) {
  if (work_factor < 1 || work_factor > kMaxWorkFactor)
    return fail(Errc::invalid_argument, "the work factor is 1 to 22, not " + std::to_string(work_factor));
  if (passphrase.empty()) return fail(Errc::invalid_argument, "the passphrase is empty");
  return of(std::make_shared<ScryptRecipient>(SecretBuffer::copy(passphrase), work_factor));
}

Identity Identity::generate() { return of(std::make_shared<X25519Identity>(SecretBuffer::random(32))); }
Identity Identity::generate_hybrid() { return of(std::make_shared<HybridIdentity>(SecretBuffer::random(32))); }

Result<Identity> Identity::parse(std::string_view text) {
  crypto::start();
  text = trim(text);
  if (text.starts_with("-----BEGIN")) return ssh::parse_identity(text);
  if (text.starts_with("AGE-PLUGIN-")) return fail(Errc::unsupported, "a plugin's identity; plugins aren't run");
  if (!text.starts_with("AGE-SECRET-KEY-")) return fail(Errc::parse, "an identity starts with AGE-SECRET-KEY-");
  GROVE_TRY(auto key, crypto::bech32_decode(text));
  if (key.data.size() != 32) return fail(Errc::parse, "an identity's key is 32 bytes");
  if (key.prefix == "AGE-SECRET-KEY-") return of(std::make_shared<X25519Identity>(std::move(key.data)));
  if (key.prefix == "AGE-SECRET-KEY-PQ-") return of(std::make_shared<HybridIdentity>(std::move(key.data)));
  return fail(Errc::unsupported, "an identity of a kind that isn't known: " + key.prefix);
}

Result<std::vector<Identity>> Identity::parse_file(std::string_view text) {
  if (trim(text).starts_with("-----BEGIN")) {
    GROVE_TRY(auto identity, parse(text));
    return std::vector{std::move(identity)};
  }
  return parse_lines<Identity>(text);
}

Identity Identity::passphrase(std::string_view passphrase, int max_work_factor) {
  crypto::start();
  return of(std::make_shared<ScryptIdentity>(SecretBuffer::copy(passphrase), std::clamp(max_work_factor, 1, 40)));
}

}  // namespace grove::key_management
