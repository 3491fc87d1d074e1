#include "grove/data/database/storage/lsm/log_file.hpp"

#include <algorithm>

#include "grove/base/bytes.hpp"
#include "grove/base/text.hpp"
#include "grove/data/common/crc32c.hpp"

namespace grove::lsm {
namespace {

constexpr std::uint8_t kFull = 1;
constexpr std::uint8_t kFirst = 2;  // 3: a middle part
constexpr std::uint8_t kLast = 4;
constexpr std::string_view kPromise = "grove:1";

}  // namespace

/// The fragment at `at`, checked; else why there is none.
std::optional<LogReader::Fragment> LogReader::parse(std::size_t at, std::string* why) {
  const std::size_t block_end = std::min(file_.size(), (at / kBlock + 1) * kBlock);
  ByteReader in(file_.subspan(at, block_end - at));
  const auto crc = in.u32le();
  const auto length = in.u16le();
  const auto type = in.u8();
  if (!crc || !length || !type) {
    *why = "the header is cut off";
    return std::nullopt;
  }
  if (*type < kFull || *type > kLast) {
    *why = "unknown fragment type " + std::to_string(*type);
    return std::nullopt;
  }
  if (*length > in.remaining()) {
    *why = "its length runs past the " + std::string(block_end == file_.size() ? "file" : "block");
    return std::nullopt;
  }
  const data::Bytes checked = file_.subspan(at + kHeader - 1, std::size_t{*length} + 1);
  if (data::crc32c_mask(data::crc32c(checked)) != *crc) {
    *why = "checksum mismatch";
    return std::nullopt;
  }
  return Fragment{at, *type, checked.subspan(1)};
}

/// The next place at which a record begins.
std::optional<std::size_t> LogReader::resync(std::size_t from) {
  for (std::size_t at = from; at + kHeader <= file_.size(); ++at) {
    const std::size_t in_block = at % kBlock;
    if (in_block > kBlock - kHeader || resynced_ > kResyncBytes) {
      if (in_block != 0) at = (at / kBlock + 1) * kBlock;
      if (at + kHeader > file_.size()) break;
    }
    const auto type = std::to_integer<std::uint8_t>(file_[at + 6]);
    if (type != kFull && type != kFirst) continue;
    resynced_ += std::to_integer<std::uint64_t>(file_[at + 4]) | std::to_integer<std::uint64_t>(file_[at + 5]) << 8;
    std::string ignored;
    if (parse(at, &ignored)) return at;
  }
  return std::nullopt;
}

LogDamage LogReader::damage(std::uint64_t offset, std::string reason) {
  const auto found = resync(std::max<std::size_t>(static_cast<std::size_t>(offset) + 1, at_));
  at_ = found.value_or(file_.size());
  return {offset, std::move(reason), !found};
}

std::optional<LogReader::Entry> LogReader::next() {
  LogRecord record{0, {}};
  bool open = false;
  while (at_ < file_.size()) {
    const std::size_t left = kBlock - at_ % kBlock;
    if (left < kHeader) {  // a block's trailer is zeros
      at_ += std::min(left, file_.size() - at_);
      continue;
    }
    std::string why;
    const auto fragment = parse(at_, &why);
    const bool begins = fragment && (fragment->type == kFull || fragment->type == kFirst);
    if (!fragment || begins == open) {
      if (open) {
        // Its beginning was fine: name the record, go on behind what is bad.
        if (!fragment) ++at_;
        return damage(record.offset, fragment ? "a record without its end" : "a later part of the record: " + why);
      }
      // Space that was allocated and never written is the end, not damage.
      if (!fragment && std::ranges::all_of(file_.subspan(at_), [](std::byte b) { return b == std::byte{0}; })) break;
      return damage(at_, fragment ? "a part of a record without its beginning" : why);
    }
    if (begins) {
      record.offset = fragment->offset;
      open = true;
    }
    record.payload.insert(record.payload.end(), fragment->payload.begin(), fragment->payload.end());
    at_ += kHeader + fragment->payload.size();
    if (fragment->type == kFull || fragment->type == kLast) return record;
  }
  at_ = file_.size();
  if (open) return LogDamage{record.offset, "the record is cut off", true};
  return std::nullopt;
}

std::string encode_promise(std::uint64_t synced_through) {
  std::string blob(kPromise);
  for (int i = 0; i < 8; ++i) blob += static_cast<char>(synced_through >> (8 * i));
  return blob;
}

std::optional<std::uint64_t> decode_promise(std::string_view log_data) {
  if (!log_data.starts_with(kPromise)) return std::nullopt;
  ByteReader in(as_bytes(log_data.substr(kPromise.size())));
  const auto number = in.u64le();
  if (!number || !in.empty()) return std::nullopt;
  return *number;
}

std::optional<LoggedBatch> read_logged_batch(data::Bytes payload) {
  ByteReader in(payload);
  const auto sequence = in.u64le();
  const auto count = in.u32le();
  if (!sequence || !count) return std::nullopt;
  LoggedBatch batch{*sequence, *count, std::nullopt};
  // Walked here: RocksDB's own walk asserts on bytes that are no batch.
  while (!in.empty()) {
    struct Shape {
      bool family;
      int slices;
    };
    Shape shape{};
    const std::uint8_t tag = *in.u8();
    switch (tag) {  // ValueType in RocksDB's db/dbformat.h
      case 0x0:
      case 0x3:
      case 0x7: shape = {false, 1}; break;  // delete, log data, single delete
      case 0x1:
      case 0x2:
      case 0xf: shape = {false, 2}; break;  // put, merge, delete a range
      case 0x4:
      case 0x8: shape = {true, 1}; break;
      case 0x5:
      case 0x6:
      case 0xe: shape = {true, 2}; break;
      case 0xd: break;        // nothing
      default: return batch;  // of transactions: not written by this layer
    }
    if (shape.family && !in.varint()) return batch;
    data::Bytes slice;
    for (int i = 0; i < shape.slices; ++i) {
      const auto length = in.varint();
      if (!length || *length > in.remaining()) return batch;
      slice = *in.bytes(static_cast<std::size_t>(*length));
    }
    if (tag != 0x3) continue;
    if (const auto promise = decode_promise(as_text(slice)))
      batch.synced_through = std::max(batch.synced_through.value_or(0), *promise);
  }
  return batch;
}

std::optional<BrokenPromise> find_broken_promise(const std::vector<NamedLog>& logs) {
  struct Place {
    BrokenPromise place;
    std::optional<std::uint64_t> before;  ///< Sequence of the last change read before it.
    std::uint64_t first = 0;              ///< At most this, the first sequence that stood here.
  };
  std::vector<Place> places;
  std::optional<std::uint64_t> last;
  std::uint64_t promised = 0;
  std::size_t unplaced = 0;  ///< Places from here on wait for the record that follows them.
  for (const NamedLog& log : logs) {
    LogReader reader(log.content);
    while (const auto entry = reader.next()) {
      if (const auto* bad = std::get_if<LogDamage>(&*entry)) {
        places.push_back({{log.name, bad->offset, bad->reason, last.value_or(0), 0}, last});
        continue;
      }
      const auto batch = read_logged_batch(std::get<LogRecord>(*entry).payload);
      if (!batch) continue;
      for (; unplaced < places.size(); ++unplaced) {
        Place& place = places[unplaced];
        // Changes are numbered without gaps. Where nothing precedes the place,
        // all that is known is that it held the number before the next.
        place.first = place.before ? *place.before + 1 : (batch->sequence == 0 ? 0 : batch->sequence - 1);
      }
      last = batch->sequence + batch->count;
      if (*last > 0) --*last;
      promised = std::max(promised, batch->synced_through.value_or(0));
      for (std::size_t i = 0; i < unplaced; ++i) {
        if (places[i].first == 0 || promised < places[i].first) continue;
        BrokenPromise broken = places[i].place;
        broken.synced_through = promised;
        return broken;
      }
    }
  }
  return std::nullopt;
}

}  // namespace grove::lsm
