// What peer/src/main.rs does, on Grove and (`plain-…`) on RocksDB by itself
// with the same options: what the layer adds.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "grove/base/bench/bench.hpp"
#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/text.hpp"
#include "grove/data/database/storage/lsm/lsm.hpp"

using namespace grove;
using bench::Meter;
using bench::Parameters;

namespace {

constexpr std::size_t kValue = 100;
constexpr std::size_t kCache = std::size_t{64} << 20;
constexpr std::size_t kWriteBuffer = std::size_t{8} << 20;
constexpr std::size_t kBatch = 100;
constexpr std::size_t kScanned = 10;
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

using Value = std::array<char, kValue>;
using Entry = std::pair<std::uint64_t, Value>;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result) die(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
void must(const rocksdb::Status& status) {
  if (!status.ok()) die(status.ToString());
}

std::string_view view(const Value& value) { return {value.data(), value.size()}; }
std::uint64_t first_word(std::string_view value) {
  std::uint64_t word = 0;
  std::memcpy(&word, value.data(), sizeof(word));
  return word;
}
std::uint64_t big_endian(std::uint64_t number) { return __builtin_bswap64(number); }

class Grove {
 public:
  explicit Grove(const std::filesystem::path& path)
      : db_(must(lsm::Db::open(path, {.families = {kFamily}, .block_cache_bytes = kCache}))),
        family_(must(db_.family(kFamily))) {}
  void put(std::uint64_t key, const Value& value) { must(family_.put(key, view(value))); }
  void put_batch_synced(std::span<const Entry> entries) {
    batch_.clear();
    for (const auto& [key, value] : entries) batch_.put(family_, key, view(value));
    must(db_.write(batch_, lsm::Durability::synced));
  }
  std::uint64_t get_word(std::uint64_t key) {
    if (!must(family_.get(key, pinned_))) die("a key is missing");
    return first_word(pinned_.text());
  }
  template <class Each>
  void scan(std::uint64_t from, std::size_t count, Each&& each) {
    auto cursor = family_.bytes().cursor();
    const std::uint64_t start = big_endian(from);
    for (cursor.seek(std::as_bytes(std::span(&start, 1))); cursor.valid() && count > 0; cursor.next(), --count)
      each(as_text(cursor.key()), as_text(cursor.value()));
    must(cursor.status());
  }
  void settle() {
    must(family_.bytes().flush());
    must(family_.bytes().compact());
  }

 private:
  static inline const lsm::Family<std::uint64_t, std::string_view> kFamily{
      {"bench", {.write_buffer_bytes = kWriteBuffer}}};
  lsm::Db db_;
  lsm::ColumnFamily<std::uint64_t, std::string_view> family_;
  lsm::WriteBatch batch_;
  lsm::Pinned pinned_;
};

class Plain {
 public:
  explicit Plain(const std::filesystem::path& path) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.avoid_unnecessary_blocking_io = true;
    options.track_and_verify_wals_in_manifest = true;
    options.compression = rocksdb::kLZ4Compression;
    options.write_buffer_size = kWriteBuffer;
    options.max_write_buffer_number = 4;
    options.level_compaction_dynamic_level_bytes = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(kCache);
    table.format_version = 5;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    must(rocksdb::DB::Open(options, path.string(), {{"default", rocksdb::ColumnFamilyOptions()}, {"bench", options}},
                           &handles, &db));
    db_.reset(db);
    db_->DestroyColumnFamilyHandle(handles[0]);
    family_ = handles[1];
    sync_.sync = true;
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  ~Plain() { db_->DestroyColumnFamilyHandle(family_); }
  void put(std::uint64_t key, const Value& value) {
    const std::uint64_t k = big_endian(key);
    must(db_->Put(write_, family_, slice(k), rocksdb::Slice(value.data(), value.size())));
  }
  void put_batch_synced(std::span<const Entry> entries) {
    batch_.Clear();
    for (const auto& [key, value] : entries) {
      const std::uint64_t k = big_endian(key);
      batch_.Put(family_, slice(k), rocksdb::Slice(value.data(), value.size()));
    }
    must(db_->Write(sync_, &batch_));
  }
  std::uint64_t get_word(std::uint64_t key) {
    const std::uint64_t k = big_endian(key);
    pinned_.Reset();
    must(db_->Get(rocksdb::ReadOptions(), family_, slice(k), &pinned_));
    return first_word(pinned_.ToStringView());
  }
  template <class Each>
  void scan(std::uint64_t from, std::size_t count, Each&& each) {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), family_));
    const std::uint64_t start = big_endian(from);
    for (it->Seek(slice(start)); it->Valid() && count > 0; it->Next(), --count)
      each(it->key().ToStringView(), it->value().ToStringView());
    must(it->status());
  }
  void settle() {
    must(db_->Flush(rocksdb::FlushOptions(), family_));
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    must(db_->CompactRange(options, family_, nullptr, nullptr));
  }

 private:
  static rocksdb::Slice slice(const std::uint64_t& key) { return {reinterpret_cast<const char*>(&key), sizeof(key)}; }
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* family_ = nullptr;
  rocksdb::WriteOptions write_;
  rocksdb::WriteOptions sync_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice pinned_;
};

