#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/chain/cryptography/hashing/blake3.hpp"
#include "grove/chain/cryptography/hashing/keccak.hpp"
#include "grove/chain/cryptography/hashing/sha256.hpp"

namespace grove::hashing {

/// What becomes of the last node of a level with an odd number of them.
enum class Odd : std::uint8_t {
  promote,    ///< It moves up as it is (RFC 6962's shape).
  duplicate,  ///< It is joined with itself (Bitcoin).
};

// How trees hash: `leaf` makes a leaf's digest of its data; `join` makes
// parents of nodes, two by two, `parents` may start where `nodes` does.

/// Bitcoin's blocks: leaves are transaction ids, SHA-256 twice.
struct BitcoinNodes {
  using Digest = hashing::Digest<32>;
  static constexpr Odd kOdd = Odd::duplicate;
  static Digest empty() noexcept { return {}; }
  static Digest leaf(std::span<const std::byte> data) noexcept { return sha256d(data); }
  static void join(std::span<const Digest> nodes, std::span<Digest> parents) noexcept {
    sha256d_64(std::as_bytes(nodes), parents);
  }
};

/// SHA-256 without prefixes. Leaves must have a fixed size other than 64 bytes,
/// or be digests already: nothing else tells a leaf from a node.
struct Sha256Nodes {
  using Digest = hashing::Digest<32>;
  static constexpr Odd kOdd = Odd::promote;
  static Digest empty() noexcept { return sha256({}); }
  static Digest leaf(std::span<const std::byte> data) noexcept { return sha256(data); }
  static void join(std::span<const Digest> nodes, std::span<Digest> parents) noexcept {
    sha256_64(std::as_bytes(nodes), parents);
  }
};

/// Certificate transparency's tree (RFC 6962, section 2.1): leaves and nodes
/// start with different bytes.
struct TransparencyNodes {
  using Digest = hashing::Digest<32>;
  static constexpr Odd kOdd = Odd::promote;
  static Digest empty() noexcept { return sha256({}); }
  static Digest leaf(std::span<const std::byte> data) noexcept {
    Sha256 hasher;
    hasher.update(std::array{std::byte{0}});
    hasher.update(data);
    return hasher.finish();
  }
  static void join(std::span<const Digest> nodes, std::span<Digest> parents) noexcept {
    std::array<std::byte, 65> message{std::byte{1}};
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const auto pair = std::as_bytes(nodes.subspan(2 * i, 2));
      std::copy(pair.begin(), pair.end(), message.begin() + 1);
      parents[i] = sha256(message);
    }
  }
};

/// What Solidity's usual verifiers take: Keccak-256, the smaller sibling first,
/// so that a proof needs no directions.
struct SortedKeccakNodes {
  using Digest = hashing::Digest<32>;
  static constexpr Odd kOdd = Odd::promote;
  static Digest empty() noexcept { return {}; }
  static Digest leaf(std::span<const std::byte> data) noexcept { return keccak256(keccak256(data)); }
  static void join(std::span<const Digest> nodes, std::span<Digest> parents) noexcept {
    for (std::size_t i = 0; i < parents.size(); ++i) {
      std::array<Digest, 2> pair{nodes[2 * i], nodes[2 * i + 1]};
      if (pair[1] < pair[0]) std::swap(pair[0], pair[1]);
      parents[i] = keccak256(std::as_bytes(std::span(pair)));
    }
  }
};

/// BLAKE3 of the 64 bytes of two digests. As with Sha256Nodes, nothing tells a
/// leaf of 64 bytes from a node.
struct Blake3Nodes {
  using Digest = Blake3::Digest;
  static constexpr Odd kOdd = Odd::promote;
  static Digest empty() noexcept { return Blake3::hash({}); }
  static Digest leaf(std::span<const std::byte> data) noexcept { return Blake3::hash(data); }
  static void join(std::span<const Digest> nodes, std::span<Digest> parents) noexcept {
    Blake3::hash_64(std::as_bytes(nodes), parents);
  }
};

