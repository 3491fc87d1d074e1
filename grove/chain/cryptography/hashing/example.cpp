#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/example.hpp"
#include "grove/base/text.hpp"
#include "grove/chain/cryptography/hashing/hashing.hpp"

namespace grove::hashing {

/// One text under the hashes of several chains, then a list of payments, of
/// which one is proven to be in it by a handful of digests.
Result<void> example(const ExampleContext& context) {
  const auto text = as_bytes(context.arguments.empty() ? std::string_view("transfer(address,uint256)")
                                                       : std::string_view(context.arguments[0]));
  GROVE_TRY(const Ripemd160::Digest short_hash, hash160(text));
  context.out << "SHA-256    " << hex(sha256(text)) << "\nSHA-256d   " << hex(sha256d(text)) << "\nHASH160    "
              << hex(short_hash) << "\nKeccak-256 " << hex(keccak256(text))
              << "  (Solidity's selector: " << hex(keccak256(text)).substr(0, 8) << ")\nBLAKE3     "
              << hex(Blake3::hash(text)) << '\n';

  std::vector<TransparencyNodes::Digest> leaves;
  for (int i = 0; i < 1'000'000; ++i)
    leaves.push_back(TransparencyNodes::leaf(as_bytes("pay " + std::to_string(i) + " coins")));
  const auto paid = leaves[271'828];
  const MerkleTree<TransparencyNodes> tree(std::move(leaves));
  GROVE_TRY(const auto proof, tree.proof(271'828));
  context.out << "payment 271828 of " << tree.size() << " is below root " << hex(tree.root()).substr(0, 16)
              << "…: " << (proof.verify(paid, tree.root()) ? "proven" : "not proven") << " by " << proof.siblings.size()
              << " digests\n";
  return {};
}

}  // namespace grove::hashing
