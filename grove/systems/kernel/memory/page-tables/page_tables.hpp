// grove: freestanding
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <type_traits>
#include <utility>

#include "grove/systems/common/address.hpp"
#include "grove/systems/common/x86.hpp"

/// x86-64 page tables (Intel SDM vol. 3A chapter 4; AMD APM vol. 2 chapter 5):
/// build, edit, walk and take apart a four- or five-level hierarchy with 4 KiB,
/// 2 MiB and 1 GiB pages. No heap, no exceptions, no globals: the same code runs
/// in a kernel on the live CR3, in a monitor on a guest's memory, and under a
/// sanitizer on the host.
namespace grove::page_tables {

using sys::PhysAddr;
using sys::VirtAddr;

/// One entry of a table; a table is 512 of them in one 4 KiB frame.
using Entry = std::uint64_t;
inline constexpr std::size_t kEntries = 512;
inline constexpr std::uint64_t kFrameBytes = 4096;

enum class PageSize : std::uint8_t { k4KiB = 1, k2MiB = 2, k1GiB = 3 };
constexpr std::uint64_t bytes_of(PageSize size) noexcept {
  return std::uint64_t{1} << (12 + 9 * (static_cast<unsigned>(size) - 1));
}
constexpr const char* name_of(PageSize size) noexcept {
  return size == PageSize::k4KiB ? "4K" : size == PageSize::k2MiB ? "2M" : "1G";
}

/// What a page allows and how it is cached, for every page size alike (the PAT
/// bit, which moves in large pages, is moved for you). A mapped page is always
/// readable by the supervisor.
class Flags {
 public:
  constexpr Flags() noexcept = default;
  constexpr explicit Flags(std::uint64_t bits) noexcept : bits_(bits & kMask) {}
  constexpr std::uint64_t bits() const noexcept { return bits_; }
  constexpr bool has(Flags other) const noexcept { return (bits_ & other.bits_) == other.bits_; }
  constexpr Flags without(Flags other) const noexcept { return Flags(bits_ & ~other.bits_); }

  friend constexpr Flags operator|(Flags a, Flags b) noexcept { return Flags(a.bits_ | b.bits_); }
  friend constexpr Flags operator&(Flags a, Flags b) noexcept { return Flags(a.bits_ & b.bits_); }
  friend constexpr bool operator==(Flags, Flags) noexcept = default;

 private:
  /// All but "present" and the frame number.
  static constexpr std::uint64_t kMask = 0xfff0'0000'0000'0ffe;
  std::uint64_t bits_ = 0;
};
inline constexpr Flags kRead{};
inline constexpr Flags kWrite{1ULL << 1};
inline constexpr Flags kUser{1ULL << 2};
inline constexpr Flags kWriteThrough{1ULL << 3};
inline constexpr Flags kNoCache{1ULL << 4};
inline constexpr Flags kAccessed{1ULL << 5};  ///< Set by the processor.
inline constexpr Flags kDirty{1ULL << 6};     ///< Set by the processor.
inline constexpr Flags kPat{1ULL << 7};
inline constexpr Flags kGlobal{1ULL << 8};
inline constexpr Flags kNoExecute{1ULL << 63};  ///< Needs EFER.NXE.
/// Bits that the processor leaves to software: 0 … 2 are entry bits 9 … 11,
/// 3 … 9 are 52 … 58.
constexpr Flags available(unsigned n) noexcept { return Flags(1ULL << (n < 3 ? 9 + n : 49 + n)); }
/// Protection key 0 … 15 of a user page (CR4.PKE).
constexpr Flags protection_key(unsigned key) noexcept { return Flags(std::uint64_t{key & 15} << 59); }

enum class MapError : std::uint8_t {
  not_canonical,   ///< The address, or an end of the range, isn't one in this paging mode.
  misaligned,      ///< An address or a length isn't a multiple of the page size.
  out_of_range,    ///< A physical address above 2^52, an empty range, or one that wraps.
  already_mapped,  ///< A page of this size is there.
  huge_page,       ///< A larger page covers the address: `split` or unmap it first.
  smaller_pages,   ///< A table of smaller pages stands where this one would go (`prune` removes an empty one).
  not_mapped,
  no_frame,  ///< The frame source is empty. Nothing was changed.
  corrupt,   ///< A table breaks the format or lies outside memory.
};
constexpr const char* name_of(MapError error) noexcept {
  constexpr std::array names{"address is not canonical",
                             "misaligned",
                             "out of range",
                             "already mapped",
                             "a larger page covers it",
                             "smaller pages stand there",
                             "not mapped",
                             "no frame left for a table",
                             "corrupt table"};
  return names[static_cast<std::size_t>(error)];
}

/// Where tables get their frames: 4 KiB, aligned, of any content.
template <class T>
concept FrameSource = requires(T source, PhysAddr frame) {
  { source.allocate() } -> std::same_as<std::optional<PhysAddr>>;
  source.free(frame);
};

/// How the code reaches a table: physical frame to pointer. A map with
/// `kChecked = true` may return nullptr for a frame outside its memory, which
/// then counts as `corrupt`; use one wherever somebody else writes the tables.
template <class T>
concept FrameMap = requires(const T map, PhysAddr frame) {
  { map.table(frame) } -> std::same_as<Entry*>;
};

/// All physical memory, mapped at one virtual offset (0: identity).
class OffsetMap {
 public:
  constexpr explicit OffsetMap(std::uint64_t offset) noexcept : offset_(offset) {}
  Entry* table(PhysAddr frame) const noexcept { return slot(frame, 0); }
  /// Optional in a FrameMap. Summed up so that a walk waits for one addition a level.
  Entry* slot(PhysAddr frame, std::size_t index) const noexcept {
    return reinterpret_cast<Entry*>(frame.value() + (offset_ + index * sizeof(Entry)));
  }

