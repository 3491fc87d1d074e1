#pragma once

#include <filesystem>

#include "grove/chain/cryptography/hashing/blake3.hpp"

namespace grove::hashing {

/// BLAKE3 of a file, read and hashed by `threads` at once (what b3sum prints).
/// Pipes and devices are read to their end by one. Blocks. `not_found`,
/// `permission` or `io`; `io` too when the file shrinks meanwhile. What is
/// added to it meanwhile is left out.
Result<Blake3::Digest> hash_file(const std::filesystem::path& path, unsigned threads = 1);

}  // namespace grove::hashing
