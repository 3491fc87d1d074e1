#include "grove/data/database/storage/lsm/lsm.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/iterator.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/options.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>

#include "grove/base/text.hpp"
#include "grove/data/database/storage/lsm/log_file.hpp"
#include "grove/data/database/storage/lsm/rocksdb_files.hpp"

namespace grove::lsm {
namespace {

using rocksdb::Slice;
using rocksdb::Status;
using Clock = std::chrono::system_clock;

constexpr std::string_view kTtlMark = "@ttl";
constexpr std::size_t kExpiryBytes = 8;  ///< Milliseconds since 1970, little-endian; 0: never.

Slice slice_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Bytes bytes_of(const Slice& slice) { return as_bytes(std::string_view(slice.data(), slice.size())); }

std::unexpected<Error> failed(std::string_view what, const Status& status) {
  Errc code = Errc::internal;
  switch (status.code()) {
    case Status::kNotFound: code = Errc::not_found; break;
    case Status::kCorruption: code = Errc::corrupt; break;
    case Status::kNotSupported: code = Errc::unsupported; break;
    case Status::kInvalidArgument: code = Errc::invalid_argument; break;
    case Status::kIOError:
      code = status.IsNoSpace()                                     ? Errc::no_space
             : status.IsPathNotFound()                              ? Errc::not_found
             : status.ToString().find("lock ") != std::string::npos ? Errc::unavailable
                                                                    : Errc::io;
      break;
    case Status::kBusy:
    case Status::kTryAgain: code = Errc::conflict; break;
    case Status::kTimedOut: code = Errc::timeout; break;
    case Status::kAborted:
    case Status::kIncomplete: code = Errc::cancelled; break;
    case Status::kShutdownInProgress:
    case Status::kColumnFamilyDropped: code = Errc::closed; break;
    default: break;
  }
  return fail(code, std::string(what) + ": " + status.ToString());
}
Result<void> checked(std::string_view what, const Status& status) {
  if (!status.ok()) return failed(what, status);
  return {};
}

std::uint64_t to_millis(Clock::time_point time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}
std::array<char, kExpiryBytes> encode_expiry(std::uint64_t millis) {
  std::array<char, kExpiryBytes> bytes{};
  for (std::size_t i = 0; i < kExpiryBytes; ++i) bytes[i] = static_cast<char>(millis >> (8 * i));
  return bytes;
}
/// nullopt: the value is too short to be one of a ttl family.
std::optional<std::uint64_t> read_expiry(const Slice& value) {
  if (value.size() < kExpiryBytes) return std::nullopt;
  return *ByteReader(bytes_of(value).last(kExpiryBytes)).u64le();
}
bool expired(const Slice& value, std::uint64_t now) {
  const auto expiry = read_expiry(value);
  return expiry && *expiry != 0 && *expiry <= now;
}

class MergeOperator final : public rocksdb::AssociativeMergeOperator {
 public:
  MergeOperator(struct Merge merge, bool expiring, std::function<Clock::time_point()> clock)
      : merge_(std::move(merge)), expiring_(expiring), clock_(std::move(clock)) {}
  const char* Name() const override { return merge_.name.c_str(); }
  bool Merge(const Slice&, const Slice* existing, const Slice& operand, std::string* result,
             rocksdb::Logger*) const override {
    Bytes before;
    Bytes after = bytes_of(operand);
    bool exists = existing != nullptr;
    if (exists) before = bytes_of(*existing);
    try {
      if (!expiring_) return merge_.fold(exists ? &before : nullptr, after, result);
      if (operand.size() < kExpiryBytes || (exists && existing->size() < kExpiryBytes)) return false;
      if (exists && expired(*existing, to_millis(clock_()))) exists = false;
      if (exists) before = before.first(before.size() - kExpiryBytes);
      if (!merge_.fold(exists ? &before : nullptr, after.first(after.size() - kExpiryBytes), result)) return false;
      *result += as_text(after.last(kExpiryBytes));  // the newest write decides how long it lives
      return true;
    } catch (...) {  // the caller's function; RocksDB is built to see no exception
      return false;
    }
  }

 private:
  struct Merge merge_;
  bool expiring_;
  std::function<Clock::time_point()> clock_;
};

class ExpiryFilter final : public rocksdb::CompactionFilter {
 public:
  explicit ExpiryFilter(std::uint64_t now) : now_(now) {}
  const char* Name() const override { return "grove.ttl"; }
  bool Filter(int, const Slice&, const Slice& value, std::string*, bool*) const override {
    return expired(value, now_);
  }

