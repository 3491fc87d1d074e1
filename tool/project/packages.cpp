#include "tool/project/packages.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "grove/base/process.hpp"

namespace grove::tool {
namespace {

constexpr std::array<std::string_view, 6> kDebian{"cmake",       "doctest-dev", "g++", "libboost1.81-dev",
                                                  "ninja-build", "pkg-config"};
constexpr std::array<std::string_view, 2> kVcpkg{"boost-asio", "doctest"};
constexpr std::array<std::string_view, 2> kConan{"boost", "doctest"};

/// The value of `Field: value` when the line is that field.
bool field(std::string_view line, std::string_view name, std::string_view* value) {
  if (!line.starts_with(name)) return false;
  *value = line.substr(name.size());
  return true;
}

/// Calls `function(name)` for "a (= 1), b, c".
template <class Function>
void each_provided(std::string_view list, Function&& function) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    function(one.substr(0, one.find_first_of(" (:")));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

std::string joined(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

std::span<const std::string_view> base_debian() { return kDebian; }
std::span<const std::string_view> base_vcpkg() { return kVcpkg; }
std::span<const std::string_view> base_conan() { return kConan; }

Result<std::map<std::string, std::string>> installed_packages(std::span<const std::string> names,
                                                              const std::filesystem::path& status_file) {
  const Result<std::string> status = read_file(status_file);
  if (!status) {
    if (status.error() == Errc::not_found)
      return fail(Errc::unsupported, "this system has no dpkg, so what is installed isn't known");
    return std::unexpected(status.error());
  }
  const std::set<std::string_view> wanted(names.begin(), names.end());
  std::map<std::string, std::string> found;
  std::string_view rest = *status;
  std::string_view name;
  std::string_view version;
  std::string_view provides;
  bool installed = false;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::string_view value;
    if (field(line, "Status: ", &value))
      installed = value.ends_with(" ok installed");
    else
      (void)(field(line, "Package: ", &name) || field(line, "Version: ", &version) ||
             field(line, "Provides: ", &provides));
    if (!line.empty() && !rest.empty()) continue;  // a stanza ends with an empty line, or with the file
    if (installed) {
      if (wanted.contains(name)) found.insert_or_assign(std::string(name), std::string(version));
      each_provided(provides, [&](std::string_view other) {
        if (wanted.contains(other)) found.emplace(other, version);
      });
    }
    name = version = provides = {};
    installed = false;
  }
  return found;
}

Result<std::vector<std::string>> missing_packages(std::span<const std::string> names,
                                                  const std::filesystem::path& status_file) {
  GROVE_TRY(const auto installed, installed_packages(names, status_file));
  std::vector<std::string> missing;
  for (const std::string& name : names)
    if (!installed.contains(name) && std::find(missing.begin(), missing.end(), name) == missing.end())
      missing.push_back(name);
  return missing;
}

std::string install_command(std::span<const std::string> packages) {
  return std::string(::geteuid() == 0 ? "" : "sudo ") + "apt-get install " + joined(packages);
}

Result<void> install_packages(std::span<const std::string> packages, bool yes, Terminal& terminal) {
  if (packages.empty()) return {};
  const std::string by_hand = "install " + std::string(packages.size() == 1 ? "it" : "them") +
                              " and run it again:\n  " + install_command(packages);
  const std::string count = std::to_string(packages.size()) + (packages.size() == 1 ? " package is" : " packages are");
  terminal.note(count + " missing: " + joined(packages));
  std::vector<std::string> command;
  if (::geteuid() != 0) {
    if (!find_program("sudo"))
      return fail(Errc::permission, count + " missing, and only root can install; as root, " + by_hand);
    command.push_back("sudo");
  }
  if (!find_program("apt-get"))
    return fail(Errc::unsupported, count + " missing, and there is no apt-get here; install the equivalents of " +
                                       joined(packages) + " and run it again");
  if (!yes && !terminal.confirm("Install with " + install_command(packages) + "?"))
    return fail(Errc::cancelled,
                count + " missing and nothing was installed (--yes installs without asking); " + by_hand);

  // Programs run in process groups of their own, which may not ask on the terminal.
  if (!command.empty())
    if (const auto allowed = run_process({"sudo", "-n", "true"}); !allowed || allowed->status != 0)
      return fail(Errc::permission,
                  count + " missing, and sudo wants a password; run sudo -v and this again, or " + by_hand);

  command.insert(command.end(),
                 {"apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"});
  command.insert(command.end(), packages.begin(), packages.end());
  ProcessOptions options{.environment = {{"DEBIAN_FRONTEND", "noninteractive"}}, .merge_error = true};
  options.on_line = [&](std::string_view line) { terminal.progress("installing: " + std::string(line)); };
  terminal.progress("installing: " + joined(packages));
  const auto install = [&] { return run_process(command, options); };
  Result<ProcessOutput> output = install();
  if (output && output->status != 0) {
    // The lists may be older than the packages: fetch them, once.
    std::vector<std::string> update(command.begin(), std::find(command.begin(), command.end(), "install"));
    update.emplace_back("update");
    terminal.progress("updating the package lists: " + joined(update));
    if (const auto updated = run_process(update, options); updated && updated->status == 0) output = install();
  }
  terminal.end_progress();
  if (!output) return std::unexpected(std::move(output).error());
  if (output->status == 0) return {};
  std::string_view log = output->out;
  while (log.ends_with('\n')) log.remove_suffix(1);
  const std::size_t last = log.rfind("E: ");
  return fail(Errc::unavailable,
              "apt-get couldn't install what is missing (" +
                  std::string(last == std::string_view::npos ? log.substr(log.rfind('\n') + 1)
                                                             : log.substr(last, log.find('\n', last) - last)) +
                  "); with a network, " + by_hand);
}

}  // namespace grove::tool
