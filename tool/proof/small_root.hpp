#pragma once

// For tests: a repository whose build takes a fraction of a second, because its
// "programs" are shell scripts. The map, CMake, ninja and CTest are real.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "grove/base/process.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {

struct SmallRoot {
  TempDir folder = TempDir::make("small-root").value();
  Map map;
  Terminal terminal{stdout, stderr};
  std::string cmake =
      "cmake_minimum_required(VERSION 3.25)\nproject(small NONE)\nenable_testing()\n"
      "set(GROVE_LEAVES \"\" CACHE STRING \"\")\n";

  SmallRoot() {
    map.root = folder.path();
    ::setenv("GROVE_EVIDENCE", (map.root / "evidence.sqlite").c_str(), 1);
    write("cmake/Grove.cmake", "");
    write("grove/base/errc.hpp", "");
    write("CMakePresets.json", R"({"version":6,"configurePresets":[{"name":"release","generator":"Ninja",
        "binaryDir":"${sourceDir}/build/release"}]})");
  }

  void write(std::string_view path, std::string_view text) {
    const auto file = map.root / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  /// A built leaf; each part is a test that runs this shell command.
  void leaf(const std::string& id, const std::vector<std::pair<std::string, std::string>>& parts,
            std::string_view build_command = "true") {
    map.leaves.push_back({.id = id, .built = true});
    write("grove/" + id + "/CMakeLists.txt", "");
    std::string target = "grove-" + id;
    for (char& c : target)
      if (c == '/') c = '-';
    cmake +=
        "add_custom_target(" + target + "-check COMMAND sh -c [=[" + std::string(build_command) + "]=] VERBATIM)\n";
    for (const auto& [part, command] : parts) {
      cmake += "add_test(NAME " + id + "." + part + " COMMAND sh -c [=[" + command + "]=])\n";
      cmake += "set_tests_properties(" + id + "." + part + " PROPERTIES SKIP_RETURN_CODE 77)\n";
    }
  }

  std::vector<const Leaf*> leaves() {
    write("CMakeLists.txt", cmake);
    std::vector<const Leaf*> all;
    for (const Leaf& leaf : map.leaves) all.push_back(&leaf);
    return all;
  }
};

}  // namespace grove::tool
