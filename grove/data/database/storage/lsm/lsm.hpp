#pragma once

// A write-optimised ordered store: a log-structured merge tree (O'Neil et al.,
// 1996) with typed column families over RocksDB 7.8. What RocksDB returns as a
// Status, or damages silently, comes back as an Error with file and offset.
//
//   const lsm::Family<std::uint64_t, std::string> kUsers{"users"};
//   GROVE_TRY(auto db, lsm::Db::open("/var/lib/app", {.families = {kUsers}}));
//   GROVE_TRY(auto users, db.family(kUsers));
//   GROVE_CHECK(users.put(7, "Ada"));
//
// Thread safety: Db and the families may be used from any thread. A Cursor, a
// Scan, a WriteBatch and a BulkFile belong to one thread at a time. Calls block
// on the disk: from an event loop, call them on a worker thread.
// Lifetime: families, snapshots, cursors and pinned values must go before their Db.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <rocksdb/slice.h>

#include "grove/base/error.hpp"
#include "grove/data/common/key.hpp"
#include "grove/data/common/ordered_kv.hpp"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Iterator;
class SstFileWriter;
class WriteBatch;
}  // namespace rocksdb

namespace grove::lsm {

using data::Bytes;
using data::Durability;

enum class Compression : std::uint8_t { none, snappy, lz4, zstd };

/// Folds an operand into a value without reading it first: counters, sets,
/// append. Must be associative; called from background threads; false means
/// that the bytes make no sense, which readers then get as `corrupt`.
struct Merge {
  std::string name;  ///< Kept in the database; open it again with the same.
  std::function<bool(const Bytes* existing, Bytes operand, std::string* result)> fold;
};

/// Sums; the value type must be the family's.
template <class V>
Merge add();
/// `fold(V existing, V operand) -> V`; the first operand stands as it is.
template <class V, class Fold>
Merge merge_with(std::string name, Fold fold);

struct FamilyOptions {
  Compression compression = Compression::lz4;
  std::size_t write_buffer_bytes = std::size_t{64} << 20;  ///< Memory before a flush; up to four of them.
  int bloom_bits_per_key = 10;                             ///< 0: no filters. 10: about 1 % false positives.
  std::optional<Merge> merge{};
  /// Entries are gone for readers this long after they were written, and their
  /// space comes back with compaction. Kept in the family's name on disk
  /// (`name@ttl`): a family has it from its creation or never. Zero: a
  /// family whose entries expire only where a put says so.
  std::optional<std::chrono::milliseconds> ttl{};
};

struct FamilySpec {
  std::string name;  ///< Not empty, without '@'. "default" always exists.
  FamilyOptions options{};
};

/// A family with its types: declare it once, open and use it through this.
template <class K, class V>
struct Family : FamilySpec {};

struct Options {
  std::vector<FamilySpec> families{};  ///< Created where missing. Others on disk are opened with default options.
  bool create = true;                  ///< Otherwise a missing database is `not_found`.
  bool read_only = false;              ///< Many readers beside one another; sees what was there at open.
  std::size_t block_cache_bytes = std::size_t{64} << 20;
  int background_jobs = 2;  ///< Flushes and compactions at one time.
  int max_open_files = -1;  ///< -1: all stay open.
  /// Open a database whose log was damaged after it had been acknowledged as
  /// synced (Error `corrupt`), and take what precedes the damage.
  bool accept_damaged_log = false;
  /// Where the files lie; nullptr: the operating system, with RocksDB's own
  /// access to it. Must outlive the Db.
  data::FileSystem* files = nullptr;
  /// For expiry only.
  std::function<std::chrono::system_clock::time_point()> clock = std::chrono::system_clock::now;
};

/// A value where it lies: in the block cache or the memtable. Holding it pins
/// that block. Reuse one object for many gets.
class Pinned {
 public:
  Bytes bytes() const noexcept { return {reinterpret_cast<const std::byte*>(slice_.data()), slice_.size() - suffix_}; }
  std::string_view text() const noexcept { return {slice_.data(), slice_.size() - suffix_}; }
  void reset() {
    slice_.Reset();
    suffix_ = 0;
  }

 private:
  friend class ByteFamily;
  rocksdb::PinnableSlice slice_;
  std::size_t suffix_ = 0;  ///< Bytes of expiry behind the value.
};

/// What the database was at one moment; keeps compaction from dropping it.
class Snapshot {
 public:
  Snapshot(Snapshot&&) noexcept = default;
  Snapshot& operator=(Snapshot&&) noexcept = default;
  std::uint64_t sequence() const noexcept;

