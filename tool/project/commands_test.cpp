// The commands as a person runs them: the program, a map of its own, a project beside it.
#include <unistd.h>

#include <map>

#include "tool/project/test_map.hpp"

using namespace grove;
using grove::tool::test::get;
using grove::tool::test::put;
using grove::tool::test::TestMap;
namespace fs = std::filesystem;

namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Path → content of all that lies in a folder.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) all[entry.path().lexically_relative(folder).string()] = get(entry.path());
  return all;
}

const std::vector<std::string> kNew{"new", "shop", "--with", "arts/paint/oil", "--no-build"};

}  // namespace

TEST_CASE("new copies a leaf with what it uses, and neither proofs nor peers") {
  const TestMap map;
  const auto made = map.grove(kNew);
  CHECK_EQ(made.status, 0);
  const auto files = contents(map.root() / "shop");
  for (const char* path : {"CMakeLists.txt",
                           "CMakePresets.json",
                           "README.md",
                           ".clang-format",
                           ".gitignore",
                           ".github/workflows/ci.yml",
                           "packages/debian.txt",
                           "vcpkg.json",
                           "conanfile.txt",
                           "sbom.cdx.json",
                           "grove.lock",
                           ".grove/pristine",
                           "src/main.cpp",
                           "src/parts.cpp",
                           "src/oil.cpp",
                           "tests/shop_test.cpp",
                           "cmake/Grove.cmake",
                           "grove/base/error.hpp",
                           "grove/arts/paint/oil/oil.cpp",
                           "grove/arts/paint/oil/oil_test.cpp",
                           "grove/arts/paint/oil/leaf.toml",
                           "grove/arts/paint/brush/brush.cpp",
                           "grove/arts/common/arts.hpp"}) {
    CAPTURE(std::string(path));
    CHECK(files.contains(path));
  }
  for (const auto& [path, content] : files) {
    CAPTURE(path);
    CHECK(!has(path, "_proof"));
    CHECK(!has(path, "peer"));
    CHECK(!path.ends_with("example.cpp"));
  }
  CHECK(!files.contains("src/brush.cpp"));  // it came along; it wasn't chosen
  CHECK(has(files.at("grove.lock"), "id = \"arts/paint/brush\""));
  CHECK(has(files.at("src/parts.cpp"), "\"the arts/paint/oil\", \"叶\""));
}

TEST_CASE("a dry run shows every file that new then writes, and writes none") {
  const TestMap map;
  auto dry = kNew;
  dry.emplace_back("--dry-run");
  const auto shown = map.grove(dry);
  CHECK_EQ(shown.status, 0);
  CHECK(!fs::exists(map.root() / "shop"));
  CHECK_EQ(map.grove(kNew).status, 0);
  for (const auto& [path, content] : contents(map.root() / "shop")) {
    CAPTURE(path);
    CHECK(has(shown.out, path));
  }
}

TEST_CASE("new refuses what it can't do, with exit 2, a way on, and nothing written") {
  const TestMap map;
  const auto refused = [&](const std::vector<std::string>& arguments, std::string_view says) {
    const auto output = map.grove(arguments);
    CAPTURE(output.err);
    CHECK_EQ(output.status, 2);
    CHECK(has(output.err, says));
  };
  const auto before = contents(map.root());
  refused({"new"}, "needs a name");
  refused({"new", "shop"}, "--with LEAF");
  refused({"new", "a", "b", "--with", "brush"}, "one name");
  refused({"new", "a b", "--with", "brush", "--no-build"}, "grove new a-b");
  refused({"new", "../x", "--with", "brush", "--no-build"}, "grove new x");
  refused({"new", "CON", "--with", "brush", "--no-build"}, "grove new my-CON");
  refused({"new", "shop", "--with", "brsh", "--no-build"}, "arts/paint/brush");
  refused({"new", "shop", "--with", "oil", "--no-build"}, "craft/wood/oil");  // two leaves end so
  refused({"new", "shop", "--with", "chalk", "--no-build"}, "planned, not built");
  refused({"new", "shop", "--with", "arts/paint", "--no-build"}, "arts/paint/brush");
  refused({"new", "shop", "--app", "nothing"}, "none yet");
  refused({"new", "shop", "--with", "brush", "--directory", "nowhere", "--no-build"}, "nowhere");
  CHECK(contents(map.root()) == before);

  put(map.root() / "shop/mine", "x");
  refused(kNew, "isn't empty");
  CHECK_EQ(contents(map.root() / "shop").size(), 1);
}

