#ifdef __x86_64__
#include "grove/ml/common/gemm_kernel.hpp"

namespace grove::ml {
extern const GemmKernel<float> kSgemm_avx512;
extern const GemmKernel<double> kDgemm_avx512;
const GemmKernel<float> kSgemm_avx512 = kernel_of<float, Gemm<float, 64, 14, 256, 224, 4096>>;
const GemmKernel<double> kDgemm_avx512 = kernel_of<double, Gemm<double, 64, 14, 256, 112, 2048>>;
}  // namespace grove::ml
#endif
