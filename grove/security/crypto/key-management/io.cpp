#include "grove/security/crypto/key-management/io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace grove::key_management {

Result<void> Sink::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  GROVE_TRY(const auto space, prepare(bytes.size()));
  std::memcpy(space.data(), bytes.data(), bytes.size());
  return commit(bytes.size());
}

Result<std::span<const std::byte>> BufferedSource::peek(std::size_t want) {
  if (capacity_ - begin_ < want || capacity_ == 0) {
    const std::size_t held = end_ - begin_;
    if (capacity_ < want || capacity_ == 0) {
      const std::size_t capacity = std::max({want, 2 * capacity_, std::size_t{1} << 14});
      auto grown = std::make_unique_for_overwrite<std::byte[]>(capacity);
      if (held != 0) std::memcpy(grown.get(), buffer_.get() + begin_, held);
      buffer_ = std::move(grown);
      capacity_ = capacity;
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, held);
    }
    begin_ = 0;
    end_ = held;
  }
  while (!ended_ && end_ - begin_ < want) {
    GROVE_TRY(const std::size_t count, read({buffer_.get() + end_, capacity_ - end_}));
    end_ += count;
    ended_ = count == 0;
  }
  return std::span<const std::byte>(buffer_.get() + begin_, end_ - begin_);
}

Result<std::span<std::byte>> BufferedSink::prepare(std::size_t size) {
  if (size > capacity_) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(size);
    capacity_ = size;
  }
  return std::span(buffer_.get(), size);
}

Result<std::span<std::byte>> VectorSink::prepare(std::size_t size) {
  out_.resize(size_);
  if (out_.capacity() < size_ + size) out_.reserve(std::max(size_ + size, 2 * out_.capacity()));
  out_.resize(size_ + size);
  return std::span(out_).subspan(size_);
}
Result<void> VectorSink::commit(std::size_t count) {
  size_ += count;
  out_.resize(size_);
  return {};
}

Result<std::span<std::byte>> SpanSink::prepare(std::size_t size) {
  if (size > out_.size() - size_) return fail(Errc::limit, "the output does not fit into the memory given");
  return out_.subspan(size_, size);
}
Result<void> SpanSink::commit(std::size_t count) {
  size_ += count;
  return {};
}

Result<std::size_t> FileSource::read(std::span<std::byte> out) {
  while (true) {
    const ssize_t count = ::read(descriptor_, out.data(), out.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return fail_errno("read");
  }
}

Result<void> FileSink::flush(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    else if (errno != EINTR)
      return fail_errno("write");
  }
  return {};
}

Result<void> MemoryRandomSource::read_at(std::uint64_t offset, std::span<std::byte> out) {
  if (offset > input_.size() || out.size() > input_.size() - offset)
    return fail(Errc::truncated, "the input ends before the part that was asked for");
  std::ranges::copy(input_.subspan(offset, out.size()), out.begin());
  return {};
}

Result<std::unique_ptr<FileRandomSource>> FileRandomSource::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail_errno("open " + path.string());
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) {
    const int number = errno;
    ::close(descriptor);
    return fail_errno("stat " + path.string(), number);
  }
  return std::unique_ptr<FileRandomSource>(
      new FileRandomSource(descriptor, static_cast<std::uint64_t>(status.st_size)));
}
FileRandomSource::~FileRandomSource() { ::close(descriptor_); }

Result<void> FileRandomSource::read_at(std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count == 0) return fail(Errc::truncated, "the file ends before the part that was asked for");
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail_errno("read");
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

}  // namespace grove::key_management