 private:
  std::uint64_t offset_;
};

/// Physical memory [0, size) at a pointer, with a check: a guest's memory seen
/// from its monitor, or an arena in a test. `memory` is aligned to 8 bytes.
class BoundedMap {
 public:
  static constexpr bool kChecked = true;
  constexpr BoundedMap(std::byte* memory, std::uint64_t size) noexcept : memory_(memory), size_(size) {}
  Entry* table(PhysAddr frame) const noexcept {
    if (size_ < kFrameBytes || frame.value() > size_ - kFrameBytes) return nullptr;
    return reinterpret_cast<Entry*>(memory_ + frame.value());
  }

 private:
  std::byte* memory_;
  std::uint64_t size_;
};

/// The duty to tell the processors about a change, as a value that the compiler
/// doesn't let you drop. Covers [start, start + bytes) in steps of `stride`.
/// `required()` is false where no stale translation can exist: the processor
/// never caches "not present" (SDM 4.10.4.3).
class [[nodiscard("flush the TLB or say ignore()")]] Flush {
 public:
  constexpr Flush(VirtAddr start, std::uint64_t bytes, std::uint64_t stride, bool required) noexcept
      : start_(start), bytes_(bytes), stride_(stride), required_(required) {}

  constexpr VirtAddr start() const noexcept { return start_; }
  constexpr std::uint64_t bytes() const noexcept { return bytes_; }
  constexpr std::uint64_t stride() const noexcept { return stride_; }
  constexpr bool required() const noexcept { return required_; }

  /// On this processor, for the current PCID: page by page, or all at once
  /// (global translations too) when there are more than a few. Privileged. The
  /// other processors are the kernel's to interrupt.
  void invlpg() const noexcept {
    if (!required_) return;
    if (bytes_ / stride_ > kPageByPage) return reload();
    for (std::uint64_t done = 0; done < bytes_; done += stride_) sys::x86::invlpg((start_ + done).value());
  }
  /// Calls `invalidate(VirtAddr)` for each page instead: shoot-down lists, INVPCID, tests.
  template <std::invocable<VirtAddr> F>
  void with(F&& invalidate) const {
    if (!required_) return;
    for (std::uint64_t done = 0; done < bytes_; done += stride_) invalidate(start_ + done);
  }
  /// The tables aren't loaded anywhere, or a later flush covers it.
  constexpr void ignore() const noexcept {}
  /// One flush that covers both.
  constexpr Flush merge(const Flush& other) const noexcept {
    if (!required_) return other;
    if (!other.required_) return *this;
    const VirtAddr first = start_ < other.start_ ? start_ : other.start_;
    const VirtAddr a = start_ + (bytes_ - 1);
    const VirtAddr b = other.start_ + (other.bytes_ - 1);
    const VirtAddr last = a < b ? b : a;
    return {first, last - first + 1, stride_ < other.stride_ ? stride_ : other.stride_, true};
  }

 private:
  /// Where a full flush gets cheaper than INVLPG; Linux measured 33.
  static constexpr std::uint64_t kPageByPage = 33;
  static void reload() noexcept {
    const std::uint64_t cr4 = sys::x86::read_cr4();
    if ((cr4 & sys::x86::kCr4GlobalPages) != 0) {  // changing CR4.PGE drops every translation
      sys::x86::write_cr4(cr4 & ~sys::x86::kCr4GlobalPages);
      sys::x86::write_cr4(cr4);
    } else {
      sys::x86::write_cr3(sys::x86::read_cr3());
    }
  }

  VirtAddr start_;
  std::uint64_t bytes_;
  std::uint64_t stride_;
  bool required_;
};

/// A page as the hierarchy has it. `flags` is what the processor grants: write
/// and user only where every level grants them, no-execute where any level
/// says it; the other bits are the leaf's.
struct Mapping {
  VirtAddr virt;
  PhysAddr phys;
  PageSize size;
  Flags flags;
};

struct Translation {
  PhysAddr phys;  ///< Of the byte asked for.
  PageSize size;
  Flags flags;  ///< As in Mapping.
};

struct Unmapped {
  PhysAddr phys;  ///< Of the page: reuse the frame only after the flush.
  Flags flags;    ///< With kDirty where the processor has written to it.
  Flush flush;
};

/// The entries that a walk met, top first, for messages and debuggers.
struct Trace {
  std::array<Entry, 5> entries{};
  unsigned count = 0;  ///< The last one is a leaf, or not present.
};

/// Frames of tables that `prune` took out of the hierarchy. Flush first (a
/// processor may still walk through them), then give them back.
template <FrameMap Map>
class [[nodiscard("flush, then release(frames)")]] Pruned {
 public:
  Pruned(Map map, VirtAddr start) noexcept : map_(map), start_(start) {}

  std::size_t count() const noexcept { return count_; }
  /// One INVLPG drops all paging-structure caches of the PCID (SDM 4.10.4.1).
  Flush flush() const noexcept { return {start_, kFrameBytes, kFrameBytes, count_ > 0}; }
  void release(FrameSource auto& frames) && noexcept {
    while (count_-- > 0) {
      const PhysAddr frame(std::exchange(head_, *map_.table(PhysAddr(head_))));
      frames.free(frame);
    }
    count_ = 0;
  }
  /// The table's 512 entries are zero. They are chained through their first
  /// entry, whose present bit stays clear since frames are aligned.
  void push(PhysAddr frame, Entry* table) noexcept {
    std::atomic_ref(table[0]).store(std::exchange(head_, frame.value()), std::memory_order_relaxed);
    ++count_;
  }