Value next_value(SplitMix64& random) {
  Value value{};
  for (std::size_t at = 0; at < kValue; at += 8) {
    const std::uint64_t word = random();
    std::memcpy(value.data() + at, &word, std::min<std::size_t>(8, kValue - at));
  }
  return value;
}

template <class Engine>
void fold_all(Engine& engine, Meter& meter) {
  engine.scan(0, kAll, [&](std::string_view key, std::string_view value) {
    meter.checksum().text(key);
    meter.checksum().text(value);
  });
}

template <class Engine>
void fill_random(const Parameters& p, Meter& meter) {
  const TempDir directory = must(TempDir::make("grove-lsm-bench"));
  Engine engine(directory.path() / "db");
  SplitMix64 random(p.seed);
  meter.measure([&] {
    for (std::size_t i = 0; i < p.size; ++i) {
      const std::uint64_t key = random();
      engine.put(key, next_value(random));
    }
  });
  meter.work(p.size);
  fold_all(engine, meter);
}

template <class Engine>
void fill_batch(const Parameters& p, Meter& meter) {
  const TempDir directory = must(TempDir::make("grove-lsm-bench"));
  Engine engine(directory.path() / "db");
  SplitMix64 random(p.seed);
  std::vector<Entry> entries;
  meter.measure([&] {
    for (std::size_t i = 0; i < p.size; ++i) {
      const std::uint64_t key = random();
      entries.emplace_back(key, next_value(random));
      if (entries.size() == kBatch || i + 1 == p.size) {
        engine.put_batch_synced(entries);
        entries.clear();
      }
    }
  });
  meter.work(p.size);
  fold_all(engine, meter);
}

/// A filled and fully compacted database.
template <class Engine>
struct Prepared {
  TempDir directory = must(TempDir::make("grove-lsm-bench"));
  Engine engine{directory.path() / "db"};
  SplitMix64 random;
  std::vector<std::uint64_t> keys;

  explicit Prepared(const Parameters& p) : random(p.seed) {
    for (std::size_t i = 0; i < p.size; ++i) {
      const std::uint64_t key = random();
      engine.put(key, next_value(random));
      keys.push_back(key);
    }
    engine.settle();
  }
  std::uint64_t key() { return keys[random.below(keys.size())]; }
};

template <class Engine>
void read_random(const Parameters& p, Meter& meter) {
  Prepared<Engine> at(p);
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (std::size_t i = 0; i < p.size; ++i) sum += at.engine.get_word(at.key());
  });
  meter.checksum().word(sum);
  meter.work(p.size);
}

template <class Engine>
void seek(const Parameters& p, Meter& meter) {
  Prepared<Engine> at(p);
  std::uint64_t sum = 0;
  const std::size_t seeks = p.size / kScanned;
  meter.measure([&] {
    for (std::size_t i = 0; i < seeks; ++i)
      at.engine.scan(at.random(), kScanned, [&](std::string_view key, std::string_view value) {
        sum += big_endian(first_word(key)) + first_word(value);
      });
  });
  meter.checksum().word(sum);
  meter.work(seeks);
}

template <class Engine>
void mixed(const Parameters& p, Meter& meter) {
  Prepared<Engine> at(p);
  std::uint64_t sum = 0;
  meter.measure([&] {
    for (std::size_t i = 0; i < p.size; ++i) {
      if (i % 2 == 0) {
        sum += at.engine.get_word(at.key());
      } else {
        const std::uint64_t key = at.random();
        at.engine.put(key, next_value(at.random));
      }
    }
  });
  meter.checksum().word(sum);
  meter.work(p.size);
  fold_all(at.engine, meter);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::size_t n = 200'000;
  constexpr std::size_t b = 20'000;
  const std::vector<bench::Workload> workloads{
      {"fillrandom", n, "op", fill_random<Grove>},
      {"plain-fillrandom", n, "op", fill_random<Plain>, "fillrandom"},
      {"fillbatch", b, "op", fill_batch<Grove>},
      {"plain-fillbatch", b, "op", fill_batch<Plain>, "fillbatch"},
      {"readrandom", n, "op", read_random<Grove>},
      {"plain-readrandom", n, "op", read_random<Plain>, "readrandom"},
      {"seek", n, "op", seek<Grove>},
      {"plain-seek", n, "op", seek<Plain>, "seek"},
      {"mixed", n, "op", mixed<Grove>},
      {"plain-mixed", n, "op", mixed<Plain>, "mixed"},
  };
  return bench::run(argc, argv, workloads);
}
