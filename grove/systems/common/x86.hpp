// grove: freestanding
#pragma once

#include <cstdint>

// Privileged x86-64 instructions, one function each (Intel SDM vol. 2). They
// compile in hosted code too, where executing one raises SIGSEGV.

namespace grove::sys::x86 {

inline constexpr std::uint64_t kCr0WriteProtect = 1U << 16;
inline constexpr std::uint64_t kCr4GlobalPages = 1U << 7;
inline constexpr std::uint64_t kCr4FiveLevels = 1U << 12;
inline constexpr std::uint64_t kCr4Pcid = 1U << 17;
inline constexpr std::uint32_t kMsrEfer = 0xc0000080;
inline constexpr std::uint64_t kEferNoExecute = 1U << 11;

#define GROVE_X86_CONTROL_REGISTER(n)                              \
  inline std::uint64_t read_cr##n() noexcept {                     \
    std::uint64_t value;                                           \
    asm volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory"); \
    return value;                                                  \
  }                                                                \
  inline void write_cr##n(std::uint64_t value) noexcept { asm volatile("mov %0, %%cr" #n : : "r"(value) : "memory"); }
GROVE_X86_CONTROL_REGISTER(0)
GROVE_X86_CONTROL_REGISTER(2)
GROVE_X86_CONTROL_REGISTER(3)
GROVE_X86_CONTROL_REGISTER(4)
#undef GROVE_X86_CONTROL_REGISTER

inline std::uint64_t read_msr(std::uint32_t index) noexcept {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return std::uint64_t{high} << 32 | low;
}
inline void write_msr(std::uint32_t index, std::uint64_t value) noexcept {
  asm volatile("wrmsr"
               :
               : "c"(index), "a"(static_cast<std::uint32_t>(value)), "d"(static_cast<std::uint32_t>(value >> 32)));
}

/// Drops this processor's translations of the page that holds `virt` (current
/// PCID and global ones) and all its paging-structure-cache entries of that PCID.
inline void invlpg(std::uint64_t virt) noexcept { asm volatile("invlpg (%0)" : : "r"(virt) : "memory"); }

inline void out8(std::uint16_t port, std::uint8_t value) noexcept {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void out16(std::uint16_t port, std::uint16_t value) noexcept {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
inline void out32(std::uint16_t port, std::uint32_t value) noexcept {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
inline std::uint8_t in8(std::uint16_t port) noexcept {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint16_t in16(std::uint16_t port) noexcept {
  std::uint16_t value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint32_t in32(std::uint16_t port) noexcept {
  std::uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline std::uint64_t rdtsc() noexcept {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}
inline void pause() noexcept { asm volatile("pause"); }
inline void halt() noexcept { asm volatile("hlt"); }
inline void enable_interrupts() noexcept { asm volatile("sti" : : : "memory"); }
inline void disable_interrupts() noexcept { asm volatile("cli" : : : "memory"); }

}  // namespace grove::sys::x86
