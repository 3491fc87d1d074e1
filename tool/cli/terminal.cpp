#include "tool/cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "grove/base/text.hpp"

namespace grove::tool {
namespace {

bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0x303e) || (c >= 0x3041 && c <= 0xa4cf) ||
         (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) ||
         (c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

}  // namespace

Terminal::Terminal(std::FILE* out, std::FILE* err)
    : out_(out),
      err_(err),
      out_is_terminal_(::isatty(::fileno(out)) != 0),
      err_is_terminal_(::isatty(::fileno(err)) != 0) {
  const char* term = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  colour_ = out_is_terminal_ && (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
            std::string_view(term) != "dumb";
  prefers_chinese_ = false;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') {
      prefers_chinese_ = std::string_view(value).starts_with("zh");
      break;
    }
  winsize size{};
  width_ = out_is_terminal_ && ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20
               ? std::min<std::size_t>(size.ws_col, 100)
               : 100;
}

std::string Terminal::styled(Style style, std::string_view text) const {
  if (!colour_ || style == Style::plain) return std::string(text);
  constexpr std::array<std::string_view, 8> codes{"",         "\033[1m",  "\033[2m",  "\033[32m",
                                                  "\033[33m", "\033[31m", "\033[34m", "\033[36m"};
  return std::string(codes.at(static_cast<std::size_t>(style))).append(text).append("\033[0m");
}

void Terminal::note(std::string_view text) {
  end_progress();
  std::fwrite(text.data(), 1, text.size(), err_);
  std::fputc('\n', err_);
}

void Terminal::progress(std::string_view text) {
  if (err_is_terminal_) {
    const std::size_t room = width_ > 1 ? width_ - 1 : 1;
    std::string shown;
    for (std::string_view rest = text; !rest.empty() && display_width(shown) < room;) {
      const CodePoint p = first_code_point(rest);
      shown += rest.substr(0, p.size);
      rest.remove_prefix(p.size);
    }
    std::fprintf(err_, "\r\033[K%s", shown.c_str());
    std::fflush(err_);
    progress_shown_ = true;
    return;
  }
  const std::string_view step = text.substr(0, text.find(':'));
  if (step == last_progress_) return;
  last_progress_ = step;
  std::fprintf(err_, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void Terminal::end_progress() {
  if (progress_shown_) std::fputs("\r\033[K", err_);
  progress_shown_ = false;
}

void Terminal::table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  for (const auto& row : rows) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    line(text);
  }
}

bool Terminal::confirm(std::string_view question) {
  if (!err_is_terminal_ || ::isatty(STDIN_FILENO) == 0) return false;
  std::fprintf(err_, "%.*s [y/N] ", static_cast<int>(question.size()), question.data());
  std::fflush(err_);
  std::array<char, 64> answer{};
  return std::fgets(answer.data(), static_cast<int>(answer.size()), stdin) != nullptr &&
         (answer[0] == 'y' || answer[0] == 'Y');
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    if (text.starts_with("\033[")) {
      const std::size_t end = text.find('m');
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      continue;
    }
    const CodePoint p = first_code_point(text);
    columns += is_wide(p.value) ? 2 : 1;
    text.remove_prefix(p.size);
  }
  return columns;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string current;
  std::size_t columns = 0;
  const auto flush = [&] {
    while (!current.empty() && current.back() == ' ') current.pop_back();
    lines.push_back(std::exchange(current, {}));
    columns = 0;
  };
  while (!text.empty()) {
    // A word with its trailing space, or one wide character.
    std::size_t size = first_code_point(text).size;
    if (!is_wide(first_code_point(text).value)) {
      while (size < text.size() && text[size - 1] != ' ') {
        const CodePoint p = first_code_point(text.substr(size));
        if (is_wide(p.value)) break;
        size += p.size;
      }
    }
    const std::string_view piece = text.substr(0, size);
    const std::size_t piece_columns = display_width(piece.ends_with(' ') ? piece.substr(0, size - 1) : piece);
    // Chinese punctuation never starts a line.
    const char32_t first = first_code_point(piece).value;
    const bool sticks =
        first == U'，' || first == U'。' || first == U'、' || first == U'；' || first == U'：' || first == U'）';
    if (columns != 0 && columns + piece_columns > width && !sticks) flush();
    current += piece;
    columns += display_width(piece);
    text.remove_prefix(size);
  }
  if (!current.empty() || lines.empty()) flush();
  return lines;
}

}  // namespace grove::tool
