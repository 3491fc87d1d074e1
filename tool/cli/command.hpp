#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/cli/terminal.hpp"
#include "tool/map/leaf.hpp"

namespace grove::tool {

/// What a command takes. Every command has --help and --json besides.
struct OptionSpec {
  std::string_view name;        ///< "--junit"
  std::string_view value_name;  ///< "FILE"; empty: a flag
  std::string_view help;
};

class Arguments {
 public:
  /// `invalid_argument` names the option that is unknown (and the nearest one) or lacks its value.
  static Result<Arguments> parse(std::span<const OptionSpec> options, std::span<const std::string_view> words);

  bool has(std::string_view name) const;
  std::optional<std::string> value(std::string_view name) const;
  /// Every value of an option that may be given several times; commas split too.
  std::vector<std::string> values(std::string_view name) const;
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> positional_;
};

struct Invocation {
  Arguments arguments;
  Terminal& terminal;
  bool json = false;
};

/// Exit codes: 0; 1 (it did the work and something doesn't hold); 2 (it could
/// not do the work). An Error is shown and exits 2.
struct Command {
  std::string_view name;
  std::string_view usage;  ///< "NAME --with LEAF,…"
  std::string_view summary_en;
  std::string_view summary_zh;
  std::string_view details;  ///< Shown by --help below the options; examples.
  std::vector<OptionSpec> options;
  std::function<Result<int>(Invocation&)> run;
};

/// The commands, in the order of the help; each is defined beside what it does.
Command tree_command();
Command find_command();
Command show_command();
Command new_command();
Command add_command();
Command diff_command();
Command update_command();
Command prove_command();
Command bench_command();
Command evidence_command();
Command test_command();
Command leaf_command();

}  // namespace grove::tool
