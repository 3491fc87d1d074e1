#include "tool/bench/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace grove::tool {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

Interval median_interval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  // The median lies below the k-th smallest value only if fewer than k of the n
  // values fall below it: Binomial(n, 1/2). Take the innermost pair of ranks
  // whose two tails together stay within 5 %.
  double probability = std::ldexp(1.0, -static_cast<int>(n));  // of exactly k values below
  double tail = probability;
  std::size_t k = 0;
  while (k + 1 < n - k - 1) {
    probability *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    if (2 * (tail + probability) > 0.05) break;
    tail += probability;
    ++k;
  }
  return {values[k], values[n - 1 - k]};
}

}  // namespace grove::tool