 private:
  Map map_;
  VirtAddr start_;
  std::uint64_t head_ = 0;
  std::size_t count_ = 0;
};

/// Who else reads the tables while they are edited.
enum class Walkers : std::uint8_t {
  /// Other processors: a leaf changes by an atomic exchange, or the dirty bit that
  /// one of them sets in between would be lost.
  concurrent,
  /// Nobody: they are loaded on the editing processor only, or not at all.
  none,
};

/// The hierarchy below one root frame. It owns nothing: `frames` must outlive
/// it, and `destroy` gives the tables back.
///
/// Tables above a leaf always allow everything (present, write, user); the leaf
/// decides. An operation that fails changes nothing, whatever the reason.
///
/// Threads: one editor at a time (a lock is the caller's). Processors may walk
/// and set accessed and dirty bits meanwhile: entries change by single atomic
/// stores, new tables are complete before they are linked, and no dirty bit is
/// lost (see Walkers).
template <unsigned Levels, FrameSource Frames, FrameMap Map, Walkers Others = Walkers::concurrent>
class PageTable {
  static_assert(Levels == 4 || Levels == 5);

 public:
  static constexpr unsigned kAddressBits = 12 + 9 * Levels;
  template <class T>
  using Expected = std::expected<T, MapError>;

  /// On tables that exist: a CR3 without its low 12 bits.
  PageTable(PhysAddr root, Frames& frames, Map map) noexcept : root_(root), frames_(&frames), map_(map) {}

  static Expected<PageTable> create(Frames& frames, Map map) noexcept {
    const std::optional<PhysAddr> root = frames.allocate();
    if (!root) return std::unexpected(MapError::no_frame);
    Entry* const table = map.table(*root);
    if (table == nullptr) {
      frames.free(*root);
      return std::unexpected(MapError::corrupt);
    }
    clear(table, 0, kEntries);
    return PageTable(*root, frames, map);
  }

  PhysAddr root() const noexcept { return root_; }
  static constexpr bool is_canonical(VirtAddr virt) noexcept {
    constexpr unsigned kUnused = 64 - kAddressBits;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(virt.value() << kUnused) >> kUnused) == virt.value();
  }

  // One page.

  /// `virt` and `phys` are multiples of the size. Frames for missing tables are
  /// taken before anything is linked.
  [[nodiscard]] Expected<Flush> map(VirtAddr virt, PhysAddr phys, PageSize size, Flags flags) noexcept {
    switch (size) {
      case PageSize::k4KiB: return map_at<1>(virt, phys, flags);
      case PageSize::k2MiB: return map_at<2>(virt, phys, flags);
      case PageSize::k1GiB: return map_at<3>(virt, phys, flags);
    }
    return std::unexpected(MapError::out_of_range);
  }

  /// Leaves the tables in place (see `prune`).
  [[nodiscard]] Expected<Unmapped> unmap(VirtAddr virt, PageSize size) noexcept {
    return at(virt, size, [&](Entry& slot, unsigned level) -> Unmapped {
      const Entry old = swap(slot, 0);
      return {frame_of(old, level), flags_of(old, level), flush_of(virt, size)};
    });
  }

  /// Replaces the flags; the processor's accessed and dirty bits stay.
  [[nodiscard]] Expected<Flush> protect(VirtAddr virt, PageSize size, Flags flags) noexcept {
    return at(virt, size, [&](Entry& slot, unsigned level) -> Flush {
      change_flags(slot, level, flags);
      return flush_of(virt, size);
    });
  }

  /// Puts 512 pages of the next smaller size in place of the large page that
  /// covers `virt`; they map the same with the same flags.
  [[nodiscard]] Expected<Flush> split(VirtAddr virt) noexcept {
    if (!is_canonical(virt)) return std::unexpected(MapError::not_canonical);
    Entry* table = map_.table(root_);
    for (unsigned level = Levels; table != nullptr; --level) {
      Entry& slot = table[index(virt, level)];
      const Entry e = load(slot);
      if ((e & kPresent) == 0) return std::unexpected(MapError::not_mapped);
      if (level == 1) return std::unexpected(MapError::smaller_pages);
      if ((e & kLarge) == 0) {
        table = next(e);
        continue;
      }
      if (level > 3) break;
      const std::optional<PhysAddr> frame = frames_->allocate();
      if (!frame) return std::unexpected(MapError::no_frame);
      Entry* const fresh = map_.table(*frame);
      if (fresh == nullptr) {
        frames_->free(*frame);
        break;
      }
      const Entry first = leaf(frame_of(e, level), flags_of(e, level), level - 1);
      for (std::size_t i = 0; i < kEntries; ++i) fresh[i] = first + (i << shift(level - 1));
      const Entry old = swap(slot, frame->value() | kLink);
      // What the processor set while the table was being filled.
      if (const Entry late = (old & ~e) & (kAccessed | kDirty).bits(); late != 0)
        for (std::size_t i = 0; i < kEntries; ++i) std::atomic_ref(fresh[i]).fetch_or(late, std::memory_order_relaxed);
      return flush_of(virt.align_down(std::uint64_t{1} << shift(level)), static_cast<PageSize>(level));
    }
    return std::unexpected(MapError::corrupt);
  }