 private:
  friend class Db;
  friend class ByteFamily;
  explicit Snapshot(std::shared_ptr<const void> held) : held_(std::move(held)) {}
  std::shared_ptr<const void> held_;
};

struct ReadOptions {
  const Snapshot* snapshot = nullptr;  ///< nullptr: now.
  bool fill_cache = true;              ///< false for scans that would sweep the cache.
};

class Cursor;
class WriteBatch;

/// A family as bytes; a model of data::OrderedKv. A cheap copyable handle.
class ByteFamily {
 public:
  using Cursor = lsm::Cursor;

  /// nullopt where there is no such key. Zero-copy.
  Result<std::optional<Pinned>> get(Bytes key, const ReadOptions& options = {}) const;
  /// The same into a value that is used again: false where there is no such key.
  Result<bool> get(Bytes key, Pinned& value, const ReadOptions& options = {}) const;
  Result<void> put(Bytes key, Bytes value, Durability durability = Durability::buffered) const;
  /// With a life of its own; the family must have a `ttl`.
  Result<void> put_for(Bytes key, Bytes value, std::chrono::milliseconds life,
                       Durability durability = Durability::buffered) const;
  Result<void> erase(Bytes key, Durability durability = Durability::buffered) const;
  /// All keys in [from, to), at the cost of one.
  Result<void> erase_range(Bytes from, Bytes to, Durability durability = Durability::buffered) const;
  Result<void> merge(Bytes key, Bytes operand, Durability durability = Durability::buffered) const;
  /// All of the changes or none.
  Result<void> write(std::span<const data::KvChange> changes, Durability durability = Durability::buffered) const;
  lsm::Cursor cursor() const;
  lsm::Cursor cursor(const ReadOptions& options, std::optional<Bytes> from = {}, std::optional<Bytes> to = {}) const;
  /// Atomically adds sorted files that BulkFile wrote, below or above what is
  /// there; `move` links them instead of copying.
  Result<void> ingest(const std::vector<std::filesystem::path>& files, bool move = false) const;
  /// Memory to files; and all files into as few as possible. Both wait.
  Result<void> flush() const;
  Result<void> compact() const;
  /// An estimate, expired and overwritten entries included.
  std::uint64_t approximate_count() const;
  const std::string& name() const noexcept;

 private:
  friend class Db;
  friend class WriteBatch;
  friend class BulkFile;
  struct State;
  explicit ByteFamily(const State* state) : state_(state) {}
  const State* state_;
};

/// A position in key order; see data::KvCursor. Sees the database as it was
/// when the cursor was made.
class Cursor {
 public:
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();
  void seek_first();
  void seek_last();
  void seek(Bytes key);
  /// The last entry <= key.
  void seek_back(Bytes key);
  void next();
  void prev();
  bool valid() const noexcept { return valid_; }
  Bytes key() const noexcept { return key_; }
  Bytes value() const noexcept { return value_; }
  Result<void> status() const;

 private:
  friend class ByteFamily;
  struct State;
  explicit Cursor(std::unique_ptr<State> state);
  void settle(bool forward);
  std::unique_ptr<State> state_;
  bool valid_ = false;
  Bytes key_;
  Bytes value_;
};

/// Half-open [from, to); an absent end is open.
template <class K>
struct Range {
  std::optional<K> from{};
  std::optional<K> to{};
  bool reverse = false;
};

/// A typed walk: `while (scan.next()) use(scan.key(), scan.value());` and then
/// `GROVE_CHECK(scan.status());`, because an error ends the walk too. Views
/// stand until the next move.
template <class K, class V>
class Scan {
 public:
  bool next();
  const K& key() const noexcept { return *key_; }
  const V& value() const noexcept { return *value_; }
  Result<void> status() const;

 private:
  template <class, class>
  friend class ColumnFamily;
  Scan(Cursor cursor, bool reverse) : cursor_(std::move(cursor)), reverse_(reverse) {}
  Cursor cursor_;
  bool reverse_;
  bool started_ = false;
  std::optional<K> key_;
  std::optional<V> value_;
  std::optional<Errc> decode_;
};

/// A family with its key and value types. Encodings: data/common/key.hpp.
template <class K, class V>
class ColumnFamily {
 public:
  /// A V of one's own; for views (std::string_view, Bytes), a Pinned that keeps
  /// what they see.
  static constexpr bool kView = std::is_same_v<V, std::string_view> || std::is_same_v<V, Bytes>;
  using Got = std::conditional_t<kView, Pinned, V>;

