#pragma once

// All of this component:
//   sha256.hpp           Sha256, sha256d, sha256d_64
//   blake3.hpp           Blake3: hash, keyed, derive, xof, threads
//   keccak.hpp           Keccak256 (Ethereum), Sponge
//   library_digests.hpp  Sha512, Sha3_256, Ripemd160, Blake2b
//   merkle.hpp           MerkleTree, MerkleProof
//   file.hpp             hash_file

#include "grove/chain/cryptography/hashing/blake3.hpp"
#include "grove/chain/cryptography/hashing/digest.hpp"
#include "grove/chain/cryptography/hashing/file.hpp"
#include "grove/chain/cryptography/hashing/keccak.hpp"
#include "grove/chain/cryptography/hashing/library_digests.hpp"
#include "grove/chain/cryptography/hashing/merkle.hpp"
#include "grove/chain/cryptography/hashing/sha256.hpp"
