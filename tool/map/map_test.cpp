#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "tool/map/index.hpp"
#include "tool/map/load.hpp"
#include "tool/map/tokens.hpp"

using namespace grove;
using namespace grove::tool;

namespace {

const std::filesystem::path kRoot = GROVE_SOURCE_ROOT;

std::string terms_of(std::string_view text) {
  Tokenizer tokenizer;
  std::string all;
  tokenizer.each(text, [&](std::string_view term) { (all += all.empty() ? "" : " ") += term; });
  return all;
}

/// The official map's index, in a cache folder of the test's own.
const Index& index() {
  static const TempDir cache = *TempDir::make("grove-index");
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  static const Result<Index> built = Index::open(kRoot);
  REQUIRE_OK(built);
  return *built;
}

std::string best(std::string_view words) {
  const std::vector<Hit> hits = index().search(words, 1);
  return hits.empty() ? "" : std::string(index().entry(hits.front().entry).id);
}

constexpr std::string_view kLeafToml = R"(kind = "leaf"
maps-to = "x"
maturity = "usable"
boundary = "none"
title.en = "thing"
title.zh = "东西"
summary.en = "It does."
summary.zh = "它做。"
keywords.en = []
keywords.zh = []
library = { name = "own", licence = "Apache-2.0", reason = "none exists" }
packages = { debian = [], prove = [], vcpkg = [], conan = [] }
proof.against = ["itself"]
[[alternative]]
name = "other"
reason = "no"
)";
constexpr std::string_view kTreeToml = R"(order = 1
maturity = "usable"
key-crates = []
title = { en = "t", zh = "树" }
summary = { en = "s", zh = "总" }
flagship = { name = "f", summary.en = "f", summary.zh = "旗" }
)";

/// A map of one tree `t` with the leaf `t/a`, to be broken in one place.
struct SmallMap {
  TempDir directory = *TempDir::make("grove-map");
  SmallMap() {
    put("grove/t/tree.toml", kTreeToml);
    put("grove/t/a/leaf.toml", kLeafToml);
  }
  void put(const std::string& file, std::string_view content) const {
    std::filesystem::create_directories((directory.path() / file).parent_path());
    REQUIRE_OK(write_file(directory.path() / file, content));
  }
  void put_replaced(std::string_view from, std::string_view to) const {
    std::string text(kLeafToml);
    text.replace(text.find(from), from.size(), to);
    put("grove/t/a/leaf.toml", text);
  }
  std::string problem() const {
    const Result<Map> map = load_map(directory.path());
    return map ? "" : map.error().message();
  }
};

}  // namespace

TEST_CASE("words are lower-cased and stemmed, mixed and joined ones also given in parts") {
  CHECK(terms_of("Caches caching") == "cach cach");
  CHECK(terms_of("HTTP/2") == "http 2");
  CHECK(terms_of("http2") == "http2 http 2");
  CHECK(terms_of("io_uring") == "io ure iouring");
  CHECK(terms_of("C++") == "c++");
}

TEST_CASE("Chinese is cut into bigrams, a lone character stays") {
  CHECK(terms_of("调度器") == "调度 度器");
  CHECK(terms_of("树") == "树");
  CHECK(terms_of("LSM树 B+树") == "lsm 树 b+ 树");
  CHECK(terms_of("ＡＢＣ") == "abc");
}

