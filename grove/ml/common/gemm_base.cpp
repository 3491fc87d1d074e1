#include "grove/ml/common/gemm_kernel.hpp"

namespace grove::ml {
extern const GemmKernel<float> kSgemm_base;
extern const GemmKernel<double> kDgemm_base;
const GemmKernel<float> kSgemm_base = kernel_of<float, Gemm<float, 16, 4, 256, 128, 2048>>;
const GemmKernel<double> kDgemm_base = kernel_of<double, Gemm<double, 16, 4, 256, 128, 1024>>;
}  // namespace grove::ml
