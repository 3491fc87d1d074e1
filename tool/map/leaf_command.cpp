#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/cli/command.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {
namespace {

void replace_all(std::string* text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size())
    text->replace(at, from.size(), to);
}

// A leaf that loads, builds and passes from the first minute, so that every
// step after it can be tried. @en@ @zh@ @ns@ @id@ are filled in.
constexpr std::string_view kLeafToml = R"(kind = "leaf"
maps-to = "none"
maturity = "experimental"
boundary = "None yet: say where raw memory, foreign code or untrusted bytes come in."

[title]
en = "@en@"
zh = "@zh@"

[summary]
en = "Say what it does, for whom, and when to take it."
zh = "说明它做什么、为谁而做、何时选用。"

[keywords]
en = []
zh = []

[library]
name = "own"
licence = "Apache-2.0"
reason = "Say why this library, or why none."

[packages]
debian = []
prove = []
vcpkg = []
conan = []

[[alternative]]
name = "name another"
reason = "Say why it was not chosen."

[proof]
against = ["Name the real thing that proves it"]
)";

constexpr std::string_view kCmake = "grove_component(NAMESPACE @ns@ USES base)\n";

constexpr std::string_view kHeader = R"(#pragma once

#include <cstdint>

#include "grove/base/error.hpp"

namespace grove::@ns@ {

/// Say what it gives, in which unit, who owns what, which threads may call it,
/// which errors it returns, and the source (RFC, paper, book).
Result<std::uint64_t> halve(std::uint64_t even);

}  // namespace grove::@ns@
)";

constexpr std::string_view kSource = R"(#include "grove/@id@/@ns@.hpp"

#include <string>

namespace grove::@ns@ {

Result<std::uint64_t> halve(std::uint64_t even) {
  if (even % 2 != 0) return fail(Errc::invalid_argument, std::to_string(even) + " is odd");
  return even / 2;
}

}  // namespace grove::@ns@
)";

constexpr std::string_view kTest = R"(#include "grove/@id@/@ns@.hpp"

#include "grove/base/test/test.hpp"

using namespace grove;

TEST_CASE("an even number is halved, an odd one is refused") {
  CHECK(@ns@::halve(4) == 2u);
  CHECK_FAILS(@ns@::halve(5), Errc::invalid_argument);
}
)";

constexpr std::string_view kExample = R"(#include "grove/@id@/@ns@.hpp"

#include "grove/base/example.hpp"

namespace grove::@ns@ {

Result<void> example(const ExampleContext& context) {
  // What a user reads first: 15 to 40 lines that do something a person can see.
  GROVE_TRY(const std::uint64_t half, halve(42));
  context.out << "half of 42 is " << half << '\n';
  return {};
}

}  // namespace grove::@ns@
)";

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kFiles{{{"leaf.toml", kLeafToml},
                                                                               {"CMakeLists.txt", kCmake},
                                                                               {"@ns@.hpp", kHeader},
                                                                               {"@ns@.cpp", kSource},
                                                                               {"@ns@_test.cpp", kTest},
                                                                               {"example.cpp", kExample}}};

bool is_path_of_map(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || path.find("//") != std::string_view::npos)
    return false;
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/'; });
}

