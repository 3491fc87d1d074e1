#include <array>
#include <cstring>
#include <vector>

#include <openssl/evp.h>

#include "grove/base/bench/bench.hpp"
#include "grove/base/random.hpp"
#include "grove/chain/cryptography/hashing/hashing.hpp"

using namespace grove;
using namespace grove::hashing;

namespace {

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

/// One message of `size` bytes.
template <auto Hash>
void bulk(const bench::Parameters& parameters, bench::Meter& meter) {
  const auto data = random_bytes(parameters.size, parameters.seed);
  Digest<32> digest;
  meter.measure([&] { digest = Hash(data); });
  meter.work(data.size());
  meter.checksum().bytes(digest);
}

/// `size` hashes of 64 bytes, each message with the digest before in it.
template <auto Hash>
void chained(const bench::Parameters& parameters, bench::Meter& meter) {
  auto message = random_bytes(64, parameters.seed);
  meter.measure([&] {
    for (std::size_t i = 0; i < parameters.size; ++i) {
      const Digest<32> digest = Hash(message);
      std::memcpy(message.data(), digest.data(), 32);
    }
  });
  meter.work(parameters.size);
  meter.checksum().bytes(message);
}

/// `size` messages of 64 bytes, one by one.
template <auto Hash>
void short_messages(const bench::Parameters& parameters, bench::Meter& meter) {
  const auto data = random_bytes(64 * 1024, parameters.seed);
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (std::size_t i = 0; i < parameters.size; ++i) {
      const Digest<32> digest = Hash(std::span(data).subspan(64 * (i % 1024), 64));
      std::uint64_t word;
      std::memcpy(&word, digest.data(), 8);
      sum += word;
    }
  });
  meter.work(parameters.size);
  meter.checksum().word(sum);
}

template <class Nodes>
void merkle(const bench::Parameters& parameters, bench::Meter& meter) {
  std::vector<Digest<32>> leaves(parameters.size);
  SplitMix64 random(parameters.seed);
  for (auto& leaf : leaves)
    for (std::size_t i = 0; i < 32; i += 8) {
      const std::uint64_t word = random();
      std::memcpy(leaf.data() + i, &word, 8);
    }
  Digest<32> root;
  meter.measure([&] { root = MerkleTree<Nodes>::root_of(leaves); });
  meter.work(parameters.size);
  meter.checksum().bytes(root);
}

constexpr auto kBlake3 = [](std::span<const std::byte> data) { return Blake3::hash(data); };
constexpr auto kSha256 = [](std::span<const std::byte> data) { return sha256(data); };
constexpr auto kEvp = [](std::span<const std::byte> data) {
  Digest<32> digest;
  EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return digest;
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Workload workloads[] = {
      {"blake3-bulk", std::size_t{16} << 20, "B", bulk<kBlake3>},
      {"blake3-8k", 8192, "B", bulk<kBlake3>},
      {"blake3-64", 1'000'000, "message", short_messages<kBlake3>},
      {"sha256-bulk", std::size_t{16} << 20, "B", bulk<kSha256>},
      {"sha256-64", 1'000'000, "message", short_messages<kSha256>},
      {"sha256-64-evp", 1'000'000, "message", short_messages<kEvp>, "sha256-64"},
      {"sha256-64-chained", 1'000'000, "message", chained<kSha256>},
      {"merkle-sha256", 1'000'000, "leaf", merkle<Sha256Nodes>},
      {"merkle-sha256d", 1'000'000, "leaf", merkle<BitcoinNodes>},
      {"merkle-blake3", 1'000'000, "leaf", merkle<Blake3Nodes>},
      {"merkle-keccak", 100'000, "leaf", merkle<SortedKeccakNodes>},
  };
  return bench::run(argc, argv, workloads);
}