 private:
  std::uint64_t now_;
};

class ExpiryFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiryFilterFactory(std::function<Clock::time_point()> clock) : clock_(std::move(clock)) {}
  const char* Name() const override { return "grove.ttl"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiryFilter>(to_millis(clock_()));
  }

 private:
  std::function<Clock::time_point()> clock_;
};

rocksdb::ColumnFamilyOptions family_options(const FamilyOptions& from, const Options& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions to;
  switch (from.compression) {
    case Compression::none: to.compression = rocksdb::kNoCompression; break;
    case Compression::snappy: to.compression = rocksdb::kSnappyCompression; break;
    case Compression::lz4: to.compression = rocksdb::kLZ4Compression; break;
    case Compression::zstd: to.compression = rocksdb::kZSTD; break;
  }
  to.write_buffer_size = from.write_buffer_bytes;
  to.max_write_buffer_number = 4;
  to.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  if (from.bloom_bits_per_key > 0) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(from.bloom_bits_per_key));
  to.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (from.merge) to.merge_operator = std::make_shared<MergeOperator>(*from.merge, from.ttl.has_value(), options.clock);
  if (from.ttl) to.compaction_filter_factory = std::make_shared<ExpiryFilterFactory>(options.clock);
  return to;
}

/// The database's files: which are there, and what is wrong with them.
class Inspector {
 public:
  Inspector(data::FileSystem& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

  std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }
  bool exists(std::string_view name) const { return files_.stat(path(name)).has_value(); }

  Result<std::vector<std::string>> names_ending(std::string_view suffix) const {
    GROVE_TRY(auto names, files_.list(directory_));
    std::erase_if(names, [&](const std::string& name) { return !name.ends_with(suffix); });
    return names;
  }

  /// Write-ahead logs, oldest first.
  Result<std::vector<std::pair<std::uint64_t, std::string>>> logs() const {
    GROVE_TRY(const auto names, names_ending(".log"));
    std::vector<std::pair<std::uint64_t, std::string>> found;
    for (const std::string& name : names) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error == std::errc{} && std::string_view(end) == ".log") found.emplace_back(number, name);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  Result<std::vector<std::byte>> read(std::string_view name) const {
    GROVE_TRY(const auto file, files_.open(path(name), data::OpenMode::read));
    return data::read_all(*file);
  }

  /// True when nothing readable follows an unreadable place in any log: the
  /// cheap answer to "can there be a broken promise".
  Result<bool> logs_end_cleanly() const {
    GROVE_TRY(const auto found, logs());
    bool damaged = false;
    for (const auto& [number, name] : found) {
      GROVE_TRY(const auto content, read(name));
      LogReader reader(content);
      while (const auto entry = reader.next()) {
        const auto* bad = std::get_if<LogDamage>(&*entry);
        if (damaged && bad == nullptr) return false;
        damaged = damaged || bad != nullptr;
      }
    }
    return true;
  }

  struct ManifestDamage {
    std::string path;
    LogDamage damage;
    std::string text() const { return path + " offset " + std::to_string(damage.offset) + ": " + damage.reason; }
  };
  /// The first unreadable place of the MANIFEST; an error where CURRENT does not lead to one.
  Result<std::optional<ManifestDamage>> manifest_damage() const {
    GROVE_TRY(const auto current, read("CURRENT"));
    std::string manifest(as_text(current));
    if (manifest.empty() || manifest.back() != '\n' || !manifest.starts_with("MANIFEST-"))
      return fail(Errc::corrupt, path("CURRENT") + " offset 0: it does not hold the name of a MANIFEST");
    manifest.pop_back();
    GROVE_TRY(const auto content, read(manifest));
    LogReader reader(content);
    while (const auto entry = reader.next())
      if (const auto* bad = std::get_if<LogDamage>(&*entry)) return ManifestDamage{path(manifest), *bad};
    return std::nullopt;
  }

  /// For an error that names no file: the first thing that is wrong, or "".
  std::string diagnosis() const {
    const auto damage = manifest_damage();
    if (!damage) return damage.error().message();
    return *damage ? (*damage)->text() : std::string();
  }

  /// Makes the directory and its parents, and their names durable, which
  /// RocksDB leaves to its caller.
  Result<void> make_directories() const {
    const std::filesystem::path whole = std::filesystem::path(directory_).lexically_normal();
    std::filesystem::path made;
    for (const auto& part : whole) {
      const std::filesystem::path parent = made.empty() ? "." : made;
      made /= part;
      if (part.empty() || files_.stat(made.string())) continue;
      GROVE_CHECK(files_.make_directory(made.string()));
      GROVE_CHECK(files_.sync_directory(parent.string()));
    }
    return {};
  }

