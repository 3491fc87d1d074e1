#include "grove/chain/cryptography/hashing/digest.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace grove::hashing {

std::string hex(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

bool supported(Isa isa) noexcept {
  if (isa == Isa::automatic || isa == Isa::portable) return true;
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system about wide registers.
  __builtin_cpu_init();
  const bool sse41 = __builtin_cpu_supports("sse4.1") != 0;
  switch (isa) {
    case Isa::sse41: return sse41;
    case Isa::avx2: return __builtin_cpu_supports("avx2") != 0;
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512bw");
    case Isa::sha_ni: {
      unsigned a = 0, b = 0, c = 0, d = 0;  // leaf 7, EBX bit 29: SHA
      return sse41 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
    }
    default: return false;
  }
#else
  return false;
#endif
}

}  // namespace grove::hashing
