// grove: freestanding
#pragma once

#include <cstdint>

/// What the proof on the host and the kernel on the rig agree on. The host
/// writes orders into the guest's memory and says how many on the console; the
/// kernel answers each with an outcome.
namespace grove::page_tables::orders {

enum class Kind : std::uint8_t { map, unmap, protect, split, prune, frames, touch };
/// How a touch reaches the byte: data or code, ring 0 or ring 3.
enum class Access : std::uint8_t { read, write, execute, user_read, user_write, user_execute };

struct Order {
  std::uint64_t virt;
  std::uint64_t phys;   ///< prune: bytes. frames: how many may still be taken. touch: the word to write.
  std::uint64_t flags;  ///< Flags::bits().
  Kind kind;
  std::uint8_t size;  ///< PageSize, or Access.
};
struct Outcome {
  std::uint64_t value;        ///< touch: CR2, or what was read. unmap: the frame. prune: tables freed.
  std::uint64_t flags;        ///< unmap: what the leaf held. touch: the fault's error code.
  std::uint64_t flush_start;  ///< Where the flush said it was needed.
  std::uint64_t flush_bytes;  ///< 0: it wasn't.
  std::uint32_t status;       ///< 0, or 1 + MapError; of a touch: 1 when it faulted.
  std::uint32_t frames;       ///< In use for tables afterwards.
};

// Physical addresses; all RAM is identity-mapped below 8 GiB.
inline constexpr std::uint64_t kMemory = 0x6000'0000;  ///< 1.5 GiB.
inline constexpr std::uint64_t kFrames = 0x0200'0000;  ///< For tables.
inline constexpr std::uint64_t kFrameCount = 4096;
inline constexpr std::uint64_t kOrders = 0x0800'0000;
inline constexpr std::uint64_t kOutcomes = 0x0900'0000;
inline constexpr std::uint64_t kBatch = 8192;
/// Data lies at these places of the first and the second GiB, so that a 1 GiB
/// page has some too. Each aligned word tells where it is, as data and as code:
/// `mov $(address / 8), %eax; int $0x80`.
inline constexpr std::uint64_t kScratch = 0x1000'0000;
inline constexpr std::uint64_t kScratchBytes = 0x100'0000;
constexpr std::uint64_t word_at(std::uint64_t phys) {
  return 0xb8 | (phys >> 3) << 8 | std::uint64_t{0xcd} << 40 | std::uint64_t{0x80} << 48;
}
/// Where the kernel puts the code that touches from ring 3.
inline constexpr std::uint64_t kUserStub = 0x7000'0000'0000;

}  // namespace grove::page_tables::orders
