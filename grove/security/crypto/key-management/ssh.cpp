#include "grove/security/crypto/key-management/ssh.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "grove/base/bytes.hpp"
#include "grove/security/crypto/key-management/crypto.hpp"

namespace grove::key_management::ssh {
namespace {

using crypto::Bytes;

constexpr std::string_view kEd25519 = "ssh-ed25519";
constexpr std::string_view kRsa = "ssh-rsa";
constexpr std::string_view kEd25519Label = "age-encryption.org/v1/ssh-ed25519";
constexpr std::string_view kRsaLabel = "age-encryption.org/v1/ssh-rsa";
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 16384;

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(BIGNUM* p) const { BN_clear_free(p); }
  void operator()(BN_CTX* p) const { BN_CTX_free(p); }
  void operator()(OSSL_PARAM_BLD* p) const { OSSL_PARAM_BLD_free(p); }
  void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

std::unexpected<Error> bad_key(std::string_view what) { return fail(Errc::parse, "SSH key: " + std::string(what)); }
/// What OpenSSL refused. Its queue is emptied, so that nothing lingers in the thread.
std::unexpected<Error> refused(std::string_view what) {
  ERR_clear_error();
  return fail(Errc::internal, "OpenSSL refused to " + std::string(what));
}

/// A length-prefixed field (RFC 4251, section 5).
Result<Bytes> field(ByteReader& reader) {
  const auto size = reader.u32be();
  const auto bytes = size ? reader.bytes(*size) : std::unexpected(size.error());
  if (!bytes) return bad_key("it ends too early");
  return *bytes;
}

std::array<std::byte, 4> tag_of(Bytes wire) {
  const auto digest = crypto::sha256(wire);
  std::array<std::byte, 4> tag;
  std::copy_n(digest.begin(), 4, tag.begin());
  return tag;
}

void append_field(std::vector<std::byte>& wire, Bytes bytes) {
  for (int shift = 24; shift >= 0; shift -= 8) wire.push_back(static_cast<std::byte>(bytes.size() >> shift));
  wire.insert(wire.end(), bytes.begin(), bytes.end());
}

std::string text_of(std::string_view type, Bytes wire) {
  std::string text(crypto::base64_size(wire.size(), true), '\0');
  crypto::base64_encode(wire, text.data(), true);
  return std::string(type) + " " + text;
}

/// Whether a stanza is marked as this key's. The mark is public, so that a
/// hostile header may repeat it; each try costs a secret operation.
Result<bool> is_for(const Stanza& stanza, std::string_view type, std::size_t arguments, Bytes tag, int& tries) {
  if (stanza.type() != type) return false;
  if (stanza.arguments.size() != arguments)
    return fail(Errc::parse, "header: the " + std::string(type) + " stanza has the wrong number of arguments");
  const auto found = crypto::base64_decode_exactly<4>(stanza.arguments[1]);
  if (!found) return fail(Errc::parse, "header: the " + std::string(type) + " stanza's tag is not 4 bytes of base64");
  if (!std::ranges::equal(*found, tag)) return false;
  if (++tries > 16) return fail(Errc::limit, "header: more than 16 stanzas are marked as one SSH key's");
  return true;
}

// ---- Ed25519, used as X25519 after a map and a tweak that binds it to the SSH key

struct Ed25519Public {
  std::vector<std::byte> wire;
  std::array<std::byte, 32> point;  ///< On the Montgomery curve.
};

Result<Ed25519Public> ed25519_public(Bytes key) {
  if (key.size() != 32) return bad_key("an Ed25519 key is 32 bytes");
  Ed25519Public result;
  append_field(result.wire, as_bytes(kEd25519));
  append_field(result.wire, key);
  if (crypto_sign_ed25519_pk_to_curve25519(crypto::out(result.point), crypto::in(key)) != 0)
    return bad_key("it is not a point of the curve's main group");
  return result;
}

/// The key that wraps, from the secret shared over the curve.
std::optional<Secret<32>> ed25519_wrap_key(const Ed25519Public& key, Bytes share,
                                           std::span<const std::byte, 32> shared) {
  Secret<32> tweaked;
  if (!crypto::x25519(tweaked, crypto::hkdf_sha256({}, key.wire, kEd25519Label), shared)) return std::nullopt;
  std::array<std::byte, 64> salt;
  std::ranges::copy(share, salt.begin());
  std::ranges::copy(key.point, salt.begin() + 32);
  return crypto::hkdf_sha256(tweaked, salt, kEd25519Label);
}

class Ed25519Recipient final : public Recipient::Method {
 public:
  explicit Ed25519Recipient(Ed25519Public key) : key_(std::move(key)) {}

