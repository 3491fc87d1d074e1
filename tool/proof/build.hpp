#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/cli/terminal.hpp"

namespace grove::tool {

/// The folder build/<preset> of Grove itself (CMakePresets.json). One tree
/// serves prove, bench and test, so nothing is compiled twice.
class BuildTree {
 public:
  BuildTree(std::filesystem::path root, std::string preset, Terminal& terminal)
      : root_(std::move(root)), preset_(std::move(preset)), terminal_(terminal) {}

  std::filesystem::path folder() const { return root_ / "build" / preset_; }
  /// What the leaf's own build folder is: its programs and its CTest working directory.
  std::filesystem::path leaf_folder(std::string_view id) const { return folder() / "grove" / id; }

  /// Configures for these leaves (empty: all that are built), unless the tree
  /// is so already; a changed CMake file is ninja's own affair. The Error holds CMake's reason.
  Result<void> configure(const std::vector<std::string>& leaves);

  struct Output {
    bool built = false;
    std::string log;
  };
  /// Builds what can be built, even if something else fails.
  Result<Output> build(const std::vector<std::string>& targets, std::string_view step);

 private:
  std::filesystem::path root_;
  std::string preset_;
  Terminal& terminal_;
};

/// "data/cache/lru" → "grove-data-cache-lru", as cmake/Grove.cmake names it.
std::string target_name(std::string_view id);

}  // namespace grove::tool
