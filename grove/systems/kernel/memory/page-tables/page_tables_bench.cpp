// Edits of a hierarchy in user space, on an arena of touched memory; the peer is
// the crate x86_64 on the same. Checksums are over the tables' bytes.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "grove/base/bench/bench.hpp"
#include "grove/base/random.hpp"
#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

namespace grove::page_tables {
namespace {

using bench::Meter;
using bench::Parameters;

constexpr std::uint64_t k1G = std::uint64_t{1} << 30;
constexpr Flags kData = kWrite | kNoExecute;

/// Both sides align the arena alike: where the host may use huge pages they start here.
constexpr std::size_t kAlignment = std::size_t{2} << 20;

/// Frames in order from zeroed, touched memory; frame 0 is the root.
class Arena {
 public:
  explicit Arena(std::size_t count)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, count * kFrameBytes))), count_(count) {
    std::memset(memory_.get(), 0, count * kFrameBytes);
  }
  std::optional<PhysAddr> allocate() noexcept {
    if (next_ == count_) return std::nullopt;
    return PhysAddr(next_++ * kFrameBytes);
  }
  void free(PhysAddr) noexcept {}
  auto table() noexcept {
    // The peer doesn't expect other walkers either.
    using Table = PageTable<4, Arena, OffsetMap, Walkers::none>;
    return Table(PhysAddr(0), *this, OffsetMap(reinterpret_cast<std::uint64_t>(memory_.get())));
  }
  void fold(Meter& meter) const { meter.checksum().bytes({memory_.get(), next_ * kFrameBytes}); }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t next_ = 1;
  std::size_t count_;
};

/// `size` pages, four pages apart, shuffled.
std::vector<std::uint64_t> addresses(const Parameters& parameters) {
  SplitMix64 random(parameters.seed);
  std::vector<std::uint64_t> list(parameters.size);
  for (std::size_t i = 0; i < list.size(); ++i) list[i] = (1ULL << 39) - k1G + i * 4 * kFrameBytes;
  for (std::size_t i = list.size() - 1; i > 0; --i) std::swap(list[i], list[random.below(i + 1)]);
  return list;
}
std::size_t frames_for(const Parameters& parameters) { return parameters.size / 128 + 64; }

std::uint64_t map_all(Arena& arena, const std::vector<std::uint64_t>& list) {
  auto table = arena.table();
  std::uint64_t mapped = 0;
  for (const std::uint64_t virt : list)
    if (const auto flush = table.map(VirtAddr(virt), PhysAddr(virt & 0xffff'ffff), PageSize::k4KiB, kData)) {
      flush->ignore();
      ++mapped;
    }
  return mapped;
}

void map(const Parameters& parameters, Meter& meter) {
  const auto list = addresses(parameters);
  Arena arena(frames_for(parameters));
  std::uint64_t mapped = 0;
  meter.measure([&] { mapped = map_all(arena, list); });
  meter.work(mapped);
  arena.fold(meter);
}

void translate(const Parameters& parameters, Meter& meter) {
  const auto list = addresses(parameters);
  Arena arena(frames_for(parameters));
  map_all(arena, list);
  const auto table = arena.table();
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (const std::uint64_t virt : list)
      if (const auto page = table.translate(VirtAddr(virt + 0x123))) sum += page->phys.value() + page->flags.bits();
  });
  meter.work(list.size());
  meter.checksum().word(sum);
}

void unmap(const Parameters& parameters, Meter& meter) {
  const auto list = addresses(parameters);
  Arena arena(frames_for(parameters));
  map_all(arena, list);
  auto table = arena.table();
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (const std::uint64_t virt : list)
      if (const auto page = table.unmap(VirtAddr(virt), PageSize::k4KiB)) {
        page->flush.ignore();
        sum += page->phys.value();
      }
  });
  meter.work(list.size());
  meter.checksum().word(sum);
  arena.fold(meter);
}

void protect(const Parameters& parameters, Meter& meter) {
  const auto list = addresses(parameters);
  Arena arena(frames_for(parameters));
  map_all(arena, list);
  auto table = arena.table();
  meter.measure([&] {
    for (const std::uint64_t virt : list)
      if (const auto flush = table.protect(VirtAddr(virt), PageSize::k4KiB, kUser)) flush->ignore();
  });
  meter.work(list.size());
  arena.fold(meter);
}

