#pragma once

// The matrix product written once over GCC's vector extensions; each gemm_<isa>.cpp
// compiles it for its registers. Nothing here may be an inline function with a
// name that another file shares, as this code may not run on every processor:
// all of it stands in an unnamed namespace.

#include <cstddef>
#include <utility>

#include "grove/ml/common/gemm.hpp"

namespace grove::ml {

/// What a block of work needs; `workspace` has room for `workspace_size` numbers.
template <class T>
struct GemmTask {
  std::size_t m, n, k;
  T alpha;
  Matrix<const T> a, b;
  Matrix<T> c;      ///< Columns are adjacent (column == 1), or the task is slower.
  bool accumulate;  ///< Add to C, instead of overwriting it.
  T* workspace;
};
template <class T>
struct GemmKernel {
  std::size_t (*workspace_size)(std::size_t m, std::size_t n, std::size_t k);
  void (*run)(const GemmTask<T>&);
  void (*multiply_4x4)(std::size_t count, const T* a, const T* b, T* c);
};

}  // namespace grove::ml

namespace {

using grove::ml::GemmTask;
using grove::ml::Matrix;
using std::size_t;

template <class T, int kBytes>
struct VectorOf {
  using Type [[gnu::vector_size(kBytes)]] = T;
  using Loose [[gnu::vector_size(kBytes), gnu::aligned(sizeof(T)), gnu::may_alias]] = T;
};

constexpr size_t round_up(size_t value, size_t step) { return (value + step - 1) / step * step; }

/// A tile of kRows rows and two registers of columns.
template <class T, int kBytes, size_t kRows, size_t kKBlock, size_t kMBlock, size_t kNBlock>
struct Gemm {
  using Vector = typename VectorOf<T, kBytes>::Type;
  using Loose = typename VectorOf<T, kBytes>::Loose;
  static constexpr size_t kLanes = kBytes / sizeof(T);
  static constexpr size_t kColumns = 2 * kLanes;
  static_assert(kMBlock % kRows == 0 && kNBlock % kColumns == 0);

  template <size_t... kRow>
  [[gnu::always_inline]] static inline void tile(std::index_sequence<kRow...>, size_t k, const T* a, const T* b, T* c,
                                                 std::ptrdiff_t row, bool accumulate) {
    Vector sum[kRows][2] = {};
    for (size_t p = 0; p < k; ++p, a += kRows, b += kColumns) {
      const Vector b0 = *reinterpret_cast<const Vector*>(b);
      const Vector b1 = *reinterpret_cast<const Vector*>(b + kLanes);
      ((sum[kRow][0] += a[kRow] * b0, sum[kRow][1] += a[kRow] * b1), ...);
    }
    const auto put = [&](T* to, const Vector& value) __attribute__((always_inline)) {
      auto* out = reinterpret_cast<Loose*>(to);
      *out = accumulate ? *out + value : value;
    };
    ((put(c + static_cast<std::ptrdiff_t>(kRow) * row, sum[kRow][0]),
      put(c + static_cast<std::ptrdiff_t>(kRow) * row + kLanes, sum[kRow][1])),
     ...);
  }

  /// Panels of kRows rows, k after k; the last one is padded with zeros.
  static void pack_a(const Matrix<const T>& a, size_t m, size_t k, T alpha, T* out) {
    for (size_t i = 0; i < m; i += kRows, out += kRows * k) {
      const T* from = a.data + static_cast<std::ptrdiff_t>(i) * a.row;
      const size_t rows = m - i < kRows ? m - i : kRows;
      if (rows == kRows && a.row == 1) {
        for (size_t p = 0; p < k; ++p, from += a.column)
          for (size_t r = 0; r < kRows; ++r) out[p * kRows + r] = alpha * from[r];
      } else if (rows == kRows) {
        for (size_t p = 0; p < k; ++p, from += a.column)
          for (size_t r = 0; r < kRows; ++r) out[p * kRows + r] = alpha * from[static_cast<std::ptrdiff_t>(r) * a.row];
      } else {
        for (size_t p = 0; p < k; ++p, from += a.column)
          for (size_t r = 0; r < kRows; ++r)
            out[p * kRows + r] = r < rows ? alpha * from[static_cast<std::ptrdiff_t>(r) * a.row] : T{};
      }
    }
  }

