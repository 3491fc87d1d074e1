#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/map/leaf.hpp"
#include "tool/project/folder.hpp"
#include "tool/project/lock.hpp"

namespace grove::tool {

/// A project as Grove would make it now: every file in memory, nothing written.
struct Project {
  std::string name;
  std::vector<Leaf> leaves;                      ///< Each before what uses it; shared folders (no title) among them.
  std::vector<std::string> chosen;               ///< Ids that were asked for.
  std::vector<std::string> debian;               ///< Packages to build it with, sorted.
  std::map<std::string, std::string> installed;  ///< Those of them that are, with their versions.
  bool knows_installed = false;                  ///< False where there is no dpkg.
  Files files;                                   ///< All but grove.lock and .grove/pristine.
  Lock lock;                                     ///< Says which file is from which leaf.

  bool is_chosen(std::string_view id) const;
  /// `files` with grove.lock and .grove/pristine: what `new` writes.
  Files with_records() const;
};

/// Full ids for what a person typed: an id, or a last segment that only one
/// leaf has. `not_found` names the nearest; a leaf that is planned but not
/// built is `unsupported` and names built ones near it.
Result<std::vector<std::string>> resolve_leaves(const std::filesystem::path& root,
                                                const std::vector<std::string>& words);

/// The leaves with these ids and all that they use, each before what uses it.
Result<std::vector<Leaf>> load_closure(const std::filesystem::path& root, const std::vector<std::string>& ids);

Result<Project> generate(const std::filesystem::path& root, std::string name, const std::vector<std::string>& chosen);

/// The commit that the map stands at, read from .git; empty where there is none.
std::string commit_of(const std::filesystem::path& root);

}  // namespace grove::tool