constexpr VirtAddr kStart((1ULL << 39) - k1G + 5 * kFrameBytes);

void map_range(const Parameters& parameters, Meter& meter) {
  Arena arena(parameters.size / 512 + 64);
  auto table = arena.table();
  meter.measure([&] {
    if (const auto flush = table.map_range(kStart, PhysAddr(0), parameters.size * kFrameBytes, kData)) flush->ignore();
  });
  meter.work(parameters.size);
  arena.fold(meter);
}

void unmap_range(const Parameters& parameters, Meter& meter) {
  Arena arena(parameters.size / 512 + 64);
  auto table = arena.table();
  if (const auto flush = table.map_range(kStart, PhysAddr(0), parameters.size * kFrameBytes, kData)) flush->ignore();
  std::uint64_t sum = 0;
  meter.measure([&] {
    const auto flush = table.unmap_range(kStart, parameters.size * kFrameBytes,
                                         [&](const Mapping& page) { sum += page.phys.value(); });
    if (flush) flush->ignore();
  });
  meter.work(parameters.size);
  meter.checksum().word(sum);
  arena.fold(meter);
}

/// Codes that both sides fold: 0 done, 1 taken, 2 a larger page (or, to unmap,
/// any other size), 3 absent.
std::uint64_t map_code(const std::expected<Flush, MapError>& result) {
  if (result) return result->ignore(), 0;
  switch (result.error()) {
    case MapError::already_mapped:
    case MapError::smaller_pages: return 1;
    case MapError::huge_page: return 2;
    default: return 4;
  }
}
std::uint64_t unmap_code(const std::expected<Unmapped, MapError>& result) {
  if (result) return result->flush.ignore(), result->phys.value();
  switch (result.error()) {
    case MapError::huge_page:
    case MapError::smaller_pages: return 2;
    case MapError::not_mapped: return 3;
    default: return 5;
  }
}

/// Random maps and unmaps of all sizes, most of which meet something: the two
/// sides must agree on every result and every byte.
void mixed(const Parameters& parameters, Meter& meter) {
  SplitMix64 random(parameters.seed);
  Arena arena(4096);
  auto table = arena.table();
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (std::size_t i = 0; i < parameters.size; ++i) {
      const std::uint64_t word = random();
      const std::uint64_t virt =
          (1ULL << 39) - 2 * k1G + (word & 3) * k1G + (word >> 2 & 7) * (1 << 21) + (word >> 5 & 15) * kFrameBytes;
      const PhysAddr phys((word >> 16 & 0xffff) << 30);
      const Flags flags = ((word >> 32 & 1) != 0 ? kWrite : Flags{}) | ((word >> 33 & 1) != 0 ? kNoExecute : Flags{});
      const std::uint64_t choice = word >> 35 & 7;
      const PageSize size = choice == 0 ? PageSize::k1GiB : choice < 3 ? PageSize::k2MiB : PageSize::k4KiB;
      const VirtAddr page = VirtAddr(virt).align_down(bytes_of(size));
      const std::uint64_t code =
          (word >> 34 & 1) != 0 ? map_code(table.map(page, phys, size, flags)) : unmap_code(table.unmap(page, size));
      sum = std::rotl(sum, 1) ^ code;
    }
  });
  meter.work(parameters.size);
  meter.checksum().word(sum);
  arena.fold(meter);
}

}  // namespace
}  // namespace grove::page_tables

int main(int argc, char** argv) {
  using namespace grove::page_tables;
  const std::vector<grove::bench::Workload> workloads{
      {"map", 1'000'000, "page", map},
      {"translate", 1'000'000, "page", translate},
      {"unmap", 1'000'000, "page", unmap},
      {"protect", 1'000'000, "page", protect},
      {"map-range", 1'000'000, "page", map_range},
      {"unmap-range", 1'000'000, "page", unmap_range},
      {"mixed", 1'000'000, "op", mixed},
  };
  return grove::bench::run(argc, argv, workloads);
}
