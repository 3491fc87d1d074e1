#include "tool/project/build.hpp"

#include <chrono>
#include <thread>

#include "grove/base/process.hpp"

namespace grove::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kShownLines = 30;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What a person needs of a failed step's log: from the first failed test, the
/// first failed command or the first error on; else its last lines.
std::string end_of(std::string_view log) {
  std::size_t begin = std::string_view::npos;
  for (const std::string_view mark : {"***Failed", "***Timeout", "***Exception", "FAILED: ", "CMake Error", "error:"})
    if (begin == std::string_view::npos) begin = log.find(mark);
  std::size_t lines = 0;
  if (begin == std::string_view::npos) {
    for (begin = log.size(); begin > 0 && lines < kShownLines; --begin) lines += log[begin - 1] == '\n' ? 1 : 0;
  } else {
    begin = log.rfind('\n', begin) + 1;
  }
  std::size_t end = begin;
  for (lines = 0; end < log.size() && lines < kShownLines; ++end) lines += log[end] == '\n' ? 1 : 0;
  return std::string(log.substr(begin, end - begin));
}

/// "12/30 Test #12: base.unit ....   Passed  0.03 sec"
void read_test_line(std::string_view line, BuildReport* report) {
  const std::size_t at = line.find(" Test ");
  const std::size_t colon = line.find(": ", at == std::string_view::npos ? 0 : at);
  if (at == std::string_view::npos || colon == std::string_view::npos || line.find(" sec") == std::string_view::npos)
    return;
  std::string_view rest = line.substr(colon + 2);
  if (rest.find(" Passed ") != std::string_view::npos)
    ++report->passed;
  else if (rest.find("***Skipped") != std::string_view::npos)
    ++report->not_run;
  else
    report->failed.emplace_back(rest.substr(0, rest.find(' ')));
}

}  // namespace

Result<BuildReport> build_project(const std::filesystem::path& project, Terminal& terminal) {
  BuildReport report;
  report.log = project / "build" / "grove.log";
  std::string log;
  const auto step = [&](const char* name, const std::vector<std::string>& command, double* seconds,
                        const std::function<void(std::string_view)>& on_line) -> Result<bool> {
    const auto start = Clock::now();
    terminal.progress(std::string(name) + ": " + project.filename().string());
    ProcessOptions options{.directory = project, .merge_error = true};
    options.on_line = on_line;
    GROVE_TRY(const ProcessOutput output, run_process(command, options));
    *seconds = seconds_since(start);
    log += output.out;
    if (output.status != 0) report.problem = end_of(output.out);
    return output.status == 0;
  };
  const auto show = [&](const char* name) {
    return
        [&terminal, name](std::string_view line) { terminal.progress(std::string(name) + ": " + std::string(line)); };
  };
  const std::string jobs = std::to_string(std::max(1u, std::thread::hardware_concurrency()));
  const auto all = [&]() -> Result<void> {
    GROVE_TRY(const bool configured,
              step("configuring", {"cmake", "--preset", "release"}, &report.configure_seconds, show("configuring")));
    if (!configured) return {};
    GROVE_TRY(report.built,
              step("building", {"cmake", "--build", "--preset", "release"}, &report.build_seconds, show("building")));
    if (!report.built) return {};
    const auto on_line = [&](std::string_view line) {
      read_test_line(line, &report);
      terminal.progress("testing: " + std::string(line));
    };
    GROVE_CHECK(step("testing", {"ctest", "--preset", "release", "-j", jobs}, &report.test_seconds, on_line));
    return {};
  };
  const Result<void> done = all();
  terminal.end_progress();
  if (!done) return std::unexpected(done.error());
  GROVE_CHECK(write_file(report.log, log));
  return report;
}

}  // namespace grove::tool
