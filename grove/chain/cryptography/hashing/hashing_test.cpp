#include "grove/chain/cryptography/hashing/hashing.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/base/text.hpp"

using namespace grove;
using namespace grove::hashing;

namespace {

constexpr Isa kBlake3Isas[] = {Isa::portable, Isa::sse41, Isa::avx2, Isa::avx512, Isa::automatic};
constexpr Isa kSha256Isas[] = {Isa::portable, Isa::avx2, Isa::avx512, Isa::sha_ni, Isa::automatic};

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// The published BLAKE3 vectors' input: 0, 1, …, 250, 0, 1, …
std::vector<std::byte> counting(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

template <class Hasher>
auto by_splits(Hasher hasher, std::span<const std::byte> data, SplitMix64& random) {
  while (!data.empty()) {
    const std::size_t size = std::min<std::size_t>(data.size(), random.below(random.below(4) == 0 ? 5000 : 200));
    hasher.update(data.first(size));
    data = data.subspan(size);
  }
  return hasher.finish();
}

constexpr std::string_view kTwoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

}  // namespace

TEST_CASE("SHA-256 gives FIPS 180-4's examples with every instruction set") {
  for (const Isa isa : kSha256Isas) {
    const auto digest = [&](std::string_view text) { return hex(Sha256::hash(as_bytes(text), isa)); };
    CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest(kTwoBlocks) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(digest(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST_CASE("SHA-256 is the same for every length, way and split") {
  const auto data = random_bytes(300, 1);
  SplitMix64 random(2);
  for (std::size_t size = 0; size <= data.size(); ++size) {
    const auto part = std::span(data).first(size);
    const auto expected = Sha256::hash(part, Isa::portable);
    for (const Isa isa : kSha256Isas) {
      CHECK(Sha256::hash(part, isa) == expected);
      CHECK(by_splits(Sha256(isa), part, random) == expected);
    }
  }
}

TEST_CASE("finish leaves a hasher where it was") {
  const auto data = random_bytes(3000, 3);
  Sha256 sha;
  Blake3 blake;
  Keccak256 keccak;
  for (std::size_t i = 0; i < data.size(); i += 100) {
    const auto part = std::span(data).subspan(i, 100), all = std::span(data).first(i + 100);
    sha.update(part), blake.update(part), keccak.update(part);
    CHECK(sha.finish() == sha256(all));
    CHECK(blake.finish() == Blake3::hash(all));
    CHECK(keccak.finish() == keccak256(all));
    CHECK(blake.size() == i + 100);
  }
}

TEST_CASE("many 64-byte messages hash as each by itself, in place too") {
  for (std::size_t count = 0; count <= 67; ++count) {
    const auto data = random_bytes(64 * count, count);
    std::vector<Digest<32>> once, twice, blake;
    for (std::size_t i = 0; i < count; ++i) {
      const auto message = std::span(data).subspan(64 * i, 64);
      once.push_back(Sha256::hash(message, Isa::portable));
      twice.push_back(Sha256::hash(once.back(), Isa::portable));
      blake.push_back(Blake3::hash(message, 1, Isa::portable));
    }
    const auto check = [&](auto function, Isa isa, const std::vector<Digest<32>>& expected) {
      std::vector<Digest<32>> out(count);
      function(data, out, isa);
      CHECK(out == expected);
      std::vector<Digest<32>> nodes(2 * count);
      if (count > 0) std::memcpy(nodes.data(), data.data(), data.size());
      function(std::as_bytes(std::span(nodes)), nodes, isa);
      nodes.resize(count);
      CHECK(nodes == expected);
    };
    for (const Isa isa : kSha256Isas) check(sha256_64, isa, once), check(sha256d_64, isa, twice);
    for (const Isa isa : kBlake3Isas) check(Blake3::hash_64, isa, blake);
  }
}

TEST_CASE("hashing 64-byte messages writes no more digests than there is room and data for") {
  const auto data = random_bytes(64 * 40 + 63, 9);
  for (const std::size_t room : {0u, 1u, 17u, 40u, 50u}) {
    std::vector<Digest<32>> out(room);
    sha256_64(data, out);
    for (std::size_t i = 0; i < room; ++i)
      CHECK(out[i] == (i < 40 ? sha256(std::span(data).subspan(64 * i, 64)) : Digest<32>{}));
    std::fill(out.begin(), out.end(), Digest<32>{});
    Blake3::hash_64(data, out);
    for (std::size_t i = 0; i < room; ++i)
      CHECK(out[i] == (i < 40 ? Blake3::hash(std::span(data).subspan(64 * i, 64)) : Digest<32>{}));
  }
}

TEST_CASE("BLAKE3 gives the published digests with every instruction set") {
  constexpr std::string_view kKey = "whats the Elvish word for friend";
  Blake3::Key key;
  std::copy_n(as_bytes(kKey).begin(), 32, key.begin());
  constexpr std::string_view kContext = "BLAKE3 2019-12-27 16:29:52 test vectors context";
  for (const Isa isa : kBlake3Isas) {
    CHECK(hex(Blake3::hash({}, 1, isa)) == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    CHECK(hex(Blake3::hash(as_bytes("abc"), 1, isa)) ==
          "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    CHECK(hex(Blake3::keyed(key, isa).finish()) == "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26");
    CHECK(hex(Blake3::derive(kContext, isa).finish()) ==
          "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d");
  }
}

TEST_CASE("BLAKE3 is the same with every instruction set around every edge of the tree") {
  const auto data = counting(70'000);
  SplitMix64 random(4);
  std::vector<std::size_t> sizes = {0, 1, 63, 64, 65, 127, 128, 129};
  for (std::size_t chunks = 1; chunks <= 68; ++chunks)
    for (const std::size_t extra : {0u, 1u, 1023u})
      if (1024 * chunks + extra - 1 <= data.size()) sizes.push_back(1024 * chunks + extra - 1);
  Blake3::Key key;
  key.fill(std::byte{7});
  for (const std::size_t size : sizes) {
    const auto part = std::span(data).first(size);
    const auto expected = Blake3::hash(part, 1, Isa::portable);
    Blake3 keyed = Blake3::keyed(key, Isa::portable);
    keyed.update(part);
    std::array<std::byte, 1300> output, other;
    keyed.xof(output);
    for (const Isa isa : kBlake3Isas) {
      CHECK(Blake3::hash(part, 1, isa) == expected);
      CHECK(by_splits(Blake3(isa), part, random) == expected);
      Blake3 again = Blake3::keyed(key, isa);
      again.update(part);
      again.xof(other);
      CHECK(other == output);
      CHECK(std::ranges::equal(again.finish(), std::span(output).first(32)));
    }
  }
}

TEST_CASE("extended output can be read from any position") {
  Blake3 hasher;
  hasher.update(as_bytes("some entropy"));
  std::vector<std::byte> all(5000);
  hasher.xof(all);
  SplitMix64 random(5);
  for (int i = 0; i < 500; ++i) {
    const std::size_t from = random.below(all.size()), size = random.below(all.size() - from + 1);
    std::vector<std::byte> part(size);
    hasher.xof(part, from);
    CHECK(std::ranges::equal(part, std::span(all).subspan(from, size)));
  }
  for (const Isa isa : kBlake3Isas) {  // the block counter's upper half, in lanes
    Blake3 one(isa);
    std::array<std::byte, 2048> wide, portable;
    const std::uint64_t position = (std::uint64_t{1} << 38) - 1000;
    one.xof(wide, position);
    Blake3(Isa::portable).xof(portable, position);
    CHECK(wide == portable);
  }
}

TEST_CASE("keys, contexts and plain hashing never agree") {
  Blake3::Key key{};
  std::vector<Blake3::Digest> seen = {Blake3().finish(), Blake3::keyed(key).finish(), Blake3::derive("").finish(),
                                      Blake3::derive("a").finish()};
  key[31] = std::byte{1};
  seen.push_back(Blake3::keyed(key).finish());
  std::ranges::sort(seen);
  CHECK(std::ranges::adjacent_find(seen) == seen.end());
}

TEST_CASE("threads change nothing, whatever came before and after") {
  const auto data = random_bytes((std::size_t{9} << 20) + 777, 6);
  const auto expected = Blake3::hash(data);
  for (const unsigned threads : {0u, 2u, 3u, 8u}) CHECK(Blake3::hash(data, threads) == expected);
  for (const std::size_t first : {1u, 1024u, 65'536u, 1u << 20, (4u << 20) + 1024u}) {
    Blake3 hasher;
    hasher.update(std::span(data).first(first), 2);
    hasher.update(std::span(data).subspan(first), 3);
    CHECK(hasher.finish() == expected);
  }
}

TEST_CASE("threads fetch a message for themselves, and an error leaves the hasher as it was") {
  const auto data = random_bytes((std::size_t{5} << 20) + 4321, 7);
  for (const std::size_t before : {std::size_t{0}, std::size_t{100}, std::size_t{2} << 20}) {
    const auto head = std::span(data).first(before), rest = std::span(data).subspan(before);
    Blake3 hasher;
    hasher.update(head);
    std::atomic<std::uint64_t> broken = ~std::uint64_t{0};
    const Blake3::Source source = [&](std::uint64_t offset, std::span<std::byte> into) -> Result<void> {
      if (offset + into.size() > broken) return fail(Errc::io, "gone");
      std::ranges::copy(rest.subspan(static_cast<std::size_t>(offset), into.size()), into.begin());
      return {};
    };
    for (const std::uint64_t at : {0u, 1u << 20, 3'000'000u}) {
      broken = at;
      CHECK_FAILS(hasher.update_from(source, rest.size(), 3), Errc::io);
    }
    broken = ~std::uint64_t{0};
    CHECK(hasher.finish() == Blake3::hash(head));
    CHECK_OK(hasher.update_from(source, rest.size(), 3));
    CHECK(hasher.finish() == Blake3::hash(data));
  }
}

TEST_CASE("files hash as their content, and what can't be read is an error") {
  auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const auto path = directory->path() / "file";
  for (const std::size_t size : {0u, 1u, 65'536u, 3'000'001u}) {
    const auto data = random_bytes(size, size);
    REQUIRE_OK(write_file(path, as_text(data)));
    for (const unsigned threads : {1u, 2u}) {
      const auto digest = hash_file(path, threads);
      REQUIRE_OK(digest);
      CHECK(*digest == Blake3::hash(data));
    }
  }
  CHECK_FAILS(hash_file(directory->path() / "missing"), Errc::not_found);
  CHECK_FALSE(hash_file(directory->path()).has_value());
  const auto unsized = hash_file("/proc/version");
  const auto content = read_file("/proc/version");
  if (content) {
    REQUIRE_OK(unsized);
    CHECK(*unsized == Blake3::hash(as_bytes(*content)));
  }
}

TEST_CASE("Keccak-256 gives Ethereum's digests") {
  CHECK(hex(keccak256({})) == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  CHECK(hex(keccak256(as_bytes("abc"))) == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
  CHECK(hex(keccak256(as_bytes("transfer(address,uint256)"))).starts_with("a9059cbb"));
}

TEST_CASE("the sponge with SHA-3's suffix equals OpenSSL for every length and split") {
  const auto data = random_bytes(500, 8);
  SplitMix64 random(9);
  auto small = Sha3_256::create();
  auto large = Sha3_512::create();
  REQUIRE_OK(small);
  REQUIRE_OK(large);
  for (std::size_t size = 0; size <= data.size(); ++size) {
    const auto part = std::span(data).first(size);
    CHECK_OK(small->update(part));
    CHECK_OK(large->update(part));
    CHECK(by_splits(Sponge<136, 0x06, 32>(), part, random) == *small->finish());
    CHECK(by_splits(Sponge<72, 0x06, 64>(), part, random) == *large->finish());
  }
}

TEST_CASE("OpenSSL's and libsodium's hashes give their standards' examples") {
  const auto abc = as_bytes("abc");
  CHECK(hex(*Sha512::hash(abc)) ==
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  CHECK(hex(*Sha3_256::hash(abc)) == "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
  CHECK(hex(*Ripemd160::hash(abc)) == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc");
  CHECK(hex(*hash160({})) == "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb");
  CHECK(hex(*blake2b<64>(abc)) ==
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

TEST_CASE("BLAKE2b streams, copies and refuses sizes that it doesn't have") {
  const auto data = random_bytes(1000, 10), key = random_bytes(64, 11);
  auto hasher = Blake2b::create(32, key);
  REQUIRE_OK(hasher);
  hasher->update(std::span(data).first(333));
  Blake2b copy = *hasher;
  copy.update(std::span(data).subspan(333));
  Digest<32> digest;
  CHECK_OK(copy.finish(digest));
  CHECK(digest == *blake2b<32>(data, key));
  CHECK(digest != *blake2b<32>(data));
  CHECK_FAILS(copy.finish(std::span(digest).first(31)), Errc::invalid_argument);
  CHECK_FAILS(Blake2b::create(0), Errc::invalid_argument);
  CHECK_FAILS(Blake2b::create(65), Errc::invalid_argument);
  CHECK_FAILS(Blake2b::create(32, random_bytes(65, 12)), Errc::invalid_argument);
}

TEST_CASE("Bitcoin's block 100,000 has its Merkle root") {
  // Displayed identifiers are the digests' bytes in reverse.
  const auto id = [](std::string_view text) {
    Digest<32> digest;
    for (std::size_t i = 0; i < 32; ++i) {
      const auto digit = [&](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
      digest[31 - i] = static_cast<std::byte>(digit(text[2 * i]) * 16 + digit(text[2 * i + 1]));
    }
    return digest;
  };
  const MerkleTree<BitcoinNodes> tree({id("8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87"),
                                       id("fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4"),
                                       id("6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4"),
                                       id("e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d")});
  CHECK(tree.root() == id("f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"));
}

TEST_CASE_TEMPLATE("every leaf's proof holds, and nothing else does", Nodes, BitcoinNodes, Sha256Nodes,
                   TransparencyNodes, SortedKeccakNodes, Blake3Nodes) {
  for (std::size_t count = 1; count <= 20; ++count) {
    std::vector<typename Nodes::Digest> leaves;
    for (std::size_t i = 0; i < count; ++i) leaves.push_back(Nodes::leaf(random_bytes(i, i)));
    const MerkleTree<Nodes> tree(leaves);
    CHECK_FALSE(tree.mutated());
    auto scratch = leaves;
    CHECK(MerkleTree<Nodes>::root_of(scratch) == tree.root());
    for (std::size_t i = 0; i < count; ++i) {
      const auto proof = tree.proof(i);
      REQUIRE_OK(proof);
      CHECK(proof->verify(leaves[i], tree.root()));
      CHECK_FALSE(proof->verify(leaves[i], Nodes::leaf(as_bytes("else"))));
      if (count > 1) CHECK_FALSE(proof->verify(leaves[(i + 1) % count], tree.root()));
      auto bad = *proof;
      bad.index = count;
      CHECK_FALSE(bad.verify(leaves[i], tree.root()));
      bad = *proof;
      bad.siblings.push_back(leaves[0]);
      CHECK_FALSE(bad.verify(leaves[i], tree.root()));
      for (std::size_t s = 0; s < proof->siblings.size(); ++s) {
        bad = *proof;
        bad.siblings[s][5] ^= std::byte{1};
        CHECK_FALSE(bad.verify(leaves[i], tree.root()));
        bad = *proof;
        bad.siblings.resize(s);
        CHECK_FALSE(bad.verify(leaves[i], tree.root()));
      }
    }
    CHECK_FAILS(tree.proof(count), Errc::invalid_argument);
  }
}

TEST_CASE("a Merkle tree without leaves has the root that its kind defines") {
  CHECK(MerkleTree<BitcoinNodes>({}).root() == Digest<32>{});
  CHECK(MerkleTree<TransparencyNodes>({}).root() == sha256({}));
  CHECK_FAILS(MerkleTree<BitcoinNodes>({}).proof(0), Errc::invalid_argument);
}

TEST_CASE("certificate transparency's tree has RFC 6962's shape") {
  const auto leaf = [](int i) { return TransparencyNodes::leaf(random_bytes(10, static_cast<std::uint64_t>(i))); };
  const auto node = [](const Digest<32>& left, const Digest<32>& right) {
    Sha256 hasher;
    hasher.update(std::array{std::byte{1}});
    hasher.update(left);
    hasher.update(right);
    return hasher.finish();
  };
  // seven leaves: four, two and one
  const auto expected =
      node(node(node(leaf(0), leaf(1)), node(leaf(2), leaf(3))), node(node(leaf(4), leaf(5)), leaf(6)));
  CHECK(MerkleTree<TransparencyNodes>({leaf(0), leaf(1), leaf(2), leaf(3), leaf(4), leaf(5), leaf(6)}).root() ==
        expected);
}

TEST_CASE("a Bitcoin tree with its end repeated keeps its root and is reported (CVE-2012-2459)") {
  std::vector<Digest<32>> leaves;
  for (std::size_t i = 0; i < 6; ++i) leaves.push_back(sha256(random_bytes(8, i)));
  const MerkleTree<BitcoinNodes> honest(leaves);
  leaves.push_back(leaves[4]);
  leaves.push_back(leaves[5]);
  const MerkleTree<BitcoinNodes> forged(leaves);
  CHECK(forged.root() == honest.root());
  CHECK(forged.mutated());
  CHECK_FALSE(honest.mutated());
  const auto proof = forged.proof(7);
  REQUIRE_OK(proof);
  CHECK_FALSE(proof->verify(leaves[7], honest.root()));
}
