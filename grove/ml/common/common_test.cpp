#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/ml/common/aligned.hpp"
#include "grove/ml/common/gemm.hpp"

using namespace grove;
using namespace grove::ml;

namespace {

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (isa <= best_isa()) all.push_back(isa);
  return all;
}

/// A matrix in the middle of a larger block, with any layout; small whole
/// numbers, so that results are exact in any order of additions.
template <class T>
struct Block {
  Block(SplitMix64& random, std::size_t rows, std::size_t columns) : rows(rows), columns(columns) {
    const auto step = static_cast<std::ptrdiff_t>(1 + random.below(2));
    const bool turned = random.below(2) == 0;
    const auto across = static_cast<std::ptrdiff_t>(turned ? rows : columns) * step + 3;
    row = turned ? step : across;
    column = turned ? across : step;
    numbers.resize(rows * columns * 4 + 6 * (rows + columns) + 64);
    for (T& number : numbers) number = static_cast<T>(random.below(7)) - 3;
    if (random.below(4) == 0) {  // from the last row up
      first = row * static_cast<std::ptrdiff_t>(rows == 0 ? 0 : rows - 1);
      row = -row;
    }
  }
  std::size_t at(std::size_t i, std::size_t j) const {
    return static_cast<std::size_t>(first + static_cast<std::ptrdiff_t>(i) * row +
                                    static_cast<std::ptrdiff_t>(j) * column);
  }
  std::size_t rows, columns;
  std::ptrdiff_t row, column, first = 0;
  std::vector<T> numbers;
};

template <class T>
void random_products(Isa isa, std::uint64_t seed) {
  SplitMix64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const std::size_t limit = round % 50 == 0 ? 300 : round % 10 == 0 ? 90 : 20;
    const std::size_t m = random.below(limit), n = random.below(limit), k = random.below(round % 50 == 0 ? 600 : limit);
    Block<T> a(random, m, k), b(random, k, n), c(random, m, n);
    const T alpha = static_cast<T>(random.below(3)), beta = static_cast<T>(random.below(3));
    std::vector<T> expected = c.numbers;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        T sum{};
        for (std::size_t p = 0; p < k; ++p) sum += a.numbers[a.at(i, p)] * b.numbers[b.at(p, j)];
        T& out = expected[c.at(i, j)];
        out = alpha * sum + beta * out;
      }
    REQUIRE(gemm<T>(m, n, k, alpha, {a.numbers.data() + a.first, a.row, a.column},
                    {b.numbers.data() + b.first, b.row, b.column}, beta, {c.numbers.data() + c.first, c.row, c.column},
                    isa));
    REQUIRE(c.numbers == expected);  // and nothing beside C is written
  }
}

template <class T>
void four_by_four(Isa isa) {
  SplitMix64 random(4);
  std::vector<T> a(16 * 9), b(16 * 9), c(16 * 9 + 1, T{77});
  for (T& x : a) x = static_cast<T>(random.below(9)) - 4;
  for (T& x : b) x = static_cast<T>(random.below(9)) - 4;
  multiply_4x4<T>(9, a.data(), b.data(), c.data(), isa);
  for (std::size_t m = 0; m < 9; ++m)
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 4; ++j) {
        T sum{};
        for (std::size_t k = 0; k < 4; ++k) sum += a[16 * m + 4 * i + k] * b[16 * m + 4 * k + j];
        REQUIRE(c[16 * m + 4 * i + j] == sum);
      }
  CHECK(c.back() == 77);
}

}  // namespace

TEST_CASE("every instruction set multiplies matrices of any layout, and writes C alone") {
  for (const Isa isa : isas()) {
    CAPTURE(isa_name(isa));
    random_products<float>(isa, 1);
    random_products<double>(isa, 2);
  }
}

TEST_CASE("C is not read when beta is 0") {
  const double nan = __builtin_nan("");
  double a[] = {2}, c[] = {nan};
  CHECK(gemm<double>(1, 1, 1, 1, {a, 1, 1}, {a, 1, 1}, 0, {c, 1, 1}));
  CHECK(c[0] == 4);
  c[0] = nan;
  CHECK(gemm<double>(1, 1, 0, 1, {a, 1, 1}, {a, 1, 1}, 0, {c, 1, 1}));
  CHECK(c[0] == 0);
}

TEST_CASE("batches of 4 by 4 matrices") {
  for (const Isa isa : isas()) {
    four_by_four<float>(isa);
    four_by_four<double>(isa);
  }
}

TEST_CASE("aligned storage stands on a cache line, moves, and refuses what no memory holds") {
  auto buffer = AlignedBuffer<float>::make(3);
  REQUIRE(buffer);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % kAlignment == 0);
  const float* const data = buffer.data();
  auto moved = std::move(buffer);
  CHECK(moved.data() == data);
  CHECK(AlignedBuffer<double>::make(0));
  CHECK_FALSE(AlignedBuffer<double>::make(~std::size_t{0}));
  CHECK_FALSE(AlignedBuffer<double>::make(~std::size_t{0} / 8));
}