  Result<std::optional<Got>> get(const K& key, const ReadOptions& options = {}) const;
  Result<bool> get(const K& key, Pinned& value, const ReadOptions& options = {}) const {
    std::string scratch;
    return bytes_.get(data::encode_key(key, scratch), value, options);
  }
  Result<void> put(const K& key, const V& value, Durability durability = Durability::buffered) const {
    std::string ks, vs;
    return bytes_.put(data::encode_key(key, ks), data::ValueCodec<V>::encode(value, vs), durability);
  }
  Result<void> put_for(const K& key, const V& value, std::chrono::milliseconds life,
                       Durability durability = Durability::buffered) const {
    std::string ks, vs;
    return bytes_.put_for(data::encode_key(key, ks), data::ValueCodec<V>::encode(value, vs), life, durability);
  }
  Result<void> erase(const K& key, Durability durability = Durability::buffered) const {
    std::string scratch;
    return bytes_.erase(data::encode_key(key, scratch), durability);
  }
  Result<void> erase_range(const K& from, const K& to, Durability durability = Durability::buffered) const {
    std::string a, b;
    return bytes_.erase_range(data::encode_key(from, a), data::encode_key(to, b), durability);
  }
  Result<void> merge(const K& key, const V& operand, Durability durability = Durability::buffered) const {
    std::string ks, vs;
    return bytes_.merge(data::encode_key(key, ks), data::ValueCodec<V>::encode(operand, vs), durability);
  }
  Scan<K, V> scan(const Range<K>& range = {}, const ReadOptions& options = {}) const {
    std::string a, b;
    std::optional<Bytes> from, to;
    if (range.from) from = data::encode_key(*range.from, a);
    if (range.to) to = data::encode_key(*range.to, b);
    return {bytes_.cursor(options, from, to), range.reverse};
  }
  const ByteFamily& bytes() const noexcept { return bytes_; }

 private:
  friend class Db;
  explicit ColumnFamily(ByteFamily bytes) : bytes_(bytes) {}
  ByteFamily bytes_;
};

/// Changes of several families that take effect together. Nothing is visible,
/// even to its writer, before `Db::write`.
class WriteBatch {
 public:
  WriteBatch();
  WriteBatch(WriteBatch&&) noexcept;
  WriteBatch& operator=(WriteBatch&&) noexcept;
  ~WriteBatch();

  template <class K, class V>
  void put(const ColumnFamily<K, V>& family, const std::type_identity_t<K>& key, const std::type_identity_t<V>& value) {
    std::string ks, vs;
    put(family.bytes(), data::encode_key(key, ks), data::ValueCodec<V>::encode(value, vs));
  }
  template <class K, class V>
  void erase(const ColumnFamily<K, V>& family, const std::type_identity_t<K>& key) {
    std::string scratch;
    erase(family.bytes(), data::encode_key(key, scratch));
  }
  template <class K, class V>
  void merge(const ColumnFamily<K, V>& family, const std::type_identity_t<K>& key,
             const std::type_identity_t<V>& operand) {
    std::string ks, vs;
    merge(family.bytes(), data::encode_key(key, ks), data::ValueCodec<V>::encode(operand, vs));
  }
  void put(const ByteFamily& family, Bytes key, Bytes value);
  void erase(const ByteFamily& family, Bytes key);
  void merge(const ByteFamily& family, Bytes key, Bytes operand);
  void clear();
  std::size_t count() const noexcept;       ///< Changes.
  std::size_t size_bytes() const noexcept;  ///< As it will stand in the log.

 private:
  friend class Db;
  friend class ByteFamily;
  std::unique_ptr<rocksdb::WriteBatch> batch_;
};

class Db {
 public:
  /// Opens or creates. `corrupt` names the file and, where one can be told, the
  /// offset; `unavailable` when another Db has it open; `invalid_argument` when
  /// a family's options contradict what is on disk.
  static Result<Db> open(const std::filesystem::path& path, Options options = {});
  Db(Db&&) noexcept;
  Db& operator=(Db&&) noexcept;
  /// Closes; an error is lost, see `close`.
  ~Db();

  template <class K, class V>
  Result<ColumnFamily<K, V>> family(const Family<K, V>& family) const {
    GROVE_TRY(const ByteFamily bytes, byte_family(family.name));
    return ColumnFamily<K, V>(bytes);
  }
  Result<ByteFamily> byte_family(std::string_view name) const;
  std::vector<std::string> family_names() const;
  /// Its handles must not be used afterwards.
  Result<void> drop_family(std::string_view name);