  Result<Stanza> wrap(const FileKey& file_key) const override {
    Secret<32> ephemeral, shared;
    crypto::random(ephemeral);
    const auto share = crypto::x25519_public(ephemeral);
    const auto wrap_key =
        crypto::x25519(shared, ephemeral, key_.point) ? ed25519_wrap_key(key_, share, shared) : std::nullopt;
    if (!wrap_key) return fail(Errc::invalid_argument, "the recipient's key is a point of low order");
    const auto wrapped = crypto::wrap_key(*wrap_key, file_key);
    return Stanza{{std::string(kEd25519), crypto::base64(tag_of(key_.wire)), crypto::base64(share)},
                  {wrapped.begin(), wrapped.end()}};
  }
  std::string text() const override { return text_of(kEd25519, key_.wire); }

 private:
  Ed25519Public key_;
};

class Ed25519Identity final : public Identity::Method {
 public:
  Ed25519Identity(SecretBuffer scalar, Ed25519Public key) : scalar_(std::move(scalar)), key_(std::move(key)) {}

  Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
    int tries = 0;
    for (const Stanza& stanza : stanzas) {
      GROVE_TRY(const bool ours, is_for(stanza, kEd25519, 3, tag_of(key_.wire), tries));
      if (!ours) continue;
      const auto share = crypto::base64_decode_exactly<32>(stanza.arguments[2]);
      if (!share) return fail(Errc::parse, "header: the ssh-ed25519 stanza's share is not 32 bytes of base64");
      if (stanza.body.size() != 32) return fail(Errc::parse, "header: the ssh-ed25519 stanza's body is not 32 bytes");
      Secret<32> shared;
      const auto wrap_key = crypto::x25519(shared, scalar_.bytes().first<32>(), *share)
                                ? ed25519_wrap_key(key_, *share, shared)
                                : std::nullopt;
      if (!wrap_key) return fail(Errc::parse, "header: the ssh-ed25519 stanza's share is a point of low order");
      if (auto file_key = crypto::unwrap_key(*wrap_key, std::span(stanza.body).first<32>())) return file_key;
    }
    return std::nullopt;
  }
  Result<Recipient> recipient() const override { return Recipient::of(std::make_shared<Ed25519Recipient>(key_)); }
  Result<SecretBuffer> text() const override {
    return fail(Errc::unsupported, "SSH keys are kept in SSH's own key files");
  }

 private:
  SecretBuffer scalar_;
  Ed25519Public key_;
};

Result<Identity> ed25519_identity(Bytes seed) {
  SecretBuffer secret(crypto_sign_SECRETKEYBYTES);
  SecretBuffer scalar(32);
  std::array<std::byte, 32> key;
  crypto_sign_seed_keypair(crypto::out(key), crypto::out(secret.bytes()), crypto::in(seed));
  crypto_sign_ed25519_sk_to_curve25519(crypto::out(scalar.bytes()), crypto::in(secret.bytes()));
  GROVE_TRY(auto known, ed25519_public(key));
  return Identity::of(std::make_shared<Ed25519Identity>(std::move(scalar), std::move(known)));
}

// ---- RSA-OAEP with SHA-256

Result<std::vector<std::byte>> oaep(EVP_PKEY* key, bool encrypt, Bytes input) {
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
  // OpenSSL takes ownership of the label.
  void* label = OPENSSL_memdup(kRsaLabel.data(), kRsaLabel.size());
  const auto run = encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt;
  std::size_t size = 0;
  if (context == nullptr || label == nullptr ||
      (encrypt ? EVP_PKEY_encrypt_init(context.get()) : EVP_PKEY_decrypt_init(context.get())) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(kRsaLabel.size())) != 1) {
    OPENSSL_free(label);
    return refused("use an RSA key");
  }
  if (run(context.get(), nullptr, &size, crypto::in(input), input.size()) != 1) return refused("use an RSA key");
  std::vector<std::byte> output(size);
  if (run(context.get(), crypto::out(output), &size, crypto::in(input), input.size()) != 1) {
    ERR_clear_error();
    return fail(Errc::permission, "RSA-OAEP failed");
  }
  output.resize(size);
  return output;
}

