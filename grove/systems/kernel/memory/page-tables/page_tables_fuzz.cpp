// Guest-written tables: the input is the memory that holds them. The walker must
// stay inside it, agree with itself and with a walker written another way.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "grove/base/bytes.hpp"
#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

namespace grove::page_tables {
namespace {

constexpr std::size_t kFrames = 8;
constexpr std::size_t kBytes = kFrames * kFrameBytes;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Frames {
  std::uint64_t next = kFrames - 2;  // the last two are for new tables
  std::optional<PhysAddr> allocate() {
    if (next == kFrames) return std::nullopt;
    return PhysAddr(next++ * kFrameBytes);
  }
  void free(PhysAddr) { --next; }
};

/// The manual's tables, read top down, one byte address at a time.
std::optional<std::uint64_t> walk_by_the_book(const std::vector<Entry>& memory, unsigned levels, std::uint64_t virt) {
  std::uint64_t table = 0;
  for (unsigned level = levels; level > 0; --level) {
    if (table + kFrameBytes > kBytes) return std::nullopt;
    const unsigned low = 12 + 9 * (level - 1);
    const Entry e = memory[table / 8 + (virt >> low) % kEntries];
    if (e % 2 == 0) return std::nullopt;
    const std::uint64_t page = std::uint64_t{1} << low;
    const std::uint64_t address = e % (std::uint64_t{1} << 52) / kFrameBytes * kFrameBytes;
    if (level == 1) return address + virt % page;
    if ((e >> 7) % 2 == 1) {
      if (level > 3 || address % page / 8192 != 0) return std::nullopt;
      return address / page * page + virt % page;
    }
    table = address;
  }
  return std::nullopt;
}

template <unsigned Levels>
void check(ByteReader input) {
  std::vector<Entry> memory(kBytes / 8, 0);
  const std::uint64_t virt_seed = input.u64le().value_or(0);
  const std::uint64_t bits = 12 + 9 * Levels;
  const VirtAddr virt(static_cast<std::uint64_t>(static_cast<std::int64_t>(virt_seed << (64 - bits)) >> (64 - bits)));
  // (slot, entry) pairs, so that a small input reaches every table.
  while (input.remaining() >= 10) {
    const std::size_t slot = *input.u16le() % memory.size();
    memory[slot] = *input.u64le();
  }
  Frames frames;
  PageTable<Levels, Frames, BoundedMap> table(PhysAddr(0), frames,
                                              BoundedMap(reinterpret_cast<std::byte*>(memory.data()), kBytes));
  const auto translated = table.translate(virt);
  const auto expected = walk_by_the_book(memory, Levels, virt.value());
  require(translated.has_value() == expected.has_value());
  if (translated) require(translated->phys.value() == *expected);
  require(table.trace(virt).count <= Levels);

  const VirtAddr page = virt.align_down(kFrameBytes);
  int visits = 0;
  (void)table.walk([&](const Mapping& mapping) {
    const auto again = table.translate(mapping.virt);
    require(again && again->phys == mapping.phys && again->size == mapping.size && again->flags == mapping.flags);
    return ++visits < 1000;
  });

  if (translated) {
    const auto old = *table.translate(page);
    if (const auto changed = table.protect(page.align_down(bytes_of(old.size)), old.size, kWrite)) changed->ignore();
    // The edit may have hit a table that the walk itself goes through.
    if (const auto split = table.split(virt)) split->ignore();
    (void)table.translate(virt);
  } else {
    const auto before = memory;
    const auto mapped = table.map(page, PhysAddr(0x1234'5000), PageSize::k4KiB, kUser);
    if (mapped)
      mapped->ignore();
    else
      require(memory == before);
    const auto ranged = table.map_range(page, PhysAddr(0), kFrameBytes, kUser, PageSize::k1GiB);
    if (ranged) ranged->ignore();
  }
  if (const auto removed = table.unmap_range(page, kFrameBytes)) removed->ignore();
  if (auto pruned = table.prune(page, kFrameBytes)) pruned->flush().ignore();
}

}  // namespace
}  // namespace grove::page_tables

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace grove::page_tables;
  const grove::ByteReader input(std::as_bytes(std::span(data, size)));
  check<4>(input);
  check<5>(input);
  return 0;
}
