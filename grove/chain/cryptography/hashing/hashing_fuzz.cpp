// Bytes choose a mode, a length of output and where the message is split: every
// instruction set must agree, and a Merkle proof must hold for its leaf alone.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "grove/chain/cryptography/hashing/hashing.hpp"

using namespace grove::hashing;

namespace {

void check(bool ok) {
  if (!ok) std::abort();
}

template <class Hasher>
Hasher fed(Hasher hasher, std::span<const std::byte> data, std::size_t step) {
  for (; !data.empty(); data = data.subspan(std::min(step, data.size())))
    hasher.update(data.first(std::min(step, data.size())));
  return hasher;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::size_t step = 1 + data[1] * 17u, length = data[2] * 5u, position = data[3];
  const auto message = std::as_bytes(std::span(data, size)).subspan(4);
  Blake3::Key key{};
  std::memcpy(key.data(), message.data(), std::min(key.size(), message.size()));
  const auto hasher = [&](Isa isa) {
    if (data[0] % 3 == 1) return Blake3::keyed(key, isa);
    if (data[0] % 3 == 2) return Blake3::derive({reinterpret_cast<const char*>(data), 4}, isa);
    return Blake3(isa);
  };
  std::vector<std::byte> expected(length), output(length);
  const Blake3 reference = fed(hasher(Isa::portable), message, message.size() + 1);
  reference.xof(expected, position);
  for (const Isa isa : {Isa::sse41, Isa::avx2, Isa::avx512}) {
    const Blake3 other = fed(hasher(isa), message, step);
    other.xof(output, position);
    check(output == expected && other.finish() == reference.finish() && other.size() == message.size());
  }
  check(fed(Sha256(), message, step).finish() == Sha256::hash(message, Isa::portable));
  check(fed(Keccak256(), message, step).finish() == keccak256(message));
  const auto sha3 = Sha3_256::hash(message);
  check(sha3 && *sha3 == fed(Sponge<136, 6, 32>(), message, step).finish());

  std::vector<Digest<32>> nodes(message.size() / 32);
  if (nodes.empty()) return 0;
  std::memcpy(nodes.data(), message.data(), 32 * nodes.size());
  const MerkleTree<BitcoinNodes> tree(nodes);
  const std::size_t index = data[0] % nodes.size();
  const auto proof = tree.proof(index);
  check(proof && (tree.mutated() || proof->verify(nodes[index], tree.root())));
  const Digest<32> stranger = sha256(message);
  check(!proof->verify(stranger, tree.root()));
  return 0;
}
