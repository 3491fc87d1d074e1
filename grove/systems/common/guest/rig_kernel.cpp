// What rig_proof.cpp runs: does what a line from the host says.
#include <array>

#include "grove/systems/common/guest/guest.hpp"
#include "grove/systems/common/x86.hpp"

namespace guest = grove::sys::guest;
namespace x86 = grove::sys::x86;

namespace {

struct Constructed {
  Constructed() { value = 42; }
  int value;
} constructed;
int traps = 0;

}  // namespace

void kernel_main(const guest::BootInfo& boot) {
  guest::on_trap(3, [](guest::TrapFrame&) { ++traps; });
  guest::print_line("command line: ", boot.command_line());
  std::uint64_t ram = 0;
  for (const auto& range : boot.memory_map())
    if (range.type == 1) ram += range.bytes;
  guest::print_line("ram: ", ram);
  guest::print_line("five levels: ", (x86::read_cr4() & x86::kCr4FiveLevels) != 0 ? "yes" : "no");
  guest::print_line("constructed: ", constructed.value);
  for (std::array<char, 64> buffer;;) {
    const std::string_view order = guest::read_line(buffer);
    if (order == "trap") {
      asm volatile("int3");
      guest::print_line("traps: ", traps);
    } else if (order == "poke") {
      auto& word = *reinterpret_cast<volatile std::uint64_t*>(0x800000);
      word = word + 1;
      guest::print_line("poked");
    } else if (order == "panic") {
      guest::panic("asked to");
    } else if (order == "fault") {
      *reinterpret_cast<volatile int*>(0x123456789000) = 1;
    } else if (order == "count") {
      const std::uint64_t before = x86::rdtsc();
      for (int i = 0; i < 1000; ++i) asm volatile("");
      guest::print_line("ticks: ", x86::rdtsc() - before);
    } else if (order == "reset") {
      struct [[gnu::packed]] {
        std::uint16_t limit;
        std::uint64_t base;
      } none{0, 0};
      asm volatile("lidt %0; int3" : : "m"(none));
    } else {
      guest::exit(7);
    }
  }
}
