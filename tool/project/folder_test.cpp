#include "tool/project/folder.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/project/test_map.hpp"

using namespace grove;
using namespace grove::tool;
using grove::tool::test::get;
using grove::tool::test::put;
namespace fs = std::filesystem;

namespace {

using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Names in a folder, hidden ones too.
std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// A small file system of its own; `path` is empty where it can't be mounted.
struct SmallDisk {
  TempDir directory = std::move(*TempDir::make("grove-small"));
  bool mounted = false;
  SmallDisk(const char* options, unsigned long flags)
      : mounted(::mount("tmpfs", directory.path().c_str(), "tmpfs", flags, options) == 0) {}
  ~SmallDisk() {
    if (mounted) ::umount2(directory.path().c_str(), MNT_DETACH);
  }
};

}  // namespace

TEST_CASE("a folder is written whole, with its subfolders") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  REQUIRE_OK(write_folder(directory->path(), "shop", {{"a", "1"}, {"b/c/d", "2"}, {"b/e", ""}}));
  CHECK_EQ(get(directory->path() / "shop/a"), "1");
  CHECK_EQ(get(directory->path() / "shop/b/c/d"), "2");
  CHECK_EQ(get(directory->path() / "shop/b/e"), "");
  CHECK_EQ(entries(directory->path()), 1);
}

TEST_CASE("an empty folder is filled; anything else in the way is left as it is") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path root = directory->path();
  fs::create_directory(root / "empty");
  CHECK_OK(write_folder(root, "empty", {{"a", "1"}}));
  put(root / "full/mine", "x");
  CHECK_FAILS(write_folder(root, "full", {{"a", "1"}}), Errc::already_exists);
  put(root / "file", "x");
  CHECK_FAILS(write_folder(root, "file", {{"a", "1"}}), Errc::already_exists);
  fs::create_directory_symlink(root / "empty", root / "link");
  CHECK_FAILS(write_folder(root, "link", {{"b", "1"}}), Errc::already_exists);
  fs::create_directory_symlink(root / "nowhere", root / "dangling");
  CHECK_FAILS(write_folder(root, "dangling", {{"b", "1"}}), Errc::already_exists);
  CHECK_FAILS(write_folder(root / "missing", "shop", {{"b", "1"}}), Errc::not_found);
  CHECK_EQ(entries(root / "full"), 1);
  CHECK(!fs::exists(root / "empty/b"));
  CHECK_EQ(entries(root), 5);
}

TEST_CASE("paths that lead out are refused before anything is written") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  for (const std::string path : {"../x", "/etc/x", "a/../../x", "a//b", "", ".", "a/."}) {
    CAPTURE(std::string(path));
    CHECK_FAILS(write_folder(directory->path(), "shop", {{"ok", "1"}, {path, "1"}}), Errc::permission);
  }
  CHECK_EQ(entries(directory->path()), 0);
}

TEST_CASE("changes are made all together") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path root = directory->path();
  put(root / "keep", "1");
  put(root / "change", "1");
  put(root / "gone/x", "1");
  fs::permissions(root / "change", fs::perms::owner_all);
  const auto folder = Folder::open(root);
  REQUIRE_OK(folder);
  REQUIRE_OK(folder->apply({{"change", "2"}, {"gone/x", std::nullopt}, {"new/deep/y", "3"}}));
  CHECK_EQ(get(root / "keep"), "1");
  CHECK_EQ(get(root / "change"), "2");
  CHECK_EQ(fs::status(root / "change").permissions(), fs::perms::owner_all);
  CHECK(!fs::exists(root / "gone/x"));
  CHECK_EQ(get(root / "new/deep/y"), "3");
  CHECK(!fs::exists(root / ".grove/staging"));
}

TEST_CASE("no change is written or read through a symbolic link") {
  const auto directory = TempDir::make();
  const auto outside = TempDir::make();
  REQUIRE_OK(directory);
  REQUIRE_OK(outside);
  const fs::path root = directory->path();
  put(outside->path() / "secret", "s");
  put(root / "plain", "1");
  fs::create_directory_symlink(outside->path(), root / "src");
  fs::create_symlink(outside->path() / "secret", root / "file");
  const auto folder = Folder::open(root);
  REQUIRE_OK(folder);
  CHECK_FAILS(folder->read("src/secret"), Errc::permission);
  CHECK_FAILS(folder->read("file"), Errc::permission);
  for (const std::string path : {"src/new", "src/secret", "file"}) {
    CAPTURE(path);
    CHECK_FAILS(folder->apply({{"plain", "2"}, {path, "x"}}), Errc::permission);
    CHECK_FAILS(folder->apply({{"plain", "2"}, {path, std::nullopt}}), Errc::permission);
    CHECK_EQ(get(root / "plain"), "1");
  }
  CHECK_EQ(get(outside->path() / "secret"), "s");
  CHECK_EQ(entries(outside->path()), 1);
  fs::create_directory_symlink(outside->path(), root / ".grove2");
  fs::rename(root / ".grove2", root / "x");
  fs::remove_all(root / ".grove");
  fs::create_directory_symlink(outside->path(), root / ".grove");
  CHECK_FAILS(folder->apply({{"plain", "2"}}), Errc::permission);
  CHECK_EQ(entries(outside->path()), 1);
}

TEST_CASE("a file that can't be replaced leaves all others as they were") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path root = directory->path();
  put(root / "a", "1");
  put(root / "z/inner", "1");  // a folder where a file is to be put
  const auto folder = Folder::open(root);
  REQUIRE_OK(folder);
  CHECK(!folder->apply({{"a", "2"}, {"b", "2"}, {"z", "2"}}));
  CHECK_EQ(get(root / "a"), "1");
  CHECK(!fs::exists(root / "b"));
  CHECK_EQ(get(root / "z/inner"), "1");
  CHECK(!fs::exists(root / ".grove/staging"));
}

TEST_CASE("what an interrupted change left behind is not touched") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  put(directory->path() / ".grove/staging/old/src/mine.cpp", "precious");
  const auto folder = Folder::open(directory->path());
  REQUIRE_OK(folder);
  CHECK_FAILS(folder->apply({{"a", "2"}}), Errc::already_exists);
  CHECK_EQ(get(directory->path() / ".grove/staging/old/src/mine.cpp"), "precious");
}

TEST_CASE("a full disk leaves nothing behind") {
  const SmallDisk disk("size=64k", 0);
  if (!disk.mounted) {
    MESSAGE("not run: only root can mount a small disk");
    return;
  }
  const fs::path root = disk.directory.path();
  const std::string big(40'000, 'x');
  const auto written = write_folder(root, "shop", {{"a", big}, {"b", big}});
  CHECK_FAILS(written, Errc::no_space);
  CHECK_EQ(entries(root), 0);

  put(root / "a", big);
  const auto folder = Folder::open(root);
  REQUIRE_OK(folder);
  CHECK_FAILS(folder->apply({{"a", "small"}, {"b", big}}), Errc::no_space);
  CHECK_EQ(get(root / "a"), big);
  CHECK(!fs::exists(root / "b"));
  CHECK(!fs::exists(root / ".grove/staging"));
}

TEST_CASE("a read-only disk is said to be one") {
  const SmallDisk disk("size=64k", MS_RDONLY);
  if (!disk.mounted) {
    MESSAGE("not run: only root can mount a disk");
    return;
  }
  const auto written = write_folder(disk.directory.path(), "shop", {{"a", "1"}});
  CHECK_FAILS(written, Errc::permission);
  if (!written) CHECK(written.error().message().find("Read-only") != std::string::npos);
}
