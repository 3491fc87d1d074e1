#pragma once

#include <map>
#include <string>

#include "tool/project/folder.hpp"
#include "tool/project/generate.hpp"

namespace grove::tool {

/// The files of a project that no leaf holds: CMake, presets, main program,
/// first test, package lists, CI, README. `project` has its leaves and
/// packages; the Files returned are the user's from the first day.
Files project_texts(const Project& project);

/// CycloneDX 1.6. The same project gives the same bytes: no time, and a serial
/// number made from the content. `versions`: of the Debian packages, as installed.
std::string sbom(const Project& project, const std::map<std::string, std::string>& versions);

/// The SPDX expression of a Debian package, read from its copyright file
/// (DEP-5, the paragraph of `Files: *`); empty when it doesn't say.
std::string debian_licence(std::string_view copyright_text);

}  // namespace grove::tool
