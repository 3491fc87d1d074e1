#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::key_management {

/// Where bytes come from, as a window that the reader looks into and then
/// moves: memory is read in place, a file or a socket through one buffer.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  /// At least `want` bytes from the current position, fewer only where the
  /// input ends. Valid until the next call.
  virtual Result<std::span<const std::byte>> peek(std::size_t want) = 0;
  /// Moves on. `count` is at most what the last `peek` showed.
  virtual void consume(std::size_t count) = 0;
};

/// Where bytes go: the writer fills the space that it asked for, so that memory
/// is written once and a file through one buffer.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;
  /// Exactly `size` bytes of space, valid until the next call.
  virtual Result<std::span<std::byte>> prepare(std::size_t size) = 0;
  /// The first `count` of them are to be written.
  virtual Result<void> commit(std::size_t count) = 0;
  /// Writes these bytes: prepare, copy, commit.
  Result<void> write(std::span<const std::byte> bytes);
};

/// Reads memory in place; the memory outlives it.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::span<const std::byte> input) noexcept : rest_(input) {}
  Result<std::span<const std::byte>> peek(std::size_t) override { return rest_; }
  void consume(std::size_t count) override { rest_ = rest_.subspan(count); }

 private:
  std::span<const std::byte> rest_;
};

/// Over anything that fills a buffer: give it a `read`.
class BufferedSource : public Source {
 public:
  Result<std::span<const std::byte>> peek(std::size_t want) final;
  void consume(std::size_t count) final { begin_ += count; }

 protected:
  /// Up to out.size() bytes; 0 is the end. Blocks.
  virtual Result<std::size_t> read(std::span<std::byte> out) = 0;

 private:
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool ended_ = false;
};

/// Over anything that takes bytes: give it a `flush`.
class BufferedSink : public Sink {
 public:
  Result<std::span<std::byte>> prepare(std::size_t size) final;
  Result<void> commit(std::size_t count) final { return flush({buffer_.get(), count}); }

 protected:
  /// Takes all of them. Blocks.
  virtual Result<void> flush(std::span<const std::byte> bytes) = 0;

 private:
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
};

/// Appends to a vector that outlives it.
class VectorSink final : public Sink {
 public:
  explicit VectorSink(std::vector<std::byte>& out) noexcept : out_(out), size_(out.size()) {}
  Result<std::span<std::byte>> prepare(std::size_t size) override;
  Result<void> commit(std::size_t count) override;

 private:
  std::vector<std::byte>& out_;
  std::size_t size_;
};

/// Fills memory that outlives it; `limit` when it is full.
class SpanSink final : public Sink {
 public:
  explicit SpanSink(std::span<std::byte> out) noexcept : out_(out) {}
  Result<std::span<std::byte>> prepare(std::size_t size) override;
  Result<void> commit(std::size_t count) override;
  std::size_t size() const noexcept { return size_; }

 private:
  std::span<std::byte> out_;
  std::size_t size_ = 0;
};

/// A descriptor that the caller keeps open: a file, a pipe, standard input.
class FileSource final : public BufferedSource {
 public:
  explicit FileSource(int descriptor) noexcept : descriptor_(descriptor) {}

 private:
  Result<std::size_t> read(std::span<std::byte> out) override;
  int descriptor_;
};
class FileSink final : public BufferedSink {
 public:
  explicit FileSink(int descriptor) noexcept : descriptor_(descriptor) {}

 private:
  Result<void> flush(std::span<const std::byte> bytes) override;
  int descriptor_;
};

/// For reading at any place. Implementations are safe to call from several
/// threads when `read_at` is.
class RandomSource {
 public:
  RandomSource() = default;
  RandomSource(const RandomSource&) = delete;
  RandomSource& operator=(const RandomSource&) = delete;
  virtual ~RandomSource() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills all of `out` from `offset`; `truncated` when the input ends before.
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) = 0;
};

class MemoryRandomSource final : public RandomSource {
 public:
  explicit MemoryRandomSource(std::span<const std::byte> input) noexcept : input_(input) {}
  std::uint64_t size() const override { return input_.size(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  std::span<const std::byte> input_;
};

/// pread on a file that it opens and closes itself.
class FileRandomSource final : public RandomSource {
 public:
  static Result<std::unique_ptr<FileRandomSource>> open(const std::filesystem::path& path);
  ~FileRandomSource() override;
  std::uint64_t size() const override { return size_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  FileRandomSource(int descriptor, std::uint64_t size) noexcept : descriptor_(descriptor), size_(size) {}
  int descriptor_;
  std::uint64_t size_;
};

}  // namespace grove::key_management