/// Siblings from the leaf up; levels on which the leaf's node has none are left out.
template <class Nodes>
struct MerkleProof {
  std::uint64_t index = 0;   ///< Of the leaf.
  std::uint64_t leaves = 0;  ///< Of the tree.
  std::vector<typename Nodes::Digest> siblings;

  /// Whether it leads from the leaf to the root. `leaves` must come from
  /// whoever is trusted for the root; the rest may be an attacker's.
  bool verify(const typename Nodes::Digest& leaf, const typename Nodes::Digest& root) const {
    if (index >= leaves) return false;
    typename Nodes::Digest node = leaf;
    std::size_t used = 0;
    for (std::uint64_t at = index, width = leaves; width > 1; at /= 2, width = width / 2 + width % 2) {
      std::array<typename Nodes::Digest, 2> pair{node, node};
      if ((at ^ 1) < width) {
        if (used == siblings.size()) return false;
        pair[(at & 1) ^ 1] = siblings[used++];
        // CVE-2012-2459: an equal sibling would be a list with its end repeated.
        if (Nodes::kOdd == Odd::duplicate && pair[0] == pair[1]) return false;
      } else if (Nodes::kOdd == Odd::promote) {
        continue;
      }
      Nodes::join(pair, {&node, 1});
    }
    return used == siblings.size() && node == root;
  }
};

/// A Merkle tree in memory: about twice its leaves. Reading is thread safe.
template <class Nodes>
class MerkleTree {
 public:
  using Digest = typename Nodes::Digest;

  /// Over digests of leaves (see Nodes::leaf).
  explicit MerkleTree(std::vector<Digest> leaves) {
    levels_.push_back(std::move(leaves));
    while (levels_.back().size() > 1) {
      const std::vector<Digest>& below = levels_.back();
      std::vector<Digest> level((below.size() + 1) / 2);
      mutated_ = join(below, level) || mutated_;
      levels_.push_back(std::move(level));
    }
  }

  std::size_t size() const noexcept { return levels_.front().size(); }
  Digest root() const noexcept { return size() == 0 ? Nodes::empty() : levels_.back().front(); }
  /// Two neighbours somewhere are equal, so that with Odd::duplicate a shorter
  /// list has the same root (CVE-2012-2459): a block like that must be refused.
  bool mutated() const noexcept { return mutated_; }

  /// `invalid_argument` when there is no such leaf.
  Result<MerkleProof<Nodes>> proof(std::size_t index) const {
    if (index >= size())
      return fail(Errc::invalid_argument,
                  "no leaf " + std::to_string(index) + " in a Merkle tree of " + std::to_string(size()));
    MerkleProof<Nodes> proof{index, size(), {}};
    for (std::size_t level = 0; level + 1 < levels_.size(); ++level, index /= 2)
      if ((index ^ 1) < levels_[level].size()) proof.siblings.push_back(levels_[level][index ^ 1]);
    return proof;
  }

  /// The root alone; uses up `nodes`, whose memory is all it needs.
  static Digest root_of(std::span<Digest> nodes) {
    if (nodes.empty()) return Nodes::empty();
    for (; nodes.size() > 1; nodes = nodes.first((nodes.size() + 1) / 2))
      join(nodes, nodes.first((nodes.size() + 1) / 2));
    return nodes[0];
  }

 private:
  /// One level up; whether two nodes of a pair were equal.
  static bool join(std::span<const Digest> nodes, std::span<Digest> parents) {
    bool equal = false;
    if constexpr (Nodes::kOdd == Odd::duplicate)
      for (std::size_t i = 0; i + 1 < nodes.size(); i += 2) equal |= nodes[i] == nodes[i + 1];
    const std::size_t pairs = nodes.size() / 2;
    const Digest last = nodes.back();
    Nodes::join(nodes.first(2 * pairs), parents.first(pairs));
    if (nodes.size() % 2 != 0) {
      if constexpr (Nodes::kOdd == Odd::duplicate) {
        const std::array<Digest, 2> twice{last, last};
        Nodes::join(twice, parents.subspan(pairs, 1));
      } else {
        parents[pairs] = last;
      }
    }
    return equal;
  }

  std::vector<std::vector<Digest>> levels_;
  bool mutated_ = false;
};

}  // namespace grove::hashing
