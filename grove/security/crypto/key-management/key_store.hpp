#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grove/security/crypto/key-management/keys.hpp"
#include "grove/security/crypto/key-management/secret.hpp"

namespace grove::key_management {

/// Named secrets in one age file: data keys, tokens, passwords. Every `put` of
/// a name adds a version, so that what an old key sealed can still be opened.
/// In memory the secrets lie in locked buffers; on disk the ring is sealed to
/// its recipients, replaced atomically, readable by its owner only (0600).
///
/// One thread at a time. Several processes may share a file (a
/// lock file lies beside it): `save` fails with
/// `conflict` when another one saved since this one read it; open it again.
class KeyStore {
 public:
  static constexpr std::size_t kMaxKeys = 4096;                  ///< Versions, of all names.
  static constexpr std::size_t kMaxSize = std::size_t{1} << 20;  ///< Of one secret.

  /// Writes an empty ring; `already_exists` when there is a file.
  static Result<KeyStore> create(const std::filesystem::path& path, std::vector<Recipient> recipients);
  /// Reads a ring. It can be saved after `set_recipients` alone, since a file
  /// doesn't say to whom it is sealed.
  static Result<KeyStore> open(const std::filesystem::path& path, std::vector<Identity> identities);
  /// Gives the ring to other recipients by rewriting its header alone; the
  /// sealed keys stay as they are. A former recipient who kept a copy of the
  /// file key can still open this content, until the next `save`.
  static Result<void> rotate(const std::filesystem::path& path, std::span<const Identity> identities,
                             std::vector<Recipient> recipients);

  /// A view into the ring, valid until it is changed.
  struct Key {
    std::uint32_t version = 0;  ///< From 1.
    std::chrono::sys_seconds created;
    const SecretBuffer& secret;
    std::span<const std::byte> bytes() const noexcept { return secret.bytes(); }
  };

  std::vector<std::string> names() const;  ///< In order.
  /// The newest version.
  Result<Key> get(std::string_view name) const;
  Result<Key> get(std::string_view name, std::uint32_t version) const;
  std::vector<std::uint32_t> versions(std::string_view name) const;
  /// The number of the new version, one above the highest that the ring still
  /// has. Names are 1 to 255 bytes.
  Result<std::uint32_t> put(std::string_view name, SecretBuffer secret);
  /// All versions, or one.
  Result<void> erase(std::string_view name);
  Result<void> erase(std::string_view name, std::uint32_t version);

  Result<void> set_recipients(std::vector<Recipient> recipients);
  /// Seals the ring under a fresh file key and replaces the file.
  Result<void> save();

 private:
  struct Version {
    std::uint32_t number = 0;
    std::chrono::sys_seconds created;
    SecretBuffer secret;
  };
  KeyStore(std::filesystem::path path, std::vector<Recipient> recipients)
      : path_(std::move(path)), recipients_(std::move(recipients)) {}
  std::size_t count() const;
  SecretBuffer encode() const;
  Result<void> decode(std::span<const std::byte> ring);

  std::filesystem::path path_;
  std::vector<Recipient> recipients_;
  std::map<std::string, std::vector<Version>, std::less<>> keys_;  ///< Versions in ascending order, never empty.
  std::array<std::byte, 32> on_disk_{};                            ///< SHA-256 of the file as it was read or written.
};

}  // namespace grove::key_management
