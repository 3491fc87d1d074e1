#include "tool/proof/lint.hpp"

#include <algorithm>
#include <fstream>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"
#include "tool/project/packages.hpp"

using namespace grove;
using namespace grove::tool;

namespace {

struct Repository {
  TempDir folder = TempDir::make("lint-test").value();
  std::filesystem::path root = folder.path();

  void git(std::vector<std::string> words) {
    words.insert(words.begin(), {"git", "-C", root.string(), "-c", "user.name=t", "-c", "user.email=t@example.org"});
    const auto output = run_process(words);
    REQUIRE_OK(output);
    CHECK_MESSAGE(output->status == 0, output->err);
  }
  void write(const char* name) { std::ofstream(root / name) << name; }
  void commit() {
    git({"add", "-A"});
    git({"commit", "-q", "-m", "x"});
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Repository, "changed files are those since the branch left main; on main, since the last commit") {
  git({"init", "-q", "-b", "main"});
  write("a.cpp");
  commit();
  CHECK(source_files(root)->changed.empty());
  write("b.cpp");
  write("b.hpp");
  write("notes.md");
  commit();
  auto files = source_files(root).value();
  CHECK(files.tracked == Names{"a.cpp", "b.cpp", "b.hpp"});
  CHECK(files.changed == Names{"b.cpp"});
  git({"checkout", "-q", "-b", "topic"});
  write("c.cpp");
  commit();
  write("d d.cpp");  // neither added nor committed
  std::filesystem::remove(root / "a.cpp");
  files = source_files(root).value();
  CHECK(files.tracked == Names{"b.cpp", "b.hpp", "c.cpp", "d d.cpp"});
  CHECK(files.changed == Names{"c.cpp", "d d.cpp"});
}

TEST_CASE_FIXTURE(Repository, "without a repository there is nothing to check") {
  const auto files = source_files(root);
  REQUIRE_OK(files);
  CHECK(files->tracked.empty());
}

TEST_CASE_FIXTURE(Repository, "one CTest run holds several builds and the checks") {
  for (const char* build : {"one", "two"}) {
    std::filesystem::create_directory(root / build);
    std::ofstream(root / build / "CTestTestfile.cmake") << "add_test(" << build << ".unit true)\n";
  }
  std::ofstream(root / "CTestTestfile.cmake")
      << test_file(root, {root / "one", root / "two"}, {{"a b.hpp"}, {"c.cpp"}});
  const auto listed = run_process({"ctest", "--test-dir", root.string(), "-N"});
  REQUIRE_OK(listed);
  CAPTURE(listed->out);
  for (const char* name : {"one.unit", "two.unit", "lint.format", "lint.tidy.c.cpp", "lint.shell", "Total Tests: 5"})
    CHECK(listed->out.find(name) != std::string::npos);
}

TEST_CASE("the launcher's and the tests' package lists hold what every build needs") {
  const std::filesystem::path folder = std::filesystem::path(GROVE_SOURCE_ROOT) / "packages";
  auto names = read_package_list(folder / "tool.txt").value();
  const auto more = read_package_list(folder / "test.txt").value();
  names.insert(names.end(), more.begin(), more.end());
  for (const std::string& name : names) CHECK(name.find_first_of(" #\t") == std::string::npos);
  for (const std::string_view package : base_debian()) {
    CAPTURE(package);
    CHECK(std::ranges::find(names, package) != names.end());
  }
}