  /// Panels of kColumns columns, k after k.
  static void pack_b(const Matrix<const T>& b, size_t k, size_t n, T* out) {
    for (size_t j = 0; j < n; j += kColumns, out += kColumns * k) {
      const T* from = b.data + static_cast<std::ptrdiff_t>(j) * b.column;
      const size_t columns = n - j < kColumns ? n - j : kColumns;
      if (columns == kColumns && b.column == 1) {
        for (size_t p = 0; p < k; ++p, from += b.row)
          for (size_t c = 0; c < kColumns; c += kLanes)
            *reinterpret_cast<Vector*>(out + p * kColumns + c) = *reinterpret_cast<const Loose*>(from + c);
      } else if (columns == kColumns) {
        for (size_t p = 0; p < k; ++p, from += b.row)
          for (size_t c = 0; c < kColumns; ++c) out[p * kColumns + c] = from[static_cast<std::ptrdiff_t>(c) * b.column];
      } else {
        for (size_t p = 0; p < k; ++p, from += b.row)
          for (size_t c = 0; c < kColumns; ++c)
            out[p * kColumns + c] = c < columns ? from[static_cast<std::ptrdiff_t>(c) * b.column] : T{};
      }
    }
  }

  static size_t least(size_t x, size_t y) { return x < y ? x : y; }

  static size_t workspace_size(size_t m, size_t n, size_t k) {
    const size_t depth = least(k, kKBlock);
    return round_up(round_up(least(m, kMBlock), kRows) * depth, kColumns) +
           round_up(least(n, kNBlock), kColumns) * depth;
  }

  static void run(const GemmTask<T>& task) {
    constexpr auto kAllRows = std::make_index_sequence<kRows>();
    const size_t depth_limit = least(task.k, kKBlock);
    T* const packed_a = task.workspace;
    T* const packed_b = packed_a + round_up(round_up(least(task.m, kMBlock), kRows) * depth_limit, kColumns);
    const auto at = [](const auto& matrix, size_t i, size_t j) {
      return matrix.data + static_cast<std::ptrdiff_t>(i) * matrix.row + static_cast<std::ptrdiff_t>(j) * matrix.column;
    };
    for (size_t jc = 0; jc < task.n; jc += kNBlock) {
      const size_t n = least(kNBlock, task.n - jc);
      for (size_t pc = 0; pc < task.k; pc += kKBlock) {
        const size_t k = least(kKBlock, task.k - pc);
        const bool accumulate = task.accumulate || pc > 0;
        pack_b({at(task.b, pc, jc), task.b.row, task.b.column}, k, n, packed_b);
        for (size_t ic = 0; ic < task.m; ic += kMBlock) {
          const size_t m = least(kMBlock, task.m - ic);
          pack_a({at(task.a, ic, pc), task.a.row, task.a.column}, m, k, task.alpha, packed_a);
          for (size_t j = 0; j < n; j += kColumns) {
            for (size_t i = 0; i < m; i += kRows) {
              const T* a = packed_a + i * k;
              const T* b = packed_b + j * k;
              T* c = at(task.c, ic + i, jc + j);
              const size_t rows = least(kRows, m - i), columns = least(kColumns, n - j);
              if (rows == kRows && columns == kColumns && task.c.column == 1) {
                tile(kAllRows, k, a, b, c, task.c.row, accumulate);
                continue;
              }
              alignas(kBytes) T edge[kRows * kColumns];
              tile(kAllRows, k, a, b, edge, kColumns, false);
              for (size_t r = 0; r < rows; ++r)
                for (size_t s = 0; s < columns; ++s) {
                  T& out = *at(Matrix<T>{c, task.c.row, task.c.column}, r, s);
                  out = accumulate ? out + edge[r * kColumns + s] : edge[r * kColumns + s];
                }
            }
          }
        }
      }
    }
  }

  /// A row at a time: wider registers would spend on shuffles what they save.
  static void multiply_4x4(size_t count, const T* a, const T* b, T* c) {
    using Row = typename VectorOf<T, 4 * sizeof(T)>::Loose;
    for (size_t i = 0; i < count; ++i, a += 16, b += 16, c += 16) {
      const auto& rows = *reinterpret_cast<const Row(*)[4]>(b);
      const Row b0 = rows[0], b1 = rows[1], b2 = rows[2], b3 = rows[3];
      for (size_t r = 0; r < 16; r += 4)
        *reinterpret_cast<Row*>(c + r) = a[r] * b0 + a[r + 1] * b1 + a[r + 2] * b2 + a[r + 3] * b3;
    }
  }
};

template <class T, class Chosen>
constexpr grove::ml::GemmKernel<T> kernel_of{&Chosen::workspace_size, &Chosen::run, &Chosen::multiply_4x4};

}  // namespace
