#pragma once

#include <vector>

namespace grove::tool {

struct Interval {
  double low = 0;
  double high = 0;
};

/// The middle value, or the mean of the two in the middle. `values` isn't empty.
double median(std::vector<double> values);

/// An interval that holds the median with at least 95 %, by order statistics:
/// nothing is assumed about the distribution. Fewer than six values can't give
/// 95 %; they give their range.
Interval median_interval(std::vector<double> values);

}  // namespace grove::tool
