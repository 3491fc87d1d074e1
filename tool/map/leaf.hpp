#pragma once

#include <string>
#include <vector>

namespace grove::tool {

struct Text {
  std::string en;
  std::string zh;
};

struct Alternative {
  std::string name;
  std::string reason;
};

struct Peer {
  std::string name;
  std::string kind;  ///< crate, npm, pypi, maven, go, debian, other
  std::string note;
};

/// One row of the map: what its leaf.toml says (docs/leaf-format.md), and what
/// its CMakeLists.txt says once it is built.
struct Leaf {
  std::string id;    ///< "data/database/storage/lsm"
  std::string kind;  ///< leaf, tech, strategy
  std::string maps_to;
  std::string maturity;
  std::string boundary;
  Text title;
  Text summary;
  std::vector<std::string> keywords_en;
  std::vector<std::string> keywords_zh;
  std::string library;
  std::string licence;
  std::string reason;
  std::vector<std::string> debian;
  std::vector<std::string> prove;
  std::vector<std::string> vcpkg;
  std::vector<std::string> conan;
  std::vector<Alternative> alternatives;
  std::vector<std::string> against;
  std::string gap;
  std::vector<Peer> peers;

  bool built = false;
  std::string name_space;         ///< Of the built component; "lsm" is grove::lsm.
  std::vector<std::string> uses;  ///< Ids of the leaves and `common` folders it leans on, without "base".
};

struct Branch {
  std::string path;  ///< "data/database"
  Text title;
};

struct Tree {
  std::string id;
  int order = 0;
  std::string maturity;
  Text title;
  Text summary;
  std::vector<std::string> key_crates;
  std::string flagship;
  Text flagship_summary;
  std::vector<Branch> branches;
};

}  // namespace grove::tool