  /// Data without the file that leads to it.
  Result<void> check_not_orphaned() const {
    const auto names = files_.list(directory_);
    if (!names) return {};
    for (const std::string& name : *names)
      if (name.ends_with(".sst") || name.ends_with(".log"))
        return fail(Errc::corrupt, path("CURRENT") + " is missing, but there is data: " + name);
    return {};
  }

 private:
  data::FileSystem& files_;
  std::string directory_;
};

/// Learns which logs recovery replays: those from the oldest that some family
/// has not flushed.
struct LiveLogs final : rocksdb::WalFilter {
  std::optional<std::uint64_t> oldest;
  std::uint64_t newest = 0;
  void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& numbers,
                                const std::map<std::string, std::uint32_t>&) override {
    for (const auto& [family, number] : numbers) {
      oldest = std::min(oldest.value_or(number), number);
      newest = std::max(newest, number);
    }
  }
  const char* Name() const override { return "grove.live_logs"; }
};

}  // namespace

struct ByteFamily::State {
  Db::State* db;
  rocksdb::ColumnFamilyHandle* handle;
  std::string name;
  std::optional<std::chrono::milliseconds> ttl;

  std::uint64_t now() const;
  /// The expiry of an entry written now, in a ttl family.
  std::uint64_t expiry(std::chrono::milliseconds life) const {
    return life.count() > 0 ? now() + static_cast<std::uint64_t>(life.count()) : 0;
  }
  void put(rocksdb::WriteBatch& batch, Bytes key, Bytes value, std::chrono::milliseconds life) const {
    const Slice k = slice_of(key);
    if (!ttl) {
      batch.Put(handle, k, slice_of(value));
      return;
    }
    const auto suffix = encode_expiry(expiry(life));
    const std::array<Slice, 2> parts{slice_of(value), Slice(suffix.data(), suffix.size())};
    batch.Put(handle, rocksdb::SliceParts(&k, 1), rocksdb::SliceParts(parts.data(), 2));
  }
  void merge(rocksdb::WriteBatch& batch, Bytes key, Bytes operand) const {
    if (!ttl) {
      batch.Merge(handle, slice_of(key), slice_of(operand));
      return;
    }
    std::string value(as_text(operand));
    const auto suffix = encode_expiry(expiry(*ttl));
    value.append(suffix.data(), suffix.size());
    batch.Merge(handle, slice_of(key), value);
  }
  std::string what(const char* verb) const { return std::string(verb) + " in family " + name; }
};

struct Db::State {
  Options options;
  Inspector files;
  Environment environment;
  std::unique_ptr<rocksdb::DB> db;
  mutable std::mutex mutex;  ///< Of `families`.
  std::vector<std::unique_ptr<ByteFamily::State>> families;
  rocksdb::WriteOptions buffered;
  rocksdb::WriteOptions synced;
  bool closed = false;

  // Promises (log_file.hpp): the sequence through which everything has been
  // acknowledged as synced, and the one that the log says so of.
  std::atomic<std::uint64_t> synced_through{0};
  std::atomic<std::uint64_t> promised_through{0};

  State(Options o, std::string directory)
      : options(std::move(o)),
        files(options.files != nullptr ? *options.files : data::os_files(), std::move(directory)),
        environment(make_environment(options.files)) {
    synced.sync = true;
  }

  bool promise_due() const noexcept {
    return synced_through.load(std::memory_order_relaxed) > promised_through.load(std::memory_order_relaxed);
  }

  static void raise(std::atomic<std::uint64_t>& number, std::uint64_t to) {
    std::uint64_t was = number.load(std::memory_order_relaxed);
    while (was < to && !number.compare_exchange_weak(was, to, std::memory_order_relaxed)) {
    }
  }

  Status write(rocksdb::WriteBatch& batch, Durability durability) {
    const bool sync = durability == Durability::synced;
    if (!sync && !promise_due()) return db->Write(buffered, &batch);
    const std::uint64_t promise = synced_through.load(std::memory_order_relaxed);
    const std::uint64_t before = sync ? db->GetLatestSequenceNumber() : 0;
    batch.SetSavePoint();
    batch.PutLogData(encode_promise(promise));
    const Status status = db->Write(sync ? synced : buffered, &batch);
    if (status.ok()) {
      raise(promised_through, promise);
      if (sync) {
        // RocksDB writes a batch's sequence into it when it was written alone;
        // in a group of several, only what was there before is known to be ours.
        const std::uint64_t first = *ByteReader(as_bytes(batch.Data())).u64le();
        raise(synced_through, first > before ? first + batch.Count() - 1 : before);
      }
    }
    batch.RollbackToSavePoint();
    return status;
  }

