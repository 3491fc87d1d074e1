#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/cli/command.hpp"
#include "tool/map/load.hpp"
#include "tool/project/packages.hpp"
#include "tool/proof/build.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/lint.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Step {
  std::string name;
  bool passed = false;
  double seconds = 0;
};

/// What CTest counted, out of the JUnit file that it wrote.
struct Counts {
  std::uint64_t tests = 0;
  std::uint64_t failed = 0;
  std::uint64_t not_run = 0;
};
Counts read_counts(std::string_view junit) {
  const auto attribute = [&](std::string_view name) {
    std::uint64_t value = 0;
    const std::size_t at = junit.find(std::string(name) + "=\"");
    if (at != std::string_view::npos)
      std::from_chars(junit.data() + at + name.size() + 2, junit.data() + junit.size(), value);
    return value;
  };
  return {attribute("tests"), attribute("failures"), attribute("skipped") + attribute("disabled")};
}

class Tests {
 public:
  Tests(const Map& map, bool quick, bool json, Terminal& terminal)
      : map_(map), quick_(quick), json_(json), terminal_(terminal) {}

  Result<void> install(bool yes) {
    std::vector<std::string> needed;
    for (const char* list : {"tool.txt", "test.txt"}) {
      GROVE_TRY(const auto names, read_package_list(map_.root / "packages" / list));
      needed.insert(needed.end(), names.begin(), names.end());
    }
    std::vector<std::string> for_proofs;
    for (const Leaf& leaf : map_.leaves) {
      if (!leaf.built) continue;
      needed.insert(needed.end(), leaf.debian.begin(), leaf.debian.end());
      if (!quick_) for_proofs.insert(for_proofs.end(), leaf.prove.begin(), leaf.prove.end());
    }
    const auto start = Clock::now();
    const auto missing = missing_packages(needed);
    if (!missing && missing.error() == Errc::unsupported) return {};  // no dpkg: CMake will name what isn't there
    if (!missing) return std::unexpected(missing.error());
    GROVE_CHECK(install_packages(*missing, yes, terminal_));
    // Without these a proof is "not run"; all the rest is tested.
    GROVE_TRY(const auto servers, missing_packages(for_proofs));
    if (const auto installed = install_packages(servers, yes, terminal_); !installed)
      terminal_.note("proofs that need them aren't run: " + installed.error().message());
    finish("packages", true, start);
    return {};
  }

  /// A build that fails is a failure of the tests that it lacks, and no reason to stop.
  Result<void> build(const std::string& preset, const std::vector<std::string>& targets) {
    const auto start = Clock::now();
    BuildTree tree(map_.root, preset, terminal_);
    GROVE_CHECK(tree.configure({}));
    GROVE_TRY(const auto built, tree.build(targets, "building " + preset));
    terminal_.end_progress();
    if (!built.built) {
      terminal_.note(failures(built.log));
      terminal_.note("the build of " + preset + " failed: " + failure_reason(built.log));
    }
    finish("build " + preset, built.built, start);
    builds_.push_back(tree.folder());
    return {};
  }

  /// Everything in one CTest run, whose own summary comes last.
  Result<int> run() {
    fs::path folder = builds_.front();
    if (!quick_) {
      folder = map_.root / "build/all";
      std::error_code error;
      fs::create_directories(folder, error);
      GROVE_TRY(const auto sources, source_files(map_.root));
      GROVE_CHECK(write_file(folder / "CTestTestfile.cmake", test_file(map_.root, builds_, sources)));
    }
    const auto report = folder / "junit.xml";
    std::vector<std::string> command{"ctest",
                                     "--test-dir",
                                     folder.string(),
                                     "--output-on-failure",
                                     "--no-tests=error",
                                     "--output-junit",
                                     report.string(),
                                     "-j",
                                     std::to_string(std::max(1u, std::thread::hardware_concurrency()))};
    if (quick_) command.insert(command.end(), {"-L", "^unit$"});
    if (terminal_.is_terminal()) command.emplace_back("--progress");
    const auto start = Clock::now();
    std::fflush(stdout);
    terminal_.end_progress();
    GROVE_TRY(const auto output, run_child(command, {.pass_through = !json_}));
    const bool built = std::ranges::all_of(steps_, &Step::passed);
    if (json_) {
      finish("tests", output.status == 0, start);
      GROVE_TRY(const std::string junit, read_file(report));
      print_json(read_counts(junit));
    }
    return output.status == 0 && built ? 0 : 1;
  }

