#pragma once

// What `new`, `add`, `update` and `diff` share.

#include "grove/base/json.hpp"
#include "tool/cli/command.hpp"
#include "tool/project/build.hpp"
#include "tool/project/generate.hpp"
#include "tool/project/merge.hpp"

namespace grove::tool {

/// The project's folder as it is shown to a person: relative where that is shorter.
std::string shown_path(const std::filesystem::path& path);

/// --app: the applications of the map, once there are any.
Result<void> check_app(const std::filesystem::path& root, const std::string& name);

/// Installs what the project's packages lack, unless --no-install; without
/// dpkg a note says what is needed. `missing` gets what was missing.
Result<void> provide_packages(Invocation& invocation, const Project& project, std::vector<std::string>* missing);

void write_build(JsonWriter& json, const BuildReport& report);
/// One or two lines: built, tests; with the log's end when it doesn't hold.
void show_build(Terminal& terminal, const BuildReport& report);
/// The commands that run the program.
std::vector<std::string> run_commands(const Project& project, const std::filesystem::path& folder);

/// The steps of a plan, one a line, with what each means.
void show_steps(Terminal& terminal, const Plan& plan);
void write_steps(JsonWriter& json, const Plan& plan);

}  // namespace grove::tool