  Status open(const rocksdb::DBOptions& db_options, const std::string& path,
              const std::vector<rocksdb::ColumnFamilyDescriptor>& descriptors, bool read_only,
              std::vector<rocksdb::ColumnFamilyHandle*>* handles, std::unique_ptr<rocksdb::DB>* result) {
    rocksdb::DB* opened = nullptr;
    const Status status = read_only ? rocksdb::DB::OpenForReadOnly(db_options, path, descriptors, handles, &opened)
                                    : rocksdb::DB::Open(db_options, path, descriptors, handles, &opened);
    result->reset(opened);
    return status;
  }

  /// Tells what a crash leaves from damage, and refuses the latter: RocksDB
  /// takes either for the end of a log and drops what follows.
  ///
  /// Of a MANIFEST, a crash may leave the last record unreadable: then what that
  /// record would have retired is still there. RocksDB itself misses tables and
  /// the logs of several families; the log of a single one is looked for here.
  Result<void> check_logs(rocksdb::DBOptions db_options, const std::string& path,
                          const std::vector<rocksdb::ColumnFamilyDescriptor>& descriptors) {
    GROVE_TRY(const bool clean, files.logs_end_cleanly());
    GROVE_TRY(const auto manifest, files.manifest_damage());
    if (manifest && !manifest->damage.at_end) return fail(Errc::corrupt, "open " + path + ": " + manifest->text());
    if (clean && !manifest) return {};
    LiveLogs live;
    db_options.wal_filter = &live;
    db_options.info_log = silent_logger();
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    std::unique_ptr<rocksdb::DB> reader;
    const Status status = open(db_options, path, descriptors, true, &handles, &reader);
    for (auto* handle : handles) reader->DestroyColumnFamilyHandle(handle);
    GROVE_TRY(const auto found, files.logs());
    const bool retired =
        std::ranges::find(found, live.newest, [](const auto& log) { return log.first; }) == found.end();
    if (manifest && (!status.ok() || (live.newest > 0 && retired)))
      return fail(Errc::corrupt, "open " + path + ": " + manifest->text() + ", in what had been synced (" +
                                     (status.ok() ? "a log that it needs is gone" : status.ToString()) + ")");
    if (!status.ok()) return failed("open " + path, status);
    std::vector<NamedLog> logs;
    for (const auto& [number, name] : found) {
      if (number < live.oldest.value_or(0)) continue;
      GROVE_TRY(auto content, files.read(name));
      logs.push_back({name, std::move(content)});
    }
    if (const auto broken = find_broken_promise(logs); broken && !options.accept_damaged_log)
      return fail(Errc::corrupt,
                  "open " + path + ": " + files.path(broken->file) + " offset " + std::to_string(broken->offset) +
                      ": " + broken->reason + ", in what had been synced (changes up to " +
                      std::to_string(broken->synced_through) + "; readable up to " +
                      std::to_string(broken->readable_through) + "); accept_damaged_log opens what precedes it");
    return {};
  }

  /// The first table whose own reader refuses it, or "".
  std::string bad_table() const {
    const auto tables = files.names_ending(".sst");
    rocksdb::Options plain;
    plain.env = environment.env.get();
    for (const std::string& name : tables.value_or(std::vector<std::string>())) {
      const Status status = rocksdb::SstFileReader(plain).Open(files.path(name));
      if (!status.ok()) return files.path(name) + ": " + status.ToString();
    }
    return {};
  }

  ByteFamily::State* find(std::string_view name) const {
    const std::lock_guard lock(mutex);
    for (const auto& family : families)
      if (family->name == name) return family.get();
    return nullptr;
  }
};

std::uint64_t ByteFamily::State::now() const { return to_millis(db->options.clock()); }

// ByteFamily

Result<bool> ByteFamily::get(Bytes key, Pinned& value, const ReadOptions& options) const {
  value.reset();
  rocksdb::ReadOptions read;
  if (options.snapshot != nullptr) read.snapshot = static_cast<const rocksdb::Snapshot*>(options.snapshot->held_.get());
  read.fill_cache = options.fill_cache;
  const Status status = state_->db->db->Get(read, state_->handle, slice_of(key), &value.slice_);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return failed(state_->what("get"), status);
  if (!state_->ttl) return true;
  if (value.slice_.size() < kExpiryBytes)
    return fail(Errc::corrupt, state_->what("get") + ": a value without its expiry");
  if (expired(value.slice_, state_->now())) {
    value.reset();
    return false;
  }
  value.suffix_ = kExpiryBytes;
  return true;
}

