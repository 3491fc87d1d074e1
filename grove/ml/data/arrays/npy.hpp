#pragma once

#include <map>
#include <string>
#include <vector>

#include "grove/ml/data/arrays/arrays.hpp"

/// NumPy's files: .npy, format versions 1.0 to 3.0 (NEP 1), and .npz, a zip
/// archive of them (stored or deflated, Zip64 where needed). Files may come from
/// anybody: headers are read by a parser of just this grammar, nothing is
/// unpickled, and memory is bounded by the limits before it is taken. Objects,
/// records, strings, complex and half numbers are `unsupported`.
namespace grove::arrays {

enum class Type : std::uint8_t { boolean, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 };
std::size_t type_size(Type type) noexcept;
const char* type_name(Type type) noexcept;  ///< As NumPy: "float64".

template <Element T>
constexpr Type type_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return Type::boolean;
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? Type::f32 : Type::f64;
  } else {
    constexpr int kWidth = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return static_cast<Type>(static_cast<int>(std::is_signed_v<T> ? Type::i8 : Type::u8) + kWidth);
  }
}

/// An array whose element type is known at run time only.
class AnyArray {
 public:
  /// Column-major files come as a transposed layout, without a copy.
  static Result<AnyArray> make(Type type, const Shape& shape, bool column_major);
  Type type() const noexcept { return type_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  const Layout& layout() const noexcept { return layout_; }
  std::span<std::byte> bytes() noexcept { return {bytes_.data(), bytes_.size()}; }

  /// The elements as they are; `invalid_argument` when T is not their type.
  template <Element T>
  Result<View<const T>> as() const {
    if (type_of<T>() != type_)
      return fail(Errc::invalid_argument,
                  std::string("the array holds ") + type_name(type_) + ", not " + type_name(type_of<T>()));
    return View<const T>(reinterpret_cast<const T*>(bytes_.data()), layout_);
  }

 private:
  Type type_ = Type::f64;
  Layout layout_;
  ml::AlignedBuffer<std::byte> bytes_;
};

struct NpyLimits {
  std::size_t bytes = std::size_t{1} << 30;  ///< Of elements, in all arrays of a file.
  std::size_t header = 64 << 10;
  std::size_t entries = 65536;  ///< Of an .npz.
};

Result<AnyArray> read_npy(std::span<const std::byte> file, const NpyLimits& limits = {});
/// By name, without ".npy". Two entries of one name are `corrupt`.
Result<std::map<std::string, AnyArray>> read_npz(std::span<const std::byte> file, const NpyLimits& limits = {});

namespace detail {
Result<std::vector<std::byte>> npy_file(Type type, const Shape& shape, std::span<const std::byte> elements);
}

/// The bytes of an .npy file, version 1.0, row-major.
template <Arrayish X>
Result<std::vector<std::byte>> write_npy(const X& x) {
  using T = typename detail::Expr<const X&>::Value;
  GROVE_TRY(const auto dense, eval(x));
  return detail::npy_file(type_of<T>(), dense.shape(), std::as_bytes(dense.numbers()));
}

/// Collects arrays into one .npz.
class NpzWriter {
 public:
  enum class Method : std::uint8_t { stored, deflated };
  explicit NpzWriter(Method method = Method::stored) noexcept : method_(method) {}
  template <Arrayish X>
  Result<void> add(std::string_view name, const X& x) {
    GROVE_TRY(const auto file, write_npy(x));
    return add_file(name, file);
  }
  /// The archive; the writer is then empty. Archives end at 4 GiB: `limit`.
  Result<std::vector<std::byte>> finish();

 private:
  Result<void> add_file(std::string_view name, std::span<const std::byte> npy);
  Method method_;
  std::vector<std::byte> out_, directory_;
  std::vector<std::string> names_;
};

}  // namespace grove::arrays
