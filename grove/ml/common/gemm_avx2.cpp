#ifdef __x86_64__
#include "grove/ml/common/gemm_kernel.hpp"

namespace grove::ml {
extern const GemmKernel<float> kSgemm_avx2;
extern const GemmKernel<double> kDgemm_avx2;
const GemmKernel<float> kSgemm_avx2 = kernel_of<float, Gemm<float, 32, 6, 256, 192, 4096>>;
const GemmKernel<double> kDgemm_avx2 = kernel_of<double, Gemm<double, 32, 6, 256, 96, 2048>>;
}  // namespace grove::ml
#endif
