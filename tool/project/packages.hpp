#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/cli/terminal.hpp"

namespace grove::tool {

/// What every build of components needs besides its leaves' own packages. The one list.
std::span<const std::string_view> base_debian();
std::span<const std::string_view> base_vcpkg();
std::span<const std::string_view> base_conan();

/// Name → version of these Debian packages, of those that are installed; a
/// package that another provides has that one's version. Reads dpkg's status
/// file, starts nothing. `unsupported` where there is no dpkg.
Result<std::map<std::string, std::string>> installed_packages(
    std::span<const std::string> names, const std::filesystem::path& status_file = "/var/lib/dpkg/status");

/// Those of them that are not installed, in order, each once.
Result<std::vector<std::string>> missing_packages(std::span<const std::string> names,
                                                  const std::filesystem::path& status_file = "/var/lib/dpkg/status");

/// The command that a person would type.
std::string install_command(std::span<const std::string> packages);

/// Installs them with apt-get, as root or through sudo, after saying what and
/// asking (`yes` doesn't ask). When the answer is no, when nobody can be asked
/// or when apt-get can't (no network, not root and no sudo): an Error that
/// lists them and says how to go on.
Result<void> install_packages(std::span<const std::string> packages, bool yes, Terminal& terminal);

}  // namespace grove::tool
