#include "grove/data/common/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

namespace grove::data {
namespace {

class OsFile final : public File {
 public:
  OsFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  OsFile(const OsFile&) = delete;
  OsFile& operator=(const OsFile&) = delete;
  ~OsFile() override { ::close(fd_); }

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("read " + path_);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  Result<void> write(std::uint64_t offset, Bytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("write " + path_);
      offset += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return fail_errno("truncate " + path_);
    return {};
  }
  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(fd_, &status) != 0) return fail_errno("stat " + path_);
    return static_cast<std::uint64_t>(status.st_size);
  }
  Result<void> sync() override {
    if (::fdatasync(fd_) != 0) return fail_errno("sync " + path_);
    return {};
  }

 private:
  int fd_;
  std::string path_;
};

class OsFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    std::string name(path);
    int flags = O_CLOEXEC | O_RDONLY;
    if (mode == OpenMode::update) flags = O_CLOEXEC | O_RDWR | O_CREAT;
    if (mode == OpenMode::replace) flags = O_CLOEXEC | O_RDWR | O_CREAT | O_TRUNC;
    const int fd = ::open(name.c_str(), flags, 0644);
    if (fd < 0) return fail_errno("open " + name);
    return std::make_unique<OsFile>(fd, std::move(name));
  }
  Result<FileInfo> stat(std::string_view path) const override {
    const std::string name(path);
    struct stat status{};
    if (::stat(name.c_str(), &status) != 0) return fail_errno("stat " + name);
    const auto since_epoch =
        std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
    return FileInfo{static_cast<std::uint64_t>(status.st_size), S_ISDIR(status.st_mode),
                    std::chrono::system_clock::time_point(
                        std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch))};
  }
  Result<std::vector<std::string>> list(std::string_view directory) const override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
      names.push_back(it->path().filename().string());
    if (error) return fail_errno("list " + std::string(directory), error.value());
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<void> make_directory(std::string_view path) override {
    const std::string name(path);
    if (::mkdir(name.c_str(), 0755) == 0) return {};
    struct stat status{};
    if (errno == EEXIST && ::stat(name.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return fail_errno("make the directory " + name);
  }
  Result<void> remove(std::string_view path) override {
    const std::string name(path);
    if (::remove(name.c_str()) != 0) return fail_errno("remove " + name);
    return {};
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    const std::string a(from), b(to);
    if (::rename(a.c_str(), b.c_str()) != 0) return fail_errno("rename " + a + " to " + b);
    return {};
  }
  Result<void> link(std::string_view from, std::string_view to) override {
    const std::string a(from), b(to);
    if (::link(a.c_str(), b.c_str()) != 0) return fail_errno("link " + a + " to " + b);
    return {};
  }
  Result<void> sync_directory(std::string_view path) override {
    const std::string name(path);
    const int fd = ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open " + name);
    const int status = ::fsync(fd);
    const int number = errno;
    ::close(fd);
    if (status != 0) return fail_errno("sync " + name, number);
    return {};
  }
};

}  // namespace

FileSystem& os_files() noexcept {
  static OsFiles files;
  return files;
}

Result<std::vector<std::byte>> read_all(const File& file, std::size_t limit) {
  GROVE_TRY(const std::uint64_t size, file.size());
  if (size > limit) return fail(Errc::limit, "read a file: larger than " + std::to_string(limit) + " bytes");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  GROVE_TRY(const std::size_t read, file.read(0, bytes));
  bytes.resize(read);
  return bytes;
}

}  // namespace grove::data
