#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/security/crypto/key-management/format.hpp"
#include "grove/security/crypto/key-management/secret.hpp"

namespace grove::key_management {

/// Somebody a file can be sealed to. A value: copies share the same immutable
/// key, and may be used from several threads.
class Recipient {
 public:
  /// How a kind of recipient wraps a file key. Derive to seal to a key
  /// management service or a hardware token.
  class Method {
   public:
    virtual ~Method() = default;
    virtual Result<Stanza> wrap(const FileKey& file_key) const = 0;
    /// The public key as text; empty where there is none.
    virtual std::string text() const { return {}; }
    /// Recipients of one file must have the same: a passphrase stands alone,
    /// and post-quantum recipients aren't weakened by others.
    virtual std::string_view company() const { return {}; }
  };

  /// `age1…` (X25519), `age1pq1…` (ML-KEM-768 with X25519), or a line of an SSH
  /// public key file (`ssh-ed25519 …`, `ssh-rsa …` of 2048 to 16384 bits).
  static Result<Recipient> parse(std::string_view text);
  /// A recipients file: one a line; empty lines and lines with `#` are skipped.
  static Result<std::vector<Recipient>> parse_file(std::string_view text);
  /// scrypt with a cost of 2^work_factor (1 to 22; 18 takes about a second and
  /// 256 MiB). Must be a file's only recipient.
  static Result<Recipient> passphrase(std::string_view passphrase, int work_factor = 18);
  static Recipient of(std::shared_ptr<const Method> method) { return Recipient(std::move(method)); }

  std::string text() const { return method_->text(); }
  const Method& method() const noexcept { return *method_; }

 private:
  explicit Recipient(std::shared_ptr<const Method> method) : method_(std::move(method)) {}
  std::shared_ptr<const Method> method_;
};

/// What opens files sealed to its recipient. A value, as Recipient; the secret
/// lies in one locked buffer that all copies share.
class Identity {
 public:
  /// How a kind of identity finds and unwraps its stanza.
  class Method {
   public:
    virtual ~Method() = default;
    /// Nothing when no stanza is for this identity; an error when one is
    /// malformed, which ends the opening.
    virtual Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const = 0;
    virtual Result<Recipient> recipient() const = 0;
    /// The secret key as text, as it is kept in key files.
    virtual Result<SecretBuffer> text() const = 0;
  };

  /// A new X25519 key, as age-keygen's.
  static Identity generate();
  /// A new post-quantum key: ML-KEM-768 with X25519 (X-Wing), as `age-keygen -pq`.
  static Identity generate_hybrid();
  /// `AGE-SECRET-KEY-1…`, `AGE-SECRET-KEY-PQ-1…`, or the content of an SSH
  /// private key file without a passphrase (OpenSSH or PEM).
  static Result<Identity> parse(std::string_view text);
  /// A key file: SSH, or one age key a line, with `#` for comments.
  static Result<std::vector<Identity>> parse_file(std::string_view text);
  /// Opens passphrase files. A file that asks for a cost above
  /// 2^max_work_factor is refused before anything is computed (`limit`): at 22
  /// it takes 4 GiB and some 15 s.
  static Identity passphrase(std::string_view passphrase, int max_work_factor = 22);
  static Identity of(std::shared_ptr<const Method> method) { return Identity(std::move(method)); }

  Result<Recipient> recipient() const { return method_->recipient(); }
  Result<SecretBuffer> text() const { return method_->text(); }
  const Method& method() const noexcept { return *method_; }

 private:
  explicit Identity(std::shared_ptr<const Method> method) : method_(std::move(method)) {}
  std::shared_ptr<const Method> method_;
};

}  // namespace grove::key_management
