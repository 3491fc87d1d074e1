// Sealing and opening in memory that is touched beforehand, and what small
// files and random reads cost. peer/ does the same with the crate age.

#include <algorithm>
#include <cstring>

#include "grove/base/bench/bench.hpp"
#include "grove/base/random.hpp"
#include "grove/security/crypto/key-management/key_management.hpp"

namespace {

using namespace grove;
using namespace grove::key_management;
using bench::Meter;
using bench::Parameters;

std::vector<std::byte> plaintext(const Parameters& p, std::size_t size) {
  SplitMix64 random(p.seed);
  std::vector<std::byte> bytes((size + 7) / 8 * 8);
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  bytes.resize(size);
  return bytes;
}

struct Bulk {
  bool armor = false;
  bool encrypting = false;
  unsigned threads = 1;

  void operator()(const Parameters& p, Meter& m) const {
    if (const auto result = run(p, m); !result) m.fail(result.error().message());
  }
  Result<void> run(const Parameters& p, Meter& m) const {
    const Identity key = Identity::generate();
    GROVE_TRY(const Recipient recipient, key.recipient());
    GROVE_TRY(const Encryptor encryptor, Encryptor::make({recipient}, {.armor = armor, .threads = threads}));
    GROVE_TRY(const Decryptor decryptor, Decryptor::make({key}, {.threads = threads}));
    const auto plain = plaintext(p, p.size);
    std::vector<std::byte> file(p.size + p.size / 2 + 65536, std::byte{1});
    std::vector<std::byte> back(p.size, std::byte{1});
    SpanSink sealed(file);
    SpanSink opened(back);
    Result<void> result;
    const auto timed = [&](bool measured, auto&& work) {
      if (!result) return;
      if (measured)
        m.measure([&] { result = work(); });
      else
        result = work();
    };
    timed(encrypting, [&] { return encryptor.seal(plain, sealed); });
    timed(!encrypting, [&] { return decryptor.open(std::span(file).first(sealed.size()), opened); });
    m.work(p.size);
    m.checksum().bytes(back);
    return result;
  }
};

/// Sealing and opening messages of 1 KiB.
Result<void> messages(const Parameters& p, Meter& m) {
  const Identity key = Identity::generate();
  GROVE_TRY(const Recipient recipient, key.recipient());
  const auto plain = plaintext(p, 1024);
  for (std::size_t i = 0; i < p.size; ++i) {
    Result<std::vector<std::byte>> back;
    m.measure([&] {
      back = [&]() -> Result<std::vector<std::byte>> {
        GROVE_TRY(const Encryptor encryptor, Encryptor::make({recipient}));
        GROVE_TRY(const auto file, encryptor.seal(plain));
        GROVE_TRY(const Decryptor decryptor, Decryptor::make({key}));
        return decryptor.open(file);
      }();
    });
    if (!back) return std::unexpected(back.error());
    m.checksum().bytes(*back);
  }
  m.work(p.size);
  return {};
}

/// Reading 4 KiB at random places of a file of 64 MiB.
Result<void> seek(const Parameters& p, Meter& m) {
  const Identity key = Identity::generate();
  GROVE_TRY(const Recipient recipient, key.recipient());
  const auto plain = plaintext(p, std::size_t{64} << 20);
  GROVE_TRY(const Encryptor encryptor, Encryptor::make({recipient}));
  GROVE_TRY(const auto file, encryptor.seal(plain));
  GROVE_TRY(auto reader, SeekableReader::open(std::make_shared<MemoryRandomSource>(file), std::span(&key, 1)));
  SplitMix64 random(p.seed);
  std::array<std::byte, 4096> part{};
  for (std::size_t i = 0; i < p.size; ++i) {
    const std::uint64_t at = random.below(plain.size() - part.size());
    Result<std::size_t> count;
    m.measure([&] { count = reader.read_at(at, part); });
    if (!count) return std::unexpected(count.error());
    m.checksum().bytes(part);
  }
  m.work(p.size);
  return {};
}

template <Result<void> (*kRun)(const Parameters&, Meter&)>
void checked(const Parameters& p, Meter& m) {
  if (const auto result = kRun(p, m); !result) m.fail(result.error().message());
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::size_t kSize = std::size_t{256} << 20;
  const bench::Workload workloads[] = {
      {"encrypt", kSize, "B", Bulk{.encrypting = true}},
      {"decrypt", kSize, "B", Bulk{}},
      {"encrypt-two-threads", kSize, "B", Bulk{.encrypting = true, .threads = 2}},
      {"decrypt-two-threads", kSize, "B", Bulk{.threads = 2}},
      {"encrypt-armored", kSize / 4, "B", Bulk{.armor = true, .encrypting = true}},
      {"decrypt-armored", kSize / 4, "B", Bulk{.armor = true}},
      {"messages", 2000, "message", checked<messages>},
      {"seek", 5000, "read", checked<seek>},
  };
  return bench::run(argc, argv, workloads);
}
