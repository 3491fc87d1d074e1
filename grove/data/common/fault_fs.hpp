#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "grove/data/common/file.hpp"

namespace grove::data {

/// The files of a machine that can be crashed: content by inode, inodes by
/// name. A directory is a name without an inode (0).
struct FileImage {
  std::map<std::uint64_t, std::vector<std::byte>> contents;
  std::map<std::string, std::uint64_t, std::less<>> names;
};

/// One change, in the order in which the file system took it.
struct FileOp {
  enum class Kind : std::uint8_t {
    write,
    truncate,
    sync,
    create,
    remove,
    rename,
    link,
    make_directory,
    sync_directory,
    mark
  };
  Kind kind;
  std::uint64_t inode = 0;         ///< write, truncate, sync, create.
  std::uint64_t offset = 0;        ///< write; the new size of truncate; the number of mark.
  std::string path{}, to{};        ///< Names, normalised.
  std::vector<std::byte> bytes{};  ///< write.
};

/// A file system in memory that journals every change, so that `for_each_crash`
/// (crash.hpp) can say what a power loss at any point may leave, and that fails
/// on demand. Thread safe. Open files keep their inode alive, as on POSIX.
class FaultFs final : public FileSystem {
 public:
  FaultFs();
  /// Starts from an image, all of it durable, with an empty journal.
  explicit FaultFs(FileImage image);

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
  Result<FileInfo> stat(std::string_view path) const override;
  Result<std::vector<std::string>> list(std::string_view directory) const override;
  Result<void> make_directory(std::string_view path) override;
  Result<void> remove(std::string_view path) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> link(std::string_view from, std::string_view to) override;
  Result<void> sync_directory(std::string_view path) override;

  /// Journals a number of the caller's: what it had acknowledged by then.
  void mark(std::uint64_t number);

  /// Decides before each change (and sync) whether it fails, and how; a failed
  /// change changes nothing. An empty function ends the trouble. Called under
  /// the file system's lock: it must not call back.
  using Fault = std::function<Result<void>(const FileOp&)>;
  void set_fault(Fault fault);
  /// Every change from the `count`th on (0: the next) fails with this code.
  void fail_after(std::uint64_t count, Errc code);

  /// A copy of the journal so far, and what it started from.
  std::vector<FileOp> journal() const;
  const FileImage& start() const noexcept { return start_; }
  /// What is there now, synced or not.
  FileImage image() const;
  /// Changes a byte in place, behind everybody's back (bit rot).
  Result<void> damage(std::string_view path, std::uint64_t offset, std::byte mask);

  /// "a//b/./c/" -> "a/b/c"; a leading slash stays.
  static std::string normalise(std::string_view path);

 private:
  friend class FaultFile;
  struct Inode;

  Result<void> apply(FileOp op);
  Result<std::shared_ptr<Inode>> find(std::string_view path) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Inode>, std::less<>> names_;
  std::vector<FileOp> journal_;
  Fault fault_;
  FileImage start_;
  std::uint64_t last_inode_ = 0;
};

}  // namespace grove::data
