#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace grove::hashing {

/// What a hash gives, in the order in which its bytes are written.
template <std::size_t Size>
using Digest = std::array<std::byte, Size>;

/// The bytes in lower-case hexadecimal.
std::string hex(std::span<const std::byte> bytes);

/// Which instructions a hash is computed with. The result never depends on it;
/// naming one is for tests and measurements.
enum class Isa : std::uint8_t {
  automatic,  ///< The fastest that this CPU and operating system have.
  portable,   ///< Plain C++.
  sse41,
  avx2,
  avx512,  ///< F, VL and BW.
  sha_ni,
};

/// Whether this machine can run it. Asked for one that it can't run, or that
/// an algorithm has no code for, a hash falls back to `portable`.
bool supported(Isa isa) noexcept;

}  // namespace grove::hashing
