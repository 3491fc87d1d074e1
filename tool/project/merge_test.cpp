#include "tool/project/merge.hpp"

#include "tool/project/hash.hpp"
#include "tool/project/test_map.hpp"

using namespace grove;
using namespace grove::tool;
using grove::tool::test::get;
using grove::tool::test::put;
namespace fs = std::filesystem;

namespace {

/// Puts `git` out of reach, so that diff3 has to do.
struct WithoutGit {
  std::string before = std::getenv("PATH");
  TempDir directory = std::move(*TempDir::make("grove-path"));
  WithoutGit() {
    for (const char* name : {"diff3", "diff", "sh", "rm"})
      fs::create_symlink(*find_program(name), directory.path() / name);
    ::setenv("PATH", directory.path().c_str(), 1);
  }
  ~WithoutGit() { ::setenv("PATH", before.c_str(), 1); }
};

void check_merges() {
  const std::string base = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
  const std::string mine = "ONE\ntwo\nthree\nfour\nfive\nsix\nseven\n";
  const std::string theirs = "one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n";
  const auto clean = merge_texts(mine, base, theirs);
  REQUIRE_OK(clean);
  CHECK(!clean->conflict);
  CHECK_EQ(clean->text, "ONE\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n");
  const auto same = merge_texts(mine, base, mine);
  REQUIRE_OK(same);
  CHECK(!same->conflict);
  CHECK_EQ(same->text, mine);
  const auto clash = merge_texts(mine, base, "eins\ntwo\nthree\nfour\nfive\nsix\nseven\n");
  REQUIRE_OK(clash);
  CHECK(clash->conflict);
  for (const char* part : {"<<<<<<< yours\n", "ONE\n", "=======\n", "eins\n", ">>>>>>> Grove's\n"})
    CHECK(clash->text.find(part) != std::string::npos);
}

/// A project folder with its lock and pristine texts, and what Grove has now.
struct Fixture {
  TempDir directory = std::move(*TempDir::make("grove-plan"));
  Project wanted;

  static Project project(const Files& files) {
    Project made;
    made.name = "shop";
    made.files = files;
    LockedLeaf leaf{.id = "a/leaf", .chosen = true};
    for (const auto& [path, content] : files) leaf.files.emplace(path, sha256_hex(content));
    leaf.version = version_of(leaf.files);
    made.lock = {.project = "shop", .grove_version = "1", .grove_commit = "", .leaves = {std::move(leaf)}};
    return made;
  }
  Fixture(const Files& old, const Files& now) : wanted(project(now)) {
    REQUIRE_OK(write_folder(directory.path(), "shop", project(old).with_records()));
  }
  fs::path path(std::string_view name) const { return directory.path() / "shop" / name; }
  /// Plans and applies; the plan is returned.
  Plan update() const {
    const auto existing = open_project(directory.path() / "shop");
    REQUIRE_OK(existing);
    auto plan = plan_change(*existing, wanted);
    REQUIRE_OK(plan);
    REQUIRE_OK(apply_plan(*existing, *plan));
    return *plan;
  }
};

std::string actions(const Plan& plan) {
  std::string text;
  for (const Step& step : plan.steps) text += step.path + ":" + std::string(action_name(step.action)) + " ";
  return text;
}

}  // namespace

TEST_CASE("texts are merged by git") { check_merges(); }
TEST_CASE("texts are merged by diff3 where there is no git") {
  const WithoutGit without;
  check_merges();
}

