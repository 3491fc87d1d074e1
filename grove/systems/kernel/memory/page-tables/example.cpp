#include "grove/base/example.hpp"
#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

#include <array>
#include <iomanip>
#include <ostream>

namespace grove::page_tables {

/// A process's address space on a small arena: code, data, a stack and a window
/// on a device; then the walk of one address, level by level.
Result<void> example(const ExampleContext& context) {
  alignas(4096) static std::array<std::byte, 32 * kFrameBytes> memory;
  struct Frames {
    std::uint64_t next = 0;
    std::optional<PhysAddr> allocate() {
      if (next == memory.size()) return std::nullopt;
      return PhysAddr(std::exchange(next, next + kFrameBytes));
    }
    void free(PhysAddr) {}
  } frames;
  auto space = PageTable<4, Frames, BoundedMap>::create(frames, BoundedMap(memory.data(), memory.size()));
  const auto map = [&](std::uint64_t virt, std::uint64_t phys, std::uint64_t bytes, Flags flags) {
    const auto mapped = space->map_range(VirtAddr(virt), PhysAddr(phys), bytes, flags, PageSize::k1GiB);
    if (mapped) mapped->ignore();  // nobody has loaded these tables yet
    return mapped.has_value();
  };
  if (!space || !map(0x400000, 0x1000000, 0x3000, kUser) ||                           // code
      !map(0x600000, 0x2000000, 0x201000, kUser | kWrite | kNoExecute) ||             // data
      !map(0x7fff'ffff'd000, 0x1200000, 0x2000, kUser | kWrite | kNoExecute) ||       // stack
      !map(0xffff'8000'4000'0000, 1 << 30, 1 << 30, kWrite | kNoCache | kNoExecute))  // device
    return fail(Errc::no_space, "the arena is too small");

  context.out << "virtual            physical    size  rights\n";
  (void)space->walk([&](const Mapping& page) {
    context.out << std::hex << std::setfill('0') << std::setw(16) << page.virt.value() << " -> " << std::setw(9)
                << page.phys.value() << "  " << name_of(page.size) << "    r" << (page.flags.has(kWrite) ? 'w' : '-')
                << (page.flags.has(kNoExecute) ? '-' : 'x') << (page.flags.has(kUser) ? " user\n" : " kernel\n");
  });
  const VirtAddr address(0x7fff'ffff'e123);
  const Trace trace = space->trace(address);
  context.out << "walk of " << address.value() << ":";
  for (unsigned i = 0; i < trace.count; ++i) context.out << (i == 0 ? " " : " > ") << trace.entries[i];
  context.out << " = " << space->translate(address)->phys.value() << std::dec << '\n';
  return {};
}

}  // namespace grove::page_tables