struct RsaPublic {
  std::vector<std::byte> wire;
  std::shared_ptr<EVP_PKEY> key;
};

class RsaRecipient final : public Recipient::Method {
 public:
  explicit RsaRecipient(RsaPublic key) : key_(std::move(key)) {}
  Result<Stanza> wrap(const FileKey& file_key) const override {
    GROVE_TRY(auto body, oaep(key_.key.get(), true, file_key));
    return Stanza{{std::string(kRsa), crypto::base64(tag_of(key_.wire))}, std::move(body)};
  }
  std::string text() const override { return text_of(kRsa, key_.wire); }

 private:
  RsaPublic key_;
};

class RsaIdentity final : public Identity::Method {
 public:
  explicit RsaIdentity(RsaPublic key) : key_(std::move(key)) {}
  Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
    int tries = 0;
    for (const Stanza& stanza : stanzas) {
      GROVE_TRY(const bool ours, is_for(stanza, kRsa, 2, tag_of(key_.wire), tries));
      if (!ours) continue;
      auto bytes = oaep(key_.key.get(), false, stanza.body);
      if (!bytes) continue;
      std::optional<FileKey> file_key;
      if (bytes->size() == FileKey().size()) std::ranges::copy(*bytes, file_key.emplace().begin());
      wipe(*bytes);
      if (file_key) return file_key;
    }
    return std::nullopt;
  }
  Result<Recipient> recipient() const override { return Recipient::of(std::make_shared<RsaRecipient>(key_)); }
  Result<SecretBuffer> text() const override {
    return fail(Errc::unsupported, "SSH keys are kept in SSH's own key files");
  }

 private:
  RsaPublic key_;
};

Owned<BIGNUM> number(Bytes bytes) {
  return Owned<BIGNUM>(BN_bin2bn(crypto::in(bytes), static_cast<int>(bytes.size()), BN_secure_new()));
}

std::vector<std::byte> rsa_wire(Bytes e, Bytes n) {
  std::vector<std::byte> wire;
  append_field(wire, as_bytes(kRsa));
  append_field(wire, e);
  append_field(wire, n);
  return wire;
}

/// A positive number in the shortest form (RFC 4251, mpint).
bool is_mpint(Bytes bytes) {
  if (bytes.empty() || bytes.size() > kMaxRsaBits / 8 + 1) return false;
  const auto first = std::to_integer<unsigned>(bytes[0]);
  if (first >= 0x80) return false;
  return first != 0 || (bytes.size() > 1 && std::to_integer<unsigned>(bytes[1]) >= 0x80);
}

struct RsaNumbers {
  Bytes n, e, d, p, q, inverse;  ///< As mpints; d and the rest empty for a public key.
};

