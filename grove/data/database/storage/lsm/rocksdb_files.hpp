#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "grove/data/common/file.hpp"

namespace rocksdb {
class Env;
class Logger;
}  // namespace rocksdb

namespace grove::lsm {

/// What RocksDB gets for its files, and how much of a MANIFEST it is shown.
struct Environment {
  std::unique_ptr<rocksdb::Env> env;
  /// Bytes of the MANIFEST at which reading it ends; all by default.
  std::shared_ptr<std::atomic<std::uint64_t>> manifest_end;
};

/// RocksDB over `files` (which must outlive it), or over the operating system's
/// through RocksDB's own layer where that is nullptr. Threads and clock are
/// RocksDB's. A database lock on `files` holds among the users of one Env.
///
/// Each append to a MANIFEST is synced: RocksDB syncs several at once, and what
/// a power loss may make of those (an earlier one torn, a later one whole) it
/// refuses to read. They come with flushes and compactions, so it costs little.
Environment make_environment(data::FileSystem* files);

/// A log that keeps nothing.
std::shared_ptr<rocksdb::Logger> silent_logger();

}  // namespace grove::lsm
