#include "grove/data/database/storage/lsm/rocksdb_files.hpp"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "grove/base/text.hpp"

namespace grove::lsm {
namespace {

using data::Bytes;
using data::OpenMode;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_status(const Error& error) {
  switch (error.code()) {
    case Errc::not_found: return IOStatus::PathNotFound(error.message());
    case Errc::no_space: return IOStatus::NoSpace(error.message());
    case Errc::unsupported: return IOStatus::NotSupported(error.message());
    default: return IOStatus::IOError(error.message());
  }
}
template <class T>
IOStatus to_status(const Result<T>& result) {
  return result ? IOStatus::OK() : to_status(result.error());
}
Bytes bytes_of(const Slice& slice) { return as_bytes(std::string_view(slice.data(), slice.size())); }

IOStatus read_into(const data::File& file, std::uint64_t offset, std::size_t n, Slice* result, char* scratch) {
  const auto read = file.read(offset, std::as_writable_bytes(std::span(scratch, n)));
  *result = Slice(scratch, read.value_or(0));
  return to_status(read);
}

class Sequential final : public rocksdb::FSSequentialFile {
 public:
  explicit Sequential(std::unique_ptr<data::File> file) : file_(std::move(file)) {}
  IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus status = read_into(*file_, at_, n, result, scratch);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    const auto size = file_->size();
    if (size) at_ = std::min(*size, at_ + n);
    return to_status(size);
  }

 private:
  std::unique_ptr<data::File> file_;
  std::uint64_t at_ = 0;
};

class RandomAccess final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccess(std::unique_ptr<data::File> file) : file_(std::move(file)) {}
  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_into(*file_, offset, n, result, scratch);
  }

 private:
  std::unique_ptr<data::File> file_;
};

class Writable final : public rocksdb::FSWritableFile {
 public:
  Writable(std::unique_ptr<data::File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const auto written = file_->write(size_, bytes_of(data));
    if (written) size_ += data.size();
    return to_status(written);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    if (size == size_) return IOStatus::OK();
    const auto done = file_->truncate(size);
    if (done) size_ = size;
    return to_status(done);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return to_status(file_->sync()); }
  bool IsSyncThreadSafe() const override { return true; }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  std::unique_ptr<data::File> file_;
  std::uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(data::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return to_status(files_.sync_directory(path_)); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  data::FileSystem& files_;
  std::string path_;
};

struct Lock final : rocksdb::FileLock {
  explicit Lock(std::string path_) : path(std::move(path_)) {}
  std::string path;
};

class Silent final : public rocksdb::Logger {
 public:
  Silent() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class Files final : public rocksdb::FileSystem {
 public:
  explicit Files(data::FileSystem& files) : files_(files) {}
  const char* Name() const override { return "grove.data.FileSystem"; }

  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    auto file = files_.open(name, OpenMode::read);
    if (file) *result = std::make_unique<Sequential>(*std::move(file));
    return to_status(file);
  }
  IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) override {
    auto file = files_.open(name, OpenMode::read);
    if (file) *result = std::make_unique<RandomAccess>(*std::move(file));
    return to_status(file);
  }
  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return writable(name, OpenMode::replace, result);
  }
  IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return writable(name, OpenMode::update, result);
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext*) override {
    const auto info = files_.stat(name);
    if (info) *result = std::make_unique<Directory>(files_, name);
    return to_status(info);
  }
  IOStatus FileExists(const std::string& name, const IOOptions&, IODebugContext*) override {
    const auto info = files_.stat(name);
    if (!info && info.error() == Errc::not_found) return IOStatus::NotFound(name);
    return to_status(info);
  }
  IOStatus GetChildren(const std::string& name, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    auto names = files_.list(name);
    if (names) *result = *std::move(names);
    return to_status(names);
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions&, IODebugContext*) override {
    return to_status(files_.remove(name));
  }
  IOStatus DeleteDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return to_status(files_.remove(name));
  }
  IOStatus CreateDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return to_status(files_.make_directory(name));
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions&, IODebugContext*) override {
    return to_status(files_.make_directory(name));
  }
  IOStatus GetFileSize(const std::string& name, const IOOptions&, std::uint64_t* size, IODebugContext*) override {
    const auto info = files_.stat(name);
    if (info) *size = info->size;
    return to_status(info);
  }
  IOStatus GetFileModificationTime(const std::string& name, const IOOptions&, std::uint64_t* time,
                                   IODebugContext*) override {
    const auto info = files_.stat(name);
    if (info)
      *time = static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::seconds>(info->modified.time_since_epoch()).count());
    return to_status(info);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return to_status(files_.rename(from, to));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return to_status(files_.link(from, to));
  }
  IOStatus LockFile(const std::string& name, const IOOptions&, rocksdb::FileLock** lock, IODebugContext*) override {
    const std::lock_guard guard(mutex_);
    if (!locked_.insert(name).second) return IOStatus::IOError("lock hold by current process: " + name);
    *lock = new Lock(name);
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<Lock> held(static_cast<Lock*>(lock));
    const std::lock_guard guard(mutex_);
    locked_.erase(held->path);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/test";
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* logger,
                     IODebugContext*) override {
    *logger = silent_logger();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result, IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& name, const IOOptions&, bool* directory, IODebugContext*) override {
    const auto info = files_.stat(name);
    if (info) *directory = info->directory;
    return to_status(info);
  }

 private:
  IOStatus writable(const std::string& name, OpenMode mode, std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = files_.open(name, mode);
    if (!file) return to_status(file);
    const auto size = (*file)->size();
    if (size) *result = std::make_unique<Writable>(*std::move(file), *size);
    return to_status(size);
  }

  data::FileSystem& files_;
  std::mutex mutex_;
  std::set<std::string> locked_;
};

