#include "grove/game/common/state.hpp"

#include <bit>

namespace grove::game {

namespace {
constexpr std::uint64_t k1 = 0x9e3779b185ebca87, k2 = 0xc2b2ae3d27d4eb4f, k3 = 0x165667b19e3779f9,
                        k4 = 0x85ebca77c2b2ae63, k5 = 0x27d4eb2f165667c5;

template <class T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  return value;
}
std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept { return std::rotl(lane + input * k2, 31) * k1; }
}  // namespace

std::uint64_t xxh64(std::span<const std::byte> data, std::uint64_t seed) noexcept {
  const std::byte* at = data.data();
  std::size_t left = data.size();
  std::uint64_t hash = seed + k5;
  if (left >= 32) {
    std::uint64_t lanes[4] = {seed + k1 + k2, seed + k2, seed, seed - k1};
    for (; left >= 32; at += 32, left -= 32)
      for (std::size_t i = 0; i < 4; ++i) lanes[i] = round(lanes[i], load<std::uint64_t>(at + 8 * i));
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (const auto lane : lanes) hash = (hash ^ round(0, lane)) * k1 + k4;
  }
  hash += data.size();
  for (; left >= 8; at += 8, left -= 8) hash = std::rotl(hash ^ round(0, load<std::uint64_t>(at)), 27) * k1 + k4;
  if (left >= 4) {
    hash = std::rotl(hash ^ load<std::uint32_t>(at) * k1, 23) * k2 + k3;
    at += 4;
    left -= 4;
  }
  for (; left > 0; ++at, --left) hash = std::rotl(hash ^ std::to_integer<std::uint64_t>(*at) * k5, 11) * k1;
  hash = (hash ^ hash >> 33) * k2;
  hash = (hash ^ hash >> 29) * k3;
  return hash ^ hash >> 32;
}

}  // namespace grove::game