Result<RsaPublic> rsa_key(const RsaNumbers& numbers) {
  if (!is_mpint(numbers.n) || !is_mpint(numbers.e)) return bad_key("an RSA number is malformed");
  const bool secret = !numbers.d.empty();
  const auto n = number(numbers.n), e = number(numbers.e);
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (n == nullptr || e == nullptr || builder == nullptr) return refused("hold an RSA key");
  if (const int bits = BN_num_bits(n.get()); bits < kMinRsaBits || bits > kMaxRsaBits)
    return fail(Errc::unsupported, "SSH key: RSA keys are 2048 to 16384 bits, not " + std::to_string(bits));
  if (!BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_num_bits(e.get()) > 64) return bad_key("its RSA exponent is bad");
  bool good = OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
              OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1;
  Owned<BIGNUM> d, p, q, inverse, dp, dq;
  if (secret) {
    for (const Bytes bytes : {numbers.d, numbers.p, numbers.q, numbers.inverse})
      if (!is_mpint(bytes)) return bad_key("an RSA number is malformed");
    d = number(numbers.d), p = number(numbers.p), q = number(numbers.q), inverse = number(numbers.inverse);
    dp.reset(BN_secure_new()), dq.reset(BN_secure_new());
    const Owned<BIGNUM> less(BN_secure_new());
    const Owned<BN_CTX> context(BN_CTX_secure_new());
    good = good && d && p && q && inverse && dp && dq && less && context &&
           BN_sub(less.get(), p.get(), BN_value_one()) && BN_mod(dp.get(), d.get(), less.get(), context.get()) &&
           BN_sub(less.get(), q.get(), BN_value_one()) && BN_mod(dq.get(), d.get(), less.get(), context.get());
    const std::pair<const char*, const BIGNUM*> parts[] = {
        {OSSL_PKEY_PARAM_RSA_D, d.get()},          {OSSL_PKEY_PARAM_RSA_FACTOR1, p.get()},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, q.get()},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, dp.get()},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, dq.get()}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse.get()}};
    for (const auto& [name, value] : parts) good = good && OSSL_PARAM_BLD_push_BN(builder.get(), name, value) == 1;
  }
  const Owned<OSSL_PARAM> parameters(good ? OSSL_PARAM_BLD_to_param(builder.get()) : nullptr);
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    ERR_clear_error();
    return bad_key("OpenSSL refuses its RSA numbers");
  }
  return RsaPublic{rsa_wire(numbers.e, numbers.n), {key, Free()}};
}

// ---- private key files

constexpr std::string_view kOpenSshBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kOpenSshEnd = "-----END OPENSSH PRIVATE KEY-----";

std::unexpected<Error> has_passphrase() {
  return fail(Errc::unsupported, "SSH key: it has a passphrase; make a copy without one: ssh-keygen -p -N '' -f COPY");
}

/// OpenSSH's PROTOCOL.key.
Result<Identity> parse_openssh(std::string_view file) {
  const std::size_t end = file.find(kOpenSshEnd);
  if (end == std::string_view::npos) return bad_key("it has no last line");
  SecretBuffer text(end);
  std::size_t size = 0;
  for (const char c : file.substr(kOpenSshBegin.size(), end - kOpenSshBegin.size()))
    if (c != '\n' && c != '\r') text.bytes()[size++] = static_cast<std::byte>(c);
  SecretBuffer decoded(size * 3 / 4 + 1);
  const auto count = crypto::base64_decode(text.text().substr(0, size), decoded.bytes().data(), true);
  if (!count) return bad_key("it is not base64");
  ByteReader reader(std::as_const(decoded).bytes().first(*count));

  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  const auto magic = reader.bytes(kMagic.size());
  if (!magic || as_text(*magic) != kMagic) return bad_key("it is no openssh-key-v1");
  GROVE_TRY(const Bytes cipher, field(reader));
  GROVE_CHECK(field(reader));  // the key derivation
  GROVE_CHECK(field(reader));  // and its options
  if (as_text(cipher) != "none") return has_passphrase();
  if (const auto keys = reader.u32be(); !keys || *keys != 1) return bad_key("the file does not hold exactly one key");
  GROVE_CHECK(field(reader));  // the public key, which stands in the private part once more
  GROVE_TRY(const Bytes secret, field(reader));
  ByteReader inner(secret);
  const auto check = inner.u32be(), again = inner.u32be();
  if (!check || !again || *check != *again) return bad_key("its check numbers differ");
  GROVE_TRY(const Bytes type, field(inner));
  if (as_text(type) == kEd25519) {
    GROVE_TRY(const Bytes key, field(inner));
    GROVE_TRY(const Bytes both, field(inner));
    if (both.size() != 64 || !std::ranges::equal(both.last(32), key)) return bad_key("its two halves don't agree");
    GROVE_TRY(auto identity, ed25519_identity(both.first(32)));
    GROVE_TRY(const auto recipient, identity.recipient());
    std::vector<std::byte> wire;
    append_field(wire, as_bytes(kEd25519));
    append_field(wire, key);
    if (recipient.text() != text_of(kEd25519, wire)) return bad_key("its public half is another key's");
    return identity;
  }
  if (as_text(type) == kRsa) {
    RsaNumbers numbers;
    for (Bytes* part : {&numbers.n, &numbers.e, &numbers.d, &numbers.inverse, &numbers.p, &numbers.q}) {
      GROVE_TRY(*part, field(inner));
    }
    GROVE_TRY(auto key, rsa_key(numbers));
    return Identity::of(std::make_shared<RsaIdentity>(std::move(key)));
  }
  return fail(Errc::unsupported, "SSH key: " + std::string(as_text(type)) + " keys can't encrypt");
}