class SyncedWritable final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using rocksdb::FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
    return status.ok() ? Sync(options, debug) : status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
};

class ShortSequential final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  ShortSequential(std::unique_ptr<rocksdb::FSSequentialFile>&& file, std::uint64_t size)
      : FSSequentialFileOwnerWrapper(std::move(file)), left_(size) {}
  IOStatus Read(std::size_t n, const IOOptions& options, Slice* result, char* scratch, IODebugContext* debug) override {
    IOStatus status =
        FSSequentialFileOwnerWrapper::Read(std::min<std::uint64_t>(n, left_), options, result, scratch, debug);
    left_ -= result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    n = std::min(n, left_);
    left_ -= n;
    return FSSequentialFileOwnerWrapper::Skip(n);
  }

 private:
  std::uint64_t left_;
};

class ManifestFiles final : public rocksdb::FileSystemWrapper {
 public:
  ManifestFiles(const std::shared_ptr<rocksdb::FileSystem>& below, std::shared_ptr<std::atomic<std::uint64_t>> end)
      : FileSystemWrapper(below), end_(std::move(end)) {}
  const char* Name() const override { return "grove.ManifestFiles"; }
  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (status.ok() && is_manifest(name)) *result = std::make_unique<SyncedWritable>(std::move(*result));
    return status;
  }
  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, result, debug);
    if (status.ok() && is_manifest(name)) *result = std::make_unique<ShortSequential>(std::move(*result), *end_);
    return status;
  }

 private:
  static bool is_manifest(std::string_view name) { return name.substr(name.rfind('/') + 1).starts_with("MANIFEST-"); }
  std::shared_ptr<std::atomic<std::uint64_t>> end_;
};

}  // namespace

Environment make_environment(data::FileSystem* files) {
  auto end = std::make_shared<std::atomic<std::uint64_t>>(~std::uint64_t{0});
  std::shared_ptr<rocksdb::FileSystem> below = rocksdb::FileSystem::Default();
  if (files != nullptr) below = std::make_shared<Files>(*files);
  return {rocksdb::NewCompositeEnv(std::make_shared<ManifestFiles>(below, end)), end};
}

std::shared_ptr<rocksdb::Logger> silent_logger() { return std::make_shared<Silent>(); }

}  // namespace grove::lsm