  /// As the processor would, for any byte. Inlined, so that a caller pays only for
  /// the fields it reads and independent walks overlap.
  [[nodiscard, gnu::always_inline]] Expected<Translation> translate(VirtAddr virt) const noexcept {
    if (!is_canonical(virt)) return std::unexpected(MapError::not_canonical);
    PhysAddr table = root_;
    Entry all = ~Entry{0};
    Entry any = 0;
#ifndef __clang__  // which unrolls by itself, and warns of the request where it doesn't optimise
#pragma GCC unroll 5
#endif
    for (unsigned level = Levels; level > 0; --level) {
      const Entry* const slot = slot_of(table, virt, level);
      if (broken(slot)) break;
      const Entry e = load(*slot);
      if ((e & kPresent) == 0) return std::unexpected(MapError::not_mapped);
      all &= e;
      any |= e;
      if (level == 1 || (e & kLarge) != 0) {
        if (level > 3 || (e & reserved(level)) != 0) break;
        const std::uint64_t inside = virt.value() & ((std::uint64_t{1} << shift(level)) - 1);
        return Translation{frame_of(e, level) + inside, static_cast<PageSize>(level), granted(e, level, all, any)};
      }
      table = PhysAddr(e & kFrame);
    }
    return std::unexpected(MapError::corrupt);
  }

  [[nodiscard]] Trace trace(VirtAddr virt) const noexcept {
    Trace trace;
    const Entry* table = map_.table(root_);
    for (unsigned level = Levels; level > 0 && table != nullptr; --level) {
      const Entry e = load(table[index(virt, level)]);
      trace.entries[trace.count++] = e;
      if ((e & kPresent) == 0 || (e & kLarge) != 0) break;
      table = next(e);
    }
    return trace;
  }

  // Ranges: `virt` and `bytes` are multiples of 4 KiB. The walk is kept from
  // page to page, so a page costs one store.

  /// Maps [virt, virt + bytes) to [phys, …) with pages of at most `largest`, the
  /// largest that fit each place (smaller ones where a table stands already).
  /// All or nothing: it looks for obstacles, then reserves the frames for the
  /// tables, then writes.
  [[nodiscard]] Expected<Flush> map_range(VirtAddr virt, PhysAddr phys, std::uint64_t bytes, Flags flags,
                                          PageSize largest = PageSize::k4KiB) noexcept {
    if (const auto problem = check_range(virt, bytes)) return std::unexpected(*problem);
    if (!phys.is_aligned(kFrameBytes)) return std::unexpected(MapError::misaligned);
    if (phys.value() > kPhysLimit || bytes > kPhysLimit - phys.value()) return std::unexpected(MapError::out_of_range);
    Entry* const root = map_.table(root_);
    if (root == nullptr) return std::unexpected(MapError::corrupt);
    const Range range{virt, phys, bytes, static_cast<unsigned>(largest)};
    const Expected<std::uint64_t> tables = plan(root, Levels, range);
    if (!tables) return std::unexpected(tables.error());
    Reserve reserve{*this};
    if (const auto problem = reserve.fill(*tables)) return std::unexpected(*problem);
    write(root, Levels, range, flags, reserve, false);
    return Flush(virt, bytes, kFrameBytes, false);
  }

  /// Removes every page in the range; holes are fine. `removed(const Mapping&)`
  /// is called for each page (its frame may be reused after the flush).
  /// `huge_page` when a large page sticks out at either end.
  template <std::invocable<const Mapping&> F>
  [[nodiscard]] Expected<Flush> unmap_range(VirtAddr virt, std::uint64_t bytes, F&& removed) noexcept {
    return edit_range(virt, bytes, [&](Entry& slot, unsigned level, VirtAddr at) {
      const Entry old = swap(slot, 0);
      removed(Mapping{at, frame_of(old, level), static_cast<PageSize>(level), flags_of(old, level)});
    });
  }
  [[nodiscard]] Expected<Flush> unmap_range(VirtAddr virt, std::uint64_t bytes) noexcept {
    return unmap_range(virt, bytes, [](const Mapping&) {});
  }

  /// `protect` for every page in the range; holes stay holes.
  [[nodiscard]] Expected<Flush> protect_range(VirtAddr virt, std::uint64_t bytes, Flags flags) noexcept {
    return edit_range(virt, bytes, [&](Entry& slot, unsigned level, VirtAddr) { change_flags(slot, level, flags); });
  }

  /// Calls `visit(const Mapping&)` for each page that touches [virt, virt +
  /// bytes), in ascending order of `virt`, the upper half last; a visitor that
  /// returns false ends the walk. `corrupt` when a table breaks the format: what
  /// came before it was visited.
  template <std::invocable<const Mapping&> F>
  Expected<void> walk(VirtAddr virt, std::uint64_t bytes, F&& visit) const noexcept {
    if (const auto problem = check_range(virt, bytes)) return std::unexpected(*problem);
    if (const auto problem = visit_table(map_.table(root_), Levels, virt, bytes, ~Entry{0}, 0, visit))
      if (*problem != kStopped) return std::unexpected(*problem);
    return {};
  }
  template <std::invocable<const Mapping&> F>
  Expected<void> walk(F&& visit) const noexcept {
    constexpr std::uint64_t kHalf = std::uint64_t{1} << (kAddressBits - 1);
    for (const std::uint64_t start : {std::uint64_t{0}, ~(kHalf - 1)})
      if (const auto problem = visit_table(map_.table(root_), Levels, VirtAddr(start), kHalf, ~Entry{0}, 0, visit)) {
        if (*problem == kStopped) break;
        return std::unexpected(*problem);
      }
    return {};
  }