Result<std::optional<Pinned>> ByteFamily::get(Bytes key, const ReadOptions& options) const {
  Result<std::optional<Pinned>> result(std::in_place, std::in_place);
  auto found = get(key, **result, options);
  if (!found) return std::unexpected(std::move(found).error());
  if (!*found) result->reset();
  return result;
}

Result<void> ByteFamily::put(Bytes key, Bytes value, Durability durability) const {
  if (!state_->ttl && durability == Durability::buffered && !state_->db->promise_due()) {
    const Status status = state_->db->db->Put(state_->db->buffered, state_->handle, slice_of(key), slice_of(value));
    if (status.ok()) return {};
    return failed(state_->what("put"), status);
  }
  rocksdb::WriteBatch batch(key.size() + value.size() + 64);
  state_->put(batch, key, value, state_->ttl.value_or(std::chrono::milliseconds(0)));
  return checked(state_->what("put"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::put_for(Bytes key, Bytes value, std::chrono::milliseconds life, Durability durability) const {
  if (!state_->ttl) return fail(Errc::invalid_argument, state_->what("put_for") + ": it was made without a ttl");
  if (life.count() <= 0) return fail(Errc::invalid_argument, state_->what("put_for") + ": a life must be positive");
  rocksdb::WriteBatch batch(key.size() + value.size() + 64);
  state_->put(batch, key, value, life);
  return checked(state_->what("put"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::erase(Bytes key, Durability durability) const {
  rocksdb::WriteBatch batch(key.size() + 64);
  batch.Delete(state_->handle, slice_of(key));
  return checked(state_->what("erase"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::erase_range(Bytes from, Bytes to, Durability durability) const {
  rocksdb::WriteBatch batch;
  batch.DeleteRange(state_->handle, slice_of(from), slice_of(to));
  return checked(state_->what("erase a range"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::merge(Bytes key, Bytes operand, Durability durability) const {
  rocksdb::WriteBatch batch(key.size() + operand.size() + 64);
  state_->merge(batch, key, operand);
  return checked(state_->what("merge"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::write(std::span<const data::KvChange> changes, Durability durability) const {
  rocksdb::WriteBatch batch;
  for (const auto& change : changes) {
    if (change.value)
      state_->put(batch, change.key, *change.value, state_->ttl.value_or(std::chrono::milliseconds(0)));
    else
      batch.Delete(state_->handle, slice_of(change.key));
  }
  return checked(state_->what("write"), state_->db->write(batch, durability));
}

Result<void> ByteFamily::ingest(const std::vector<std::filesystem::path>& files, bool move) const {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = move;
  options.failed_move_fall_back_to_copy = true;
  options.write_global_seqno = false;
  options.verify_checksums_before_ingest = true;
  std::vector<std::string> names(files.begin(), files.end());
  return checked(state_->what("ingest"), state_->db->db->IngestExternalFile(state_->handle, names, options));
}

Result<void> ByteFamily::flush() const {
  return checked(state_->what("flush"), state_->db->db->Flush(rocksdb::FlushOptions(), state_->handle));
}

Result<void> ByteFamily::compact() const {
  rocksdb::CompactRangeOptions options;
  // Also the last level: that is where expired entries wait.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  return checked(state_->what("compact"), state_->db->db->CompactRange(options, state_->handle, nullptr, nullptr));
}

std::uint64_t ByteFamily::approximate_count() const {
  std::uint64_t count = 0;
  state_->db->db->GetIntProperty(state_->handle, rocksdb::DB::Properties::kEstimateNumKeys, &count);
  return count;
}

const std::string& ByteFamily::name() const noexcept { return state_->name; }

// Cursor

struct Cursor::State {
  std::string from, to;
  Slice from_slice, to_slice;
  std::shared_ptr<const void> snapshot;
  std::unique_ptr<rocksdb::Iterator> iterator;
  bool expiring = false;
  std::uint64_t now = 0;
  bool short_value = false;
};

Cursor::Cursor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

Cursor ByteFamily::cursor() const { return cursor(ReadOptions{}); }

Cursor ByteFamily::cursor(const ReadOptions& options, std::optional<Bytes> from, std::optional<Bytes> to) const {
  auto state = std::make_unique<Cursor::State>();
  rocksdb::ReadOptions read;
  read.fill_cache = options.fill_cache;
  if (options.snapshot != nullptr) {
    state->snapshot = options.snapshot->held_;
    read.snapshot = static_cast<const rocksdb::Snapshot*>(state->snapshot.get());
  }
  if (from) {
    state->from = as_text(*from);
    state->from_slice = state->from;
    read.iterate_lower_bound = &state->from_slice;
  }
  if (to) {
    state->to = as_text(*to);
    state->to_slice = state->to;
    read.iterate_upper_bound = &state->to_slice;
  }
  state->iterator.reset(state_->db->db->NewIterator(read, state_->handle));
  if (state_->ttl) {
    state->expiring = true;
    state->now = state_->now();
  }
  return Cursor(std::move(state));
}

void Cursor::settle(bool forward) {
  rocksdb::Iterator& it = *state_->iterator;
  valid_ = false;
  for (; it.Valid(); forward ? it.Next() : it.Prev()) {
    key_ = bytes_of(it.key());
    value_ = bytes_of(it.value());
    if (state_->expiring) {
      if (value_.size() < kExpiryBytes) {
        state_->short_value = true;
        return;
      }
      if (expired(it.value(), state_->now)) continue;
      value_ = value_.first(value_.size() - kExpiryBytes);
    }
    valid_ = true;
    return;
  }
}

void Cursor::seek_first() {
  state_->iterator->SeekToFirst();
  settle(true);
}
void Cursor::seek_last() {
  state_->iterator->SeekToLast();
  settle(false);
}
void Cursor::seek(Bytes key) {
  state_->iterator->Seek(slice_of(key));
  settle(true);
}
void Cursor::seek_back(Bytes key) {
  state_->iterator->SeekForPrev(slice_of(key));
  settle(false);
}
void Cursor::next() {
  if (!valid_) return;
  state_->iterator->Next();
  settle(true);
}
void Cursor::prev() {
  if (!valid_) return;
  state_->iterator->Prev();
  settle(false);
}

Result<void> Cursor::status() const {
  if (state_->short_value) return fail(Errc::corrupt, "scan: a value without its expiry");
  return checked("scan", state_->iterator->status());
}

// WriteBatch

WriteBatch::WriteBatch() : batch_(std::make_unique<rocksdb::WriteBatch>()) {}
WriteBatch::WriteBatch(WriteBatch&&) noexcept = default;
WriteBatch& WriteBatch::operator=(WriteBatch&&) noexcept = default;
WriteBatch::~WriteBatch() = default;
void WriteBatch::put(const ByteFamily& family, Bytes key, Bytes value) {
  family.state_->put(*batch_, key, value, family.state_->ttl.value_or(std::chrono::milliseconds(0)));
}
void WriteBatch::erase(const ByteFamily& family, Bytes key) { batch_->Delete(family.state_->handle, slice_of(key)); }
void WriteBatch::merge(const ByteFamily& family, Bytes key, Bytes operand) {
  family.state_->merge(*batch_, key, operand);
}
void WriteBatch::clear() { batch_->Clear(); }
std::size_t WriteBatch::count() const noexcept { return batch_->Count(); }
std::size_t WriteBatch::size_bytes() const noexcept { return batch_->GetDataSize(); }

// Db

Db::Db(std::unique_ptr<State> state) : state_(std::move(state)) {}
Db::Db(Db&&) noexcept = default;
Db& Db::operator=(Db&& other) noexcept {
  Db gone(std::exchange(state_, std::move(other.state_)));
  return *this;
}
Db::~Db() {
  if (state_ != nullptr) (void)close();
}

Result<Db> Db::open(const std::filesystem::path& path, Options options) {
  std::string directory = path.string();
  auto state = std::make_unique<State>(std::move(options), directory);
  const Options& wanted = state->options;
  const std::string what = "open " + directory;

  rocksdb::DBOptions db_options;
  db_options.env = state->environment.env.get();
  if (wanted.files != nullptr) db_options.info_log = silent_logger();
  db_options.create_if_missing = wanted.create && !wanted.read_only;
  db_options.create_missing_column_families = true;
  db_options.max_background_jobs = std::max(1, wanted.background_jobs);
  db_options.max_open_files = wanted.max_open_files;
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db_options.track_and_verify_wals_in_manifest = true;
  db_options.keep_log_file_num = 4;
  db_options.avoid_unnecessary_blocking_io = true;

  // The families on disk and those that are wanted, each under its disk name.
  const bool exists = state->files.exists("CURRENT");
  if (!exists) {
    GROVE_CHECK(state->files.check_not_orphaned());
    if (!db_options.create_if_missing) return fail(Errc::not_found, what + ": no database there");
    GROVE_CHECK(state->files.make_directories());
  }
  std::vector<std::string> disk_names{rocksdb::kDefaultColumnFamilyName};
  const auto explained = [&](const Status& status) -> std::unexpected<Error> {
    std::unexpected<Error> error = failed(what, status);
    if (status.IsIOError() && error.error() == Errc::unavailable) return error;
    // RocksDB names tables and blocks itself; of MANIFEST and CURRENT it says little.
    if (error.error().message().find(".sst") == std::string::npos)
      if (const std::string found = state->files.diagnosis(); !found.empty())
        return fail(Errc::corrupt, what + ": " + found + " (" + status.ToString() + ")");
    if (status.IsCorruption())
      if (const std::string found = state->bad_table(); !found.empty()) return fail(Errc::corrupt, what + ": " + found);
    return error;
  };
  if (exists) {
    if (const auto damage = state->files.manifest_damage(); damage && *damage && (*damage)->damage.at_end)
      *state->environment.manifest_end = (*damage)->damage.offset;
    if (const Status status = rocksdb::DB::ListColumnFamilies(db_options, directory, &disk_names); !status.ok())
      return explained(status);
  }

  const auto cache = rocksdb::NewLRUCache(wanted.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const FamilySpec& spec : wanted.families) {
    if (spec.name.empty() || spec.name.find('@') != std::string::npos)
      return fail(Errc::invalid_argument, what + ": '" + spec.name + "' cannot be a family's name");
    if (spec.name == rocksdb::kDefaultColumnFamilyName && spec.options.ttl)
      return fail(Errc::invalid_argument, what + ": the default family cannot have a ttl");
    std::string name = spec.name;
    std::string other = spec.name;
    (spec.options.ttl ? name : other) += kTtlMark;
    if (std::ranges::find(disk_names, other) != disk_names.end())
      return fail(Errc::invalid_argument, what + ": family " + spec.name + " was made " +
                                              (spec.options.ttl ? "without a ttl" : "with a ttl") +
                                              " and cannot change");
    if (std::ranges::find(descriptors, name, &rocksdb::ColumnFamilyDescriptor::name) != descriptors.end())
      return fail(Errc::invalid_argument, what + ": family " + spec.name + " is named twice");
    if (wanted.read_only && std::ranges::find(disk_names, name) == disk_names.end())
      return fail(Errc::not_found, what + ": no family " + spec.name + ", and read-only");
    descriptors.emplace_back(name, family_options(spec.options, wanted, cache));
    state->families.push_back(std::make_unique<ByteFamily::State>(state.get(), nullptr, spec.name, spec.options.ttl));
  }
  for (const std::string& name : disk_names) {
    if (std::ranges::find(descriptors, name, &rocksdb::ColumnFamilyDescriptor::name) != descriptors.end()) continue;
    FamilyOptions plain;
    const bool expiring = name.ends_with(kTtlMark);
    if (expiring) plain.ttl = std::chrono::milliseconds(0);
    descriptors.emplace_back(name, family_options(plain, wanted, cache));
    state->families.push_back(std::make_unique<ByteFamily::State>(
        state.get(), nullptr, expiring ? name.substr(0, name.size() - kTtlMark.size()) : name, plain.ttl));
  }

  if (exists) {
    std::vector<rocksdb::ColumnFamilyDescriptor> there;
    for (const auto& descriptor : descriptors)
      if (std::ranges::find(disk_names, descriptor.name) != disk_names.end()) there.push_back(descriptor);
    if (auto clean = state->check_logs(db_options, directory, there); !clean)
      return std::unexpected(std::move(clean).error());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  if (const Status status = state->open(db_options, directory, descriptors, wanted.read_only, &handles, &state->db);
      !status.ok())
    return explained(status);
  *state->environment.manifest_end = ~std::uint64_t{0};  // RocksDB has begun a new one
  for (std::size_t i = 0; i < handles.size(); ++i) state->families[i]->handle = handles[i];
  return Db(std::move(state));
}

Result<ByteFamily> Db::byte_family(std::string_view name) const {
  if (const auto* family = state_->find(name)) return ByteFamily(family);
  return fail(Errc::not_found, "no family " + std::string(name) + ": name it in Options::families");
}

std::vector<std::string> Db::family_names() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& family : state_->families) names.push_back(family->name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> Db::drop_family(std::string_view name) {
  const std::lock_guard lock(state_->mutex);
  const auto it = std::ranges::find(state_->families, name, [](const auto& family) { return family->name; });
  const std::string what = "drop family " + std::string(name);
  if (it == state_->families.end()) return fail(Errc::not_found, what + ": there is none");
  GROVE_CHECK(checked(what, state_->db->DropColumnFamily((*it)->handle)));
  state_->db->DestroyColumnFamilyHandle((*it)->handle);
  state_->families.erase(it);
  return {};
}

Result<void> Db::write(WriteBatch& batch, Durability durability) {
  const Status status = state_->write(*batch.batch_, durability);
  if (status.ok()) return {};
  return failed("write a batch", status);
}

Snapshot Db::snapshot() const {
  rocksdb::DB* db = state_->db.get();
  return Snapshot(std::shared_ptr<const void>(
      db->GetSnapshot(), [db](const void* held) { db->ReleaseSnapshot(static_cast<const rocksdb::Snapshot*>(held)); }));
}

std::uint64_t Snapshot::sequence() const noexcept {
  return static_cast<const rocksdb::Snapshot*>(held_.get())->GetSequenceNumber();
}

Result<void> Db::sync() {
  rocksdb::WriteBatch nothing;  // but the promise, which goes where all before it goes
  return checked("sync", state_->write(nothing, Durability::synced));
}

Result<void> Db::checkpoint(const std::filesystem::path& to) const {
  rocksdb::Checkpoint* made = nullptr;
  const std::string what = "checkpoint to " + to.string();
  GROVE_CHECK(checked(what, rocksdb::Checkpoint::Create(state_->db.get(), &made)));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  return checked(what, checkpoint->CreateCheckpoint(to.string()));
}

Result<void> Db::verify() const {
  GROVE_CHECK(checked("verify", state_->db->VerifyChecksum()));
  if (const std::string found = state_->files.diagnosis(); !found.empty())
    return fail(Errc::corrupt, "verify: " + found);
  GROVE_TRY(const auto logs, state_->files.logs());
  for (const auto& [number, name] : logs) {
    const auto content = state_->files.read(name);
    if (!content) continue;  // flushed and removed meanwhile
    LogReader reader(*content);
    while (const auto entry = reader.next()) {
      const auto* bad = std::get_if<LogDamage>(&*entry);
      if (bad != nullptr && !bad->at_end)  // the end may be a write in progress
        return fail(Errc::corrupt, "verify: " + state_->files.path(name) + " offset " + std::to_string(bad->offset) +
                                       ": " + bad->reason);
    }
  }
  return {};
}

Result<void> Db::close() {
  if (state_ == nullptr || state_->closed) return {};
  state_->closed = true;
  Result<void> result;
  if (!state_->options.read_only) {
    // Once to sync all that was written, once to say so behind it.
    if (state_->db->GetLatestSequenceNumber() > state_->promised_through) {
      result = sync();
      if (result)
        result = checked("close", state_->write(*std::make_unique<rocksdb::WriteBatch>(), Durability::synced));
    }
  }
  for (const auto& family : state_->families) state_->db->DestroyColumnFamilyHandle(family->handle);
  const Status status = state_->db->Close();
  if (result && !status.ok() && !status.IsNotSupported()) result = failed("close", status);
  return result;
}

rocksdb::DB& Db::native() const noexcept { return *state_->db; }

// BulkFile

struct BulkFile::State {
  std::unique_ptr<rocksdb::SstFileWriter> writer;
  const ByteFamily::State* family;
  std::string path;
};

BulkFile::BulkFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
BulkFile::BulkFile(BulkFile&&) noexcept = default;
BulkFile& BulkFile::operator=(BulkFile&&) noexcept = default;
BulkFile::~BulkFile() = default;

Result<BulkFile> BulkFile::create(const ByteFamily& family, const std::filesystem::path& path) {
  const auto* owner = family.state_;
  auto state = std::make_unique<State>(nullptr, owner, path.string());
  state->writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(),
                                                           owner->db->db->GetOptions(owner->handle), owner->handle);
  GROVE_CHECK(checked("create " + state->path, state->writer->Open(state->path)));
  return BulkFile(std::move(state));
}

Result<void> BulkFile::put(Bytes key, Bytes value) {
  const auto* family = state_->family;
  Status status;
  if (!family->ttl) {
    status = state_->writer->Put(slice_of(key), slice_of(value));
  } else {
    std::string with_expiry(as_text(value));
    const auto suffix = encode_expiry(family->expiry(*family->ttl));
    with_expiry.append(suffix.data(), suffix.size());
    status = state_->writer->Put(slice_of(key), with_expiry);
  }
  if (status.ok()) return {};
  return failed("write " + state_->path, status);
}

Result<std::uint64_t> BulkFile::finish() {
  rocksdb::ExternalSstFileInfo info;
  GROVE_CHECK(checked("finish " + state_->path, state_->writer->Finish(&info)));
  return info.file_size;
}

Result<void> destroy(const std::filesystem::path& path) {
  rocksdb::Options options;
  options.info_log = silent_logger();
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::vector<std::string> names;
  if (rocksdb::DB::ListColumnFamilies(options, path.string(), &names).ok())
    for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  return checked("destroy " + path.string(), rocksdb::DestroyDB(path.string(), options, families));
}

}  // namespace grove::lsm
