#include "tool/proof/output.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace grove::tool {
namespace {

/// Takes the word up to the next space off the front.
std::string_view take_word(std::string_view* text) {
  const std::size_t end = std::min(text->find(' '), text->size());
  const std::string_view word = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return word;
}

bool take_prefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

}  // namespace

bool ProofOutput::read_line(std::string_view line) {
  if (take_prefix(&line, "figure ")) {
    Figure figure;
    figure.name = take_word(&line);
    const std::string_view value = take_word(&line);
    figure.unit = line;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), figure.value);
    const bool whole = end == value.data() + value.size();
    if (error != std::errc{} || figure.name.empty() || (!whole && *end != '/')) return false;
    if (!whole) figure.text = value;
    figures.push_back(std::move(figure));
    return true;
  }
  if (take_prefix(&line, "not-run ")) {
    not_run.emplace_back(line);
    return true;
  }
  if (take_prefix(&line, "gap ")) {
    const std::size_t colon = std::min(line.find(": "), line.size());
    figures.push_back(
        {std::string(line.substr(0, colon)), 0, "gap", std::string(line.substr(std::min(colon + 2, line.size())))});
    return true;
  }
  return false;
}

std::string failure_reason(std::string_view log) {
  // In this order: what a linker or compiler, a test, CMake or ninja says.
  for (const std::string_view mark :
       {" error: ", "undefined reference", "ERROR: ", "CMake Error", " is missing: ", "FAILED: ", "SUMMARY: "}) {
    const std::size_t at = log.find(mark);
    if (at == std::string_view::npos) continue;
    const std::size_t begin = log.rfind('\n', at) + 1;  // npos + 1 is 0
    std::string reason(log.substr(begin, log.find('\n', at) - begin));
    // doctest and CMake put the place on one line and the matter on the next.
    if (reason.ends_with(':') || mark == "ERROR: ") {
      std::string_view rest = log.substr(std::min(log.find('\n', at), log.size()));
      rest.remove_prefix(std::min(rest.find_first_not_of("\n "), rest.size()));
      const std::string_view next = rest.substr(0, rest.find('\n'));
      if (!next.empty() && (reason.ends_with(':') || reason.size() < 160)) reason += " " + std::string(next);
    }
    return reason.substr(0, 300);
  }
  const std::string_view last = last_lines(log, 1);
  return std::string(last.substr(0, 300));
}

std::string_view last_lines(std::string_view log, std::size_t count) {
  while (log.ends_with('\n')) log.remove_suffix(1);
  std::size_t begin = log.size();
  for (; count > 0 && begin != 0; --count) {
    const std::size_t newline = log.rfind('\n', begin - 1);
    if (newline == std::string_view::npos) return log;
    begin = newline;
    if (count == 1) ++begin;
  }
  return log.substr(begin);
}

std::string human_number(double value) {
  std::array<char, 32> text{};
  const double size = std::abs(value);
  if (size >= 1e9)
    std::snprintf(text.data(), text.size(), "%.3g G", value / 1e9);
  else if (size >= 1e6)
    std::snprintf(text.data(), text.size(), "%.3g M", value / 1e6);
  else if (size >= 1e4)
    std::snprintf(text.data(), text.size(), "%.3g k", value / 1e3);
  else if (value == std::floor(value))
    std::snprintf(text.data(), text.size(), "%.0f", value);
  else
    std::snprintf(text.data(), text.size(), "%.3g", value);
  return text.data();
}

std::string shown_value(const Figure& figure) {
  if (figure.unit == "gap") return "gap: " + figure.text;
  const std::string value = figure.text.empty() ? human_number(figure.value) : figure.text;
  return figure.unit.empty() ? value : value + " " + figure.unit;
}

}  // namespace grove::tool
