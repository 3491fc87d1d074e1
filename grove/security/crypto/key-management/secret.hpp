#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace grove::key_management {

/// Overwrites memory in a way that the compiler doesn't remove.
void wipe(std::span<std::byte> memory) noexcept;

/// Bytes that must not leave memory: allocated between guard pages, locked
/// (kept out of swap and core dumps) as far as RLIMIT_MEMLOCK goes, wiped
/// before they are freed. Costs a few pages and system calls each, so it is for
/// keys and passphrases, not for bulk. Move-only; not thread safe.
class SecretBuffer {
 public:
  SecretBuffer() noexcept = default;
  /// Zeros. Terminates when memory is out, as operator new would.
  explicit SecretBuffer(std::size_t size);
  static SecretBuffer copy(std::span<const std::byte> bytes);
  static SecretBuffer copy(std::string_view text) { return copy(std::as_bytes(std::span(text))); }
  /// From the system's generator.
  static SecretBuffer random(std::size_t size);

  SecretBuffer(SecretBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), locked_(other.locked_) {}
  SecretBuffer& operator=(SecretBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(locked_, other.locked_);
    return *this;
  }
  ~SecretBuffer();

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  std::span<std::byte> bytes() noexcept { return {data_, size_}; }
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  /// False when the system refused to lock the pages (RLIMIT_MEMLOCK).
  bool locked() const noexcept { return locked_; }

  /// In constant time for equal sizes.
  friend bool operator==(const SecretBuffer& a, const SecretBuffer& b) noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool locked_ = false;
};

/// A short-lived secret on the stack, wiped when it goes.
template <std::size_t kSize>
struct Secret : std::array<std::byte, kSize> {
  Secret() noexcept : std::array<std::byte, kSize>{} {}
  Secret(const Secret&) noexcept = default;
  Secret& operator=(const Secret&) noexcept = default;
  ~Secret() { wipe(*this); }
};

/// What a file's header wraps for each recipient (128 bits).
using FileKey = Secret<16>;

}  // namespace grove::key_management