  /// Unlinks the tables in the range that hold nothing.
  Expected<Pruned<Map>> prune(VirtAddr virt, std::uint64_t bytes) noexcept {
    if (const auto problem = check_range(virt, bytes)) return std::unexpected(*problem);
    Pruned<Map> pruned(map_, virt);
    if (Entry* const root = map_.table(root_)) prune_table(root, Levels, virt, bytes, pruned);
    return pruned;
  }

  /// Gives every table back, the root too. Not while any processor has it
  /// loaded, and not on tables shared with another hierarchy.
  void destroy() && noexcept { free_tables(root_, Levels); }

  /// A value for CR3. `keep_translations` (bit 63) needs CR4.PCIDE.
  std::uint64_t cr3(std::uint16_t pcid = 0, bool keep_translations = false) const noexcept {
    return root_.value() | (pcid & 0xfffU) | std::uint64_t{keep_translations} << 63;
  }

 private:
  static constexpr Entry kPresent = 1;
  static constexpr Entry kLarge = 1U << 7;
  static constexpr Entry kLargePat = 1U << 12;
  static constexpr Entry kLink = kPresent | kWrite.bits() | kUser.bits();
  static constexpr Entry kFrame = 0x000f'ffff'ffff'f000;
  static constexpr std::uint64_t kPhysLimit = std::uint64_t{1} << 52;
  static constexpr MapError kStopped{0xff};  ///< Inside walk(): the visitor has had enough.

