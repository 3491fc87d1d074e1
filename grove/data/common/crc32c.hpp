#pragma once

#include <cstdint>

#include "grove/data/common/file.hpp"

namespace grove::data {

/// CRC-32C (Castagnoli, RFC 3720 B.4), as RocksDB, LevelDB, iSCSI and ext4 use
/// it; `seed` continues an earlier one. The CPU's own instruction where there
/// is one, tables elsewhere.
std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0) noexcept;

/// The table version, for a check of one against the other.
std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t seed = 0) noexcept;

/// LevelDB's masking: the CRC of data that holds CRCs would be a weak one.
constexpr std::uint32_t crc32c_mask(std::uint32_t crc) noexcept { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

}  // namespace grove::data
