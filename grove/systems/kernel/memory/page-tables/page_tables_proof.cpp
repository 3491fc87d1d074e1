// Three judges of the same random edits: an ordered map here, the processor of
// the emulated machine whose tables they are, and QEMU's own page walker.
#include "grove/systems/kernel/memory/page-tables/page_tables.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/systems/common/rig.hpp"
#include "grove/systems/kernel/memory/page-tables/guest/orders.hpp"

namespace grove::page_tables {
namespace {

using namespace orders;

constexpr std::uint64_t k1G = std::uint64_t{1} << 30;
constexpr std::uint64_t k2M = std::uint64_t{2} << 20;
constexpr std::uint64_t k4K = 4096;
constexpr Flags kAccessedDirty = kAccessed | kDirty;

std::uint64_t scale() {
  const char* text = std::getenv("GROVE_PROOF_SCALE");
  const double factor = text != nullptr ? std::atof(text) : 1;
  return static_cast<std::uint64_t>(100'000 * (factor > 0 ? factor : 1));
}

/// What must come out, by the architecture's rules and with no table in sight.
class Model {
 public:
  struct Page {
    PageSize size;
    std::uint64_t phys;
    Flags flags;           ///< With the accessed and dirty bits that touches must have set.
    bool touched = false;  ///< A touch that faults may set the accessed bit or not (4.8).
  };

  Model(unsigned levels, std::uint32_t frames) : levels_(levels), frames_(frames), allowance_(kFrameCount - frames) {
    if (levels == 5) tables_.insert(kBootTable);
  }

  const std::map<std::uint64_t, Page>& pages() const { return pages_; }
  std::map<std::uint64_t, Page>::iterator covering(std::uint64_t virt) {
    auto it = pages_.upper_bound(virt);
    if (it == pages_.begin()) return pages_.end();
    --it;
    return virt - it->first < bytes_of(it->second.size) ? it : pages_.end();
  }

  struct Prediction {
    Outcome outcome;
    bool either;  ///< The accessed bit may also be set.
  };
  Prediction predict(const Order& order) {
    either_ = false;
    Outcome outcome = act(order);
    outcome.frames = frames_;
    return {outcome, either_};
  }

 private:
  static Outcome failed(MapError error) { return {.status = 1 + static_cast<std::uint32_t>(error)}; }
  static Outcome flushed(std::uint64_t start, std::uint64_t bytes) {
    return {.flush_start = start, .flush_bytes = bytes};
  }
  bool canonical(std::uint64_t virt) const {
    const std::uint64_t top = virt >> (11 + 9 * levels_);
    return top == 0 || top == ~std::uint64_t{0} >> (11 + 9 * levels_);
  }
  static std::uint64_t span(unsigned level) { return std::uint64_t{1} << (12 + 9 * (level - 1)); }
  /// The table that an entry of `level` leads to, by what it covers.
  static std::pair<unsigned, std::uint64_t> table_at(unsigned level, std::uint64_t virt) {
    return {level, virt & ~(span(level) - 1)};
  }

  Outcome act(const Order& order) {
    switch (order.kind) {
      case Kind::map: return map(order);
      case Kind::split: return split(order);
      case Kind::prune: return prune(order);
      case Kind::frames: allowance_ = std::min(order.phys, kFrameCount - frames_); return {};
      case Kind::touch: return touch(order);
      case Kind::unmap:
      case Kind::protect: break;
    }
    const auto size = static_cast<PageSize>(order.size);
    if (!canonical(order.virt)) return failed(MapError::not_canonical);
    if (order.virt % bytes_of(size) != 0) return failed(MapError::misaligned);
    const auto page = covering(order.virt);
    if (tables_.contains(table_at(order.size, order.virt))) return failed(MapError::smaller_pages);
    if (page == pages_.end()) return failed(MapError::not_mapped);
    if (page->second.size != size) return failed(MapError::huge_page);
    Outcome outcome = flushed(order.virt, bytes_of(size));
    if (order.kind == Kind::protect) {
      page->second.flags = Flags(order.flags) | (page->second.flags & kAccessedDirty);
    } else {
      outcome.value = page->second.phys;
      outcome.flags = page->second.flags.bits();
      either_ = page->second.touched;
      pages_.erase(page);
    }
    return outcome;
  }

  Outcome map(const Order& order) {
    const auto size = static_cast<PageSize>(order.size);
    if (!canonical(order.virt)) return failed(MapError::not_canonical);
    if ((order.virt | order.phys) % bytes_of(size) != 0) return failed(MapError::misaligned);
    if (order.phys >> 52 != 0) return failed(MapError::out_of_range);
    if (tables_.contains(table_at(order.size, order.virt))) return failed(MapError::smaller_pages);
    if (const auto page = covering(order.virt); page != pages_.end())
      return failed(page->second.size == size ? MapError::already_mapped : MapError::huge_page);
    std::vector<std::pair<unsigned, std::uint64_t>> missing;
    for (unsigned level = levels_; level > order.size; --level)
      if (!tables_.contains(table_at(level, order.virt))) missing.push_back(table_at(level, order.virt));
    if (missing.size() > allowance_) return failed(MapError::no_frame);
    take(missing.size());
    tables_.insert(missing.begin(), missing.end());
    pages_[order.virt] = {size, order.phys, Flags(order.flags)};
    return {};
  }

  Outcome split(const Order& order) {
    if (!canonical(order.virt)) return failed(MapError::not_canonical);
    const auto it = covering(order.virt);
    if (it == pages_.end()) return failed(MapError::not_mapped);
    if (it->second.size == PageSize::k4KiB) return failed(MapError::smaller_pages);
    if (allowance_ == 0) return failed(MapError::no_frame);
    take(1);
    const auto [start, page] = *it;
    pages_.erase(it);
    tables_.insert(table_at(static_cast<unsigned>(page.size), start));
    const auto smaller = static_cast<PageSize>(static_cast<unsigned>(page.size) - 1);
    for (std::uint64_t i = 0; i < kEntries; ++i)
      pages_[start + i * bytes_of(smaller)] = {smaller, page.phys + i * bytes_of(smaller), page.flags, page.touched};
    return flushed(start, bytes_of(page.size));
  }

  Outcome prune(const Order& order) {
    const std::uint64_t before = tables_.size();
    for (unsigned level = 2; level <= levels_; ++level)
      std::erase_if(tables_, [&](const auto& table) {
        const auto [of, start] = table;
        if (table == kBootTable || of != level || start > order.virt + (order.phys - 1) ||
            start + (span(level) - 1) < order.virt)
          return false;
        const auto page = pages_.lower_bound(start);
        if (page != pages_.end() && page->first - start < span(level)) return false;
        const auto below = tables_.lower_bound({level - 1, start});
        return below == tables_.end() || below->first != level - 1 || below->second - start >= span(level);
      });
    const std::uint64_t freed = before - tables_.size();
    frames_ -= static_cast<std::uint32_t>(freed);
    allowance_ += freed;
    Outcome outcome = freed > 0 ? flushed(order.virt, k4K) : Outcome{};
    outcome.value = freed;
    return outcome;
  }

  /// The processor's part (SDM vol. 3A 4.6, 4.7; CR0.WP = 1, no SMEP, no SMAP).
  Outcome touch(const Order& order) {
    const auto access = static_cast<Access>(order.size);
    const bool user = access >= Access::user_read;
    const bool write = access == Access::write || access == Access::user_write;
    const bool execute = access == Access::execute || access == Access::user_execute;
    const auto it = covering(order.virt);
    const bool present = it != pages_.end();
    if (present) {
      Page& page = it->second;
      page.touched = true;
      if (!(user && !page.flags.has(kUser)) && !(write && !page.flags.has(kWrite)) &&
          !(execute && page.flags.has(kNoExecute))) {
        page.flags = page.flags | (write ? kAccessedDirty : kAccessed);
        const std::uint64_t phys = page.phys + (order.virt - it->first);
        return {.value = execute ? phys >> 3 : word_at(phys)};
      }
    }
    const std::uint64_t error =
        std::uint64_t{present} | std::uint64_t{write} << 1 | std::uint64_t{user} << 2 | std::uint64_t{execute} << 4;
    return {.value = order.virt, .flags = error, .status = 1};
  }

  void take(std::uint64_t count) {
    frames_ += static_cast<std::uint32_t>(count);
    allowance_ -= count;
  }

  /// With five levels the kernel itself lives below the first top-level entry.
  static constexpr std::pair<unsigned, std::uint64_t> kBootTable{5, 0};

  unsigned levels_;
  bool either_ = false;
  std::uint32_t frames_;
  std::uint64_t allowance_;
  std::map<std::uint64_t, Page> pages_;
  std::set<std::pair<unsigned, std::uint64_t>> tables_;
};

/// Random orders over a few places at the edges of top-level entries, some of
/// them bad on purpose. Successful touches stay on scratch memory.
class Generator {
 public:
  Generator(unsigned levels, std::uint64_t seed) : random_(seed) {
    places_ = {(5ULL << 39) - k1G, (200ULL << 39) - k1G, ~(2 * k1G - 1)};
    if (levels == 5) places_.push_back((3ULL << 48) - k1G);
    if (levels == 5) places_.push_back(0xff00'0000'0000'0000);
  }

  Order edit(Model& model) {
    const std::uint64_t choice = random_.below(100);
    auto size = static_cast<std::uint8_t>(1 + random_.below(3));
    std::uint64_t virt = address() & ~(bytes_of(static_cast<PageSize>(size)) - 1);
    if (choice < 40) return {virt, frame(size), flags(), Kind::map, size};
    // Most often something that is there.
    if (const auto page = model.pages().lower_bound(virt); page != model.pages().end() && random_.below(4) != 0) {
      virt = page->first;
      size = static_cast<std::uint8_t>(page->second.size);
    }
    if (choice < 60) return {virt, 0, 0, Kind::unmap, size};
    if (choice < 78) return {virt, 0, flags(), Kind::protect, size};
    if (choice < 80) return {virt, 0, 0, Kind::split, 0};
    if (choice < 86) return {places_[random_.below(places_.size())], 2 * k1G, 0, Kind::prune, 0};
    if (choice < 90) return {0, random_.below(2) == 0 ? random_.below(3) : kFrameCount, 0, Kind::frames, 0};
    // Bad ones.
    const auto kind = static_cast<Kind>(random_.below(3));
    switch (random_.below(4)) {
      case 0: return {virt ^ 1ULL << (57 + random_.below(6)), frame(size), flags(), kind, size};
      case 1: return {virt | (1 + random_.below(k4K - 1)), frame(size), flags(), kind, size};
      case 2: return {virt, frame(size) | (1 + random_.below(k4K - 1)), flags(), Kind::map, size};
      default: return {virt, frame(size) | 1ULL << (52 + random_.below(11)), flags(), Kind::map, size};
    }
  }

  Order touch(Model& model, std::uint64_t near) {
    // An address that isn't canonical raises #GP, which says nothing about tables.
    // Below 8 GiB lies the kernel itself.
    const bool usable = near >= 8 * k1G && (near >> 56 == 0 || near >> 56 == 0xff);
    std::uint64_t virt = (usable && random_.below(2) != 0 ? near : address()) & ~7ULL;
    const auto page = model.covering(virt);
    if (page != model.pages().end()) {
      // Pages of every size have scratch memory somewhere.
      if (page->second.size == PageSize::k1GiB)
        virt = page->first + kScratch + random_.below(kScratchBytes / 8) * 8;
      else
        virt = page->first + random_.below(bytes_of(page->second.size) / 8) * 8;
      const std::uint64_t inside = (page->second.phys + (virt - page->first)) % k1G;
      if (inside < kScratch || inside >= kScratch + kScratchBytes) return touch(model, address());
    } else {
      virt += random_.below(k4K / 8) * 8;
      if (model.covering(virt) != model.pages().end()) return touch(model, address());
    }
    // A write leaves the word that tells where it lies, or a wrong one behind if it went astray.
    const std::uint64_t word = page != model.pages().end() ? word_at(page->second.phys + (virt - page->first)) : 0;
    return {virt, word, 0, Kind::touch, static_cast<std::uint8_t>(random_.below(6))};
  }

 private:
  std::uint64_t address() {
    return places_[random_.below(places_.size())] + random_.below(2) * k1G + random_.below(4) * k2M +
           random_.below(6) * k4K;
  }
  std::uint64_t frame(std::uint8_t size) {
    if (size == 3) return random_.below(2) * k1G;
    const std::uint64_t bytes = bytes_of(static_cast<PageSize>(size));
    return random_.below(2) * (k1G) + kScratch + random_.below(kScratchBytes / bytes) * bytes;
  }
  std::uint64_t flags() {
    Flags f;
    if (random_.below(2) != 0) f = f | kWrite;
    if (random_.below(2) != 0) f = f | kUser;
    if (random_.below(2) != 0) f = f | kNoExecute;
    if (random_.below(4) == 0) f = f | kGlobal;
    if (random_.below(8) == 0) f = f | kNoCache;
    if (random_.below(8) == 0) f = f | kWriteThrough;
    return f.bits();
  }

  SplitMix64 random_;
  std::vector<std::uint64_t> places_;
};

struct Listed {
  std::uint64_t phys;
  std::string letters;  ///< As QEMU prints them: X G P D A C T U W.
  bool either = false;  ///< Expected with or without the A.
};
bool same(const Listed& seen, Listed expected) {
  if (expected.either && expected.letters[4] == '-') expected.letters[4] = seen.letters[4];
  return seen.phys == expected.phys && seen.letters == expected.letters;
}

/// What the walker in QEMU sees, without the kernel's own pages.
std::map<std::uint64_t, Listed> parse_tlb(std::string_view text) {
  std::map<std::uint64_t, Listed> pages;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() < 43) continue;
    std::uint64_t virt = 0;
    std::uint64_t phys = 0;
    REQUIRE(std::from_chars(line.data(), line.data() + 16, virt, 16).ptr == line.data() + 16);
    REQUIRE(std::from_chars(line.data() + 18, line.data() + 34, phys, 16).ptr == line.data() + 34);
    if (virt < 8 * k1G || virt == kUserStub) continue;
    pages[virt] = {phys, std::string(line.substr(35, 9))};
  }
  return pages;
}

std::map<std::uint64_t, Listed> expected_tlb(const Model& model) {
  std::map<std::uint64_t, Listed> pages;
  for (const auto& [virt, page] : model.pages()) {
    const auto letter = [&](Flags flag, char c) { return page.flags.has(flag) ? c : '-'; };
    pages[virt] = {page.phys,
                   {letter(kNoExecute, 'X'), letter(kGlobal, 'G'), page.size == PageSize::k4KiB ? '-' : 'P',
                    letter(kDirty, 'D'), letter(kAccessed, 'A'), letter(kNoCache, 'C'), letter(kWriteThrough, 'T'),
                    letter(kUser, 'U'), letter(kWrite, 'W')},
                   page.touched};
  }
  return pages;
}

bool same(const Outcome& a, const Model::Prediction& prediction) {
  Outcome b = prediction.outcome;
  if (prediction.either) b.flags |= a.flags & kAccessed.bits();
  return a.value == b.value && a.flags == b.flags && a.flush_start == b.flush_start && a.flush_bytes == b.flush_bytes &&
         a.status == b.status && a.frames == b.frames;
}

std::string describe(const Order& order, const Outcome& outcome) {
  std::array<char, 256> text;
  std::snprintf(
      text.data(), text.size(),
      "kind %d size %d virt %llx phys %llx flags %llx -> status %u value %llx flags %llx flush %llx+%llx frames %u",
      static_cast<int>(order.kind), order.size, static_cast<unsigned long long>(order.virt),
      static_cast<unsigned long long>(order.phys), static_cast<unsigned long long>(order.flags), outcome.status,
      static_cast<unsigned long long>(outcome.value), static_cast<unsigned long long>(outcome.flags),
      static_cast<unsigned long long>(outcome.flush_start), static_cast<unsigned long long>(outcome.flush_bytes),
      outcome.frames);
  return text.data();
}

}  // namespace

TEST_CASE("random edits of live tables agree with the model, the processor and QEMU's walker") {
  if (!proof::need("qemu-system-x86_64", "qemu-system-x86")) return;
  for (const unsigned levels : {4U, 5U}) {
    sys::RigOptions options;
    options.kernel = GROVE_JUDGE_KERNEL;
    options.memory_bytes = kMemory;
    options.cpu = levels == 5 ? "max" : "max,la57=off";
    auto rig = sys::Rig::start(options);
    REQUIRE_OK(rig);
    const auto hello = rig->line();
    REQUIRE_OK(hello);
    const std::string greeting = "levels " + std::to_string(levels) + " frames ";
    REQUIRE(hello->starts_with(greeting));
    Model model(levels, static_cast<std::uint32_t>(std::stoul(hello->substr(greeting.size()))));
    Generator generator(levels, 0x6e0 + levels);
    for (const std::uint64_t gib : {std::uint64_t{0}, k1G})
      for (std::uint64_t at = gib + kScratch; at < gib + kScratch + kScratchBytes; at += 8) {
        const std::uint64_t word = word_at(at);
        std::memcpy(rig->memory().data() + at, &word, sizeof word);
      }

    const std::uint64_t goal = scale();
    std::uint64_t edits = 0, refused = 0, touches = 0, faults = 0, differences = 0, walks = 0, listed = 0;
    std::set<std::uint32_t> errors;
    std::set<std::uint64_t> fault_codes;
    while (edits < goal && differences == 0) {
      std::vector<Order> orders;
      std::vector<Model::Prediction> expected;
      const auto add = [&](const Order& order) {
        orders.push_back(order);
        expected.push_back(model.predict(order));
        return expected.back().outcome;
      };
      for (int i = 0; i < 1000 && edits < goal; ++i, ++edits) {
        const Order order = generator.edit(model);
        if (const Outcome outcome = add(order); outcome.status != 0) {
          ++refused;
          errors.insert(outcome.status - 1);
        }
        for (int t = 0; t < 2; ++t, ++touches) {
          const Outcome outcome = add(generator.touch(model, order.virt));
          if (outcome.status == 0) continue;
          ++faults;
          fault_codes.insert(outcome.flags);
        }
      }
      REQUIRE(orders.size() <= kBatch);
      std::memcpy(rig->memory().data() + kOrders, orders.data(), orders.size() * sizeof(Order));
      REQUIRE_OK(rig->send(std::to_string(orders.size()) + "\n"));
      const auto answer = rig->line();
      REQUIRE_OK(answer);
      CHECK(*answer == "done");  // if not, what it did until then is compared all the same
      for (std::size_t i = 0; i < orders.size(); ++i) {
        Outcome outcome;
        std::memcpy(&outcome, rig->memory().data() + kOutcomes + i * sizeof outcome, sizeof outcome);
        if (same(outcome, expected[i])) continue;
        if (differences++ < 5)
          MESSAGE("order " << i << ": " << describe(orders[i], outcome) << "\n  expected "
                           << describe(orders[i], expected[i].outcome));
      }
      const auto tlb = rig->monitor("info tlb");
      REQUIRE_OK(tlb);
      const auto seen = parse_tlb(*tlb);
      const auto wanted = expected_tlb(model);
      ++walks;
      listed += wanted.size();
      for (const auto& [virt, page] : wanted)
        if (const auto it = seen.find(virt); it == seen.end() || !same(it->second, page))
          if (differences++ < 5)
            MESSAGE("QEMU differs at " << virt << ": " << (it == seen.end() ? "nothing" : it->second.letters)
                                       << ", expected " << page.letters);
      for (const auto& [virt, page] : seen) differences += !wanted.contains(virt);
    }
    CHECK(differences == 0);
    // Everything that can go wrong did, and every way to fault was met.
    for (const MapError error :
         {MapError::not_canonical, MapError::misaligned, MapError::out_of_range, MapError::already_mapped,
          MapError::huge_page, MapError::smaller_pages, MapError::not_mapped, MapError::no_frame})
      CHECK_MESSAGE(errors.contains(static_cast<std::uint32_t>(error)), name_of(error));
    CHECK(fault_codes.size() == 11);
    const std::string suffix = levels == 5 ? "-five-levels" : "-four-levels";
    proof::figure("edits" + suffix, static_cast<double>(edits), "operations");
    proof::figure("refused" + suffix, static_cast<double>(refused), "operations");
    proof::figure("touches" + suffix, static_cast<double>(touches), "accesses");
    proof::figure("page-faults" + suffix, static_cast<double>(faults), "faults");
    proof::figure("walks" + suffix, static_cast<double>(walks), "listings");
    proof::figure("pages-listed" + suffix, static_cast<double>(listed), "pages");
    proof::figure("differences" + suffix, static_cast<double>(differences), "differences");
    REQUIRE_OK(rig->send("\n"));
    CHECK(*rig->wait() == 0);
  }
  proof::gap("missing INVLPG",
             "emulation drops translations more often than hardware, so the model checks every flush that is issued");
}

}  // namespace grove::page_tables
