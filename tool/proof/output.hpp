#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/evidence/store.hpp"

namespace grove::tool {

/// What a proof says in the lines that grove/base/test/proof.hpp documents.
struct ProofOutput {
  std::vector<Figure> figures;       ///< Gaps too, with the unit "gap".
  std::vector<std::string> not_run;  ///< "nats-server: install the Debian package nats-server"

  /// False when the line is no line of the protocol.
  bool read_line(std::string_view line);
};

/// The line of a compiler's, CMake's or a test's output that says best what
/// went wrong, at most 300 bytes long.
std::string failure_reason(std::string_view log);

/// The last `count` lines.
std::string_view last_lines(std::string_view log, std::size_t count);

/// "1234567.5" as people write it: 1.23 M; small numbers with three digits.
std::string human_number(double value);

/// "117/120 cases", "1.2 M op/s".
std::string shown_value(const Figure& figure);

}  // namespace grove::tool
