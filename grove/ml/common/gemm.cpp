#include "grove/ml/common/gemm.hpp"

#include "grove/ml/common/aligned.hpp"
#include "grove/ml/common/gemm_kernel.hpp"

namespace grove::ml {

extern const GemmKernel<float> kSgemm_base, kSgemm_avx2, kSgemm_avx512;
extern const GemmKernel<double> kDgemm_base, kDgemm_avx2, kDgemm_avx512;

namespace {

template <class T>
const GemmKernel<T>& kernel(Isa isa) noexcept {
  constexpr bool kSingle = std::is_same_v<T, float>;
#ifdef __x86_64__
  if constexpr (kSingle) {
    if (isa == Isa::avx512) return kSgemm_avx512;
    if (isa == Isa::avx2) return kSgemm_avx2;
  } else {
    if (isa == Isa::avx512) return kDgemm_avx512;
    if (isa == Isa::avx2) return kDgemm_avx2;
  }
#endif
  if constexpr (kSingle) {
    return kSgemm_base;
  } else {
    return kDgemm_base;
  }
}

template <class T>
void scale(std::size_t m, std::size_t n, T beta, Matrix<T> c) noexcept {
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      T& out = c.data[static_cast<std::ptrdiff_t>(i) * c.row + static_cast<std::ptrdiff_t>(j) * c.column];
      out = beta == 0 ? T{} : beta * out;
    }
}

}  // namespace

Isa best_isa() noexcept {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::base;
}

template <class T>
bool gemm(std::size_t m, std::size_t n, std::size_t k, T alpha, Matrix<const T> a, Matrix<const T> b, T beta,
          Matrix<T> c, Isa isa) noexcept {
  if (m == 0 || n == 0) return true;
  if (k == 0 || alpha == 0) {
    scale(m, n, beta, c);
    return true;
  }
  const GemmKernel<T>& chosen = kernel<T>(isa);
  if (c.column != 1 && c.row == 1) {  // C' = B' A' has adjacent columns
    std::swap(m, n);
    std::swap(a, b);
    a = {a.data, a.column, a.row};
    b = {b.data, b.column, b.row};
    c = {c.data, c.column, c.row};
  }
  constexpr std::size_t kSmall = 4096;
  alignas(kAlignment) T small[kSmall];
  AlignedBuffer<T> large;
  T* workspace = small;
  if (const std::size_t need = chosen.workspace_size(m, n, k); need > kSmall) {
    large = AlignedBuffer<T>::make(need);
    if (!large) return false;
    workspace = large.data();
  }
  if (beta != 0 && beta != 1) scale(m, n, beta, c);
  chosen.run({m, n, k, alpha, a, b, c, beta != 0, workspace});
  return true;
}

template <class T>
void multiply_4x4(std::size_t count, const T* a, const T* b, T* c, Isa isa) noexcept {
  kernel<T>(isa).multiply_4x4(count, a, b, c);
}

template bool gemm(std::size_t, std::size_t, std::size_t, float, Matrix<const float>, Matrix<const float>, float,
                   Matrix<float>, Isa) noexcept;
template bool gemm(std::size_t, std::size_t, std::size_t, double, Matrix<const double>, Matrix<const double>, double,
                   Matrix<double>, Isa) noexcept;
template void multiply_4x4(std::size_t, const float*, const float*, float*, Isa) noexcept;
template void multiply_4x4(std::size_t, const double*, const double*, double*, Isa) noexcept;

}  // namespace grove::ml
