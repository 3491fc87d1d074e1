#pragma once

// RocksDB's log format (that of LevelDB), in which write-ahead logs and
// MANIFESTs stand: 32 KiB blocks of fragments [crc32c u32][length u16][type u8],
// a record in one fragment or in first, middle…, last. Read here to say where a
// file is damaged, and whether what is damaged had been promised.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "grove/data/common/file.hpp"

namespace grove::lsm {

struct LogRecord {
  std::uint64_t offset;  ///< Of its first fragment.
  std::vector<std::byte> payload;
};

struct LogDamage {
  std::uint64_t offset;  ///< Of the fragment (or record) that cannot be read.
  std::string reason;
  bool at_end;  ///< Nothing readable follows: what an interrupted write leaves.
};

/// Goes through a log and goes on behind damage, at the next fragment whose
/// checksum holds. Bounded work: one CRC pass, and for damage at most
/// `kResyncBytes` more in all.
class LogReader {
 public:
  static constexpr std::size_t kBlock = 32768;
  static constexpr std::size_t kHeader = 7;
  static constexpr std::uint64_t kResyncBytes = std::uint64_t{1} << 30;

  /// Views `file`, which must outlive the reader.
  explicit LogReader(data::Bytes file) : file_(file) {}
  using Entry = std::variant<LogRecord, LogDamage>;
  /// nullopt at the end.
  std::optional<Entry> next();

 private:
  struct Fragment {
    std::uint64_t offset;
    std::uint8_t type;
    data::Bytes payload;
  };
  std::optional<Fragment> parse(std::size_t at, std::string* why);
  std::optional<std::size_t> resync(std::size_t from);
  LogDamage damage(std::uint64_t offset, std::string reason);

  data::Bytes file_;
  std::size_t at_ = 0;
  std::uint64_t resynced_ = 0;
};

/// The header of a write-ahead record, and the promise that it may carry.
struct LoggedBatch {
  std::uint64_t sequence;                       ///< Of its first change.
  std::uint32_t count;                          ///< Changes.
  std::optional<std::uint64_t> synced_through;  ///< All up to this had been acknowledged as synced.
};
std::optional<LoggedBatch> read_logged_batch(data::Bytes payload);

/// The promise as it stands in a batch's log data.
std::string encode_promise(std::uint64_t synced_through);
std::optional<std::uint64_t> decode_promise(std::string_view log_data);

struct NamedLog {
  std::string name;
  std::vector<std::byte> content;
};

struct BrokenPromise {
  std::string file;
  std::uint64_t offset;
  std::string reason;
  std::uint64_t readable_through;  ///< Sequence of the last change before it.
  std::uint64_t synced_through;
};

/// Tells damage from a crash: an unreadable place is damage when a later record
/// promises that what stood there had been synced. The logs, in order, must be
/// those that recovery replays.
std::optional<BrokenPromise> find_broken_promise(const std::vector<NamedLog>& logs);

}  // namespace grove::lsm