TEST_CASE("broken UTF-8 and long runs don't hurt") {
  CHECK_NOTHROW(terms_of("\xff\xfe\xe4\xbd"));
  CHECK_NOTHROW(terms_of(std::string(100'000, 'a')));
}

TEST_CASE("the official map loads strictly and holds the source's 173 rows in eight trees") {
  const Result<Map> map = load_map(kRoot);
  REQUIRE_OK(map);
  CHECK(map->leaves.size() == 173);
  CHECK(map->trees.size() == 8);
  CHECK(std::count_if(map->leaves.begin(), map->leaves.end(), [](const Leaf& l) { return l.kind == "strategy"; }) ==
        11);
  for (const Leaf& leaf : map->leaves) CHECK_MESSAGE(!leaf.alternatives.empty(), leaf.id);
}

TEST_CASE("every Debian package that the map names exists") {
  const auto names = run_process({"apt-cache", "pkgnames"});
  if (!names || names->out.size() < 100'000) {
    MESSAGE("apt has no package lists here (apt-get update): not checked");
    return;
  }
  std::set<std::string, std::less<>> known;
  for (std::size_t at = 0, end = 0; (end = names->out.find('\n', at)) != std::string::npos; at = end + 1)
    known.emplace(names->out.substr(at, end - at));
  const Result<Map> map = load_map(kRoot);
  REQUIRE_OK(map);
  for (const Leaf& leaf : map->leaves)
    for (const auto* list : {&leaf.debian, &leaf.prove})
      for (const std::string& package : *list) CHECK_MESSAGE(known.contains(package), leaf.id << " names " << package);
}

TEST_CASE("a small map loads") { CHECK(SmallMap().problem() == ""); }

TEST_CASE("what is wrong in a leaf.toml is named with file, line and column") {
  const SmallMap map;
  map.put_replaced("maturity = \"usable\"", "maturity = \"ripe\"");
  CHECK(map.problem() ==
        "grove/t/a/leaf.toml:3:12: 'maturity' must be one of experimental, usable, production, not \"ripe\"");
  map.put_replaced("maps-to", "maps_to");
  CHECK(map.problem() ==
        "grove/t/a/leaf.toml:1:1: the key 'maps-to' is missing\ngrove/t/a/leaf.toml:2:1: unknown key 'maps_to'");
  map.put_replaced("title.zh = \"东西\"\n", "");
  CHECK(map.problem() == "grove/t/a/leaf.toml:5:1: the key 'title.zh' is missing");
  map.put_replaced("\"It does.\"", "\"\"");
  CHECK(map.problem() == "grove/t/a/leaf.toml:7:14: 'summary.en' must be a string that isn't empty");
  map.put_replaced("[\"itself\"]", "[]");
  CHECK(map.problem() == "grove/t/a/leaf.toml:13:17: 'proof.against' must be an array with at least one string");
  map.put_replaced("[\"itself\"]", "[3]");
  CHECK(map.problem().find("'proof.against' must be an array of strings") != std::string::npos);
  map.put_replaced("kind = ", "kind = = ");
  CHECK(map.problem().starts_with("grove/t/a/leaf.toml:1:8: "));
}

TEST_CASE("what contradicts the CMakeLists.txt is refused") {
  const SmallMap map;
  map.put("grove/t/a/CMakeLists.txt",
          "# DEBIAN no-word\ngrove_need_pkg(libx DEBIAN libx-dev)\ngrove_component(NAMESPACE a USES base LINK x)\n");
  CHECK(map.problem() ==
        "grove/t/a/CMakeLists.txt:2:28: needs libx-dev, which packages.debian in leaf.toml doesn't list");
  map.put("grove/t/a/CMakeLists.txt", "grove_component(NAMESPACE a USES base t/none)\n");
  CHECK(map.problem().find("USES t/none, which is no built component") != std::string::npos);
  map.put("grove/t/a/CMakeLists.txt", "grove_component(USES base)\n");
  CHECK(map.problem().find("names no NAMESPACE") != std::string::npos);
}

TEST_CASE("two components may not share a namespace") {
  const SmallMap map;
  map.put("grove/t/b/leaf.toml", kLeafToml);
  for (const char* id : {"a", "b"})
    map.put(std::string("grove/t/") + id + "/CMakeLists.txt", "grove_component(NAMESPACE same USES base)\n");
  CHECK(map.problem().find("the namespace same is taken by t/a") != std::string::npos);
}

TEST_CASE("a branch without a title is refused") {
  const SmallMap map;
  map.put("grove/t/branch/c/leaf.toml", kLeafToml);
  CHECK(map.problem().find("grove/t/tree.toml:1:1: the branch 'branch' has no title") != std::string::npos);
}

TEST_CASE("a folder without a map says what to do") {
  const TempDir empty = *TempDir::make();
  CHECK_FAILS(load_map(empty.path()), Errc::not_found);
  CHECK_FAILS(Index::build(empty.path()), Errc::not_found);
}

TEST_CASE("the rate limiter is found in English, in Chinese, and by its crate") {
  for (const char* words : {"限流", "rate limiting", "governor", "rate limit", "limiting rates", "Rate-Limit"}) {
    const std::string first = best(words);
    CHECK_MESSAGE(first == "network/web/middleware/rate-limit", words << " gave " << first);
  }
}

TEST_CASE("every leaf is found first by its own titles, unless another has the same") {
  std::size_t first = 0;
  const std::size_t total = index().size();
  std::string missed;
  for (std::size_t i = 0; i < total; ++i) {
    const Entry entry = index().entry(i);
    for (const std::string_view title : {entry.title_en, entry.title_zh}) {
      const std::vector<Hit> hits = index().search(title, 4);
      const bool found = std::any_of(hits.begin(), hits.end(), [&](const Hit& hit) {
        return hit.entry == i || index().entry(hit.entry).title_en == title ||
               index().entry(hit.entry).title_zh == title;
      });
      CHECK_MESSAGE(found, entry.id << " by " << title);
      if (!hits.empty() && (hits.front().entry == i || index().entry(hits.front().entry).title_zh == title ||
                            index().entry(hits.front().entry).title_en == title))
        ++first;
      else
        missed += std::string(entry.id) + " ";
    }
  }
  CHECK_MESSAGE(first == 2 * total, missed);
}

TEST_CASE("an unfinished or misspelt word still finds") {
  CHECK(best("circuit brea") == "network/web/middleware/circuit-breaker");
  CHECK(best("websokcet") == "network/realtime/websocket");
  CHECK(index().search("qqqqzzzz", 5).empty());
  CHECK(index().search("", 5).empty());
}

TEST_CASE("the nearest names are offered for a misspelt leaf") {
  const Result<std::vector<std::string>> ids = list_leaves(kRoot);
  REQUIRE_OK(ids);
  CHECK(nearest("data/database/storage/lms", *ids).at(0) == "data/database/storage/lsm");
  CHECK(nearest("webscoket", *ids).at(0) == "network/realtime/websocket");
  const Result<Map> map = load_map(kRoot);
  REQUIRE_OK(map);
  const auto wrong = match(*map, {"network/webb"});
  CHECK_FAILS(wrong, Errc::not_found);
  CHECK(match(*map, {"network/web/http"})->size() == 4);
  CHECK(match(*map, {"network/web/htt"}).error() == Errc::not_found);
}

TEST_CASE("the index notices a leaf that is added, edited, built or removed") {
  const TempDir cache = *TempDir::make();
  const SmallMap map;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  const auto& root = map.directory.path();
  const auto titles = [&] {
    const Result<Index> opened = Index::open(root);
    std::string all;
    if (!opened) return opened.error().message();
    for (std::size_t i = 0; i < opened->size(); ++i)
      (all += opened->entry(i).title_en) += opened->entry(i).built ? "+" : "-";
    return all;
  };
  CHECK(titles() == "thing-");
  map.put("grove/t/b/leaf.toml", kLeafToml);
  CHECK(titles() == "thing-thing-");
  map.put_replaced("\"thing\"", "\"other\"");
  CHECK(titles() == "other-thing-");
  map.put("grove/t/a/CMakeLists.txt", "grove_component(NAMESPACE a USES base)\n");
  CHECK(titles() == "other+thing-");
  std::filesystem::remove_all(root / "grove/t/b");
  CHECK(titles() == "other+");
}

TEST_CASE("a damaged or foreign cache is made anew, and an unwritable one does without") {
  const TempDir cache = *TempDir::make();
  const SmallMap map;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  const auto& root = map.directory.path();
  REQUIRE_OK(Index::open(root));
  const auto path = index_path(root);
  const std::string whole = read_file(path).value();
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
    REQUIRE_OK(write_file(path, whole.substr(0, size)));
    const Result<Index> opened = Index::open(root);
    REQUIRE_OK(opened);
    CHECK(opened->size() == 1);
  }
  ::setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
  const Result<Index> opened = Index::open(root);
  REQUIRE_OK(opened);
  CHECK(opened->search("thing", 1).size() == 1);
}
