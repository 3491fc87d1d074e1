#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::tool {

/// The names in a package list: one a line, `#` begins a comment.
Result<std::vector<std::string>> read_package_list(const std::filesystem::path& file);

/// Files relative to the root, sorted. Where there is no git, both are empty.
struct SourceFiles {
  std::vector<std::string> tracked;  ///< C++ files that git knows or would add.
  std::vector<std::string>
      changed;  ///< .cpp files that differ from where the branch left main; on main: from the last commit.
};
Result<SourceFiles> source_files(const std::filesystem::path& root);

/// A CTestTestfile.cmake that holds the tests of these build folders and the
/// checks of the sources, so that one CTest run says how everything went.
std::string test_file(const std::filesystem::path& root, const std::vector<std::filesystem::path>& builds,
                      const SourceFiles& sources);

}  // namespace grove::tool