TEST_CASE("a difference is a unified one") {
  const auto text = unified_diff("a\nb\n", "a\nc\n", "src/x.cpp");
  REQUIRE_OK(text);
  CHECK_EQ(*text, "--- a/src/x.cpp\n+++ b/src/x.cpp\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
  CHECK_EQ(unified_diff("a", "a", "x").value_or("?"), "");
  CHECK(unified_diff(std::string("\0", 1), "a", "x").value_or("").starts_with("Binary"));
}

TEST_CASE("files that the user left alone follow Grove") {
  const Fixture f({{"a", "1\n"}, {"b", "1\n"}, {"c", "1\n"}}, {{"a", "2\n"}, {"b", "1\n"}, {"d/new", "4\n"}});
  CHECK_EQ(actions(f.update()), "a:replace c:remove d/new:create ");
  CHECK_EQ(get(f.path("a")), "2\n");
  CHECK_EQ(get(f.path("b")), "1\n");
  CHECK(!fs::exists(f.path("c")));
  CHECK_EQ(get(f.path("d/new")), "4\n");
  const Plan again = f.update();
  CHECK_EQ(actions(again), "");
  CHECK(!again.changes_lock);
}

TEST_CASE("edits stay, deletions stay, and both sides' changes are joined") {
  const std::string base = "1\n2\n3\n4\n5\n6\n7\n";
  const Fixture f({{"edited", base}, {"both", base}, {"deleted", base}, {"same", base}},
                  {{"edited", base}, {"both", base + "8\n"}, {"deleted", base + "8\n"}, {"same", base + "8\n"}});
  put(f.path("edited"), "mine\n");
  put(f.path("both"), "0\n" + base);
  put(f.path("same"), base + "8\n");
  fs::remove(f.path("deleted"));
  CHECK_EQ(actions(f.update()), "both:merge ");
  CHECK_EQ(get(f.path("edited")), "mine\n");
  CHECK_EQ(get(f.path("both")), "0\n" + base + "8\n");
  CHECK(!fs::exists(f.path("deleted")));
  CHECK_EQ(actions(f.update()), "");
  CHECK(!fs::exists(f.path("deleted")));
}

TEST_CASE("every kind of conflict keeps the user's text") {
  const std::string binary("b\0x", 3);
  const Fixture f({{"lines", "1\n"}, {"binary", binary}, {"gone", "1\n"}},
                  {{"lines", "theirs\n"}, {"binary", binary + "2"}, {"new", "theirs\n"}});
  put(f.path("lines"), "mine\n");
  put(f.path("binary"), binary + "mine");
  put(f.path("gone"), "mine\n");
  put(f.path("new"), "mine\n");
  const Plan plan = f.update();
  CHECK_EQ(plan.conflicts(), 4);
  CHECK(get(f.path("lines")).find("mine\n") != std::string::npos);
  CHECK(get(f.path("lines")).find("theirs\n") != std::string::npos);
  CHECK_EQ(get(f.path("binary")), binary + "mine");
  CHECK_EQ(get(f.path("gone")), "mine\n");
  CHECK_EQ(get(f.path("new")), "mine\n");
  // Solved or not, a second run loses nothing either.
  const std::string lines = get(f.path("lines"));
  CHECK_EQ(actions(f.update()), "binary:conflict new:conflict ");
  CHECK_EQ(get(f.path("lines")), lines);
  put(f.path("new"), "theirs\n");
  put(f.path("binary"), binary + "2");
  CHECK_EQ(actions(f.update()), "");
}

TEST_CASE("a link in a file's place stops the update before it begins") {
  const Fixture f({{"a", "1\n"}, {"b", "1\n"}}, {{"a", "2\n"}, {"b", "2\n"}});
  put(f.directory.path() / "outside", "1\n");
  fs::remove(f.path("b"));
  fs::create_symlink(f.directory.path() / "outside", f.path("b"));
  const auto existing = open_project(f.path(""));
  REQUIRE_OK(existing);
  CHECK_FAILS(plan_change(*existing, f.wanted), Errc::permission);
  CHECK_EQ(get(f.path("a")), "1\n");
  CHECK_EQ(get(f.directory.path() / "outside"), "1\n");
}

TEST_CASE("a project is found from a folder inside it, and damage to its records is said") {
  const Fixture f({{"src/deep/a", "1\n"}}, {});
  CHECK_OK(open_project(f.path("src/deep")));
  CHECK_FAILS(open_project(f.directory.path()), Errc::not_found);
  const std::string pristine = get(f.path(".grove/pristine"));
  put(f.path(".grove/pristine"), pristine.substr(0, 17));
  CHECK_FAILS(open_project(f.path("")), Errc::corrupt);
  fs::remove(f.path(".grove/pristine"));
  CHECK_FAILS(open_project(f.path("")), Errc::corrupt);
}
