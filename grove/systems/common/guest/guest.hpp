// grove: freestanding
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

/// What a kernel on the rig (see rig.hpp) starts with: a serial console, traps,
/// a way to end the run. Boot leaves it in ring 0, long mode, interrupts off,
/// the first 8 GiB identity-mapped, on a 64 KiB stack, one processor. Write
/// `extern "C" void kernel_main(const guest::BootInfo&)`; returning ends the run
/// with status 0.
namespace grove::sys::guest {

/// Xen's hvm_start_info, version 1, as the loader left it.
struct BootInfo {
  struct MemoryRange {
    std::uint64_t address;
    std::uint64_t bytes;
    std::uint32_t type;  ///< 1: RAM (the kernel itself lies in it); else E820's numbers.
    std::uint32_t reserved;
  };
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t module_count;
  std::uint64_t modules;
  std::uint64_t command_line_address;
  std::uint64_t rsdp;
  std::uint64_t memory_map_address;
  std::uint32_t memory_map_entries;
  std::uint32_t reserved;

  std::string_view command_line() const noexcept;
  std::span<const MemoryRange> memory_map() const noexcept {
    return {reinterpret_cast<const MemoryRange*>(memory_map_address), memory_map_entries};
  }
};

/// First byte after the kernel's image: RAM from here on is free.
std::uint64_t image_end() noexcept;

// The serial console, polled. The host reads it by lines.
void write(std::string_view text) noexcept;
void write_hex(std::uint64_t value) noexcept;
void write_decimal(std::uint64_t value) noexcept;
/// Text as it is, integers in decimal, pointers in hex; then a new line.
template <class... T>
void print_line(const T&... parts) noexcept {
  const auto one = []<class P>(const P& part) {
    if constexpr (std::integral<P>)
      write_decimal(static_cast<std::uint64_t>(part));
    else if constexpr (std::is_pointer_v<P> && !std::is_convertible_v<P, std::string_view>)
      write_hex(reinterpret_cast<std::uint64_t>(part));
    else
      write(part);
  };
  (one(parts), ...);
  write("\n");
}
/// Waits for the next byte that the host sends.
char read() noexcept;
/// The next line, without its end; what doesn't fit is dropped.
std::string_view read_line(std::span<char> buffer) noexcept;

/// Ends the machine; `Rig::wait()` returns the status, 0 … 126.
[[noreturn]] void exit(std::uint8_t status) noexcept;
/// Says why, then ends with status 127.
[[noreturn]] void panic(std::string_view why) noexcept;

struct TrapFrame {
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax;
  std::uint64_t vector;
  std::uint64_t error_code;  ///< 0 for vectors that have none.
  std::uint64_t rip, cs, rflags, rsp, ss;
};
/// May change the frame: it is what the processor goes on with.
using TrapHandler = void (*)(TrapFrame&);
/// A trap without a handler is a panic that shows the frame. Vector 0 … 255.
void on_trap(std::uint8_t vector, TrapHandler handler) noexcept;

// Segment selectors. Traps from ring 3 come in on a stack of their own.
inline constexpr std::uint16_t kKernelCode = 0x08;
inline constexpr std::uint16_t kKernelData = 0x10;
inline constexpr std::uint16_t kUserData = 0x1b;
inline constexpr std::uint16_t kUserCode = 0x23;

}  // namespace grove::sys::guest

extern "C" void kernel_main(const grove::sys::guest::BootInfo& boot);
