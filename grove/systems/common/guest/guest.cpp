#include "grove/systems/common/guest/guest.hpp"

#include <array>

#include "grove/systems/common/x86.hpp"

extern "C" {
extern const char grove_guest_stubs[];
extern const char grove_guest_image_end[];
using Constructor = void (*)();
extern const Constructor grove_guest_constructors[];
extern const Constructor grove_guest_constructors_end[];
}

namespace grove::sys::guest {
namespace {

constexpr std::uint16_t kSerial = 0x3f8;  // 16550, COM1
constexpr std::uint16_t kExit = 0xf4;     // QEMU's isa-debug-exit
constexpr std::uint8_t kPanic = 127;

struct [[gnu::packed]] Gate {
  std::uint16_t offset_low;
  std::uint16_t selector;
  std::uint8_t stack;
  std::uint8_t type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high;
  std::uint32_t reserved;
};
struct [[gnu::packed]] TaskState {
  std::uint32_t reserved;
  std::uint64_t stacks[3];
  std::uint64_t reserved1;
  std::uint64_t interrupt_stacks[7];
  std::uint64_t reserved2;
  std::uint16_t reserved3;
  std::uint16_t io_map;
};
struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  const void* base;
};

std::array<Gate, 256> idt;
TaskState tss;
std::array<std::uint64_t, 7> gdt;
std::array<TrapHandler, 256> handlers;
alignas(16) std::array<std::byte, 16384> trap_stack;
alignas(16) std::array<std::byte, 8192> double_fault_stack;

void set_up_traps() noexcept {
  for (std::size_t i = 0; i < idt.size(); ++i) {
    const auto stub = reinterpret_cast<std::uint64_t>(grove_guest_stubs) + i * 16;
    // Interrupt gates; ring 3 may raise 0x80 only. Vector 8 gets a stack that works.
    idt[i] = {static_cast<std::uint16_t>(stub),
              kKernelCode,
              static_cast<std::uint8_t>(i == 8 ? 1 : 0),
              static_cast<std::uint8_t>(i == 0x80 ? 0xee : 0x8e),
              static_cast<std::uint16_t>(stub >> 16),
              static_cast<std::uint32_t>(stub >> 32),
              0};
  }
  tss.stacks[0] = reinterpret_cast<std::uint64_t>(trap_stack.data() + trap_stack.size());
  tss.interrupt_stacks[0] = reinterpret_cast<std::uint64_t>(double_fault_stack.data() + double_fault_stack.size());
  tss.io_map = sizeof tss;
  const auto base = reinterpret_cast<std::uint64_t>(&tss);
  gdt = {0,
         0x00af9b000000ffff,  // code, ring 0
         0x00cf93000000ffff,  // data, ring 0
         0x00cff3000000ffff,  // data, ring 3
         0x00affb000000ffff,  // code, ring 3
         (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56,
         base >> 32};
  const TablePointer gdt_pointer{sizeof gdt - 1, gdt.data()};
  const TablePointer idt_pointer{sizeof idt - 1, idt.data()};
  asm volatile("lgdt %0; ltr %w1; lidt %2" : : "m"(gdt_pointer), "r"(0x28), "m"(idt_pointer) : "memory");
}

}  // namespace

std::string_view BootInfo::command_line() const noexcept {
  return command_line_address != 0 ? reinterpret_cast<const char*>(command_line_address) : "";
}

std::uint64_t image_end() noexcept { return reinterpret_cast<std::uint64_t>(grove_guest_image_end); }

void write(std::string_view text) noexcept {
  for (const char c : text) {
    while ((x86::in8(kSerial + 5) & 0x20) == 0) x86::pause();
    x86::out8(kSerial, static_cast<std::uint8_t>(c));
  }
}

void write_hex(std::uint64_t value) noexcept {
  std::array<char, 16> digits;
  std::size_t at = digits.size();
  do digits[--at] = "0123456789abcdef"[value & 15];
  while ((value >>= 4) != 0);
  write("0x");
  write({digits.data() + at, digits.size() - at});
}

void write_decimal(std::uint64_t value) noexcept {
  std::array<char, 20> digits;
  std::size_t at = digits.size();
  do digits[--at] = static_cast<char>('0' + value % 10);
  while ((value /= 10) != 0);
  write({digits.data() + at, digits.size() - at});
}

char read() noexcept {
  while ((x86::in8(kSerial + 5) & 1) == 0) x86::pause();
  return static_cast<char>(x86::in8(kSerial));
}

std::string_view read_line(std::span<char> buffer) noexcept {
  std::size_t size = 0;
  for (char c = read(); c != '\n'; c = read())
    if (size < buffer.size()) buffer[size++] = c;
  return {buffer.data(), size};
}

void exit(std::uint8_t status) noexcept {
  while ((x86::in8(kSerial + 5) & 0x40) == 0) x86::pause();
  x86::out32(kExit, status);
  for (;;) x86::halt();
}

void panic(std::string_view why) noexcept {
  print_line("panic: ", why);
  exit(kPanic);
}

void on_trap(std::uint8_t vector, TrapHandler handler) noexcept { handlers[vector] = handler; }

extern "C" void grove_guest_trap(TrapFrame& frame) {
  if (const TrapHandler handler = handlers[frame.vector & 255]) return handler(frame);
  const auto show = [](std::string_view name, std::uint64_t value) {
    write(name);
    write_hex(value);
  };
  show("trap ", frame.vector);
  show(" error ", frame.error_code);
  show(" rip ", frame.rip);
  show(" cr2 ", x86::read_cr2());
  show(" rsp ", frame.rsp);
  write("\n");
  panic("unexpected trap");
}

extern "C" void grove_guest_start(const BootInfo& boot) {
  set_up_traps();
  for (const Constructor* c = grove_guest_constructors; c != grove_guest_constructors_end; ++c) (*c)();
  kernel_main(boot);
  exit(0);
}

}  // namespace grove::sys::guest

// What a compiler may call without being asked (GCC manual, "Language Standards").
extern "C" {
void* memcpy(void* to, const void* from, std::size_t size) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}
void* memset(void* to, int value, std::size_t size) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return result;
}
void* memmove(void* to, const void* from, std::size_t size) {
  if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= size)
    return memcpy(to, from, size);
  auto* const target = static_cast<char*>(to);
  const auto* const source = static_cast<const char*>(from);
  while (size-- > 0) target[size] = source[size];
  return to;
}
int memcmp(const void* left, const void* right, std::size_t size) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (; size > 0; --size, ++a, ++b)
    if (*a != *b) return *a - *b;
  return 0;
}
std::size_t strlen(const char* text) {
  std::size_t size = 0;
  for (; text[size] != 0; ++size) asm volatile("");  // or the loop becomes a call of strlen
  return size;
}
[[noreturn]] void abort() { grove::sys::guest::panic("abort"); }
[[noreturn]] void __cxa_pure_virtual() { grove::sys::guest::panic("pure virtual call"); }
// A kernel never ends its static objects.
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void* __dso_handle = nullptr;
}
