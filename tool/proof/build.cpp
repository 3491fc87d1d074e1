#include "tool/proof/build.hpp"

#include <algorithm>

#include "grove/base/process.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {

std::string target_name(std::string_view id) {
  std::string name = "grove-" + std::string(id);
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

Result<void> BuildTree::configure(const std::vector<std::string>& leaves) {
  std::string list;
  for (const std::string& id : leaves) list += (list.empty() ? "" : ";") + id;
  std::error_code error;
  if (std::filesystem::exists(folder() / "build.ninja", error)) {
    const auto cache = read_file(folder() / "CMakeCache.txt");
    if (cache && cache->find("\nGROVE_LEAVES:STRING=" + list + "\n") != std::string::npos) return {};
  }
  const std::string step = "configuring " + preset_ + ": ";
  ProcessOptions options{.directory = root_, .merge_error = true};
  options.on_line = [&](std::string_view line) { terminal_.progress(step + std::string(line)); };
  terminal_.progress(step + "cmake");
  GROVE_TRY(const auto output, run_child({"cmake", "--preset", preset_, "-DGROVE_LEAVES=" + list}, options));
  if (output.status == 0) return {};
  // A half-configured tree must not pass for a configured one.
  std::filesystem::remove(folder() / "build.ninja", error);
  return fail(Errc::invalid_argument, "cmake can't configure " + folder().string() + ": " + failure_reason(output.out));
}

Result<BuildTree::Output> BuildTree::build(const std::vector<std::string>& targets, std::string_view step) {
  std::vector<std::string> command{"cmake", "--build", folder().string()};
  if (!targets.empty()) {
    command.emplace_back("--target");
    command.insert(command.end(), targets.begin(), targets.end());
  }
  command.insert(command.end(), {"--", "-k", "0"});
  ProcessOptions options{.merge_error = true};
  options.on_line = [&](std::string_view line) {
    if (line.starts_with('[')) terminal_.progress(std::string(step) + ": " + std::string(line));
  };
  terminal_.progress(std::string(step) + ": " + preset_);
  GROVE_TRY(auto output, run_child(command, options));
  return Output{output.status == 0, std::move(output.out)};
}

}  // namespace grove::tool
