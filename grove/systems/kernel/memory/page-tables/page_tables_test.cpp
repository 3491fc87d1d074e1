#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"

namespace grove::page_tables {
namespace {

constexpr std::uint64_t k4K = 4096;
constexpr std::uint64_t k2M = std::uint64_t{2} << 20;
constexpr std::uint64_t k1G = std::uint64_t{1} << 30;

/// Memory for tables, with an account of who holds each frame.
class Arena {
 public:
  explicit Arena(std::size_t frames) : memory_(frames * kEntries, 0xdead'beef'dead'beef), held_(frames, false) {}

  std::optional<PhysAddr> allocate() {
    for (std::size_t i = 0; i < held_.size() && used_ < limit; ++i)
      if (!held_[i]) {
        held_[i] = true;
        ++used_;
        return PhysAddr(i * k4K);
      }
    return std::nullopt;
  }
  void free(PhysAddr frame) {
    const std::size_t i = frame.value() / k4K;
    REQUIRE(frame.is_aligned(k4K));
    REQUIRE(held_.at(i));
    held_[i] = false;
    --used_;
    std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(i * kEntries), kEntries, 0xdead'beef'dead'beef);
  }
  BoundedMap map() { return {reinterpret_cast<std::byte*>(memory_.data()), memory_.size() * sizeof(Entry)}; }
  std::size_t used() const { return used_; }
  std::vector<Entry>& memory() { return memory_; }

  std::size_t limit = ~std::size_t{0};

 private:
  std::vector<Entry> memory_;
  std::vector<bool> held_;
  std::size_t used_ = 0;
};

template <unsigned Levels>
struct Space {
  explicit Space(std::size_t frames = 64) : arena(frames), table(*Table::create(arena, arena.map())) {}
  using Table = PageTable<Levels, Arena, BoundedMap>;
  Arena arena;
  Table table;
};

MapError error_of(const auto& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error();
}
void done(std::expected<Flush, MapError> result) {
  REQUIRE_MESSAGE(result.has_value(), name_of(result.error()));
  result->ignore();
}
/// The whole content, to show that a failed operation changed nothing.
template <unsigned Levels>
std::vector<Entry> tables_of(Space<Levels>& space) {
  std::vector<Entry> all;
  const auto copy = [&](auto& self, PhysAddr frame, unsigned level) -> void {
    const Entry* const table = space.arena.map().table(frame);
    for (std::size_t i = 0; i < kEntries; ++i) {
      all.push_back(table[i]);
      if (level > 1 && (table[i] & 1) != 0 && (table[i] & 128) == 0)
        self(self, PhysAddr(table[i] & 0xffffffffff000), level - 1);
    }
  };
  copy(copy, space.table.root(), Levels);
  return all;
}

}  // namespace

TEST_CASE("an empty hierarchy translates nothing") {
  Space<4> space;
  CHECK(error_of(space.table.translate(VirtAddr(0))) == MapError::not_mapped);
  CHECK(error_of(space.table.translate(VirtAddr(0xffff'8000'0000'0000))) == MapError::not_mapped);
  CHECK(space.arena.used() == 1);
}

TEST_CASE_TEMPLATE("a mapped page translates byte for byte, in every size", Levels, std::integral_constant<unsigned, 4>,
                   std::integral_constant<unsigned, 5>) {
  Space<Levels::value> space;
  const auto top = static_cast<std::uint64_t>(-static_cast<std::int64_t>(k1G));
  for (const PageSize size : {PageSize::k4KiB, PageSize::k2MiB, PageSize::k1GiB}) {
    for (const std::uint64_t base : {std::uint64_t{0x7f'0000'0000}, top}) {
      const VirtAddr virt(base);
      const auto flush = space.table.map(virt, PhysAddr(bytes_of(size) * 3), size, kWrite | kNoExecute);
      REQUIRE(flush.has_value());
      CHECK_FALSE(flush->required());
      flush->ignore();
      const auto last = space.table.translate(virt + (bytes_of(size) - 1));
      REQUIRE(last.has_value());
      CHECK(last->phys == PhysAddr(bytes_of(size) * 4 - 1));
      CHECK(last->size == size);
      CHECK(last->flags == (kWrite | kNoExecute));
      if (bytes_of(size) < k1G) CHECK(error_of(space.table.translate(virt + bytes_of(size))) == MapError::not_mapped);
      const auto gone = space.table.unmap(virt, size);
      REQUIRE(gone.has_value());
      CHECK(gone->phys == PhysAddr(bytes_of(size) * 3));
      CHECK(gone->flush.required());
      CHECK(gone->flush.start() == virt);
      gone->flush.ignore();
      auto pruned = space.table.prune(virt, k1G);
      REQUIRE(pruned.has_value());
      CHECK(pruned->count() == Levels::value - static_cast<unsigned>(size));
      pruned->flush().ignore();
      std::move(*pruned).release(space.arena);
      CHECK(space.arena.used() == 1);
    }
  }
}

TEST_CASE("entries have the bits that the manual gives them") {
  Space<4> space;
  done(space.table.map(VirtAddr(0), PhysAddr(0x5000), PageSize::k4KiB, kUser | kPat | kGlobal | available(0)));
  done(space.table.map(VirtAddr(k2M), PhysAddr(k2M), PageSize::k2MiB, kPat | kNoExecute | available(9)));
  const Trace small = space.table.trace(VirtAddr(0));
  REQUIRE(small.count == 4);
  CHECK((small.entries[0] & 0xfff) == 7);
  CHECK(small.entries[3] == (0x5000 | 1 | 4 | 0x80 | 0x100 | 0x200));
  const Trace large = space.table.trace(VirtAddr(k2M));
  REQUIRE(large.count == 3);
  CHECK(large.entries[2] == (k2M | 1 | 0x80 | 0x1000 | 1ULL << 63 | 1ULL << 58));
  CHECK(space.table.translate(VirtAddr(k2M))->flags == (kPat | kNoExecute | available(9)));
  CHECK(protection_key(15).bits() == 0xfULL << 59);
}

TEST_CASE("addresses that are not canonical are refused everywhere") {
  Space<4> four;
  Space<5> five;
  for (const std::uint64_t bad : {1ULL << 47, 1ULL << 63, 0xffff'7fff'ffff'f000ULL}) {
    const VirtAddr virt(bad);
    CHECK(error_of(four.table.map(virt, PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::not_canonical);
    CHECK(error_of(four.table.unmap(virt, PageSize::k4KiB)) == MapError::not_canonical);
    CHECK(error_of(four.table.protect(virt, PageSize::k4KiB, kRead)) == MapError::not_canonical);
    CHECK(error_of(four.table.translate(virt)) == MapError::not_canonical);
    CHECK(error_of(four.table.split(virt)) == MapError::not_canonical);
    CHECK(error_of(four.table.map_range(virt, PhysAddr(0), k4K, kRead)) == MapError::not_canonical);
    CHECK(error_of(four.table.unmap_range(virt, k4K)) == MapError::not_canonical);
    CHECK(error_of(four.table.walk(virt, k4K, [](const Mapping&) {})) == MapError::not_canonical);
    CHECK(error_of(four.table.prune(virt, k4K)) == MapError::not_canonical);
  }
  done(five.table.map(VirtAddr(std::uint64_t{1} << 47), PhysAddr(0), PageSize::k4KiB, kRead));
  CHECK(error_of(five.table.map(VirtAddr(std::uint64_t{1} << 56), PhysAddr(0), PageSize::k4KiB, kRead)) ==
        MapError::not_canonical);
  // A range whose ends are canonical and whose middle is not.
  CHECK(error_of(four.table.map_range(VirtAddr(0x7fff'ffff'f000), PhysAddr(0), 0xffff'0000'0000'2000, kRead)) ==
        MapError::not_canonical);
  CHECK(error_of(four.table.unmap_range(VirtAddr(0x7fff'ffff'f000), 0xffff'0000'0000'2000)) == MapError::not_canonical);
  CHECK(error_of(four.table.unmap_range(VirtAddr(0xffff'ffff'ffff'f000), 0x2000)) == MapError::out_of_range);
  CHECK(four.arena.used() == 1);
}

TEST_CASE("misaligned and oversized requests are refused") {
  Space<4> space;
  auto& t = space.table;
  CHECK(error_of(t.map(VirtAddr(1), PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(8), PageSize::k4KiB, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map(VirtAddr(k4K), PhysAddr(0), PageSize::k2MiB, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(k2M), PageSize::k1GiB, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(1ULL << 52), PageSize::k4KiB, kRead)) == MapError::out_of_range);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(0), static_cast<PageSize>(4), kRead)) == MapError::out_of_range);
  CHECK(error_of(t.unmap(VirtAddr(k4K), PageSize::k2MiB)) == MapError::misaligned);
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr(0), 0, kRead)) == MapError::out_of_range);
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr(0), 100, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr(100), k4K, kRead)) == MapError::misaligned);
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr((1ULL << 52) - k4K), 2 * k4K, kRead)) == MapError::out_of_range);
  CHECK(space.arena.used() == 1);
}

TEST_CASE("a page doesn't go where another one is, whatever their sizes") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(0), PhysAddr(0), PageSize::k2MiB, kRead));
  done(t.map(VirtAddr(k2M), PhysAddr(0), PageSize::k4KiB, kRead));
  done(t.map(VirtAddr(k1G), PhysAddr(0), PageSize::k1GiB, kRead));
  const auto before = tables_of(space);
  CHECK(error_of(t.map(VirtAddr(k4K), PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::huge_page);
  CHECK(error_of(t.map(VirtAddr(k1G + k2M), PhysAddr(0), PageSize::k2MiB, kRead)) == MapError::huge_page);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(0), PageSize::k2MiB, kRead)) == MapError::already_mapped);
  CHECK(error_of(t.map(VirtAddr(k2M), PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::already_mapped);
  CHECK(error_of(t.map(VirtAddr(k2M), PhysAddr(0), PageSize::k2MiB, kRead)) == MapError::smaller_pages);
  CHECK(error_of(t.map(VirtAddr(0), PhysAddr(0), PageSize::k1GiB, kRead)) == MapError::smaller_pages);
  CHECK(error_of(t.unmap(VirtAddr(0), PageSize::k4KiB)) == MapError::huge_page);
  CHECK(error_of(t.unmap(VirtAddr(k2M), PageSize::k2MiB)) == MapError::smaller_pages);
  CHECK(error_of(t.protect(VirtAddr(k2M), PageSize::k2MiB, kWrite)) == MapError::smaller_pages);
  CHECK(error_of(t.protect(VirtAddr(k1G), PageSize::k2MiB, kWrite)) == MapError::huge_page);
  CHECK(error_of(t.map_range(VirtAddr(k2M - k4K), PhysAddr(0), 4 * k4K, kRead)) == MapError::huge_page);
  CHECK(error_of(t.unmap_range(VirtAddr(k4K), k2M)) == MapError::huge_page);
  CHECK(error_of(t.unmap_range(VirtAddr(0), k2M - k4K)) == MapError::huge_page);
  CHECK(error_of(t.protect_range(VirtAddr(k1G - k4K), 2 * k4K, kWrite)) == MapError::huge_page);
  CHECK(tables_of(space) == before);
}

TEST_CASE("protect keeps what the processor wrote, and replaces the rest") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(k2M), PhysAddr(k2M), PageSize::k2MiB, kWrite | kDirty | kPat));
  const auto flush = t.protect(VirtAddr(k2M), PageSize::k2MiB, kUser | kNoExecute);
  REQUIRE(flush.has_value());
  CHECK(flush->required());
  CHECK(flush->stride() == k2M);
  flush->ignore();
  CHECK(t.translate(VirtAddr(k2M))->flags == (kUser | kNoExecute | kDirty));
  const auto gone = t.unmap(VirtAddr(k2M), PageSize::k2MiB);
  CHECK(gone->flags.has(kDirty));
  gone->flush.ignore();
}

TEST_CASE("when frames run out in mid-walk everything is as it was") {
  for (std::size_t spare = 0; spare < 4; ++spare) {
    Space<5> space;
    auto& t = space.table;
    done(t.map(VirtAddr(k1G), PhysAddr(0), PageSize::k1GiB, kRead));
    space.arena.limit = space.arena.used() + spare;
    const std::size_t used = space.arena.used();
    const auto before = tables_of(space);
    CHECK(error_of(t.map(VirtAddr(0x7f'ffff'ffff'0000), PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::no_frame);
    if (spare < 3)
      CHECK(error_of(t.map(VirtAddr(0x7f'ffff'ffe0'0000), PhysAddr(0), PageSize::k2MiB, kRead)) == MapError::no_frame);
    CHECK(error_of(t.map_range(VirtAddr(0x7f'0000'0000), PhysAddr(0), 5 * k2M, kRead)) == MapError::no_frame);
    if (spare < 1) CHECK(error_of(t.split(VirtAddr(k1G))) == MapError::no_frame);
    CHECK(space.arena.used() == used);
    CHECK(tables_of(space) == before);
  }
  Arena none(1);
  none.limit = 0;
  CHECK(error_of(PageTable<4, Arena, BoundedMap>::create(none, none.map())) == MapError::no_frame);
}

TEST_CASE("a range uses the largest pages that fit, up to the one allowed") {
  Space<4> space;
  auto& t = space.table;
  const auto sizes = [&] {
    std::map<PageSize, int> count;
    CHECK(t.walk([&](const Mapping& page) { ++count[page.size]; }).has_value());
    return count;
  };
  const VirtAddr virt(k1G - k2M - k4K);
  const std::uint64_t bytes = 2 * k1G + 2 * k2M;
  done(t.map_range(virt, PhysAddr(5 * k1G - k2M - k4K), bytes, kWrite, PageSize::k1GiB));
  CHECK(sizes() == std::map<PageSize, int>{{PageSize::k4KiB, 1 + 511}, {PageSize::k2MiB, 1}, {PageSize::k1GiB, 2}});
  CHECK(t.translate(virt + 12345)->phys == PhysAddr(5 * k1G - k2M - k4K + 12345));
  CHECK(t.translate(virt + (bytes - 1))->phys == PhysAddr(5 * k1G - k2M - k4K + bytes - 1));
  CHECK(error_of(t.translate(virt + bytes)) == MapError::not_mapped);
  CHECK(error_of(t.translate(virt - 1)) == MapError::not_mapped);
  done(t.unmap_range(virt, bytes));
  CHECK(sizes().empty());
  // Not congruent modulo 2 MiB: only small pages.
  done(t.map_range(VirtAddr(0), PhysAddr(k4K), k2M, kWrite, PageSize::k1GiB));
  CHECK(sizes() == std::map<PageSize, int>{{PageSize::k4KiB, 512}});
}

TEST_CASE("a range reaches both ends of both halves") {
  Space<4> space(600);
  auto& t = space.table;
  done(t.map_range(VirtAddr(0x7fff'ffff'f000 - k2M), PhysAddr(0), k2M + k4K, kRead));
  done(t.map_range(VirtAddr(0xffff'8000'0000'0000), PhysAddr(0), k2M, kRead));
  done(t.map_range(VirtAddr(0xffff'ffff'ffe0'0000), PhysAddr(0), k2M, kWrite, PageSize::k2MiB));
  std::vector<std::uint64_t> starts;
  CHECK(t.walk([&](const Mapping& page) { starts.push_back(page.virt.value()); }).has_value());
  CHECK(starts.size() == 513 + 512 + 1);
  CHECK(std::is_sorted(starts.begin(), starts.end()));
  CHECK(starts.back() == 0xffff'ffff'ffe0'0000);
  // All of the lower half with 1 GiB pages: 131072 of them in 256 tables.
  done(t.unmap_range(VirtAddr(0), 1ULL << 47));
  auto pruned = t.prune(VirtAddr(0), 1ULL << 47);
  REQUIRE(pruned.has_value());
  pruned->flush().ignore();
  std::move(*pruned).release(space.arena);
  const std::size_t used = space.arena.used();
  done(t.map_range(VirtAddr(0), PhysAddr(0), 1ULL << 47, kRead, PageSize::k1GiB));
  CHECK(space.arena.used() == used + 256);
  // And with 4 KiB pages it is refused at once, not after 2^35 stores.
  done(t.unmap_range(VirtAddr(0), 1ULL << 47));
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr(0), 1ULL << 47, kRead)) == MapError::no_frame);
  CHECK(space.arena.used() == used + 256);
}

TEST_CASE("split keeps every translation and flag") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(k1G), PhysAddr(k1G), PageSize::k1GiB, kWrite | kPat | kGlobal | kDirty));
  const auto flush = t.split(VirtAddr(k1G + 5 * k2M + 77));
  REQUIRE(flush.has_value());
  CHECK(flush->start() == VirtAddr(k1G));
  CHECK(flush->required());
  flush->ignore();
  CHECK(t.translate(VirtAddr(k1G + 5 * k2M))->size == PageSize::k2MiB);
  done(t.split(VirtAddr(k1G + 5 * k2M)));
  for (const std::uint64_t offset : {std::uint64_t{0}, 5 * k2M + 3 * k4K + 7, k1G - 1}) {
    const auto page = t.translate(VirtAddr(k1G + offset));
    REQUIRE(page.has_value());
    CHECK(page->phys == PhysAddr(k1G + offset));
    CHECK(page->flags == (kWrite | kPat | kGlobal | kDirty));
  }
  CHECK(error_of(t.split(VirtAddr(k1G + 5 * k2M))) == MapError::smaller_pages);
  CHECK(error_of(t.split(VirtAddr(0))) == MapError::not_mapped);
  done(t.protect(VirtAddr(k1G + 5 * k2M + k4K), PageSize::k4KiB, kRead));
  CHECK_FALSE(t.translate(VirtAddr(k1G + 5 * k2M + k4K))->flags.has(kWrite));
  CHECK(t.translate(VirtAddr(k1G + 5 * k2M))->flags.has(kWrite));
}

TEST_CASE("a flush covers what changed, page by page") {
  Space<4> space;
  auto& t = space.table;
  done(t.map_range(VirtAddr(k2M), PhysAddr(k2M), 3 * k2M, kWrite, PageSize::k2MiB));
  const auto flush = t.protect_range(VirtAddr(k2M), 3 * k2M, kRead);
  REQUIRE(flush.has_value());
  std::vector<VirtAddr> seen;
  flush->with([&](VirtAddr virt) { seen.push_back(virt); });
  CHECK(seen == std::vector{VirtAddr(k2M), VirtAddr(2 * k2M), VirtAddr(3 * k2M)});
  const auto nothing = t.protect_range(VirtAddr(k1G), k2M, kRead);
  REQUIRE(nothing.has_value());
  CHECK_FALSE(nothing->required());
  const auto one = t.unmap(VirtAddr(k2M), PageSize::k2MiB);
  const Flush both = one->flush.merge(*flush).merge(*nothing);
  CHECK(both.start() == VirtAddr(k2M));
  CHECK(both.bytes() == 3 * k2M);
  both.ignore();
  const Flush apart = Flush(VirtAddr(k1G), k4K, k4K, true).merge(Flush(VirtAddr(0), k2M, k2M, true));
  CHECK(apart.start() == VirtAddr(0));
  CHECK(apart.bytes() == k1G + k4K);
  CHECK(apart.stride() == k4K);
  apart.ignore();
}

TEST_CASE("prune gives back only what is empty") {
  Space<4> space;
  auto& t = space.table;
  done(t.map_range(VirtAddr(0), PhysAddr(0), 4 * k2M, kWrite));
  done(t.map(VirtAddr(k1G), PhysAddr(0), PageSize::k4KiB, kWrite));
  CHECK(space.arena.used() == 1 + 2 + 4 + 2);
  done(t.unmap_range(VirtAddr(k2M), 2 * k2M));
  auto pruned = t.prune(VirtAddr(0), 1ULL << 47);
  REQUIRE(pruned.has_value());
  CHECK(pruned->count() == 2);
  CHECK(pruned->flush().required());
  pruned->flush().ignore();
  CHECK(space.arena.used() == 9);  // not before release
  std::move(*pruned).release(space.arena);
  CHECK(space.arena.used() == 7);
  CHECK(t.translate(VirtAddr(0)).has_value());
  CHECK(t.translate(VirtAddr(3 * k2M)).has_value());
  CHECK(t.translate(VirtAddr(k1G)).has_value());
  std::move(t).destroy();
  CHECK(space.arena.used() == 0);
}

TEST_CASE("effective rights are what every level grants") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(0), PhysAddr(0), PageSize::k4KiB, kWrite | kUser));
  Entry* const root = space.arena.map().table(t.root());
  root[0] &= ~kWrite.bits();
  root[0] |= kNoExecute.bits();
  CHECK(t.translate(VirtAddr(0))->flags == (kUser | kNoExecute));
  CHECK(t.walk([](const Mapping& page) { CHECK(page.flags == (kUser | kNoExecute)); }).has_value());
}

TEST_CASE("tables written by somebody else can't lead outside memory") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(0), PhysAddr(0), PageSize::k2MiB, kWrite));
  Entry* const root = space.arena.map().table(t.root());
  const Entry good = root[0];
  SUBCASE("beyond its end") { root[0] = 0x000f'ffff'ffff'f007; }
  SUBCASE("large at a level that has none") { root[0] = good | 0x80; }
  CHECK(error_of(t.translate(VirtAddr(0))) == MapError::corrupt);
  CHECK(error_of(t.map(VirtAddr(k4K), PhysAddr(0), PageSize::k4KiB, kRead)) == MapError::corrupt);
  CHECK(error_of(t.unmap(VirtAddr(0), PageSize::k2MiB)) == MapError::corrupt);
  CHECK(error_of(t.split(VirtAddr(0))) == MapError::corrupt);
  CHECK(error_of(t.map_range(VirtAddr(0), PhysAddr(0), k4K, kRead)) == MapError::corrupt);
  CHECK(error_of(t.unmap_range(VirtAddr(0), k2M)) == MapError::corrupt);
  CHECK(error_of(t.walk([](const Mapping&) {})) == MapError::corrupt);
  CHECK(t.trace(VirtAddr(0)).count == 1);
}

TEST_CASE("a large page with reserved address bits is corrupt") {
  Space<4> space;
  auto& t = space.table;
  done(t.map(VirtAddr(0), PhysAddr(k2M), PageSize::k2MiB, kWrite));
  const Trace trace = t.trace(VirtAddr(0));
  space.arena.map().table(PhysAddr(trace.entries[1] & 0xffffffffff000))[0] |= 0x2000;
  CHECK(error_of(t.translate(VirtAddr(0))) == MapError::corrupt);
}

TEST_CASE("a visitor can end the walk") {
  Space<4> space;
  done(space.table.map_range(VirtAddr(0), PhysAddr(0), k2M, kWrite));
  int seen = 0;
  CHECK(space.table.walk([&](const Mapping&) { return ++seen < 3; }).has_value());
  CHECK(seen == 3);
  seen = 0;
  CHECK(space.table
            .walk(VirtAddr(5 * k4K), 2 * k4K,
                  [&](const Mapping& page) {
                    CHECK(page.virt >= VirtAddr(5 * k4K));
                    ++seen;
                  })
            .has_value());
  CHECK(seen == 2);
}

TEST_CASE("PCIDs are unique, and a used one asks for a flush") {
  PcidSet set;
  std::vector<bool> seen(4096, false);
  for (int i = 1; i < 4096; ++i) {
    const auto lease = set.take();
    REQUIRE(lease.has_value());
    CHECK(lease->pcid != 0);
    CHECK_FALSE(lease->flush);
    CHECK_FALSE(seen.at(lease->pcid));
    seen[lease->pcid] = true;
  }
  CHECK_FALSE(set.take().has_value());
  set.release(0);
  set.release(5000);
  CHECK_FALSE(set.take().has_value());
  set.release(77);
  set.release(77);
  const auto again = set.take();
  REQUIRE(again.has_value());
  CHECK(again->pcid == 77);
  CHECK(again->flush);
  CHECK_FALSE(set.take().has_value());
  set.release(78);
  set.all_flushed();
  CHECK_FALSE(set.take()->flush);
}

TEST_CASE("CR3 holds root, PCID and the keep bit") {
  Space<4> space;
  CHECK(space.table.cr3() == space.table.root().value());
  CHECK(space.table.cr3(0x1fff, true) == (space.table.root().value() | 0xfff | 1ULL << 63));
}

/// The oracle: pages by their first address.
struct Model {
  struct Page {
    PageSize size;
    std::uint64_t phys;
    Flags flags;
  };
  std::map<std::uint64_t, Page> pages;

  auto covering(std::uint64_t virt) {
    auto it = pages.upper_bound(virt);
    if (it == pages.begin()) return pages.end();
    --it;
    return virt - it->first < bytes_of(it->second.size) ? it : pages.end();
  }
  bool free(std::uint64_t virt, std::uint64_t bytes) {
    const auto it = pages.lower_bound(virt);
    return covering(virt) == pages.end() && (it == pages.end() || it->first - virt >= bytes);
  }
};

TEST_CASE_TEMPLATE("random operations agree with an ordered map, frames included", Levels,
                   std::integral_constant<unsigned, 4>, std::integral_constant<unsigned, 5>) {
  Space<Levels::value> space(200);
  auto& t = space.table;
  Model model;
  SplitMix64 random(Levels::value);
  const auto flags = [&] {
    Flags f;
    if (random.below(2) != 0) f = f | kWrite;
    if (random.below(2) != 0) f = f | kUser;
    if (random.below(2) != 0) f = f | kNoExecute;
    if (random.below(4) == 0) f = f | kPat;
    return f;
  };
  std::uint64_t applied = 0;
  for (int step = 0; step < 60'000; ++step) {
    if (step % 1000 == 0) space.arena.limit = 20 + random.below(180);  // some steps run out of frames
    const auto size = static_cast<PageSize>(1 + random.below(3));
    // Three places, each two GiB wide at the edge of two top-level entries.
    const std::uint64_t place = std::array<std::uint64_t, 3>{0, (1ULL << 39) - k1G, ~(k1G * 2 - 1)}[random.below(3)];
    const std::uint64_t offset = random.below(2) * k1G + random.below(3) * k2M + random.below(4) * k4K;
    const VirtAddr virt((place + offset) & ~(bytes_of(size) - 1));
    const std::uint64_t phys = random.below(1ULL << 18) << 30 | (offset & ~(bytes_of(size) - 1));
    const Flags wanted = flags();
    const auto covered = model.covering(virt.value());
    const bool exact = covered != model.pages.end() && covered->first == virt.value() && covered->second.size == size;
    const std::size_t used = space.arena.used();
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: {
        const auto result = t.map(virt, PhysAddr(phys), size, wanted);
        if (result) {
          REQUIRE(model.free(virt.value(), bytes_of(size)));
          CHECK_FALSE(result->required());
          model.pages[virt.value()] = {size, phys, wanted};
          ++applied;
        } else {
          CHECK(space.arena.used() == used);
          if (result.error() == MapError::huge_page)
            CHECK((covered != model.pages.end() && covered->second.size > size));
          else if (result.error() == MapError::already_mapped)
            CHECK(exact);
          else if (result.error() == MapError::no_frame)
            CHECK(space.arena.used() + 4 > space.arena.limit);
          else
            CHECK(result.error() == MapError::smaller_pages);
        }
        break;
      }
      case 3: {
        const auto result = t.unmap(virt, size);
        CHECK(result.has_value() == exact);
        if (result) {
          CHECK(result->phys.value() == covered->second.phys);
          CHECK(result->flags == covered->second.flags);
          CHECK((result->flush.required() && result->flush.start() == virt && result->flush.bytes() == bytes_of(size)));
          model.pages.erase(covered);
          ++applied;
        }
        break;
      }
      case 4: {
        const auto result = t.protect(virt, size, wanted);
        CHECK(result.has_value() == exact);
        if (result) {
          CHECK((result->required() && result->start() == virt && result->bytes() == bytes_of(size)));
          covered->second.flags = wanted;
          ++applied;
        }
        break;
      }
      case 5: {
        const std::uint64_t bytes = (1 + random.below(1100)) * k4K;
        if (virt.value() + (bytes - 1) < virt.value()) break;
        const auto result =
            t.map_range(virt, PhysAddr(phys), bytes, wanted, static_cast<PageSize>(1 + random.below(3)));
        if (!result) {
          CHECK(space.arena.used() == used);
          if (result.error() != MapError::no_frame) CHECK_FALSE(model.free(virt.value(), bytes));
          break;
        }
        REQUIRE(model.free(virt.value(), bytes));
        for (std::uint64_t at = 0; at < bytes;) {
          const auto page = t.translate(virt + at);
          REQUIRE(page.has_value());
          CHECK(page->phys.value() == phys + at);
          model.pages[virt.value() + at] = {page->size, phys + at, wanted};
          at += bytes_of(page->size);
        }
        ++applied;
        break;
      }
      case 6: {
        const std::uint64_t bytes = (1 + random.below(1100)) * k4K;
        const std::uint64_t last = virt.value() + (bytes - 1);
        if (last < virt.value()) break;
        const auto tail = model.covering(last);
        const bool whole = (covered == model.pages.end() || covered->first == virt.value()) &&
                           (tail == model.pages.end() || tail->first + (bytes_of(tail->second.size) - 1) == last);
        std::size_t removed = 0;
        const auto result = t.unmap_range(virt, bytes, [&](const Mapping& page) {
          const auto it = model.pages.find(page.virt.value());
          REQUIRE(it != model.pages.end());
          CHECK(
              (it->second.size == page.size && it->second.phys == page.phys.value() && it->second.flags == page.flags));
          model.pages.erase(it);
          ++removed;
        });
        CHECK(result.has_value() == whole);
        if (result) {
          CHECK(result->required() == (removed > 0));
          const auto left = model.pages.lower_bound(virt.value());
          CHECK((left == model.pages.end() || left->first > last));
        }
        break;
      }
      default: {
        if (random.below(3) == 0) {
          auto pruned = t.prune(virt.align_down(k1G), k1G);
          REQUIRE(pruned.has_value());
          pruned->flush().ignore();
          std::move(*pruned).release(space.arena);
        } else if (covered != model.pages.end() && covered->second.size != PageSize::k4KiB) {
          const auto [start, page] = *covered;
          if (const auto result = t.split(virt)) {
            const auto smaller = static_cast<PageSize>(static_cast<unsigned>(page.size) - 1);
            for (std::uint64_t i = 0; i < kEntries; ++i)
              model.pages[start + i * bytes_of(smaller)] = {smaller, page.phys + i * bytes_of(smaller), page.flags};
          } else {
            CHECK(result.error() == MapError::no_frame);
          }
        }
      }
    }
    if (step % 500 == 0) {
      auto expected = model.pages.begin();
      CHECK(t.walk([&](const Mapping& page) {
               REQUIRE(expected != model.pages.end());
               CHECK(page.virt.value() == expected->first);
               CHECK((page.size == expected->second.size && page.phys.value() == expected->second.phys &&
                      page.flags == expected->second.flags));
               ++expected;
             }).has_value());
      CHECK(expected == model.pages.end());
    }
  }
  CHECK(applied > 5'000);
  space.arena.limit = ~std::size_t{0};
  std::move(t).destroy();
  CHECK(space.arena.used() == 0);
}

}  // namespace grove::page_tables
