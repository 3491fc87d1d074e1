#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::tool {

/// A CTest test as the build tree declares it.
struct TestProgram {
  std::string part;                  ///< "unit", "example", "proof", or a fuzzer's name.
  std::vector<std::string> command;  ///< Empty: its program isn't built.
  std::filesystem::path directory;
  std::chrono::seconds timeout{900};
  std::vector<std::pair<std::string, std::string>> environment;
  int skip_status = -1;  ///< The exit status that says "not run".
};

/// The tests of a build tree by the id in front of the name's first dot; a
/// leaf's proof comes last.
Result<std::map<std::string, std::vector<TestProgram>, std::less<>>> list_tests(const std::filesystem::path& build);

/// Reads what `ctest --show-only=json-v1` prints.
Result<std::map<std::string, std::vector<TestProgram>, std::less<>>> read_tests(std::string_view json);

}  // namespace grove::tool
