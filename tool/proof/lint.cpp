#include "tool/proof/lint.hpp"

#include <algorithm>

#include "grove/base/process.hpp"

namespace grove::tool {
namespace {

/// What git prints with -z, of these file name endings.
Result<std::vector<std::string>> git_files(const std::filesystem::path& root, std::vector<std::string> words,
                                           const std::vector<std::string_view>& endings) {
  words.insert(words.begin(), {"git", "-C", root.string()});
  GROVE_TRY(const auto output, run_process(words));
  std::vector<std::string> files;
  std::string_view rest = output.status == 0 ? std::string_view(output.out) : std::string_view();
  for (std::size_t end = 0; (end = rest.find('\0')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    const std::string_view file = rest.substr(0, end);
    const bool wanted = std::ranges::any_of(endings, [&](std::string_view ending) { return file.ends_with(ending); });
    std::error_code error;
    if (wanted && std::filesystem::exists(root / file, error)) files.emplace_back(file);
  }
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

/// A word of a CMake command, whatever it holds.
std::string bracketed(std::string_view text) { return " [==[" + std::string(text) + "]==]"; }

std::string add_test(std::string_view name, const std::vector<std::string>& command,
                     const std::filesystem::path& directory) {
  std::string text = "add_test(" + bracketed(name);
  for (const std::string& word : command) text += bracketed(word);
  return text + ")\nset_tests_properties(" + bracketed(name) + " PROPERTIES LABELS lint TIMEOUT 900 WORKING_DIRECTORY" +
         bracketed(directory.string()) + ")\n";
}

}  // namespace

Result<std::vector<std::string>> read_package_list(const std::filesystem::path& file) {
  GROVE_TRY(const std::string text, read_file(file));
  std::vector<std::string> names;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0 && rest.front() != '#') names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Result<SourceFiles> source_files(const std::filesystem::path& root) {
  SourceFiles files;
  if (!find_program("git")) return files;
  GROVE_TRY(files.tracked,
            git_files(root, {"ls-files", "-z", "--cached", "--others", "--exclude-standard"}, {".cpp", ".hpp"}));
  const auto revision = [&](std::vector<std::string> words) -> std::string {
    words.insert(words.begin(), {"git", "-C", root.string()});
    const auto output = run_process(words);
    return output && output->status == 0 ? output->out.substr(0, output->out.find('\n')) : "";
  };
  const std::string head = revision({"rev-parse", "HEAD"});
  std::string base = revision({"merge-base", "HEAD", "origin/main"});
  if (base.empty()) base = revision({"merge-base", "HEAD", "main"});
  if (base == head) base = revision({"rev-parse", "--verify", "--quiet", "HEAD~1"});
  if (base.empty()) base = head;  // the first commit: what isn't committed yet
  if (base.empty()) return files;
  GROVE_TRY(files.changed, git_files(root, {"diff", "-z", "--name-only", "--diff-filter=d", base}, {".cpp"}));
  GROVE_TRY(const auto added, git_files(root, {"ls-files", "-z", "--others", "--exclude-standard"}, {".cpp"}));
  files.changed.insert(files.changed.end(), added.begin(), added.end());
  std::ranges::sort(files.changed);
  return files;
}

std::string test_file(const std::filesystem::path& root, const std::vector<std::filesystem::path>& builds,
                      const SourceFiles& sources) {
  std::string text = "# Written by `grove test`.\n";
  for (const auto& build : builds) text += "subdirs(" + bracketed(build.string()) + ")\n";
  if (!sources.tracked.empty()) {
    std::vector<std::string> command{"clang-format-19", "--dry-run", "-Werror", "--ferror-limit=1"};
    command.insert(command.end(), sources.tracked.begin(), sources.tracked.end());
    text += add_test("lint.format", command, root);
  }
  for (const std::string& file : sources.changed) {
    // The first build's commands are GCC's, with warnings that Clang doesn't know.
    std::vector<std::string> command{"clang-tidy-19", "--quiet", "--extra-arg=-Wno-unknown-warning-option", "-p",
                                     builds.front().string()};
    // The analysis doesn't know doctest's REQUIRE, and a test's lambdas outlive the coroutines that it waits for.
    if (file.ends_with("_test.cpp") || file.ends_with("_proof.cpp"))
      command.emplace_back(
          "--checks=-bugprone-unchecked-optional-access,-cppcoreguidelines-avoid-capturing-lambda-coroutines");
    command.push_back(file);
    text += add_test("lint.tidy." + file, command, root);
  }
  text += add_test("lint.shell",
                   {"shellcheck", "bin/grove", ".ci/run", "tool/fresh/fresh.sh", "tool/bench/startup_bench.sh"}, root);
  return text;
}

}  // namespace grove::tool
