#include "tool/bench/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "tool/evidence/report.hpp"

namespace grove::tool {
namespace {

constexpr double kLabelWidth = 300;
constexpr double kAxisWidth = 420;
constexpr double kValueWidth = 170;
constexpr double kWidth = kLabelWidth + kAxisWidth + kValueWidth;
constexpr double kRowHeight = 26;
constexpr double kTop = 64;

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string text_at(double x, double y, std::string_view classes, std::string_view anchor, std::string_view text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + std::string(classes) + "\" text-anchor=\"" +
         std::string(anchor) + "\">" + escape_xml(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, std::string_view classes) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" class=\"" + std::string(classes) + "\"/>\n";
}

/// 1, 2 and 5 times powers of ten within the bounds, 1 always among them.
std::vector<double> ticks(double low, double high) {
  std::vector<double> all;
  for (int power = static_cast<int>(std::floor(std::log10(low))); power <= std::ceil(std::log10(high)); ++power)
    for (const double step : {1.0, 2.0, 5.0}) {
      const double tick = step * std::pow(10.0, power);
      if (tick >= low * 0.999 && tick <= high * 1.001) all.push_back(tick);
    }
  // Over several decades the powers of ten are enough.
  if (all.size() > 9)
    std::erase_if(all, [](double t) { return std::abs(std::log10(t) - std::round(std::log10(t))) > 1e-9; });
  return all;
}

}  // namespace

std::string ratio_plot(std::string_view title, const std::vector<Ratio>& ratios, std::string_view footer) {
  // At least from a half to two, so that a difference of a per cent looks like one.
  double low = 0.5;
  double high = 2;
  for (const Ratio& r : ratios) {
    low = std::min(low, r.low / 1.1);
    high = std::max(high, r.high * 1.1);
  }
  const auto x_of = [&](double ratio) {
    return kLabelWidth + kAxisWidth * std::log(ratio / low) / std::log(high / low);
  };
  const double bottom = kTop + kRowHeight * static_cast<double>(ratios.size());
  const double height = bottom + 74;

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(kWidth) + " " + number(height) +
                    "\" role=\"img\" aria-label=\"" + escape_xml(title) +
                    "\">\n"
                    "<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:16px;font-weight:600}"
                    ".dim{fill:#656d76}.small{font-size:11px}.grid{stroke:#d0d7de}.one{stroke:#656d76;stroke-width:1.5}"
                    ".ahead{stroke:#1a7f37;fill:#1a7f37}.behind{stroke:#bc4c00;fill:#bc4c00}"
                    ".even{stroke:#57606a;fill:#57606a}.range{stroke-width:2.5}"
                    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#8d96a0}.grid{stroke:#30363d}"
                    ".one{stroke:#8d96a0}.ahead{stroke:#3fb950;fill:#3fb950}.behind{stroke:#f0883e;fill:#f0883e}"
                    ".even{stroke:#8d96a0;fill:#8d96a0}}</style>\n";
  svg += text_at(12, 24, "title", "start", title);
  svg += text_at(kLabelWidth, kTop - 14, "dim small", "start", "← the peer is ahead");
  svg += text_at(kLabelWidth + kAxisWidth, kTop - 14, "dim small", "end", "Grove is ahead →");
  for (const double tick : ticks(low, high)) {
    svg += line(x_of(tick), kTop, x_of(tick), bottom + 6, std::abs(tick - 1) < 1e-9 ? "one" : "grid");
    svg += text_at(x_of(tick), bottom + 22, "dim small", "middle", number(tick) + "×");
  }
  double y = kTop + kRowHeight / 2;
  for (const Ratio& r : ratios) {
    const std::string_view side = r.low > 1 ? "ahead" : r.high < 1 ? "behind" : "even";
    svg += text_at(12, y + 4, "", "start", r.workload + " / " + r.peer);
    svg += "<g class=\"" + std::string(side) + "\">" + line(x_of(r.low), y, x_of(r.high), y, "range");
    svg += "<circle cx=\"" + number(x_of(r.ratio)) + "\" cy=\"" + number(y) + "\" r=\"4.5\"/></g>\n";
    svg += text_at(kWidth - 12, y + 4, "", "end", shown_ratio(r));
    y += kRowHeight;
  }
  svg += text_at(12, bottom + 48, "dim small", "start",
                 "The peer's time over Grove's for the same work: median and 95 % interval.");
  svg += text_at(12, bottom + 64, "dim small", "start", footer);
  return svg + "</svg>\n";
}

}  // namespace grove::tool
