// Logs that somebody else wrote, and keys: no crash, bounded work, and what is
// read back is what was written.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "grove/base/text.hpp"
#include "grove/data/common/crc32c.hpp"
#include "grove/data/common/key.hpp"
#include "grove/data/database/storage/lsm/log_file.hpp"

using namespace grove;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// A log with one record, in fragments where it must be.
std::vector<std::byte> log_of(data::Bytes payload) {
  std::vector<std::byte> log;
  bool first = true;
  do {
    std::size_t room = lsm::LogReader::kBlock - log.size() % lsm::LogReader::kBlock;
    const std::size_t n = std::min(payload.size(), room - lsm::LogReader::kHeader);
    const bool last = n == payload.size();
    std::vector<std::byte> checked{static_cast<std::byte>(first ? (last ? 1 : 2) : (last ? 4 : 3))};
    checked.insert(checked.end(), payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(n));
    const std::uint32_t crc = data::crc32c_mask(data::crc32c(checked));
    for (int i = 0; i < 4; ++i) log.push_back(static_cast<std::byte>(crc >> (8 * i)));
    log.push_back(static_cast<std::byte>(n));
    log.push_back(static_cast<std::byte>(n >> 8));
    log.insert(log.end(), checked.begin(), checked.end());
    payload = payload.subspan(n);
    first = false;
  } while (!payload.empty());
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const data::Bytes input = std::as_bytes(std::span(bytes, size));

  lsm::LogReader reader(input);
  std::uint64_t seen = 0;
  std::uint64_t before = 0;
  while (const auto entry = reader.next()) {
    require(++seen <= size + 1);
    const auto* record = std::get_if<lsm::LogRecord>(&*entry);
    const std::uint64_t offset = record != nullptr ? record->offset : std::get<lsm::LogDamage>(*entry).offset;
    require(offset >= before && offset < size);
    before = offset;
    if (record != nullptr) (void)lsm::read_logged_batch(record->payload);
  }
  (void)lsm::read_logged_batch(input);
  (void)lsm::find_broken_promise({{"a.log", {input.begin(), input.end()}}, {"b.log", log_of(input)}});

  const auto log = log_of(input);
  lsm::LogReader again(log);
  const auto entry = again.next();
  require(entry && std::holds_alternative<lsm::LogRecord>(*entry));
  require(std::ranges::equal(std::get<lsm::LogRecord>(*entry).payload, input));
  require(!again.next());

  using Key = std::tuple<std::string, std::int32_t, std::string>;
  if (const auto key = data::decode_key<Key>(input)) {
    std::string scratch;
    require(std::ranges::equal(data::encode_key(*key, scratch), input));
  }
  return 0;
}