Result<int> make_leaf(Invocation& in, const std::string& id) {
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Map map, load_map(root));
  if (!is_path_of_map(id) || id.find('/') == std::string::npos)
    return fail(Errc::invalid_argument, "'" + id +
                                            "' is no path of the map: lower-case words, digits and dashes between "
                                            "slashes, as data/database/storage/lsm");
  const std::string tree = id.substr(0, id.find('/'));
  if (map.tree(tree) == nullptr) {
    std::vector<std::string> trees;
    for (const Tree& t : map.trees) trees.push_back(t.id);
    return fail(Errc::not_found, "no tree is called " + tree + "; did you mean " + nearest(tree, trees, 1).at(0) + "?");
  }
  for (const Leaf& leaf : map.leaves)
    if (id.starts_with(leaf.id + "/"))
      return fail(Errc::invalid_argument, leaf.id + " is a leaf; nothing grows below a leaf");
  const auto folder = root / "grove" / id;
  const std::string last = id.substr(id.rfind('/') + 1);
  std::string name_space = last;
  std::replace(name_space.begin(), name_space.end(), '-', '_');
  if (name_space.front() >= '0' && name_space.front() <= '9') name_space.insert(0, "n");
  for (const auto* leaves : {&map.leaves, &map.shared})
    for (const Leaf& leaf : *leaves)
      if (leaf.name_space == name_space) {
        // "web/performance/zero-copy" beside "network/performance/zero-copy": add the folder's name.
        const std::string above = id.substr(0, id.rfind('/'));
        name_space = above.substr(above.rfind('/') + 1) + "_" + name_space;
        std::replace(name_space.begin(), name_space.end(), '-', '_');
      }

  // A planned row keeps its leaf.toml; everything else must be new.
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  for (const auto& [name, content] : kFiles) {
    std::string file(name);
    std::string text(content);
    for (std::string* s : {&file, &text}) {
      replace_all(s, "@ns@", name_space);
      replace_all(s, "@id@", id);
      replace_all(s, "@en@", in.arguments.value("--en").value_or(last));
      replace_all(s, "@zh@", in.arguments.value("--zh").value_or(last));
    }
    if (std::filesystem::exists(folder / file)) {
      if (file == "leaf.toml") continue;
      return fail(Errc::already_exists, "grove/" + id + "/" + file + " is there already; this leaf is being built");
    }
    files.emplace_back(folder / file, text);
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::io, "make " + folder.string() + ": " + error.message());
  for (const auto& [path, text] : files) GROVE_CHECK(write_file(path, text));

  if (in.json) {
    JsonWriter json;
    json.begin_object().member("id", id).member("namespace", "grove::" + name_space).key("files").begin_array();
    for (const auto& [path, text] : files) json.value(std::filesystem::relative(path, root, error).string());
    in.terminal.line(json.end_array().end_object().str());
    return 0;
  }
  for (const auto& [path, text] : files)
    in.terminal.line("wrote " + std::filesystem::relative(path, root, error).string());
  // Branches on the way that the tree doesn't name yet.
  const Tree& of = *map.tree(tree);
  for (std::size_t slash = id.find('/', tree.size() + 1); slash != std::string::npos; slash = id.find('/', slash + 1)) {
    const std::string branch = id.substr(0, slash);
    if (std::none_of(of.branches.begin(), of.branches.end(), [&](const Branch& b) { return b.path == branch; }))
      in.terminal.line("add to grove/" + tree + "/tree.toml:\n[branch.\"" + branch.substr(tree.size() + 1) +
                       "\"]\nen = \"…\"\nzh = \"…\"");
  }
  in.terminal.line("\nnext: fill in leaf.toml, then grove prove " + id + " (docs/add-a-leaf.md says more)");
  return 0;
}

/// Strict loading of the whole map, and its Debian packages against apt's lists.
Result<int> check_map(Invocation& in) {
  GROVE_TRY(const auto root, find_root());
  std::vector<std::string> problems;
  const Result<Map> map = load_map(root);
  if (!map) problems.push_back(map.error().message());
  bool packages_checked = false;
  if (map) {
    const auto names = run_process({"apt-cache", "pkgnames"});
    std::set<std::string, std::less<>> known;
    if (names)
      for (std::size_t at = 0, end = 0; (end = names->out.find('\n', at)) != std::string::npos; at = end + 1)
        known.emplace(names->out.substr(at, end - at));
    packages_checked = known.size() > 10'000;
    if (packages_checked)
      for (const Leaf& leaf : map->leaves)
        for (const auto* list : {&leaf.debian, &leaf.prove})
          for (const std::string& package : *list)
            if (!known.contains(package))
              problems.push_back("grove/" + leaf.id + "/leaf.toml:1:1: Debian has no package " + package);
  }
  if (in.json) {
    JsonWriter json;
    json.begin_object().member("packages_checked", packages_checked).key("problems").begin_array();
    for (const std::string& problem : problems) json.value(problem);
    in.terminal.line(json.end_array().end_object().str());
    return problems.empty() ? 0 : 1;
  }
  for (const std::string& problem : problems) in.terminal.line(problem);
  if (problems.empty()) in.terminal.line(std::to_string(map->leaves.size()) + " leaves, nothing wrong");
  if (map && !packages_checked) in.terminal.note("package names were not checked: run apt-get update first");
  return problems.empty() ? 0 : 1;
}

Result<int> run_leaf(Invocation& in) {
  const auto& words = in.arguments.positional();
  if (words.size() == 2 && words[0] == "new") return make_leaf(in, words[1]);
  if (words.size() == 1 && words[0] == "check") return check_map(in);
  return fail(Errc::invalid_argument, "say what: grove leaf new PATH, or grove leaf check");
}

}  // namespace

Command leaf_command() {
  return {"leaf",
          "new PATH | check",
          "make the folder of a new leaf, or check every leaf.toml",
          "创建新叶子的目录，或检查所有 leaf.toml",
          "  grove leaf new data/cache/local/clock --en \"CLOCK cache\" --zh \"CLOCK 缓存\"\n  grove leaf new "
          "data/cache/local/lru   builds a planned row: its leaf.toml stays\n  grove leaf check\n",
          {{"--en", "TITLE", "the English title of a new row"}, {"--zh", "TITLE", "its Chinese title"}},
          run_leaf};
}

}  // namespace grove::tool
