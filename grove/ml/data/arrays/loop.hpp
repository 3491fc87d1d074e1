#pragma once

// The one loop under assignments and reductions. It knows addresses and strides,
// not types: an expression comes in as a function that computes a row of
// adjacent elements out of rows of adjacent operands, and strided operands are
// gathered into a row first. So an expression costs the compiler one short loop.

#include <cstddef>

#include "grove/ml/data/arrays/layout.hpp"

namespace grove::arrays::loop {

inline constexpr int kMaxOperands = 16;  ///< Arrays in one expression, the result included.
inline constexpr Index kChunk = 512;     ///< Elements gathered at a time.

/// `out[0..n)` from rows `in[0][0..n)`, `in[1][0..n)`, … in the leaves' order.
using RowKernel = void (*)(const void* expression, void* out, const void* const* in, Index n);
/// Folds `n` adjacent values into `out`, whose stride is 0 (all into one) or not.
using FoldKernel = void (*)(void* out, Index stride, const void* values, Index n);

/// Collects an expression's arrays; operand 0 is the result.
class Binder {
 public:
  void add(const void* data, const Layout& layout, std::size_t item) noexcept;
  /// The broadcast shape of all that was added, or what is wrong with it.
  Result<Shape> shape() const;
  /// Operand 0, whose layout has that shape. Strides 0 where a fold is.
  void result(void* data, const Layout& layout, std::size_t item) noexcept;
  /// Writing operand 0 would change an operand before it is read.
  bool overlaps() const noexcept;

 private:
  friend void assign(Binder&, const Shape&, RowKernel, const void*);
  friend void reduce(Binder&, const Shape&, RowKernel, const void*, FoldKernel);
  struct Operand {
    std::byte* data = nullptr;
    const Layout* layout = nullptr;
    std::size_t item = 0;
    std::array<Index, kMaxRank> strides{};  ///< Bytes, along the loop's shape.
  };
  struct Walk;
  Walk walk(const Shape& shape, int order_by);
  Operand& operand(int i) noexcept { return operands_[static_cast<std::size_t>(i)]; }

  std::array<Operand, kMaxOperands> operands_{};
  int count_ = 1;
};

void assign(Binder& binder, const Shape& shape, RowKernel kernel, const void* expression);
/// `kernel` may be null: the values are operand 1 itself.
void reduce(Binder& binder, const Shape& shape, RowKernel kernel, const void* expression, FoldKernel fold);

/// Whether this processor has AVX2; kernels are compiled with and without it.
bool has_avx2() noexcept;

}  // namespace grove::arrays::loop
