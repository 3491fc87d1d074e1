#pragma once

// The post-quantum recipient (c2sp.org/age, "MLKEM768-X25519"): HPKE base mode
// (RFC 9180) with the KEM X-Wing (draft-connolly-cfrg-xwing-kem), which is
// ML-KEM-768 (FIPS 203) beside X25519. Reached through Recipient and Identity.

#include "grove/security/crypto/key-management/crypto.hpp"

namespace grove::key_management::hybrid {

constexpr std::size_t kPublicSize = 1184 + 32;
constexpr std::size_t kEncapsulatedSize = 1088 + 32;
using PublicKey = std::array<std::byte, kPublicSize>;
using Encapsulated = std::array<std::byte, kEncapsulatedSize>;

struct Sealed {
  Encapsulated encapsulated;
  crypto::WrappedKey wrapped;
};

/// FIPS 203, 7.2: every coefficient is below q.
bool valid(const PublicKey& key);
PublicKey public_key(std::span<const std::byte, 32> seed);
Result<Sealed> seal(const PublicKey& key, const FileKey& file_key);
/// Nothing when it is for another key; `parse` when a share has a low order.
Result<std::optional<FileKey>> open(std::span<const std::byte, 32> seed, const Encapsulated& encapsulated,
                                    std::span<const std::byte, 32> wrapped);

/// ML-KEM-768 itself, with the randomness as an argument (FIPS 203, 6.1 to 6.3).
namespace mlkem768 {
constexpr std::size_t kEncapsulationKeySize = 1184;
constexpr std::size_t kDecapsulationKeySize = 2400;
constexpr std::size_t kCiphertextSize = 1088;
/// `seed`: d, then z.
void generate(std::span<const std::byte, 64> seed, std::span<std::byte, kEncapsulationKeySize> encapsulation_key,
              std::span<std::byte, kDecapsulationKeySize> decapsulation_key);
bool valid(std::span<const std::byte, kEncapsulationKeySize> encapsulation_key);
Secret<32> encapsulate(std::span<const std::byte, kEncapsulationKeySize> encapsulation_key,
                       std::span<const std::byte, 32> message, std::span<std::byte, kCiphertextSize> ciphertext);
Secret<32> decapsulate(std::span<const std::byte, kDecapsulationKeySize> decapsulation_key,
                       std::span<const std::byte, kCiphertextSize> ciphertext);
}  // namespace mlkem768

}  // namespace grove::key_management::hybrid
