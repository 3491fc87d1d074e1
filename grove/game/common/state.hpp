#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace grove::game {

/// A saved state: flat bytes of this build on this machine (byte order, layouts
/// and padding as in memory), for undo, replay and rollback.
using StateBlob = std::vector<std::byte>;

inline void append(StateBlob& blob, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  blob.insert(blob.end(), bytes, bytes + size);
}
template <class T>
  requires std::is_trivially_copyable_v<T>
void append(StateBlob& blob, const T& value) {
  append(blob, &value, sizeof value);
}

/// XXH64 of the xxHash specification (Yann Collet, 2012). To hash in parts, pass
/// what the part before gave as the seed.
std::uint64_t xxh64(std::span<const std::byte> data, std::uint64_t seed = 0) noexcept;

}  // namespace grove::game