  /// The bits of an address that choose among one entry's bytes at this level.
  static constexpr unsigned shift(unsigned level) noexcept { return 12 + 9 * (level - 1); }
  static constexpr std::size_t index(VirtAddr virt, unsigned level) noexcept {
    return virt.value() >> shift(level) & (kEntries - 1);
  }
  static Entry load(const Entry& slot) noexcept {
    return std::atomic_ref(const_cast<Entry&>(slot)).load(std::memory_order_relaxed);
  }
  static void store(Entry& slot, Entry value) noexcept {
    std::atomic_ref(slot).store(value, std::memory_order_release);
  }
  static void clear(Entry* table, std::size_t first, std::size_t last) noexcept {
    for (std::size_t i = first; i < last; ++i) table[i] = 0;
  }
  static constexpr Entry leaf(PhysAddr phys, Flags flags, unsigned level) noexcept {
    const Entry bits = phys.value() | flags.bits() | kPresent;
    if (level == 1) return bits;
    return (bits & ~kPat.bits()) | kLarge | (flags.has(kPat) ? kLargePat : 0);
  }
  static constexpr Flags flags_of(Entry e, unsigned level) noexcept {
    if (level == 1) return Flags(e);
    return Flags(e).without(kPat) | ((e & kLargePat) != 0 ? kPat : Flags{});
  }
  static constexpr PhysAddr frame_of(Entry e, unsigned level) noexcept {
    return PhysAddr(e & kFrame & ~((std::uint64_t{1} << shift(level)) - 1));
  }
  /// Address bits that must be zero in a large leaf (bit 12 is its PAT).
  static constexpr Entry reserved(unsigned level) noexcept {
    return level == 1 ? 0 : ((std::uint64_t{1} << shift(level)) - 1) & kFrame & ~kLargePat;
  }
  static constexpr Flags granted(Entry e, unsigned level, Entry all, Entry any) noexcept {
    constexpr Entry kBoth = kWrite.bits() | kUser.bits();
    return Flags((flags_of(e, level).bits() & ~kBoth) | (all & kBoth) | (any & kNoExecute.bits()));
  }
  static constexpr Flush flush_of(VirtAddr virt, PageSize size) noexcept {
    return {virt, bytes_of(size), bytes_of(size), true};
  }
  static Entry swap(Entry& slot, Entry value) noexcept {
    if constexpr (Others == Walkers::concurrent)
      return std::atomic_ref(slot).exchange(value, std::memory_order_acq_rel);
    const Entry old = load(slot);
    store(slot, value);
    return old;
  }
  static void change_flags(Entry& slot, unsigned level, Flags flags) noexcept {
    constexpr Entry kKept = kAccessed.bits() | kDirty.bits();
    const auto changed = [&](Entry old) { return leaf(frame_of(old, level), flags, level) | (old & kKept); };
    std::atomic_ref ref(slot);
    Entry old = ref.load(std::memory_order_relaxed);
    if constexpr (Others == Walkers::none) return ref.store(changed(old), std::memory_order_release);
    while (!ref.compare_exchange_weak(old, changed(old), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
  }

  Entry* next(Entry e) const noexcept { return map_.table(PhysAddr(e & kFrame)); }
  Entry* slot_of(PhysAddr table, VirtAddr virt, unsigned level) const noexcept {
    if constexpr (requires { map_.slot(table, std::size_t{}); }) {
      return map_.slot(table, index(virt, level));
    } else {
      Entry* const entries = map_.table(table);
      return broken(entries) ? nullptr : entries + index(virt, level);
    }
  }
  /// A trusted map has no null, and then this costs nothing.
  static constexpr bool broken([[maybe_unused]] const Entry* table) noexcept {
    if constexpr (requires { Map::kChecked; })
      return table == nullptr;
    else
      return false;
  }

  template <unsigned Leaf>
  Expected<Flush> map_at(VirtAddr virt, PhysAddr phys, Flags flags) noexcept {
    constexpr std::uint64_t kBytes = std::uint64_t{1} << shift(Leaf);
    if (!is_canonical(virt)) return std::unexpected(MapError::not_canonical);
    if (((virt.value() | phys.value()) & (kBytes - 1)) != 0) return std::unexpected(MapError::misaligned);
    if (phys.value() >= kPhysLimit) return std::unexpected(MapError::out_of_range);
    const Entry value = leaf(phys, flags, Leaf);
    PhysAddr table = root_;
#pragma GCC unroll 4
    for (unsigned level = Levels; level > Leaf; --level) {
      Entry* const slot = slot_of(table, virt, level);
      if (broken(slot)) return std::unexpected(MapError::corrupt);
      const Entry e = load(*slot);
      if ((e & kPresent) == 0) [[unlikely]] {
        if (e != 0) return std::unexpected(MapError::already_mapped);
        if (const auto problem = grow(*slot, level, Leaf, virt, value)) return std::unexpected(*problem);
        return Flush(virt, kBytes, kBytes, false);
      }
      if ((e & kLarge) != 0) [[unlikely]]
        return std::unexpected(level > 3 ? MapError::corrupt : MapError::huge_page);
      table = PhysAddr(e & kFrame);
    }
    Entry* const slot = slot_of(table, virt, Leaf);
    if (broken(slot)) return std::unexpected(MapError::corrupt);
    if (const Entry e = load(*slot); e != 0)
      return std::unexpected(Leaf > 1 && (e & (kPresent | kLarge)) == kPresent ? MapError::smaller_pages
                                                                               : MapError::already_mapped);
    store(*slot, value);
    return Flush(virt, kBytes, kBytes, false);
  }

  /// Links a chain of new tables that ends in `value` at level `leaf_level` into an empty slot of `level`.
  [[gnu::noinline]] std::optional<MapError> grow(Entry& slot, unsigned level, unsigned leaf_level, VirtAddr virt,
                                                 Entry value) noexcept {
    std::array<PhysAddr, Levels - 1> frames;
    const unsigned needed = level - leaf_level;
    for (unsigned i = 0; i < needed; ++i) {
      const std::optional<PhysAddr> frame = frames_->allocate();
      const bool usable = frame && map_.table(*frame) != nullptr;
      if (usable) {
        frames[i] = *frame;
        continue;
      }
      if (frame) frames_->free(*frame);
      while (i-- > 0) frames_->free(frames[i]);
      return frame ? MapError::corrupt : MapError::no_frame;
    }
    for (unsigned i = needed; i-- > 0; value = frames[i].value() | kLink) {
      Entry* const table = map_.table(frames[i]);
      clear(table, 0, kEntries);
      table[index(virt, level - 1 - i)] = value;
    }
    store(slot, value);
    return std::nullopt;
  }

  /// Calls `act(slot, level)` on the leaf of exactly this size at `virt`.
  template <class F>
  auto at(VirtAddr virt, PageSize size, F&& act) noexcept -> Expected<std::invoke_result_t<F, Entry&, unsigned>> {
    if (!is_canonical(virt)) return std::unexpected(MapError::not_canonical);
    if (!virt.is_aligned(bytes_of(size))) return std::unexpected(MapError::misaligned);
    const auto leaf_level = static_cast<unsigned>(size);
    PhysAddr table = root_;
#ifndef __clang__  // which unrolls by itself, and warns of the request where it doesn't optimise
#pragma GCC unroll 5
#endif
    for (unsigned level = Levels; level > 0; --level) {
      Entry* const slot = slot_of(table, virt, level);
      if (broken(slot)) break;
      const Entry e = load(*slot);
      if ((e & kPresent) == 0) return std::unexpected(MapError::not_mapped);
      const bool is_leaf = level == 1 || (e & kLarge) != 0;
      if (is_leaf && level > 3) break;
      if (level == leaf_level) {
        if (!is_leaf) return std::unexpected(MapError::smaller_pages);
        return act(*slot, level);
      }
      if (is_leaf) return std::unexpected(MapError::huge_page);
      table = PhysAddr(e & kFrame);
    }
    return std::unexpected(MapError::corrupt);
  }

  static std::optional<MapError> check_range(VirtAddr virt, std::uint64_t bytes) noexcept {
    if (((virt.value() | bytes) & (kFrameBytes - 1)) != 0) return MapError::misaligned;
    if (bytes == 0) return MapError::out_of_range;
    const VirtAddr last = virt + (bytes - 1);
    if (last < virt) return MapError::out_of_range;
    if (!is_canonical(virt) || !is_canonical(last) || (virt.value() ^ last.value()) >> 63 != 0)
      return MapError::not_canonical;
    return std::nullopt;
  }

  /// The bytes of [virt, virt + bytes) below the entry that holds `virt`.
  static constexpr std::uint64_t piece_of(VirtAddr virt, std::uint64_t bytes, unsigned level) noexcept {
    const std::uint64_t span = std::uint64_t{1} << shift(level);
    const std::uint64_t left = span - (virt.value() & (span - 1));
    return left < bytes ? left : bytes;
  }

  struct Range {
    VirtAddr virt;
    PhysAddr phys;
    std::uint64_t bytes;
    unsigned largest;
    constexpr Range piece(unsigned level) const noexcept { return {virt, phys, piece_of(virt, bytes, level), largest}; }
    constexpr void advance(std::uint64_t done) noexcept {
      virt += done;
      phys += done;
      bytes -= done;
    }
    /// Can pages of this level's size lie anywhere in it?
    constexpr bool allows(unsigned level) const noexcept {
      return level <= largest && ((virt.value() ^ phys.value()) & ((std::uint64_t{1} << shift(level)) - 1)) == 0;
    }
    /// Is it exactly one page of this level's size?
    constexpr bool is_page(unsigned level) const noexcept {
      return allows(level) && bytes == std::uint64_t{1} << shift(level);
    }
  };

  /// Tables that an empty slot of `level` needs below it, in closed form: for
  /// each lower level, the slots touched less those that one large page fills.
  static constexpr std::uint64_t tables_for(const Range& range, unsigned level) noexcept {
    std::uint64_t tables = 0;
    for (unsigned slots = level; slots >= 2; --slots) {
      const std::uint64_t span = std::uint64_t{1} << shift(slots);
      const std::uint64_t first = range.virt.value();
      tables += ((first + (range.bytes - 1)) >> shift(slots)) - (first >> shift(slots)) + 1;
      const std::uint64_t head = (0 - first) & (span - 1);
      if (range.allows(slots) && range.bytes > head) tables -= (range.bytes - head) >> shift(slots);
    }
    return tables;
  }

  Expected<std::uint64_t> plan(const Entry* table, unsigned level, Range range) const noexcept {
    if (broken(table)) return std::unexpected(MapError::corrupt);
    std::uint64_t tables = 0;
    while (range.bytes > 0) {
      const Entry e = load(table[index(range.virt, level)]);
      const Range piece = range.piece(level);
      if (e == 0) {
        tables += tables_for(piece, level);
      } else if (level == 1 || (e & kPresent) == 0) {
        return std::unexpected(MapError::already_mapped);
      } else if ((e & kLarge) != 0) {
        return std::unexpected(level > 3              ? MapError::corrupt
                               : piece.is_page(level) ? MapError::already_mapped
                                                      : MapError::huge_page);
      } else {
        const auto below = plan(next(e), level - 1, piece);
        if (!below) return below;
        tables += *below;
      }
      range.advance(piece.bytes);
    }
    return tables;
  }

  /// Frames taken before the first write, chained through their first word.
  struct Reserve {
    PageTable& owner;
    std::uint64_t head = 0;

    std::optional<MapError> fill(std::uint64_t count) noexcept {
      Entry* last = &head;
      for (std::uint64_t taken = 0; taken < count; ++taken) {
        const std::optional<PhysAddr> frame = owner.frames_->allocate();
        Entry* const table = frame ? owner.map_.table(*frame) : nullptr;
        if (table == nullptr) {
          if (frame) owner.frames_->free(*frame);
          while (taken-- > 0) owner.frames_->free(take());
          return frame ? MapError::corrupt : MapError::no_frame;
        }
        *last = frame->value();
        last = table;
        *last = 0;
      }
      return std::nullopt;
    }
    PhysAddr take() noexcept { return PhysAddr(std::exchange(head, *owner.map_.table(PhysAddr(head)))); }
  };

  /// After plan() and Reserve::fill() nothing in here can fail. `fresh`: the
  /// table isn't linked yet and holds garbage.
  void write(Entry* table, unsigned level, Range range, Flags flags, Reserve& reserve, bool fresh) noexcept {
    if (level == 1) {
      const std::size_t first = index(range.virt, 1);
      const std::size_t last = first + (range.bytes >> 12);
      Entry value = leaf(range.phys, flags, 1);
      if (fresh) {  // plain stores: the compiler may use wide ones
        clear(table, 0, first);
        for (std::size_t i = first; i < last; ++i) table[i] = value + ((i - first) << 12);
        clear(table, last, kEntries);
      } else {
        for (std::size_t i = first; i < last; ++i, value += kFrameBytes) store(table[i], value);
      }
      return;
    }
    if (fresh) clear(table, 0, kEntries);
    while (range.bytes > 0) {
      Entry& slot = table[index(range.virt, level)];
      const Entry e = load(slot);
      const Range piece = range.piece(level);
      if (e != 0) {
        write(next(e), level - 1, piece, flags, reserve, false);
      } else if (piece.is_page(level)) {
        store(slot, leaf(range.phys, flags, level));
      } else {
        const PhysAddr frame = reserve.take();
        write(map_.table(frame), level - 1, piece, flags, reserve, true);
        store(slot, frame.value() | kLink);
      }
      range.advance(piece.bytes);
    }
  }

  /// `huge_page` when a large page crosses the edge before `virt`.
  std::optional<MapError> check_edge(VirtAddr virt, VirtAddr inside) const noexcept {
    const Expected<Translation> page = translate(inside);
    if (!page) return page.error() == MapError::corrupt ? std::optional(MapError::corrupt) : std::nullopt;
    return virt.is_aligned(bytes_of(page->size)) ? std::nullopt : std::optional(MapError::huge_page);
  }

  template <class F>
  Expected<Flush> edit_range(VirtAddr virt, std::uint64_t bytes, F&& act) noexcept {
    if (const auto problem = check_range(virt, bytes)) return std::unexpected(*problem);
    if (const auto problem = check_edge(virt, virt)) return std::unexpected(*problem);
    if (const auto problem = check_edge(virt + bytes, virt + (bytes - 1))) return std::unexpected(*problem);
    unsigned smallest = 4;
    if (!edit_table(map_.table(root_), Levels, virt, bytes, act, smallest)) return std::unexpected(MapError::corrupt);
    const bool touched = smallest < 4;
    return Flush(virt, bytes, touched ? std::uint64_t{1} << shift(smallest) : kFrameBytes, touched);
  }
  template <class F>
  bool edit_table(Entry* table, unsigned level, VirtAddr virt, std::uint64_t bytes, F& act,
                  unsigned& smallest) noexcept {
    if (broken(table)) return false;
    if (level == 1) {
      const std::size_t first = index(virt, 1);
      for (std::size_t i = first; i < first + (bytes >> 12); ++i, virt += kFrameBytes) {
        if ((load(table[i]) & kPresent) == 0) continue;
        act(table[i], 1, virt);
        smallest = 1;
      }
      return true;
    }
    while (bytes > 0) {
      const std::uint64_t piece = piece_of(virt, bytes, level);
      Entry& slot = table[index(virt, level)];
      const Entry e = load(slot);
      if ((e & kPresent) != 0) {
        if ((e & kLarge) != 0) {
          if (level > 3) return false;
          act(slot, level, virt);
          if (level < smallest) smallest = level;
        } else if (!edit_table(next(e), level - 1, virt, piece, act, smallest)) {
          return false;
        }
      }
      virt += piece;
      bytes -= piece;
    }
    return true;
  }

  template <class F>
  std::optional<MapError> visit_table(const Entry* table, unsigned level, VirtAddr virt, std::uint64_t bytes, Entry all,
                                      Entry any, F& visit) const noexcept {
    if (broken(table)) return MapError::corrupt;
    while (bytes > 0) {
      const std::uint64_t piece = piece_of(virt, bytes, level);
      const Entry e = load(table[index(virt, level)]);
      if ((e & kPresent) != 0) {
        if (level == 1 || (e & kLarge) != 0) {
          if (level > 3 || (e & reserved(level)) != 0) return MapError::corrupt;
          const Mapping page{virt.align_down(std::uint64_t{1} << shift(level)), frame_of(e, level),
                             static_cast<PageSize>(level), granted(e, level, all & e, any | e)};
          if constexpr (std::is_void_v<std::invoke_result_t<F&, const Mapping&>>)
            visit(page);
          else if (!visit(page))
            return kStopped;
        } else if (const auto problem = visit_table(next(e), level - 1, virt, piece, all & e, any | e, visit)) {
          return problem;
        }
      }
      virt += piece;
      bytes -= piece;
    }
    return std::nullopt;
  }

  void prune_table(Entry* table, unsigned level, VirtAddr virt, std::uint64_t bytes, Pruned<Map>& pruned) noexcept {
    while (bytes > 0) {
      const std::uint64_t piece = piece_of(virt, bytes, level);
      Entry& slot = table[index(virt, level)];
      const Entry e = load(slot);
      if ((e & kPresent) != 0 && (e & kLarge) == 0)
        if (Entry* const below = next(e); below != nullptr) {
          if (level > 2) prune_table(below, level - 1, virt, piece, pruned);
          if (is_empty(below)) {
            store(slot, 0);
            pruned.push(PhysAddr(e & kFrame), below);
          }
        }
      virt += piece;
      bytes -= piece;
    }
  }
  static bool is_empty(const Entry* table) noexcept {
    Entry any = 0;
    for (std::size_t i = 0; i < kEntries; ++i) any |= load(table[i]);
    return any == 0;
  }

  void free_tables(PhysAddr frame, unsigned level) noexcept {
    if (const Entry* const table = map_.table(frame); table != nullptr && level > 1)
      for (std::size_t i = 0; i < kEntries; ++i)
        if (const Entry e = load(table[i]); (e & kPresent) != 0 && (e & kLarge) == 0)
          free_tables(PhysAddr(e & kFrame), level - 1);
    frames_->free(frame);
  }

  PhysAddr root_;
  Frames* frames_;
  Map map_;
};

/// Hands out process-context identifiers 1 … 4095 (0 stays the kernel's).
/// A released one may still tag translations, so its next owner must load CR3
/// without the keep bit once. Not thread safe: one set per processor.
class PcidSet {
 public:
  struct Lease {
    std::uint16_t pcid;
    bool flush;  ///< Load CR3 with `keep_translations = false` first.
  };

  constexpr std::optional<Lease> take() noexcept {
    for (std::size_t tried = 0; tried < kWords; ++tried) {
      const std::size_t w = (hint_ + tried) % kWords;
      if (used_[w] == ~std::uint64_t{0}) continue;
      const int bit = std::countr_one(used_[w]);
      const std::uint64_t mask = std::uint64_t{1} << bit;
      used_[w] |= mask;
      const bool stale = (stale_[w] & mask) != 0;
      stale_[w] &= ~mask;
      hint_ = w;
      return Lease{static_cast<std::uint16_t>(w * 64 + static_cast<std::size_t>(bit)), stale};
    }
    return std::nullopt;
  }
  /// Of a lease of this set; anything else is ignored.
  constexpr void release(std::uint16_t pcid) noexcept {
    const std::size_t w = pcid / 64U;
    const std::uint64_t mask = std::uint64_t{1} << pcid % 64U;
    if (pcid == 0 || w >= kWords || (used_[w] & mask) == 0) return;
    used_[w] &= ~mask;
    stale_[w] |= mask;
  }
  /// After a flush of every PCID (INVPCID type 2, or a change of CR4.PGE).
  constexpr void all_flushed() noexcept { stale_ = {}; }

 private:
  static constexpr std::size_t kWords = 4096 / 64;
  std::array<std::uint64_t, kWords> used_{1};
  std::array<std::uint64_t, kWords> stale_{};
  std::size_t hint_ = 0;
};

}  // namespace grove::page_tables
