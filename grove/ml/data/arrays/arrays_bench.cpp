// What peer/src/main.rs does on ndarray and nalgebra. Inputs are small whole
// numbers, so every sum is exact and the order of additions doesn't show.
// `openblas-…` is the same product by OpenBLAS on one thread, where it is installed.

#include <dlfcn.h>

#include "grove/base/bench/bench.hpp"
#include "grove/base/random.hpp"
#include "grove/ml/data/arrays/arrays.hpp"

using namespace grove;
using namespace grove::arrays;
using bench::Meter;
using bench::Parameters;

namespace {

NdArray<float> whole(SplitMix64& random, const Shape& shape) {
  auto made = *NdArray<float>::make(shape);
  for (float& number : made.numbers()) number = static_cast<float>(random.below(9)) - 4;
  return made;
}

void fold(Meter& meter, const NdArray<float>& values) {
  for (const float value : values.numbers())
    meter.checksum().word(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
}

void must(const Result<void>& result, Meter& meter) {
  if (!result) meter.fail(result.error().message());
}

Index extent(const Parameters& p) { return static_cast<Index>(p.size); }

template <class F>
void sgemm(const Parameters& p, Meter& meter, F&& multiply) {
  SplitMix64 random(p.seed);
  const Shape shape{extent(p), extent(p)};
  const auto a = whole(random, shape), b = whole(random, shape);
  auto c = *NdArray<float>::zeros(shape);
  meter.measure([&] { multiply(a, b, c); });
  meter.work(2 * p.size * p.size * p.size);
  fold(meter, c);
}
void own_sgemm(const Parameters& p, Meter& meter) {
  sgemm(p, meter, [&](const auto& a, const auto& b, auto& c) { must(matmul_into(c, a, b), meter); });
}
void openblas_sgemm(const Parameters& p, Meter& meter) {
  using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
  void* const library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return meter.fail("OpenBLAS is missing: apt-get install libopenblas-pthread-dev");
  const auto threads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  const auto multiply = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
  if (!threads || !multiply) return meter.fail("this OpenBLAS has no C interface");
  threads(1);
  const int n = static_cast<int>(p.size);
  constexpr int kRowMajor = 101, kAsItIs = 111;
  sgemm(p, meter, [&](const auto& a, const auto& b, auto& c) {
    multiply(kRowMajor, kAsItIs, kAsItIs, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
  });
}

void axpy(const Parameters& p, Meter& meter) {
  constexpr int kRounds = 256;
  SplitMix64 random(p.seed);
  const auto x = whole(random, {extent(p)});
  auto y = whole(random, {extent(p)});
  meter.measure([&] {
    for (int i = 0; i < kRounds; ++i) must(y += 2 * x, meter);
  });
  meter.work(kRounds * p.size);
  fold(meter, y);
}

void fused(const Parameters& p, Meter& meter) {
  constexpr int kRounds = 16;
  SplitMix64 random(p.seed);
  const Shape shape{extent(p)};
  const auto a = whole(random, shape), b = whole(random, shape), c = whole(random, shape), d = whole(random, shape);
  auto r = *NdArray<float>::zeros(shape);
  meter.measure([&] {
    for (int i = 0; i < kRounds; ++i) must(r.assign((a * b + c) * 2 - d), meter);
  });
  meter.work(kRounds * p.size);
  fold(meter, r);
}

template <int kAxis>
void strided(const Parameters& p, Meter& meter) {
  SplitMix64 random(p.seed);
  const auto a = whole(random, {extent(p), extent(p)});
  const auto view = a.slice(range(0, none, 2), range(0, none, 2));
  auto sums = *NdArray<float>::make({0});
  meter.measure([&] { sums = *sum(view, {kAxis}); });
  meter.work(static_cast<std::uint64_t>(view.size()));
  fold(meter, sums);
}

void batched(const Parameters& p, Meter& meter) {
  constexpr int kRounds = 64;
  SplitMix64 random(p.seed);
  const Shape shape{extent(p), 4, 4};
  const auto a = whole(random, shape), b = whole(random, shape);
  auto c = *NdArray<float>::zeros(shape);
  meter.measure([&] {
    for (int i = 0; i < kRounds; ++i) must(matmul_into(c, a, b), meter);
  });
  meter.work(kRounds * p.size);
  fold(meter, c);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Workload workloads[] = {
      {"sgemm-512", 512, "flop", own_sgemm},
      {"openblas-sgemm-512", 512, "flop", openblas_sgemm, "sgemm-512"},
      {"sgemm-2048", 2048, "flop", own_sgemm},
      {"openblas-sgemm-2048", 2048, "flop", openblas_sgemm, "sgemm-2048"},
      {"axpy", 1 << 14, "element", axpy},
      {"fused", 1 << 16, "element", fused},
      {"strided-sum-rows", 2048, "element", strided<1>},
      {"strided-sum-columns", 2048, "element", strided<0>},
      {"batched-4x4", 1024, "product", batched},
  };
  return bench::run(argc, argv, workloads);
}
