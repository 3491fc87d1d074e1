#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/evidence/store.hpp"

namespace grove::tool {

/// An SVG of ratios, a row each: a dot with its interval on a logarithmic axis,
/// with the line at 1. Readable on light and on dark ground. The text below
/// says when and where it was measured.
std::string ratio_plot(std::string_view title, const std::vector<Ratio>& ratios, std::string_view footer);

}  // namespace grove::tool