  Result<void> write(WriteBatch& batch, Durability durability = Durability::buffered);
  Snapshot snapshot() const;
  /// Everything written so far is `synced` once this returns.
  Result<void> sync();
  /// A consistent, openable copy in a directory that doesn't exist yet; files
  /// are hard links where both lie on one file system. Writers are not stopped.
  Result<void> checkpoint(const std::filesystem::path& to) const;
  /// Reads every file and checks every checksum.
  Result<void> verify() const;
  /// Syncs, and marks the log as complete. Idempotent.
  Result<void> close();

  /// What this layer has no word for. Writing through it forgoes the damage
  /// marks in the log; values of ttl families carry 8 bytes of expiry.
  rocksdb::DB& native() const noexcept;

 private:
  friend class ByteFamily;
  friend class BulkFile;
  struct State;
  explicit Db(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Writes a sorted file outside of the database, for `ingest`. Keys must come
/// in strictly rising order.
class BulkFile {
 public:
  static Result<BulkFile> create(const ByteFamily& family, const std::filesystem::path& path);
  BulkFile(BulkFile&&) noexcept;
  BulkFile& operator=(BulkFile&&) noexcept;
  ~BulkFile();
  Result<void> put(Bytes key, Bytes value);
  template <class K, class V>
  Result<void> put(const ColumnFamily<K, V>&, const std::type_identity_t<K>& key,
                   const std::type_identity_t<V>& value) {
    std::string ks, vs;
    return put(data::encode_key<K>(key, ks), data::ValueCodec<V>::encode(value, vs));
  }
  /// The file is complete and synced; bytes written.
  Result<std::uint64_t> finish();

 private:
  struct State;
  explicit BulkFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Removes the database and its files, and nothing else in the directory.
Result<void> destroy(const std::filesystem::path& path);

// Implementation of the templates.

template <class V, class Fold>
Merge merge_with(std::string name, Fold fold) {
  return {std::move(name), [fold = std::move(fold)](const Bytes* existing, Bytes operand, std::string* result) {
            auto value = data::ValueCodec<V>::decode(operand);
            if (!value) return false;
            if (existing != nullptr) {
              auto before = data::ValueCodec<V>::decode(*existing);
              if (!before) return false;
              value = fold(*std::move(before), *std::move(value));
            }
            std::string scratch;
            *result = as_text(data::ValueCodec<V>::encode(*value, scratch));
            return true;
          }};
}

template <class V>
Merge add() {
  return merge_with<V>("grove.add", [](V a, V b) {
    if constexpr (std::is_integral_v<V>)  // wraps, as unsigned numbers do
      return static_cast<V>(static_cast<std::make_unsigned_t<V>>(a) + static_cast<std::make_unsigned_t<V>>(b));
    else
      return static_cast<V>(a + b);
  });
}

template <class K, class V>
auto ColumnFamily<K, V>::get(const K& key, const ReadOptions& options) const -> Result<std::optional<Got>> {
  Pinned pinned;
  GROVE_TRY(const bool found, get(key, pinned, options));
  if (!found) return std::optional<Got>();
  if constexpr (kView) {
    return std::optional<Got>(std::move(pinned));
  } else {
    auto value = data::ValueCodec<V>::decode(pinned.bytes());
    if (!value) return fail(Errc::corrupt, "family " + bytes_.name() + ": a value is not of the family's type");
    return std::optional<Got>(*std::move(value));
  }
}

template <class K, class V>
bool Scan<K, V>::next() {
  if (decode_) return false;
  if (started_)
    reverse_ ? cursor_.prev() : cursor_.next();
  else
    reverse_ ? cursor_.seek_last() : cursor_.seek_first();
  started_ = true;
  if (!cursor_.valid()) return false;
  auto key = data::decode_key<K>(cursor_.key());
  auto value = data::ValueCodec<V>::decode(cursor_.value());
  if (!key || !value) {
    decode_ = key ? value.error() : key.error();
    return false;
  }
  key_ = *std::move(key);
  value_ = *std::move(value);
  return true;
}

template <class K, class V>
Result<void> Scan<K, V>::status() const {
  if (decode_)
    return fail(Errc::corrupt,
                "scan: an entry is not of the family's types (" + std::string(errc_name(*decode_)) + ")");
  return cursor_.status();
}

}  // namespace grove::lsm
