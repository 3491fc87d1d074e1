#include "tool/project/texts.hpp"

#include <algorithm>
#include <utility>

#include "grove/base/json.hpp"
#include "tool/project/name.hpp"
#include "tool/project/packages.hpp"

namespace grove::tool {
namespace {

/// Replaces every @KEY@.
std::string fill(std::string_view text, const std::vector<std::pair<std::string_view, std::string>>& values) {
  std::string out;
  while (!text.empty()) {
    const std::size_t at = text.find('@');
    out += text.substr(0, at);
    if (at == std::string_view::npos) break;
    text.remove_prefix(at);
    const auto value =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return text.starts_with(v.first); });
    if (value == values.end()) {
      out += '@';
      text.remove_prefix(1);
    } else {
      out += value->second;
      text.remove_prefix(value->first.size());
    }
  }
  return out;
}

/// For a C++ string literal: titles hold quotes at most.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string part_name(const Leaf& leaf) {
  std::string name = leaf.name_space;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

constexpr std::string_view kCMake = R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ VERSION 0.1.0 LANGUAGES C CXX)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Proofs and benches live in Grove itself.
set(GROVE_PROOFS OFF)
set(GROVE_BENCHES OFF)
enable_testing()
include(cmake/Grove.cmake)

# Every component below grove/. They are yours; `grove update` merges newer ones.
grove_add_leaves()

