#include "tool/bench/statistics.hpp"

#include <numeric>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"

using namespace grove::tool;

namespace {
std::vector<double> one_to(std::size_t n) {
  std::vector<double> values(n);
  std::iota(values.rbegin(), values.rend(), 1.0);
  return values;
}
}  // namespace

TEST_CASE("the median of odd and even counts") {
  CHECK(median({3}) == 3);
  CHECK(median({5, 1, 3}) == 3);
  CHECK(median({4, 1, 3, 2}) == 2.5);
}

TEST_CASE("the ranks of the interval are those of the sign test's table") {
  // n, lower rank (Conover, Practical Nonparametric Statistics, table of the binomial with p = 1/2).
  for (const auto& [n, rank] : {std::pair{1, 1},
                                {5, 1},
                                {6, 1},
                                {7, 1},
                                {8, 1},
                                {9, 2},
                                {11, 2},
                                {12, 3},
                                {15, 4},
                                {17, 5},
                                {20, 6},
                                {25, 8}}) {
    const Interval interval = median_interval(one_to(static_cast<std::size_t>(n)));
    CAPTURE(n);
    CHECK(interval.low == rank);
    CHECK(interval.high == n + 1 - rank);
  }
}

TEST_CASE("it holds the true median at least as often as it says") {
  grove::SplitMix64 random(7);
  for (const std::size_t n : {7u, 12u, 20u}) {
    int held = 0;
    for (int trial = 0; trial < 4000; ++trial) {
      std::vector<double> values(n);
      for (double& value : values) value = random.unit() * random.unit();  // skewed, with the median near 0.1867
      const Interval interval = median_interval(values);
      held += interval.low <= 0.18668 && 0.18668 <= interval.high;
    }
    CHECK(held >= 4000 * 94 / 100);
  }
}
