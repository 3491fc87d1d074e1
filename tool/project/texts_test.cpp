#include "tool/project/texts.hpp"

#include "grove/base/test/test.hpp"
#include "tool/project/hash.hpp"

using namespace grove;
using namespace grove::tool;

namespace {

Project sample() {
  Project project;
  project.name = "shop";
  project.debian = {"cmake", "libx-dev"};
  for (const std::string id : {"data/lsm", "data/common"}) {
    Leaf leaf{.id = id};
    leaf.name_space = id.substr(5);
    if (id == "data/lsm") {
      leaf.title = {"the \"LSM\" tree", "LSM树"};
      leaf.licence = "Apache-2.0 OR MIT";
      leaf.uses = {"data/common"};
      leaf.debian = {"libx-dev"};
      leaf.vcpkg = {"x"};
      project.chosen.push_back(id);
    }
    project.leaves.push_back(leaf);
    project.lock.leaves.push_back({.id = id, .version = sha256_hex(id)});
    if (id == "data/lsm") project.lock.leaves.back().files["src/lsm.cpp"] = sha256_hex("x");
  }
  project.lock.leaves.push_back({.id = "base", .version = sha256_hex("base")});
  return project;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("no placeholder is left, and titles are safe in C++") {
  const Files files = project_texts(sample());
  for (const auto& [path, content] : files)
    for (const char* key : {"@NAME@", "@LINKS@", "@DECLARATIONS@", "@COUNT@", "@ENTRIES@", "@ROWS@", "@EDGES@"}) {
      CAPTURE(path);
      CHECK(!has(content, key));
    }
  CHECK(has(files.at("src/parts.cpp"), R"("the \"LSM\" tree", "LSM树", &grove::lsm::example)"));
  CHECK(has(files.at("CMakeLists.txt"), "  grove::lsm)"));
  CHECK(!has(files.at("CMakeLists.txt"), "grove::common"));
  CHECK(has(files.at("vcpkg.json"), R"("dependencies":["boost-asio","doctest","x"])"));
  CHECK_EQ(files.at("packages/debian.txt"), "cmake\nlibx-dev\n");
}

TEST_CASE("the same project gives the same bill of materials, another version another") {
  const std::map<std::string, std::string> versions{{"libx-dev", "1:2.0+b1"}};
  const std::string once = sbom(sample(), versions);
  CHECK_EQ(sbom(sample(), versions), once);
  CHECK(has(once, R"("purl":"pkg:deb/debian/libx-dev@1:2.0%2Bb1")"));
  CHECK(has(once, R"("purl":"pkg:deb/debian/cmake")"));
  CHECK(has(once, R"("licenses":[{"expression":"Apache-2.0 OR MIT"}])"));
  CHECK(has(once, R"("serialNumber":"urn:uuid:)"));
  CHECK(sbom(sample(), {}) != once);
}

TEST_CASE("a Debian licence becomes an SPDX expression, or nothing when it isn't sure") {
  CHECK_EQ(debian_licence("Format: x\n\nFiles: debian/*\nLicense: GPL-3+\n\nFiles: *\nCopyright: me\nLicense: Expat\n"),
           "MIT");
  CHECK_EQ(debian_licence("Files: *\nLicense: GPL-2 or Apache-2.0\n"), "GPL-2.0-only OR Apache-2.0");
  CHECK_EQ(debian_licence("Files: *\nLicense: something-of-its-own\n"), "");
  CHECK_EQ(debian_licence("This is free software.\n"), "");
  CHECK_EQ(debian_licence(""), "");
}