file(GLOB parts CONFIGURE_DEPENDS src/*.cpp)
list(REMOVE_ITEM parts "${PROJECT_SOURCE_DIR}/src/main.cpp")
add_library(@NAME@-parts STATIC ${parts})
target_include_directories(@NAME@-parts PUBLIC src)
target_link_libraries(@NAME@-parts PUBLIC
  grove::base
@LINKS@)
# A part may start a server of its own for the moment (grove/base/test/server.hpp).
target_link_libraries(@NAME@-parts PRIVATE grove-test-support grove-warnings)

add_executable(@NAME@ src/main.cpp)
target_link_libraries(@NAME@ PRIVATE @NAME@-parts grove-warnings)

if(GROVE_TESTS)
  add_executable(@NAME@-test tests/@NAME@_test.cpp)
  target_link_libraries(@NAME@-test PRIVATE @NAME@-parts grove-test-main grove-warnings)
  add_test(NAME @NAME@.test COMMAND @NAME@-test)
endif()
)";

constexpr std::string_view kPresets = R"({
  "version": 6,
  "cmakeMinimumRequired": {"major": 3, "minor": 25, "patch": 0},
  "configurePresets": [
    {"name": "base", "hidden": true, "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}"},
    {
      "name": "release", "displayName": "Optimised", "inherits": "base",
      "cacheVariables": {"CMAKE_BUILD_TYPE": "Release"}
    },
    {
      "name": "debug", "displayName": "For the debugger", "inherits": "base",
      "cacheVariables": {"CMAKE_BUILD_TYPE": "Debug"}
    },
    {
      "name": "asan", "displayName": "AddressSanitizer and UndefinedBehaviorSanitizer", "inherits": "base",
      "cacheVariables": {"CMAKE_BUILD_TYPE": "RelWithDebInfo", "GROVE_SANITIZE": "address,undefined"}
    }
  ],
  "buildPresets": [
    {"name": "release", "configurePreset": "release"},
    {"name": "debug", "configurePreset": "debug"},
    {"name": "asan", "configurePreset": "asan"}
  ],
  "testPresets": [
    {"name": "release", "configurePreset": "release", "output": {"outputOnFailure": true}},
    {"name": "debug", "configurePreset": "debug", "output": {"outputOnFailure": true}},
    {"name": "asan", "configurePreset": "asan", "output": {"outputOnFailure": true}}
  ]
}
)";

constexpr std::string_view kPartsHeader = R"(#pragma once

#include <span>
#include <string_view>

#include "grove/base/example.hpp"

namespace app {

/// One thing that the program can do. It began as a component's example and is yours to change.
struct Part {
  std::string_view name;  ///< What a person types: `@NAME@ NAME`.
  std::string_view leaf;
  std::string_view title_en;
  std::string_view title_zh;
  grove::Result<void> (*run)(const grove::ExampleContext& context);
};

std::span<const Part> parts();

/// The part could not run because a server or a program that it talks to isn't there.
inline bool is_absent(const grove::Error& error) {
  return error == grove::Errc::not_found || error == grove::Errc::unavailable;
}

}  // namespace app
)";

constexpr std::string_view kPartsSource = R"(#include "parts.hpp"

#include <array>

@DECLARATIONS@
namespace app {

std::span<const Part> parts() {
  static constexpr std::array<Part, @COUNT@> kParts{@ENTRIES@};
  return kParts;
}

}  // namespace app
)";

constexpr std::string_view kMain = R"(#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "parts.hpp"

namespace {

void help(std::ostream& out) {
  out << "usage: @NAME@ [--data DIR] [PART [ARGUMENTS…]]\n\n"
         "Runs one part, or all of them one after another.\n"
         "运行一个部分；不指定时依次运行全部。\n\n";
  for (const app::Part& part : app::parts())
    out << "  " << part.name << std::string(part.name.size() < 20 ? 20 - part.name.size() : 1, ' ') << part.title_en
        << " · " << part.title_zh << '\n';
  out << "\n  --data DIR  where the parts keep what they store; else $XDG_DATA_HOME/@NAME@ or ~/.local/share/@NAME@\n";
}

std::filesystem::path default_data() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/')
    return std::filesystem::path(data) / "@NAME@";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::filesystem::path(home) / ".local/share/@NAME@";
  return "data";
}

enum class Outcome { done, absent, failed };

Outcome run(const app::Part& part, const std::filesystem::path& data, std::span<const std::string> arguments) {
  std::cout << "\n== " << part.title_en << " · " << part.title_zh << "  (" << part.leaf << ")\n" << std::flush;
  const auto folder = data / part.name;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    std::cerr << "@NAME@: make " << folder << ": " << error.message() << '\n';
    return Outcome::failed;
  }
  const auto result = part.run({std::cout, folder, arguments});
  std::cout << std::flush;
  if (result) return Outcome::done;
  if (app::is_absent(result.error())) {
    std::cout << "not run: " << result.error().message() << '\n';
    return Outcome::absent;
  }
  std::cerr << "@NAME@: " << part.name << ": " << result.error().message() << '\n';
  return Outcome::failed;
}

}  // namespace

/// Exit status: 0; 1 when a part failed; 2 when it wasn't understood.
int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::filesystem::path data = default_data();
  if (arguments.size() >= 2 && arguments[0] == "--data") {
    data = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    help(std::cout);
    return 0;
  }
  if (!arguments.empty()) {
    for (const app::Part& part : app::parts())
      if (part.name == arguments[0])
        return run(part, data, std::span<const std::string>(arguments).subspan(1)) == Outcome::failed ? 1 : 0;
    std::cerr << "@NAME@: no part is called " << arguments[0] << "\n\n";
    help(std::cerr);
    return 2;
  }
  std::size_t absent = 0;
  std::size_t failed = 0;
  for (const app::Part& part : app::parts()) {
    const Outcome outcome = run(part, data, {});
    absent += outcome == Outcome::absent ? 1 : 0;
    failed += outcome == Outcome::failed ? 1 : 0;
  }
  std::cout << '\n' << app::parts().size() - absent - failed << " of " << app::parts().size() << " parts ran";
  if (absent != 0) std::cout << ", " << absent << " lacked what they talk to";
  if (failed != 0) std::cout << ", " << failed << " failed";
  std::cout << '\n';
  return failed == 0 ? 0 : 1;
}
)";

constexpr std::string_view kTest = R"(#include <set>
#include <sstream>
#include <string>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"
#include "parts.hpp"

TEST_CASE("every part runs in an empty folder, and again over what it left there") {
  const auto folder = grove::TempDir::make("@NAME@-test");
  REQUIRE_OK(folder);
  for (const app::Part& part : app::parts()) {
    const auto data = folder->path() / part.name;
    std::filesystem::create_directories(data);
    for (int round = 1; round <= 2; ++round) {
      CAPTURE(std::string(part.name));
      CAPTURE(round);
      std::ostringstream out;
      const auto result = part.run({out, data, {}});
      if (!result && app::is_absent(result.error())) {
        MESSAGE("not run: " << result.error().message());
        break;
      }
      CHECK_OK(result);
      CHECK(!out.str().empty());
    }
  }
}

TEST_CASE("parts have names of their own") {
  std::set<std::string_view> names;
  for (const app::Part& part : app::parts()) CHECK(names.insert(part.name).second);
}
)";

constexpr std::string_view kCi = R"(name: ci
on: [push, pull_request]
jobs:
  build:
    runs-on: ubuntu-latest
    container: debian:bookworm
    strategy:
      matrix:
        preset: [release, asan]
    steps:
      - run: apt-get update && apt-get install -y --no-install-recommends ca-certificates git
      - uses: actions/checkout@v4
      - run: xargs apt-get install -y --no-install-recommends < packages/debian.txt
      - run: cmake --preset ${{ matrix.preset }}
      - run: cmake --build --preset ${{ matrix.preset }}
      - run: ctest --preset ${{ matrix.preset }}
)";

constexpr std::string_view kReadme = R"(# @NAME@

Made with `grove new` out of these components. They are copied into this folder and yours to change.
由 `grove new` 用下列组件生成；组件源码已复制到本目录，可自由修改。

| part | component · 组件 | leaf | library | licence |
| --- | --- | --- | --- | --- |
@ROWS@
## Build and run · 构建与运行

```sh
xargs sudo apt-get install -y --no-install-recommends < packages/debian.txt   # Debian 12
cmake --preset release && cmake --build --preset release
ctest --preset release
./build/release/@NAME@          # every part, one after another
./build/release/@NAME@ --help   # the parts by name
```

The presets are `release`, `debug` and `asan`. For vcpkg there is `vcpkg.json`, for Conan `conanfile.txt`.

## What lies where · 目录

| path | what |
| --- | --- |
| `src/` | the program: `main.cpp`, the table in `parts.cpp`, and one file for each part, where your own code begins |
| `tests/` | your tests; CTest also runs the components' own |
| `grove/` | the components, at the same paths as in Grove, so `#include "grove/…"` works in both |
| `cmake/` | what the components' CMakeLists.txt use |
| `packages/debian.txt`, `vcpkg.json`, `conanfile.txt` | what they need |
| `sbom.cdx.json` | the bill of materials, CycloneDX |
| `grove.lock`, `.grove/pristine` | what came from where, and its text as it came: keep both under version control |

## Unsafe edges · 不安全边界

@EDGES@
## Keeping up · 更新

```sh
grove diff          # your edits, and what an update would bring
grove update        # newer components by three-way merge; your edits are kept
grove add LEAF…     # more components
```
)";

}  // namespace

Files project_texts(const Project& project) {
  const std::string& name = project.name;
  std::string links;
  std::string declarations;
  std::string entries;
  std::string rows;
  std::string edges;
  std::size_t count = 0;
  std::vector<std::string> vcpkg;
  std::vector<std::string> conan;
  const auto add = [](std::vector<std::string>* list, std::string_view item) {
    if (std::find(list->begin(), list->end(), item) == list->end()) list->emplace_back(item);
  };
  for (const std::string_view port : base_vcpkg()) add(&vcpkg, port);
  for (const std::string_view package : base_conan()) add(&conan, package);
  for (const Leaf& leaf : project.leaves) {
    for (const std::string& port : leaf.vcpkg) add(&vcpkg, port);
    for (const std::string& package : leaf.conan) add(&conan, package);
    if (leaf.title.en.empty()) continue;  // a shared folder
    const bool is_part = project.lock.find(leaf.id)->files.contains("src/" + leaf.name_space + ".cpp");
    if (project.is_chosen(leaf.id)) links += "  grove::" + leaf.name_space + "\n";
    if (is_part) {
      ++count;
      declarations +=
          "namespace grove::" + leaf.name_space + " {\nResult<void> example(const ExampleContext& context);\n}\n";
      entries += "      {\"" + part_name(leaf) + "\", \"" + leaf.id + "\", \"" + escaped(leaf.title.en) + "\", \"" +
                 escaped(leaf.title.zh) + "\", &grove::" + leaf.name_space + "::example},\n";
    }
    rows += "| " + (is_part ? "`" + part_name(leaf) + "`" : std::string()) + " | " + leaf.title.en + " · " +
            leaf.title.zh + " | `" + leaf.id + "` | " + leaf.library + " | " + leaf.licence + " |\n";
    edges += "- **" + leaf.title.en + "**: " + leaf.boundary + "\n";
  }
  std::sort(vcpkg.begin(), vcpkg.end());
  std::sort(conan.begin(), conan.end());
  if (!links.empty()) links.pop_back();

  JsonWriter manifest;
  manifest.begin_object().member("name", vcpkg_name(name)).member("version-string", "0.1.0").key("dependencies");
  manifest.begin_array();
  for (const std::string& port : vcpkg) manifest.value(port);
  manifest.end_array().end_object();
  std::string debian;
  for (const std::string& package : project.debian) debian += package + "\n";
  std::string requires_list = "[requires]\n";
  for (const std::string& package : conan) requires_list += package + "/[*]\n";

  const std::vector<std::pair<std::string_view, std::string>> values{
      {"@NAME@", name},
      {"@LINKS@", links},
      {"@DECLARATIONS@", declarations},
      {"@COUNT@", std::to_string(count)},
      {"@ENTRIES@", entries.empty() ? "" : "{\n" + entries + "  }"},
      {"@ROWS@", rows},
      {"@EDGES@", edges}};
  return {
      {".github/workflows/ci.yml", std::string(kCi)},
      {".clang-format", "BasedOnStyle: Google\nColumnLimit: 120\n"},
      {".gitignore", "/build/\n/data/\n.cache/\n.grove/staging/\n"},
      {"CMakeLists.txt", fill(kCMake, values)},
      {"CMakePresets.json", std::string(kPresets)},
      {"README.md", fill(kReadme, values)},
      {"conanfile.txt", requires_list + "\n[generators]\nCMakeDeps\nCMakeToolchain\n"},
      {"packages/debian.txt", debian},
      {"src/main.cpp", fill(kMain, values)},
      {"src/parts.cpp", fill(kPartsSource, values)},
      {"src/parts.hpp", fill(kPartsHeader, values)},
      {"tests/" + name + "_test.cpp", fill(kTest, values)},
      {"vcpkg.json", std::move(manifest).str() + "\n"},
  };
}

}  // namespace grove::tool
