#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/map/leaf.hpp"

namespace grove::tool {

/// The whole map, read from disk. Trees are in their order, leaves in the order
/// of their trees, then of their ids.
struct Map {
  std::filesystem::path root;  ///< The folder that holds grove/, cmake/, tool/.
  std::vector<Tree> trees;
  std::vector<Leaf> leaves;
  /// Folders that leaves share: built components with no leaf.toml ("data/common"). Only id, name_space, uses.
  std::vector<Leaf> shared;

  const Leaf* find(std::string_view id) const;
  const Tree* tree(std::string_view id) const;
};

/// Loads strictly: the Error's message has one line for each problem, each as
/// `file:line:column: what is wrong`.
Result<Map> load_map(const std::filesystem::path& root);

/// One leaf.toml with its CMakeLists.txt, if there is one. Of a shared folder, only what its CMakeLists.txt says.
Result<Leaf> load_leaf(const std::filesystem::path& root, std::string_view id);
Result<Tree> load_tree(const std::filesystem::path& root, std::string_view id);

/// Ids of all leaves on disk, sorted; nothing is read but folders.
Result<std::vector<std::string>> list_leaves(const std::filesystem::path& root);

/// Where the map is: the folder given, GROVE_ROOT, or the one that holds this program's build.
Result<std::filesystem::path> find_root();

/// The leaves that the patterns (ids or prefixes of ids, whole segments) name;
/// an unknown pattern is `not_found` with the nearest names. No pattern: all.
Result<std::vector<const Leaf*>> match(const Map& map, const std::vector<std::string>& patterns);

/// The leaves and everything that they use, each before what uses it.
std::vector<const Leaf*> with_dependencies(const Map& map, const std::vector<const Leaf*>& leaves);

/// The `count` names nearest to `word` (Damerau–Levenshtein, on the whole id and on its last segment).
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& names, std::size_t count = 3);

}  // namespace grove::tool