 private:
  void finish(std::string name, bool passed, Clock::time_point start) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::array<char, 64> time{};
    std::snprintf(time.data(), time.size(), " (%.1f s)", seconds);
    terminal_.end_progress();
    terminal_.note(terminal_.styled(passed ? Style::green : Style::red, passed ? "done    " : "failed  ") + name +
                   time.data());
    steps_.push_back({std::move(name), passed, seconds});
  }

  /// The parts of a build's log that begin with "FAILED:", up to the next step.
  static std::string failures(std::string_view log) {
    std::string text;
    for (std::size_t at = 0; (at = log.find("FAILED: ", at)) != std::string_view::npos;) {
      const std::size_t end = std::min(log.find("\n[", at), log.size());
      text += std::string(log.substr(at, end - at)) + "\n";
      at = end;
    }
    return text.size() > 20'000 ? text.substr(0, 20'000) + "\n…" : text;
  }

  void print_json(const Counts& counts) {
    JsonWriter json;
    json.begin_object().member("tests", counts.tests).member("failed", counts.failed);
    json.member("not_run", counts.not_run).key("steps").begin_array();
    for (const Step& step : steps_)
      json.begin_object()
          .member("name", step.name)
          .member("passed", step.passed)
          .member("seconds", step.seconds)
          .end_object();
    terminal_.line(std::move(json.end_array().end_object()).str());
  }

  const Map& map_;
  bool quick_;
  bool json_;
  Terminal& terminal_;
  std::vector<fs::path> builds_;
  std::vector<Step> steps_;
};

Result<int> run(Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  if (!arguments.positional().empty())
    return fail(Errc::invalid_argument,
                "test takes no leaves: grove prove " + arguments.positional().front() + " tests and proves some");
  GROVE_TRY(const auto root, find_root());
  const InterruptGuard guard;
  if (arguments.has("--fresh")) {
    GROVE_TRY(const auto fresh,
              run_child({(root / "tool/fresh/fresh.sh").string()}, {.directory = root, .pass_through = true}));
    return fresh.status;
  }
  GROVE_TRY(const Map map, load_map(root));
  const char* ci = std::getenv("CI");
  const bool quick = arguments.has("--quick");
  Tests tests(map, quick, invocation.json, invocation.terminal);
  GROVE_CHECK(tests.install(arguments.has("--yes") || (ci != nullptr && std::string_view(ci) == "true")));
  if (quick) {
    GROVE_CHECK(tests.build("release", {"grove-units"}));
    return tests.run();
  }
  GROVE_CHECK(tests.build("release", {}));
  GROVE_CHECK(tests.build("asan", {}));
  GROVE_CHECK(tests.build("tsan", {"grove-units"}));
  return tests.run();
}

}  // namespace

Command test_command() {
  return {
      "test",
      "",
      "builds Grove and runs its own tests",
      "构建 Grove 并运行其自身的测试",
      "Everything: unit tests, examples, fuzzers and proofs (GCC), unit tests, examples and fuzzers under\n"
      "AddressSanitizer and UndefinedBehaviorSanitizer, unit tests that share threads under ThreadSanitizer (Clang),\n"
      "clang-format on all files, clang-tidy on the changed ones. One CTest run, whose summary comes last.\n"
      "Exit status: 0; 1 when something fails; 2 when packages are missing or CMake can't configure.\n",
      {{"--quick", "", "the unit tests alone"},
       {"--fresh", "", "in a fresh Debian 12 system, from an empty clone (needs root and debootstrap)"},
       {"--yes", "", "install missing packages without asking, as with CI=true"}},
      run};
}

}  // namespace grove::tool
