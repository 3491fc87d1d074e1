#include "grove/base/test/test.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/text.hpp"
#include "grove/security/crypto/key-management/crypto.hpp"
#include "grove/security/crypto/key-management/format.hpp"
#include "grove/security/crypto/key-management/hybrid.hpp"
#include "grove/security/crypto/key-management/key_management.hpp"

namespace {

using namespace grove;
using namespace grove::key_management;
using Bytes = std::vector<std::byte>;

Bytes random_bytes(std::size_t size, std::uint64_t seed = 1) {
  SplitMix64 random(seed);
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

template <class T>
T must(Result<T> result) {
  REQUIRE_OK(result);
  return *std::move(result);
}

Bytes seal(const Identity& identity, std::span<const std::byte> plain, const EncryptOptions& options = {}) {
  return must(must(Encryptor::make({must(identity.recipient())}, options)).seal(plain));
}
Result<Bytes> open(const Identity& identity, std::span<const std::byte> file, const DecryptOptions& options = {}) {
  return must(Decryptor::make({identity}, options)).open(file);
}

/// Gives few bytes at a time, as a slow socket would.
class Dribble final : public BufferedSource {
 public:
  Dribble(std::span<const std::byte> input, std::size_t step) : rest_(input), step_(step) {}

 private:
  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t count = std::min({out.size(), rest_.size(), step_});
    std::ranges::copy(rest_.first(count), out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }
  std::span<const std::byte> rest_;
  std::size_t step_;
};

class Collect final : public BufferedSink {
 public:
  Bytes all;
  std::size_t fail_after = std::size_t(-1);

 private:
  Result<void> flush(std::span<const std::byte> bytes) override {
    if (all.size() + bytes.size() > fail_after) return fail(Errc::no_space, "full");
    all.insert(all.end(), bytes.begin(), bytes.end());
    return {};
  }
};

const std::size_t kSizes[] = {
    0, 1, 15, 16, 47, 48, 49, kChunkSize - 1, kChunkSize, kChunkSize + 1, 2 * kChunkSize, 5 * kChunkSize + 17};

TEST_CASE("a secret buffer is wiped, compared and moved") {
  SecretBuffer a = SecretBuffer::copy("correct horse");
  CHECK(a.text() == "correct horse");
  CHECK(a == SecretBuffer::copy("correct horse"));
  CHECK_FALSE(a == SecretBuffer::copy("correct hors"));
  CHECK_FALSE(a == SecretBuffer::copy("correct Horse"));
  SecretBuffer b = std::move(a);
  CHECK(a.empty());  // NOLINT(bugprone-use-after-move): moved-from is empty
  CHECK(b.size() == 13);
  CHECK_FALSE(SecretBuffer::random(32) == SecretBuffer::random(32));
  CHECK(SecretBuffer().empty());
  Secret<8> secret;
  secret.fill(std::byte{7});
  wipe(secret);
  CHECK(std::ranges::all_of(secret, [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST_CASE("HKDF-SHA-256 gives RFC 5869's first 32 bytes") {
  const Bytes key(22, std::byte{0x0b});
  Bytes salt(13);
  for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::byte>(i);
  const auto derived = crypto::hkdf_sha256(key, salt, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9");
  CHECK(crypto::base64(derived) == "PLJfJfqs1XqQQ09k0DYvKi0tCpDPGlpMXbAtVuzExb8");
}

TEST_CASE("base64 goes round, and text that isn't canonical is refused") {
  for (std::size_t size = 0; size < 200; ++size) {
    const Bytes bytes = random_bytes(size, size);
    CHECK(crypto::base64_decode(crypto::base64(bytes)) == bytes);
    std::string padded(crypto::base64_size(size, true), '\0');
    crypto::base64_encode(bytes, padded.data(), true);
    Bytes back(size + 3);
    CHECK(crypto::base64_decode(padded, back.data(), true) == size);
  }
  for (const char* text :
       {"A", "AB", "AAB", "A===", "AA==", "AA=", "A A", "AAAA\n", "A-_A", "AAAAA", "\xff\xff\xff\xff"})
    CHECK_FALSE(crypto::base64_decode(text));
  std::array<std::byte, 16> out;
  for (const char* text : {"A", "AA", "AAA", "AA=A", "====", "A===", "AB==", "AAB=", "=AAA"})
    CHECK_FALSE(crypto::base64_decode(text, out.data(), true));
}

TEST_CASE("the specification's X25519 key gives its recipient") {
  const Identity identity =
      must(Identity::parse("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"));
  CHECK(must(identity.recipient()).text() == "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
  CHECK(must(identity.text()).text() == "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
}

TEST_CASE("keys go through text, and every mistyped character is noticed") {
  for (const bool hybrid : {false, true}) {
    const Identity identity = hybrid ? Identity::generate_hybrid() : Identity::generate();
    const std::string secret(must(identity.text()).text());
    const std::string text = must(identity.recipient()).text();
    CHECK(must(must(Identity::parse(secret)).recipient()).text() == text);
    CHECK(must(Recipient::parse(text)).text() == text);
    for (std::size_t i = 0; i < std::min<std::size_t>(text.size(), 200); ++i) {
      std::string bad = text;
      bad[i] = bad[i] == 'q' ? 'p' : 'q';
      CHECK_FALSE(Recipient::parse(bad));
      CHECK_FALSE(Recipient::parse(text.substr(0, i)));
    }
    for (std::size_t i = 0; i < secret.size(); ++i) {
      std::string bad = secret;
      bad[i] = bad[i] == 'Q' ? 'P' : 'Q';
      CHECK_FALSE(Identity::parse(bad));
      CHECK_FALSE(Identity::parse(secret.substr(0, i)));
    }
  }
  CHECK_FALSE(Identity::parse("age-secret-key-1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpq4egaex"));
  CHECK_FAILS(Identity::parse("AGE-PLUGIN-YUBIKEY-1Q"), Errc::unsupported);
  CHECK_FAILS(Recipient::parse("age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"),
              Errc::unsupported);
}

TEST_CASE("key files skip comments and name the line that is wrong") {
  const Identity a = Identity::generate(), b = Identity::generate();
  const std::string file =
      "# created today\n\n" + std::string(must(a.text()).text()) + "\r\n  " + std::string(must(b.text()).text()) + "\n";
  CHECK(must(Identity::parse_file(file)).size() == 2);
  CHECK_FAILS(Identity::parse_file("# nothing\n"), Errc::not_found);
  const auto bad = Identity::parse_file("# one\nAGE-SECRET-KEY-1QQ\n");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message().starts_with("line 2:"));
  CHECK(must(Recipient::parse_file(must(a.recipient()).text() + "\n#x\n")).size() == 1);
}

TEST_CASE("ML-KEM-768 agrees on a key, and rejects a changed ciphertext with another one") {
  namespace kem = hybrid::mlkem768;
  for (std::uint64_t round = 0; round < 8; ++round) {
    const Bytes random = random_bytes(96, round);
    std::array<std::byte, kem::kEncapsulationKeySize> public_key;
    Secret<kem::kDecapsulationKeySize> secret_key;
    kem::generate(std::span(random).first<64>(), public_key, secret_key);
    CHECK(kem::valid(public_key));
    std::array<std::byte, kem::kCiphertextSize> ciphertext;
    const auto sent = kem::encapsulate(public_key, std::span(random).last<32>(), ciphertext);
    CHECK(kem::decapsulate(secret_key, ciphertext) == sent);
    ciphertext[round * 130] ^= std::byte{4};
    const auto rejected = kem::decapsulate(secret_key, ciphertext);
    CHECK_FALSE(rejected == sent);
    CHECK(kem::decapsulate(secret_key, ciphertext) == rejected);
  }
  std::array<std::byte, kem::kEncapsulationKeySize> out_of_range;
  out_of_range.fill(std::byte{0xff});
  CHECK_FALSE(kem::valid(out_of_range));
}

TEST_CASE("a header goes through text, and is incomplete at every byte before its end") {
  FileKey key;
  key.fill(std::byte{5});
  SplitMix64 random(4);
  for (std::size_t round = 0; round < 50; ++round) {
    std::vector<Stanza> stanzas(1 + random.below(4));
    for (Stanza& stanza : stanzas) {
      for (std::size_t i = 0; i <= random.below(3); ++i)
        stanza.arguments.emplace_back(1 + random.below(70), static_cast<char>(33 + random.below(94)));
      stanza.body = random_bytes(random.below(3) * 48 + random.below(2) * random.below(48), random());
    }
    const std::string text = must(Header::encode(stanzas, key));
    const Header header = must(Header::parse(as_bytes(text + "payload")));
    CHECK(header.stanzas == stanzas);
    CHECK(header.size == text.size());
    CHECK(Header::verify(as_bytes(text), header, key));
    for (std::size_t i = 0; i < text.size(); ++i)
      CHECK_FAILS(Header::parse(as_bytes(std::string_view(text).substr(0, i))), Errc::truncated);
    FileKey other = key;
    other[0] = std::byte{6};
    CHECK_FALSE(Header::verify(as_bytes(text), header, other));
  }
}

TEST_CASE("a malformed header is refused as soon as it is seen") {
  for (const char* text : {"x", "age-encryption.com", "age-encryption.org/v1\r\n", "age-encryption.org/v1\nx",
                           "age-encryption.org/v1\n->x", "age-encryption.org/v1\n--- ",  // no stanza at all
                           "age-encryption.org/v1\n-> \n", "age-encryption.org/v1\n-> a  b\n",
                           "age-encryption.org/v1\n-> a\x7f\n\n", "age-encryption.org/v1\n-> a\nAB\n"})
    CHECK_FALSE(Header::parse(as_bytes(text)));
  CHECK_FAILS(Header::parse(as_bytes("age-encryption.org/v2\n")), Errc::unsupported);
  CHECK_FAILS(Header::parse(as_bytes("age-encryption.org/v1\n-> a\n" + std::string(65, 'A'))), Errc::parse);
  CHECK_FAILS(Header::encode({}, FileKey()), Errc::invalid_argument);
  const Stanza spaced{{"a b"}, {}};
  CHECK_FAILS(Header::encode(std::span(&spaced, 1), FileKey()), Errc::invalid_argument);
}

TEST_CASE("a header without end is bounded") {
  std::string text = "age-encryption.org/v1\n";
  while (text.size() < (std::size_t{1} << 20)) text += "-> a\n\n";
  CHECK_FAILS(Header::parse(as_bytes(text)), Errc::limit);  // stanzas
  text = "age-encryption.org/v1\n-> " + std::string(Header::kMaxSize, 'a');
  CHECK_FAILS(Header::parse(as_bytes(text)), Errc::limit);  // bytes
  Dribble source(as_bytes(text), 1 << 16);
  CHECK_FALSE(must(Decryptor::make({Identity::generate()})).start(source));
}

TEST_CASE("a file goes round at every size, armoured or not, with one thread or three") {
  const Identity identity = Identity::generate();
  for (const std::size_t size : kSizes)
    for (const bool armor : {false, true})
      for (const unsigned threads : {1u, 3u}) {
        const Bytes plain = random_bytes(size, size);
        const Bytes file = seal(identity, plain, {.armor = armor, .threads = threads});
        CHECK(must(open(identity, file, {.threads = threads})) == plain);
      }
}

TEST_CASE("streams give the same whatever the pieces they are written and read in") {
  const Identity identity = Identity::generate();
  const Encryptor encryptor = must(Encryptor::make({must(identity.recipient())}, {.threads = 2}));
  const Decryptor decryptor = must(Decryptor::make({identity}, {.threads = 2}));
  SplitMix64 random(8);
  for (std::size_t round = 0; round < 30; ++round) {
    const Bytes plain =
        random_bytes(kSizes[round % std::size(kSizes)] + random.below(3) * random.below(300'000), round);
    Collect sink;
    auto writer = must(encryptor.start(sink));
    for (std::size_t at = 0; at < plain.size();) {
      const std::size_t count =
          std::min(plain.size() - at, random.below(2) * random.below(200'000) + random.below(5000));
      REQUIRE_OK(writer.write(std::span(plain).subspan(at, count)));
      at += count;
    }
    REQUIRE_OK(writer.finish());
    CHECK_FAILS(writer.finish(), Errc::closed);
    CHECK_FAILS(writer.write(plain), Errc::closed);
    Dribble source(sink.all, 1 + random.below(40'000));
    auto reader = must(decryptor.start(source));
    Bytes back, part(1 + random.below(2) * random.below(300'000) + random.below(3000));
    while (true) {
      const std::size_t count = must(reader.read(part));
      if (count == 0) break;
      back.insert(back.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
    CHECK(back == plain);
    CHECK(must(reader.read(part)) == 0);
  }
}

TEST_CASE("a file that is cut at any byte is refused") {
  const Identity identity = Identity::generate();
  const Bytes small = seal(identity, random_bytes(100));
  for (std::size_t i = 0; i < small.size(); ++i) CHECK_FALSE(open(identity, std::span(small).first(i)));
  const Bytes text = seal(identity, random_bytes(100), {.armor = true});
  for (std::size_t i = 0; i + 1 < text.size(); ++i)  // the last line's end may be missing
    CHECK_FALSE(open(identity, std::span(text).first(i)));
  const Bytes large = seal(identity, random_bytes(2 * kChunkSize));
  for (std::size_t cut = 1; cut < 2 * kChunkSize; cut += 777)
    CHECK_FAILS(open(identity, std::span(large).first(large.size() - cut)), Errc::corrupt);
}

TEST_CASE("a file that goes on after its end is refused, and what was whole is given out") {
  const Identity identity = Identity::generate();
  for (const std::size_t size : {std::size_t{10}, kChunkSize, 2 * kChunkSize}) {
    const Bytes plain = random_bytes(size);
    for (const std::size_t extra : {1uz, 16uz, 17uz, 70'000uz}) {
      Bytes file = seal(identity, plain);
      file.resize(file.size() + extra);
      CHECK_FAILS(open(identity, file), Errc::corrupt);
      MemorySource source(file);
      auto stream = must(must(Decryptor::make({identity}, {.threads = 2})).start(source));
      Bytes released;
      VectorSink sink(released);
      CHECK_FAILS(stream.read_all(sink), Errc::corrupt);
      CHECK_FAILS(stream.read_all(sink), Errc::corrupt);
      CHECK(released.size() == size / kChunkSize * kChunkSize);
      CHECK(std::equal(released.begin(), released.end(), plain.begin()));
    }
  }
}

TEST_CASE("chunks that change places are noticed, and memory keeps nothing unverified") {
  const Identity identity = Identity::generate();
  const Bytes plain = random_bytes(4 * kChunkSize);
  Bytes file = seal(identity, plain);
  const std::size_t payload = file.size() - 4 * (kChunkSize + 16);
  std::swap_ranges(file.begin() + static_cast<std::ptrdiff_t>(payload + kChunkSize + 16),
                   file.begin() + static_cast<std::ptrdiff_t>(payload + 2 * (kChunkSize + 16)),
                   file.begin() + static_cast<std::ptrdiff_t>(payload + 2 * (kChunkSize + 16)));
  for (const unsigned threads : {1u, 2u}) {
    MemorySource source(file);
    auto stream = must(must(Decryptor::make({identity}, {.threads = threads})).start(source));
    Bytes out(plain.size(), std::byte{0});
    CHECK(must(stream.read(out)) == kChunkSize);
    CHECK(std::all_of(out.begin() + kChunkSize, out.end(), [](std::byte byte) { return byte == std::byte{0}; }));
    CHECK_FAILS(stream.read(out), Errc::corrupt);
  }
}

TEST_CASE("a changed header is noticed by its MAC, another's file by its stanzas") {
  const Identity identity = Identity::generate();
  Bytes file = seal(identity, random_bytes(10), {.grease = false});
  CHECK_FAILS(open(Identity::generate(), file), Errc::not_found);
  std::string text(as_text(file));
  text.insert(text.find("\n-> ") + 1, "-> extra\n\n");
  CHECK_FAILS(open(identity, as_bytes(text)), Errc::permission);
}

TEST_CASE("armour is strict") {
  const Identity identity = Identity::generate();
  const Bytes plain = random_bytes(500);
  const std::string text(as_text(seal(identity, plain, {.armor = true})));
  const auto opens = [&](const std::string& changed, Armor armor = Armor::detect) {
    return open(identity, as_bytes(changed), {.armor = armor}).has_value();
  };
  std::string crlf;
  for (const char c : text) (c == '\n' ? crlf += '\r' : crlf) += c;
  CHECK(opens(text));
  CHECK(opens(crlf));
  CHECK(opens("\n \t\r\n" + text + "\n\n  "));
  CHECK(opens(text.substr(0, text.size() - 1)));
  CHECK_FALSE(opens(text, Armor::none));
  CHECK_FALSE(open(identity, seal(identity, plain), {.armor = Armor::required}));
  CHECK_FALSE(opens("x" + text));
  CHECK_FALSE(opens(text + "x"));
  CHECK_FALSE(opens(text + text));
  CHECK_FALSE(opens(std::string(2000, ' ') + text));
  CHECK_FALSE(opens(text + std::string(2000, ' ')));
  // Up to the last line break: what follows it may be blank.
  for (std::size_t i = text.find('\n') + 1; i + 1 < text.size(); i += 7) {
    CHECK_FALSE(opens(text.substr(0, i) + " " + text.substr(i)));
    CHECK_FALSE(opens(text.substr(0, i) + "\n\n" + text.substr(i)));
  }
}

TEST_CASE("recipients of different strength don't share a file") {
  const Recipient classic = must(Identity::generate().recipient());
  const Recipient quantum = must(Identity::generate_hybrid().recipient());
  const Recipient word = must(Recipient::passphrase("word", 1));
  CHECK_FAILS(Encryptor::make({}), Errc::invalid_argument);
  CHECK_FAILS(Encryptor::make({classic, quantum}), Errc::invalid_argument);
  CHECK_FAILS(Encryptor::make({classic, word}), Errc::invalid_argument);
  CHECK_FAILS(Encryptor::make({word, word}), Errc::invalid_argument);
  CHECK_OK(Encryptor::make({quantum, quantum}));
  CHECK_FAILS(Decryptor::make({}), Errc::invalid_argument);
  CHECK_FAILS(Recipient::passphrase("word", 0), Errc::invalid_argument);
  CHECK_FAILS(Recipient::passphrase("word", 23), Errc::invalid_argument);
  CHECK_FAILS(Recipient::passphrase(""), Errc::invalid_argument);
}

TEST_CASE("a passphrase opens its file, and a higher work factor than allowed is refused") {
  const Bytes plain = random_bytes(1000);
  const Bytes file = must(must(Encryptor::make({must(Recipient::passphrase("word", 6))})).seal(plain));
  CHECK(must(open(Identity::passphrase("word"), file)) == plain);
  CHECK_FAILS(open(Identity::passphrase("Word"), file), Errc::not_found);
  CHECK_FAILS(open(Identity::passphrase("word", 5), file), Errc::limit);
  CHECK_FAILS(open(Identity::generate(), file), Errc::not_found);
}

TEST_CASE("post-quantum keys open their files and no others") {
  const Identity a = Identity::generate_hybrid(), b = Identity::generate_hybrid();
  const Bytes plain = random_bytes(1000);
  const Bytes file = must(must(Encryptor::make({must(a.recipient()), must(b.recipient())})).seal(plain));
  CHECK(must(open(a, file)) == plain);
  CHECK(must(open(b, file)) == plain);
  CHECK_FAILS(open(Identity::generate_hybrid(), file), Errc::not_found);
}

TEST_CASE("a user's own kind of key stands beside the native ones") {
  struct To final : Recipient::Method {
    Result<Stanza> wrap(const FileKey& key) const override {
      Stanza stanza{{"example.org/shift"}, {key.begin(), key.end()}};
      for (auto& byte : stanza.body) byte ^= std::byte{1};
      return stanza;
    }
  };
  struct From final : Identity::Method {
    Result<std::optional<FileKey>> unwrap(std::span<const Stanza> stanzas) const override {
      for (const Stanza& stanza : stanzas) {
        if (stanza.type() != "example.org/shift") continue;
        FileKey key;
        for (std::size_t i = 0; i < key.size(); ++i) key[i] = stanza.body[i] ^ std::byte{1};
        return key;
      }
      return std::nullopt;
    }
    Result<Recipient> recipient() const override { return Recipient::of(std::make_shared<To>()); }
    Result<SecretBuffer> text() const override { return fail(Errc::unsupported, "none"); }
  };
  const Identity own = Identity::of(std::make_shared<From>());
  const Identity native = Identity::generate();
  const Bytes plain = random_bytes(70'000);
  const auto encryptor = must(Encryptor::make({must(native.recipient()), must(own.recipient())}));
  const Bytes file = must(encryptor.seal(plain));
  CHECK(must(open(own, file)) == plain);
  CHECK(must(open(native, file)) == plain);
}

TEST_CASE("SSH keys open their files; broken and locked key files are refused") {
  constexpr std::string_view kKey = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACC9dcnej5V6wE/e4fuPw9+OfofnTA7aPrtsKTS6URGfVAAAAIjFSswwxUrM
MAAAAAtzc2gtZWQyNTUxOQAAACC9dcnej5V6wE/e4fuPw9+OfofnTA7aPrtsKTS6URGfVA
AAAED8ZeSTgdkOHmtZbJzrlYFQqV/7INhu+cF8wsIxQDnEP711yd6PlXrAT97h+4/D345+
h+dMDto+u2wpNLpREZ9UAAAABHRlc3QB
-----END OPENSSH PRIVATE KEY-----
)";
  constexpr std::string_view kPublic =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL11yd6PlXrAT97h+4/D345+h+dMDto+u2wpNLpREZ9U test";
  constexpr std::string_view kLocked = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAe/FHCce
8a/wXY5H7PsRNOAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIO7eVm1ZZ4xXGvn3
tJKbFb2mXqBLOsQqZaoTm+WlbpblAAAAkF9iKN7AcVp+idk2fPeWTtR2Qim0SSLkiJdGDn
v3CC2VoPRLYH0oDXv7hGU9st4MRrMpdcOdtfUTm5VsWnI2E9D7gmgbJoiSYLUGCTMqqCo4
Mqlg5MNO/ElR0ARh6m4xrhbdWJjahE2qnghM3IQhTXCPwxDBOW1y8iLbXUkB85AuvIz9pR
gOx/aUV7uHKzlJ4w==
-----END OPENSSH PRIVATE KEY-----
)";
  const Identity identity = must(Identity::parse(kKey));
  const Recipient recipient = must(Recipient::parse(kPublic));
  CHECK(must(identity.recipient()).text() == recipient.text());
  const Bytes plain = random_bytes(1000);
  const Bytes file = must(must(Encryptor::make({recipient})).seal(plain));
  CHECK(must(open(identity, file)) == plain);
  CHECK(must(Identity::parse_file(kKey)).size() == 1);
  FileKey another;
  const std::vector<Stanza> repeated(17, must(recipient.method().wrap(another)));
  std::vector<Stanza> wrong = repeated;
  for (Stanza& stanza : wrong) stanza.body[0] ^= std::byte{1};
  CHECK_FAILS(open(identity, as_bytes(must(Header::encode(wrong, another)))), Errc::limit);
  CHECK_FAILS(Identity::parse(kLocked), Errc::unsupported);
  for (std::size_t i = 0; i < kPublic.size() - 5; ++i) CHECK_FALSE(Recipient::parse(kPublic.substr(0, i)));
  for (std::size_t i = 0; i + 5 < kKey.size(); ++i) {
    CHECK_FALSE(Identity::parse(kKey.substr(0, i)));
    std::string bad(kKey);
    bad[i] ^= 2;
    (void)Identity::parse(bad);  // some bits are a comment's
  }
  CHECK_FAILS(Recipient::parse("ssh-dss AAAA"), Errc::unsupported);
  CHECK_FAILS(Recipient::parse("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="), Errc::unsupported);  // one bit or so
}

TEST_CASE("any part of a file is read as a whole reading gives it") {
  const Identity identity = Identity::generate();
  SplitMix64 random(12);
  for (const std::size_t size : kSizes) {
    const Bytes plain = random_bytes(size, size);
    const Bytes file = seal(identity, plain);
    auto reader = must(SeekableReader::open(std::make_shared<MemoryRandomSource>(file), std::span(&identity, 1)));
    CHECK(reader.size() == size);
    for (int i = 0; i < 40; ++i) {
      const std::size_t offset = random.below(size + 10);
      Bytes part(random.below(2) == 0 ? random.below(100) : random.below(200'000));
      const std::size_t count = must(reader.read_at(offset, part));
      CHECK(count == (offset >= size ? 0 : std::min(part.size(), size - offset)));
      CHECK(std::equal(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count),
                       plain.begin() + static_cast<std::ptrdiff_t>(std::min(offset, size))));
    }
  }
}

TEST_CASE("a file that is cut, changed or armoured can't be sought in") {
  const Identity identity = Identity::generate();
  const auto reader = [&](Bytes& file) {
    return SeekableReader::open(std::make_shared<MemoryRandomSource>(file), std::span(&identity, 1));
  };
  Bytes file = seal(identity, random_bytes(3 * kChunkSize));
  Bytes cut(file.begin(), file.end() - static_cast<std::ptrdiff_t>(kChunkSize + 16));
  CHECK_FAILS(reader(cut), Errc::corrupt);
  cut.resize(cut.size() - 10);
  CHECK_FAILS(reader(cut), Errc::corrupt);
  Bytes armored = seal(identity, random_bytes(10), {.armor = true});
  CHECK_FAILS(reader(armored), Errc::unsupported);
  Bytes empty;
  CHECK_FALSE(reader(empty));
  file[file.size() - 2 * (kChunkSize + 16)] ^= std::byte{1};  // the second chunk
  auto changed = must(reader(file));
  Bytes part(10);
  CHECK(must(changed.read_at(5, part)) == 10);
  CHECK_FAILS(changed.read_at(kChunkSize + 5, part), Errc::corrupt);
  CHECK(must(changed.read_at(2 * kChunkSize, part)) == 10);
}

TEST_CASE("a file is given to others by its header alone") {
  const Identity old = Identity::generate(), fresh = Identity::generate();
  const Bytes plain = random_bytes(200'000);
  const Bytes file = seal(old, plain);
  MemorySource source(file);
  Bytes moved;
  VectorSink sink(moved);
  const Recipient recipient = must(fresh.recipient());
  REQUIRE_OK(rewrap(source, std::span(&old, 1), std::span(&recipient, 1), sink));
  CHECK(must(open(fresh, moved)) == plain);
  CHECK_FAILS(open(old, moved), Errc::not_found);
  CHECK(std::equal(moved.end() - static_cast<std::ptrdiff_t>(plain.size()), moved.end(),
                   file.end() - static_cast<std::ptrdiff_t>(plain.size())));
  MemorySource again(moved);
  CHECK_FAILS(rewrap(again, std::span(&old, 1), std::span(&recipient, 1), sink), Errc::not_found);
}

TEST_CASE("a sink that fails ends the stream") {
  const Encryptor encryptor = must(Encryptor::make({must(Identity::generate().recipient())}));
  Collect sink;
  sink.fail_after = 100'000;
  auto stream = must(encryptor.start(sink));
  const auto failed = stream.write(random_bytes(300'000));
  CHECK_FAILS(failed, Errc::no_space);
  CHECK_FAILS(stream.write(random_bytes(1)), Errc::closed);
  CHECK_FAILS(stream.finish(), Errc::closed);
  std::array<std::byte, 50> little;
  SpanSink full(little);
  CHECK_FAILS(encryptor.start(full), Errc::limit);
}

TEST_CASE("a key ring keeps versions, and opens for its recipients alone") {
  const auto directory = must(TempDir::make());
  const auto path = directory.path() / "ring.age";
  const Identity owner = Identity::generate();
  KeyStore ring = must(KeyStore::create(path, {must(owner.recipient())}));
  CHECK_FAILS(KeyStore::create(path, {must(owner.recipient())}), Errc::already_exists);
  CHECK(must(ring.put("backup", SecretBuffer::copy("one"))) == 1);
  CHECK(must(ring.put("backup", SecretBuffer::copy("two"))) == 2);
  CHECK(must(ring.put("token", SecretBuffer())) == 1);
  REQUIRE_OK(ring.save());
  struct stat status{};
  CHECK(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  KeyStore read = must(KeyStore::open(path, {owner}));
  CHECK(read.names() == std::vector<std::string>{"backup", "token"});
  CHECK(must(read.get("backup")).secret.text() == "two");
  CHECK(must(read.get("backup", 1)).secret.text() == "one");
  CHECK(must(read.get("token")).bytes().empty());
  CHECK(read.versions("backup") == std::vector<std::uint32_t>{1, 2});
  CHECK_FAILS(read.get("backup", 3), Errc::not_found);
  CHECK_FAILS(read.get("nothing"), Errc::not_found);
  CHECK_FAILS(KeyStore::open(path, {Identity::generate()}), Errc::not_found);

  REQUIRE_OK(read.erase("backup", 1));
  CHECK_FAILS(read.get("backup", 1), Errc::not_found);
  REQUIRE_OK(read.erase("token"));
  CHECK_FAILS(read.erase("token"), Errc::not_found);
  CHECK_FAILS(read.save(), Errc::invalid_argument);  // a file doesn't say for whom it is
  REQUIRE_OK(read.set_recipients({must(owner.recipient())}));
  REQUIRE_OK(read.save());
  CHECK(must(KeyStore::open(path, {owner})).names() == std::vector<std::string>{"backup"});

  // The first one has not seen that.
  CHECK_FAILS(ring.save(), Errc::conflict);
  CHECK_FAILS(ring.put("", SecretBuffer()), Errc::invalid_argument);
  CHECK_FAILS(ring.put(std::string(256, 'x'), SecretBuffer()), Errc::invalid_argument);
  CHECK_FAILS(ring.put("large", SecretBuffer(KeyStore::kMaxSize + 1)), Errc::limit);
}

TEST_CASE("rotating a key ring rewrites its header and shuts former recipients out of the file") {
  const auto directory = must(TempDir::make());
  const auto path = directory.path() / "ring.age";
  const Identity old = Identity::generate(), fresh = Identity::generate_hybrid();
  KeyStore ring = must(KeyStore::create(path, {must(old.recipient())}));
  must(ring.put("key", SecretBuffer::copy("secret")));
  REQUIRE_OK(ring.save());
  const std::string before = must(read_file(path));
  REQUIRE_OK(KeyStore::rotate(path, std::span(&old, 1), {must(fresh.recipient())}));
  const std::string after = must(read_file(path));
  CHECK(before.substr(before.size() - 64) == after.substr(after.size() - 64));
  CHECK_FAILS(KeyStore::open(path, {old}), Errc::not_found);
  CHECK(must(must(KeyStore::open(path, {fresh})).get("key")).secret.text() == "secret");
  CHECK_FAILS(KeyStore::rotate(path, std::span(&old, 1), {must(old.recipient())}), Errc::not_found);
  CHECK_FAILS(KeyStore::rotate(path, std::span(&fresh, 1), {}), Errc::invalid_argument);
  CHECK(must(read_file(path)) == after);
}

TEST_CASE("what is sealed and no key ring, or a malformed one, is refused") {
  const auto directory = must(TempDir::make());
  const auto path = directory.path() / "ring.age";
  const Identity identity = Identity::generate();
  const auto opened = [&](std::string_view content) {
    REQUIRE_OK(write_file(path, as_text(seal(identity, as_bytes(content)))));
    return KeyStore::open(path, {identity});
  };
  using namespace std::literals;
  const std::string magic = "grove ring 1\n";
  CHECK_FAILS(opened("anything"), Errc::parse);
  CHECK_FAILS(opened(magic), Errc::corrupt);
  CHECK_FAILS(opened(magic + "\xff\xff\xff\xff"), Errc::corrupt);
  const std::string good = magic + "\0\0\0\1\0\1a\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\3abc"s;
  CHECK_OK(opened(good));
  for (std::size_t i = 0; i < good.size(); ++i) CHECK_FALSE(opened(good.substr(0, i)));
  CHECK_FAILS(opened(good + "x"), Errc::corrupt);
  CHECK_FAILS(opened(magic + "\0\0\0\1\0\1a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s), Errc::corrupt);  // version 0
}

}  // namespace
