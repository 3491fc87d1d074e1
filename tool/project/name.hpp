#pragma once

#include <string>
#include <string_view>

#include "grove/base/error.hpp"

namespace grove::tool {

/// A project's name is a folder, a CMake project, a target and a program at
/// once, so it must be valid as each of them. The error says what is wrong and
/// proposes a name.
Result<void> check_project_name(std::string_view name);

/// The nearest name that vcpkg takes: lower case, digits, single hyphens.
std::string vcpkg_name(std::string_view name);

}  // namespace grove::tool
