#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/cli/terminal.hpp"

namespace grove::tool {

struct BuildReport {
  bool built = false;
  std::size_t passed = 0;
  std::size_t not_run = 0;  ///< A server that a test talks to isn't installed.
  std::vector<std::string> failed;
  double configure_seconds = 0;
  double build_seconds = 0;
  double test_seconds = 0;
  std::string problem;  ///< The end of the log of the step that failed; empty when all held.
  std::filesystem::path log;

  bool holds() const { return built && failed.empty() && problem.empty(); }
};

/// Configures, builds and tests a generated project (preset release), with
/// progress. A build or test that fails is no Error: look at the report.
Result<BuildReport> build_project(const std::filesystem::path& project, Terminal& terminal);

}  // namespace grove::tool
