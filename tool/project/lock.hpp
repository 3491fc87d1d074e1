#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::tool {

/// What a project got from one leaf, as it was when it was copied.
struct LockedLeaf {
  std::string id;       ///< "data/database/storage/lsm"; "base" for what all share; "project" for what was generated.
  std::string version;  ///< Hash of its files' paths and contents.
  bool chosen = false;  ///< Asked for by name; else it came along because another uses it.
  std::map<std::string, std::string> files;  ///< Path in the project → SHA-256 of the content as copied.
};

/// grove.lock: what came from where.
struct Lock {
  std::string project;
  std::string grove_version;
  std::string grove_commit;
  std::vector<LockedLeaf> leaves;

  const LockedLeaf* find(std::string_view id) const;
  std::vector<std::string> chosen() const;
  /// Path → hash over all leaves.
  std::map<std::string, std::string> files() const;

  std::string to_toml() const;
  /// Strict: an unknown key, a path that leads out, a wrong type is `corrupt`, with its line.
  static Result<Lock> parse(std::string_view text);
};

/// The hash that LockedLeaf::version holds.
std::string version_of(const std::map<std::string, std::string>& files);

/// The texts that a project's files had when they were copied: the base of
/// three-way merges. One file, .grove/pristine, ordered by hash.
using Pristine = std::map<std::string, std::string>;  // SHA-256 → content
std::string pack(const std::map<std::string_view, std::string_view>& pristine);
/// `corrupt` when a text doesn't hash to its name.
Result<Pristine> unpack(std::string_view text);

constexpr std::string_view kLockPath = "grove.lock";
constexpr std::string_view kPristinePath = ".grove/pristine";

}  // namespace grove::tool
