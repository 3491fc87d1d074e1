#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>
#include <utility>

namespace grove::ml {

inline constexpr std::size_t kAlignment = 64;  ///< A cache line, and the widest vector register.

/// Storage for `count` numbers on a 64-byte boundary, owned by one. Its content
/// is uninitialised. `make` gives an empty buffer (false) when memory is out;
/// a buffer of no numbers is true.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static AlignedBuffer make(std::size_t count) noexcept {
    AlignedBuffer made;
    if (count > (std::numeric_limits<std::size_t>::max() - 2 * kAlignment) / sizeof(T)) return made;
    const std::size_t bytes = (count * sizeof(T) + kAlignment) / kAlignment * kAlignment;
    made.data_ = static_cast<T*>(std::aligned_alloc(kAlignment, bytes));
    made.size_ = made.data_ ? count : 0;
    return made;
  }

  AlignedBuffer() noexcept = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { std::free(data_); }

  explicit operator bool() const noexcept { return data_ != nullptr; }
  T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace grove::ml
