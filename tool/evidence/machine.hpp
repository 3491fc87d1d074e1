#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/evidence/store.hpp"

namespace grove::tool {

/// This machine, with the compiler that `compiler --version` names in its first line.
Result<Machine> this_machine(std::string_view compiler);

/// Where the sources stand in git.
struct Checkout {
  std::string commit;                ///< Empty: no repository, or no git.
  std::vector<std::string> changed;  ///< Paths that differ from it, relative to the root; a new folder ends in '/'.

  /// Whether anything at or below one of these folders differs.
  bool is_dirty(const std::vector<std::string>& folders) const;
};
Checkout checkout_of(const std::filesystem::path& root);

}  // namespace grove::tool
