#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace grove::tool {

enum class Style : unsigned char { plain, bold, dim, green, yellow, red, blue, cyan };

/// Where a command writes. Colours and the progress line are for terminals
/// only; a pipe gets plain text. NO_COLOR and TERM=dumb are honoured.
class Terminal {
 public:
  Terminal(std::FILE* out, std::FILE* err);

  void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), out_); }
  void line(std::string_view text = {}) {
    print(text);
    std::fputc('\n', out_);
  }
  std::string styled(Style style, std::string_view text) const;
  bool is_terminal() const { return out_is_terminal_; }
  bool prefers_chinese() const { return prefers_chinese_; }
  std::size_t width() const { return width_; }

  /// Standard error: notes that are no part of the answer.
  void note(std::string_view text);
  /// One line that is overwritten: "[3/8] data/… building". On a pipe it is
  /// printed as a line of its own when the text before the first colon changes.
  void progress(std::string_view text);
  void end_progress();

  /// Columns padded to equal width (Chinese characters count two).
  void table(const std::vector<std::vector<std::string>>& rows);

  /// Asks on the terminal; false without one.
  bool confirm(std::string_view question);

 private:
  std::FILE* out_;
  std::FILE* err_;
  bool out_is_terminal_;
  bool err_is_terminal_;
  bool colour_;
  bool prefers_chinese_;
  std::size_t width_;
  bool progress_shown_ = false;
  std::string last_progress_;
};

/// Columns that a UTF-8 text takes on a terminal; escape sequences take none.
std::size_t display_width(std::string_view text);

/// Breaks text at spaces (and between Chinese characters) into lines of at most `width` columns.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

}  // namespace grove::tool
