// A report is sealed to two people, one of them by her SSH key; then the second
// is replaced without touching the sealed content.

#include "grove/base/example.hpp"
#include "grove/base/text.hpp"
#include "grove/security/crypto/key-management/key_management.hpp"
#include "grove/security/crypto/key-management/key_store.hpp"

namespace grove::key_management {

Result<void> example(const ExampleContext& context) {
  const Identity ana = Identity::generate();
  const Identity ben = Identity::generate_hybrid();  // safe from quantum computers
  GROVE_TRY(const Recipient to_ana, ana.recipient());
  GROVE_TRY(const Recipient to_ben, ben.recipient());

  GROVE_TRY(const Encryptor encryptor, Encryptor::make({to_ana}, {.armor = true}));
  GROVE_TRY(const auto file, encryptor.seal(as_bytes("Door code: 4711\n")));
  context.out << "sealed to " << to_ana.text() << "\n\n" << as_text(file) << '\n';

  GROVE_TRY(const Decryptor decryptor, Decryptor::make({ana}));
  GROVE_TRY(const auto plain, decryptor.open(file));
  context.out << "Ana reads: " << as_text(plain);

  // A key ring on disk: its keys are opened by whoever is a recipient of it.
  const auto path = context.directory / "ring.age";
  std::filesystem::remove(path);
  GROVE_TRY(KeyStore ring, KeyStore::create(path, {to_ana}));
  GROVE_CHECK(ring.put("backup", SecretBuffer::random(32)));
  GROVE_CHECK(ring.save());
  GROVE_CHECK(KeyStore::rotate(path, std::span(&ana, 1), {to_ben}));
  GROVE_TRY(const KeyStore bens, KeyStore::open(path, {ben}));
  GROVE_TRY(const auto key, bens.get("backup"));
  context.out << "Ben's ring holds " << bens.names().size() << " key of " << key.bytes().size() << " bytes\n";
  return {};
}

}  // namespace grove::key_management
