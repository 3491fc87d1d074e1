#pragma once

#include <cstddef>

namespace grove::ml {

/// The instruction sets that kernels are written for, weakest first.
enum class Isa { base, avx2, avx512 };

/// The best one that this processor and this build have.
Isa best_isa() noexcept;
constexpr const char* isa_name(Isa isa) noexcept {
  return isa == Isa::avx512 ? "AVX-512F" : isa == Isa::avx2 ? "AVX2+FMA" : "baseline";
}

/// A matrix somewhere in memory: element (i, j) stands at data[i * row + j * column].
/// Strides count elements, and may be negative or zero.
template <class T>
struct Matrix {
  T* data;
  std::ptrdiff_t row;
  std::ptrdiff_t column;
};

/// C (m by n) = alpha * A (m by k) * B (k by n) + beta * C, for float and double.
/// With beta 0, C is not read. C overlaps neither A nor B, nor itself. Packed and
/// blocked as in Goto and van de Geijn, "Anatomy of High-Performance Matrix
/// Multiplication" (2008), and BLIS; sums run in an order that depends on the
/// instruction set, with fused multiply-add where it exists. Runs on the
/// caller's thread. False: no memory for the packed blocks, C is untouched.
template <class T>
[[nodiscard]] bool gemm(std::size_t m, std::size_t n, std::size_t k, T alpha, Matrix<const T> a, Matrix<const T> b,
                        T beta, Matrix<T> c, Isa isa = best_isa()) noexcept;

/// `count` products of 4 by 4 matrices, all three arrays row-major and dense.
template <class T>
void multiply_4x4(std::size_t count, const T* a, const T* b, T* c, Isa isa = best_isa()) noexcept;

}  // namespace grove::ml
