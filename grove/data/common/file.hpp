#pragma once

// The file layer below the storage engines: positional reads and writes, and
// the two syncs that durability rests on. `os_files()` is the real thing,
// `FaultFs` (fault_fs.hpp) the one that fails and crashes on demand.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::data {

using Bytes = std::span<const std::byte>;

/// An open regular file. Reads may run beside one another and beside writes to
/// other ranges; everything else needs the caller's lock.
class File {
 public:
  virtual ~File() = default;
  /// Fills `into` from `offset`; fewer bytes only where the file ends.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) const = 0;
  /// Writes all of it; beyond the end the file grows, a gap reads as zeros.
  virtual Result<void> write(std::uint64_t offset, Bytes bytes) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// What was written is on stable storage once this returns (fdatasync). It
  /// says nothing of the file's name: see `sync_directory`.
  virtual Result<void> sync() = 0;
};

struct FileInfo {
  std::uint64_t size = 0;
  bool directory = false;
  std::chrono::system_clock::time_point modified{};
};

enum class OpenMode : std::uint8_t {
  read,     ///< The file must exist.
  update,   ///< Read and write; created where missing.
  replace,  ///< Read and write an empty file, whatever was there.
};

/// Names and files. Thread safe. Paths are absolute or relative to the process.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) = 0;
  virtual Result<FileInfo> stat(std::string_view path) const = 0;
  /// Names of the entries, without their directory, sorted.
  virtual Result<std::vector<std::string>> list(std::string_view directory) const = 0;
  /// Parents must exist; a directory that exists already is not an error.
  virtual Result<void> make_directory(std::string_view path) = 0;
  /// A file or an empty directory.
  virtual Result<void> remove(std::string_view path) = 0;
  /// Replaces `to` atomically.
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  virtual Result<void> link(std::string_view from, std::string_view to) = 0;
  /// Names created, renamed or removed in the directory are on stable storage.
  virtual Result<void> sync_directory(std::string_view path) = 0;
};

/// The operating system's files. Stateless; lives as long as the process.
FileSystem& os_files() noexcept;

/// The whole file, at most `limit` bytes of it (`limit` beyond).
Result<std::vector<std::byte>> read_all(const File& file, std::size_t limit = std::size_t{1} << 30);

}  // namespace grove::data