std::vector<std::byte> mpint(EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const Owned<BIGNUM> value(raw);
  std::vector<std::byte> bytes(static_cast<std::size_t>(BN_num_bits(raw) / 8 + 1));
  BN_bn2binpad(raw, crypto::out(bytes), static_cast<int>(bytes.size()));
  return bytes;
}

/// PKCS#1 and PKCS#8, through OpenSSL.
Result<Identity> parse_pem(std::string_view file) {
  const Owned<BIO> memory(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
  bool asked = false;
  const auto refuse = [](char*, int, int, void* flag) {
    *static_cast<bool*>(flag) = true;
    return -1;
  };
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(memory.get(), nullptr, refuse, &asked));
  if (key == nullptr) {
    ERR_clear_error();
    if (asked) return has_passphrase();
    return bad_key("it is no private key in PEM");
  }
  if (EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519) {
    Secret<32> seed;
    std::size_t size = seed.size();
    if (EVP_PKEY_get_raw_private_key(key.get(), crypto::out(seed), &size) != 1 || size != 32)
      return refused("read the key");
    return ed25519_identity(seed);
  }
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)
    return fail(Errc::unsupported, "SSH key: neither RSA nor Ed25519");
  if (const int bits = EVP_PKEY_get_bits(key.get()); bits < kMinRsaBits || bits > kMaxRsaBits)
    return fail(Errc::unsupported, "SSH key: RSA keys are 2048 to 16384 bits, not " + std::to_string(bits));
  auto wire = rsa_wire(mpint(key.get(), OSSL_PKEY_PARAM_RSA_E), mpint(key.get(), OSSL_PKEY_PARAM_RSA_N));
  return Identity::of(std::make_shared<RsaIdentity>(RsaPublic{std::move(wire), {key.release(), Free()}}));
}

}  // namespace

Result<Recipient> parse_recipient(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::string_view type = line.substr(0, space);
  if (type != kEd25519 && type != kRsa)
    return fail(Errc::unsupported, "SSH key: " + std::string(type) + " keys can't encrypt");
  std::string_view text = space == std::string_view::npos ? "" : line.substr(space + 1);
  text = text.substr(0, text.find_first_of(" \t\r\n"));
  std::vector<std::byte> wire(text.size() * 3 / 4 + 1);
  const auto size = crypto::base64_decode(text, wire.data(), true);
  if (!size) return bad_key("it is not base64");
  wire.resize(*size);
  ByteReader reader(wire);
  GROVE_TRY(const Bytes inner_type, field(reader));
  if (as_text(inner_type) != type) return bad_key("it says two types");
  if (type == kEd25519) {
    GROVE_TRY(const Bytes point, field(reader));
    if (!reader.empty()) return bad_key("bytes follow it");
    GROVE_TRY(auto key, ed25519_public(point));
    return Recipient::of(std::make_shared<Ed25519Recipient>(std::move(key)));
  }
  RsaNumbers numbers;
  GROVE_TRY(numbers.e, field(reader));
  GROVE_TRY(numbers.n, field(reader));
  if (!reader.empty()) return bad_key("bytes follow it");
  GROVE_TRY(auto key, rsa_key(numbers));
  return Recipient::of(std::make_shared<RsaRecipient>(std::move(key)));
}

Result<Identity> parse_identity(std::string_view file) {
  if (file.size() > (std::size_t{1} << 16)) return fail(Errc::limit, "SSH key: the file is longer than 64 KiB");
  return file.starts_with(kOpenSshBegin) ? parse_openssh(file) : parse_pem(file);
}

}  // namespace grove::key_management::ssh
