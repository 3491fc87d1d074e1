#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "grove/base/error.hpp"
#include "tool/map/load.hpp"

namespace grove::tool {

/// Hashes what a leaf's result depends on, so that "it hasn't changed" can be
/// said: its folder, the folders that it uses, grove/base, cmake/Grove.cmake,
/// and `environment` (compiler and package versions). Folders are read once.
class ContentHasher {
 public:
  enum class Peer : unsigned char { left_out, included };

  explicit ContentHasher(const Map& map) : map_(map) {}
  Result<std::string> hash(const Leaf& leaf, std::string_view environment, Peer peer);

 private:
  Result<std::string> folder(const std::filesystem::path& folder, Peer peer);

  const Map& map_;
  std::map<std::filesystem::path, std::string> known_;
};

/// The folders behind the hash, relative to the root: what `git status` is asked about.
std::vector<std::string> source_folders(const Map& map, const Leaf& leaf);

}  // namespace grove::tool
