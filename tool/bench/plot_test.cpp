#include "tool/bench/plot.hpp"

#include <cmath>

#include "grove/base/test/test.hpp"

using namespace grove::tool;

TEST_CASE("each ratio has its dot, interval and label, coloured by what the interval says") {
  const std::string svg = ratio_plot(
      "a <leaf>", {{"fast", "p&q", 2, 1.5, 2.5}, {"even", "p", 1, 0.9, 1.1}, {"slow", "p", 0.01, 0.009, 0.02}}, "here");
  CHECK(svg.find("a &lt;leaf&gt;") != std::string::npos);
  CHECK(svg.find("fast / p&amp;q") != std::string::npos);
  CHECK(svg.find("2.00× (1.50–2.50)") != std::string::npos);
  for (const char* side : {"class=\"ahead\"", "class=\"even\"", "class=\"behind\"", "class=\"one\""})
    CHECK(svg.find(side) != std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}

TEST_CASE("no ratios make a plot all the same") { CHECK(ratio_plot("t", {}, "").ends_with("</svg>\n")); }