TEST_CASE("new in a folder that can't be written says so") {
  const TestMap map;
  if (::geteuid() == 0) {
    MESSAGE("not run: root may write everywhere (folder_test mounts a read-only disk)");
    return;
  }
  fs::create_directory(map.root() / "closed");
  fs::permissions(map.root() / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  const auto output = map.grove({"new", "shop", "--with", "brush", "--no-build", "--directory", "closed"});
  CHECK_EQ(output.status, 2);
  CHECK(has(output.err, "closed"));
}

TEST_CASE("new again leaves the project and its edits alone") {
  const TestMap map;
  REQUIRE_EQ(map.grove(kNew).status, 0);
  put(map.root() / "shop/src/oil.cpp", "// mine\n");
  const auto again = map.grove(kNew);
  CHECK_EQ(again.status, 2);
  CHECK(has(again.err, "grove update"));
  CHECK_EQ(get(map.root() / "shop/src/oil.cpp"), "// mine\n");
}

TEST_CASE("add brings a leaf into the program and keeps edits; again it changes nothing") {
  const TestMap map;
  REQUIRE_EQ(map.grove(kNew).status, 0);
  const fs::path shop = map.root() / "shop";
  const std::string main_text = get(shop / "src/main.cpp");
  put(shop / "src/oil.cpp", "// mine\n");
  put(shop / "src/main.cpp", "// a line of mine\n" + main_text);
  const auto dry = map.grove({"add", "craft/wood/oil", "--dry-run"}, shop);
  CHECK_EQ(dry.status, 0);
  CHECK(!fs::exists(shop / "src/wood_oil.cpp"));
  const auto added = map.grove({"add", "craft/wood/oil"}, shop / "src");
  CHECK_EQ(added.status, 0);
  CHECK(fs::exists(shop / "grove/craft/wood/oil/wood_oil.cpp"));
  CHECK(has(get(shop / "src/parts.cpp"), "wood-oil"));
  CHECK(has(get(shop / "CMakeLists.txt"), "grove::wood_oil"));
  CHECK_EQ(get(shop / "src/oil.cpp"), "// mine\n");
  CHECK_EQ(get(shop / "src/main.cpp"), "// a line of mine\n" + main_text);
  const auto before = contents(shop);
  const auto again = map.grove({"add", "craft/wood/oil"}, shop);
  CHECK_EQ(again.status, 0);
  CHECK(has(again.out, "up to date"));
  CHECK(contents(shop) == before);
  // A leaf that came along can be chosen later.
  CHECK_EQ(map.grove({"add", "brush"}, shop).status, 0);
  CHECK(fs::exists(shop / "src/brush.cpp"));
}

TEST_CASE("add and update outside a project, and of unknown leaves, change nothing") {
  const TestMap map;
  const auto outside = map.grove({"add", "brush"});
  CHECK_EQ(outside.status, 2);
  CHECK(has(outside.err, "grove new"));
  CHECK_EQ(map.grove({"update"}).status, 2);
  REQUIRE_EQ(map.grove(kNew).status, 0);
  const auto before = contents(map.root() / "shop");
  CHECK_EQ(map.grove({"add", "nothing"}, map.root() / "shop").status, 2);
  CHECK_EQ(map.grove({"add", "chalk"}, map.root() / "shop").status, 2);
  CHECK_EQ(map.grove({"add"}, map.root() / "shop").status, 2);
  CHECK(contents(map.root() / "shop") == before);
}

TEST_CASE("update merges, conflicts exit 1 with both texts, diff shows both sides") {
  const TestMap map;
  REQUIRE_EQ(map.grove(kNew).status, 0);
  const fs::path shop = map.root() / "shop";
  const fs::path mine = shop / "grove/arts/paint/oil/oil.cpp";
  const fs::path upstream = map.folder("arts/paint/oil") / "oil.cpp";
  const std::string base = get(mine);
  CHECK_EQ(map.grove({"update"}, shop).status, 0);

  put(mine, "// mine\n" + base);
  put(upstream, base + "// theirs\n");
  const auto diff = map.grove({"diff"}, shop);
  CHECK_EQ(diff.status, 0);
  CHECK(has(diff.out, "+// mine"));
  CHECK(has(diff.out, "+// theirs"));
  const auto json = map.grove({"diff", "--json"}, shop);
  CHECK(has(json.out, R"("edits":[{"path":"grove/arts/paint/oil/oil.cpp","status":"modified")"));
  CHECK(has(json.out, R"({"path":"grove/arts/paint/oil/oil.cpp","status":"merge")"));

  CHECK_EQ(map.grove({"update"}, shop).status, 0);
  CHECK_EQ(get(mine), "// mine\n" + base + "// theirs\n");

  put(upstream, base + "// theirs, later\n");
  put(mine, "// mine\n" + base + "// mine, later\n");
  const auto dry = map.grove({"update", "--dry-run"}, shop);
  CHECK_EQ(dry.status, 1);
  CHECK_EQ(get(mine), "// mine\n" + base + "// mine, later\n");
  const auto conflict = map.grove({"update", "--json"}, shop);
  CHECK_EQ(conflict.status, 1);
  CHECK(has(conflict.out, R"("conflicts":1)"));
  CHECK(has(get(mine), "// mine, later\n"));
  CHECK(has(get(mine), "// theirs, later\n"));
}

TEST_CASE("no command writes outside the project through a link, however it is placed") {
  const TestMap map;
  const auto outside = TempDir::make();
  REQUIRE_OK(outside);
  REQUIRE_EQ(map.grove(kNew).status, 0);
  const fs::path shop = map.root() / "shop";
  fs::rename(shop / "src", outside->path() / "src");
  fs::create_directory_symlink(outside->path() / "src", shop / "src");
  const auto before = contents(outside->path());
  const auto added = map.grove({"add", "brush"}, shop);
  CHECK_EQ(added.status, 2);
  CHECK(has(added.err, "symbolic link"));
  CHECK(contents(outside->path()) == before);

  // A lock that names a path outside.
  const TestMap other;
  REQUIRE_EQ(other.grove(kNew).status, 0);
  std::string lock = get(other.root() / "shop/grove.lock");
  lock.replace(lock.find("src/main.cpp"), 12, "../../evil.x");
  put(other.root() / "shop/grove.lock", lock);
  CHECK_EQ(other.grove({"update"}, other.root() / "shop").status, 2);

  // A leaf that holds a link gets copied without it.
  const TestMap linked;
  fs::create_symlink("/etc/passwd", linked.folder("arts/paint/oil") / "secret.hpp");
  REQUIRE_EQ(linked.grove(kNew).status, 0);
  CHECK(!fs::exists(linked.root() / "shop/grove/arts/paint/oil/secret.hpp"));
}

TEST_CASE("new --json says what it did") {
  const TestMap map;
  auto arguments = kNew;
  arguments.emplace_back("--json");
  const auto made = map.grove(arguments);
  CHECK_EQ(made.status, 0);
  CHECK(made.out.starts_with(R"({"project":"shop","directory":)"));
  CHECK(has(made.out, R"({"id":"arts/paint/brush","version":")"));
  CHECK(has(made.out, R"("path":"src/oil.cpp","bytes":)"));
  CHECK(has(made.out, R"("run":["cd shop","./build/release/shop","./build/release/shop oil"])"));
}

TEST_CASE("a new project builds, passes its tests and runs") {
  const TestMap map;
  const auto made = map.grove({"new", "shop", "--with", "arts/paint/oil", "--no-install"});
  CAPTURE(made.err);
  REQUIRE_EQ(made.status, 0);
  CHECK(has(made.out, "3 of 3 tests passed"));
  const std::string program = map.root() / "shop/build/release/shop";
  const auto all = run_process({program, "--data", map.root() / "data"});
  REQUIRE_OK(all);
  CHECK_EQ(all->status, 0);
  CHECK(has(all->out, "== the arts/paint/oil · 叶"));
  CHECK(has(all->out, "42 strokes\n"));
  CHECK(has(all->out, "1 of 1 parts ran"));
  const auto one = run_process({program, "--data", map.root() / "data", "oil"});
  REQUIRE_OK(one);
  CHECK_EQ(one->status, 0);
  const auto none = run_process({program, "water"});
  REQUIRE_OK(none);
  CHECK_EQ(none->status, 2);
  CHECK(has(none->err, "oil"));
}

TEST_CASE("a project that doesn't build or pass is exit 1 and says where") {
  const TestMap map;
  put(map.folder("arts/paint/brush") / "brush.cpp", "this is no C++\n");
  const auto made = map.grove({"new", "shop", "--with", "brush", "--no-install"});
  CHECK_EQ(made.status, 1);
  CHECK(has(made.err, "error:"));
  CHECK(has(made.err, "shop/build/grove.log"));
}
