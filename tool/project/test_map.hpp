#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"

namespace grove::tool::test {

inline void put(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}
inline std::string get(const std::filesystem::path& path) { return read_file(path).value_or("(no such file)"); }

/// A map of its own in a temporary folder: Grove's real cmake/ and base, and
/// small leaves: arts/paint/oil uses arts/paint/brush and arts/common;
/// arts/paint/chalk is planned; craft/wood/oil shares its last segment.
class TestMap {
 public:
  TestMap() : directory_(std::move(*TempDir::make("grove-test-map"))) {
    namespace fs = std::filesystem;
    const fs::path source = GROVE_SOURCE_ROOT;
    fs::create_directories(root() / "grove");
    fs::copy(source / "cmake", root() / "cmake", fs::copy_options::recursive);
    fs::copy(source / "grove" / "base", root() / "grove" / "base", fs::copy_options::recursive);
    for (const std::string tree : {"arts", "craft"})
      put(root() / "grove" / tree / "tree.toml",
          "order = 1\nmaturity = \"usable\"\nkey-crates = []\n[title]\nen = \"" + tree +
              "\"\nzh = \"艺\"\n[summary]\nen = \"x\"\nzh = \"x\"\n[flagship]\nname = \"x\"\nsummary.en = \"x\"\n"
              "summary.zh = \"x\"\n[branch.paint]\nen = \"p\"\nzh = \"p\"\n[branch.wood]\nen = \"w\"\nzh = \"w\"\n");
    leaf("arts/paint/brush", "brush", "base");
    leaf("arts/paint/oil", "oil", "base arts/common arts/paint/brush");
    leaf("craft/wood/oil", "wood_oil", "base");
    leaf("arts/paint/chalk", "", "");
    put(root() / "grove/arts/common/CMakeLists.txt", "grove_component(NAMESPACE arts USES base)\n");
    put(root() / "grove/arts/common/arts.hpp", "#pragma once\n");
  }
  const std::filesystem::path& root() const { return directory_.path(); }
  std::filesystem::path folder(std::string_view id) const { return root() / "grove" / id; }

  void leaf(const std::string& id, const std::string& name_space, const std::string& uses) const {
    put(folder(id) / "leaf.toml",
        "kind = \"leaf\"\nmaps-to = \"x\"\nmaturity = \"usable\"\nboundary = \"None.\"\n[title]\nen = \"the " + id +
            "\"\nzh = \"叶\"\n[summary]\nen = \"x\"\nzh = \"x\"\n[keywords]\nen = [\"x\"]\nzh = [\"x\"]\n"
            "[library]\nname = \"own\"\nlicence = \"Apache-2.0\"\nreason = \"x\"\n"
            "[packages]\ndebian = []\nprove = []\nvcpkg = []\nconan = []\n"
            "[[alternative]]\nname = \"x\"\nreason = \"x\"\n[proof]\nagainst = [\"x\"]\n");
    if (name_space.empty()) return;
    put(folder(id) / "CMakeLists.txt", "grove_component(NAMESPACE " + name_space + " USES " + uses + ")\n");
    put(folder(id) / (name_space + ".hpp"), "#pragma once\nnamespace grove::" + name_space + " {\nint answer();\n}\n");
    put(folder(id) / (name_space + ".cpp"), "#include \"grove/" + id + "/" + name_space +
                                                ".hpp\"\n\nnamespace grove::" + name_space +
                                                " {\n\nint answer() {\n  return 42;\n}\n\n}\n");
    put(folder(id) / (name_space + "_test.cpp"),
        "#include \"grove/base/test/test.hpp\"\n#include \"grove/" + id + "/" + name_space +
            ".hpp\"\n\nTEST_CASE(\"answers\") { CHECK_EQ(grove::" + name_space + "::answer(), 42); }\n");
    put(folder(id) / (name_space + "_proof.cpp"), "int main() {}\n");
    put(folder(id) / "peer/src/main.rs", "fn main() {}\n");
    put(folder(id) / "example.cpp",
        "#include \"grove/base/example.hpp\"\n#include \"grove/" + id + "/" + name_space +
            ".hpp\"\n\nnamespace grove::" + name_space +
            " {\nResult<void> example(const ExampleContext& context) {\n  context.out << answer() << \" strokes\\n\";\n"
            "  return {};\n}\n}\n");
  }

  /// Runs the program on this map.
  ProcessOutput grove(std::vector<std::string> arguments, const std::filesystem::path& directory = {}) const {
    arguments.insert(arguments.begin(), GROVE_PROGRAM);
    auto output = run_process(arguments, {.directory = directory.empty() ? root() : directory,
                                          .environment = {{"GROVE_ROOT", root().string()}, {"NO_COLOR", "1"}}});
    REQUIRE_OK(output);
    return *output;
  }

 private:
  TempDir directory_;
};

}  // namespace grove::tool::test
