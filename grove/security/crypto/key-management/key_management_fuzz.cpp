// The header, the armour, the payload and the texts of keys, as an attacker
// would write them; and that what is sealed opens again.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "grove/base/text.hpp"
#include "grove/security/crypto/key-management/format.hpp"
#include "grove/security/crypto/key-management/key_management.hpp"

namespace {

using namespace grove;
using namespace grove::key_management;

void require(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Identity identity =
      *Identity::parse("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
  static const Decryptor decryptor = *Decryptor::make({identity});
  static const Encryptor encryptor = *Encryptor::make({*identity.recipient()}, {.armor = true});
  const auto input = std::as_bytes(std::span(data, size));

  // A header that parses is written as it was read, but for its MAC.
  if (const auto header = Header::parse(input)) {
    const auto text = Header::encode(header->stanzas, FileKey());
    require(text && text->size() == header->size);
    constexpr std::size_t kMac = 44;
    require(std::ranges::equal(as_bytes(*text).first(text->size() - kMac), input.first(header->size - kMac)));
  }
  (void)decryptor.open(input);
  (void)Recipient::parse(as_text(input));
  (void)Identity::parse(as_text(input));

  // Armour that decodes has one spelling, white space and line ends aside.
  MemorySource source(input);
  ArmorSource armor(source);
  if (const auto inner = armor.peek(std::size_t{1} << 20); inner && inner->size() < (std::size_t{1} << 20)) {
    std::vector<std::byte> again;
    VectorSink sink(again);
    ArmorSink encoder(sink);
    require(encoder.write(*inner) && encoder.finish());
    std::string expected, found;
    for (const char c : as_text(input))
      if (c != '\n' && c != '\r' && c != ' ' && c != '\t') expected += c;
    for (const char c : as_text(again))
      if (c != '\n' && c != ' ') found += c;
    require(expected == found);
  }

  const auto sealed = encryptor.seal(input);
  require(sealed.has_value());
  const auto opened = decryptor.open(*sealed);
  require(opened && std::ranges::equal(*opened, input));
  return 0;
}
