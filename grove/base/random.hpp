// grove: freestanding
#pragma once

#include <cstdint>

namespace grove {

/// SplitMix64 (Steele, Lea, Flood 2014). Not for secrets. The bench peers carry
/// the same generator, so one seed gives one workload in both languages.
class SplitMix64 {
 public:
  using result_type = std::uint64_t;
  constexpr explicit SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}
  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return ~result_type{0}; }

  constexpr std::uint64_t operator()() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, bound), by modulo: the bias is below bound / 2^64. bound > 0.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept { return (*this)() % bound; }
  /// In [0, 1), 53 bits.
  constexpr double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace grove
