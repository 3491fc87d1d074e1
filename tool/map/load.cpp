#include "tool/map/load.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "grove/base/process.hpp"
#include "tool/map/toml.hpp"

namespace grove::tool {
namespace {

/// Reads one TOML file against what it must hold. Every `take_*` marks a key as
/// known; `finish` reports those that nobody took. Problems are collected, so
/// that a person sees all of them at once.
class Reader {
 public:
  Reader(std::string file, std::vector<std::string>* problems) : file_(std::move(file)), problems_(problems) {}

  void problem(const toml::source_position& at, std::string_view what) {
    problems_->push_back(file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                         std::string(what));
  }

  class Table {
   public:
    Table(Reader& reader, const toml::table& table, std::string name)
        : reader_(reader), table_(table), name_(std::move(name)) {}

    std::string text(std::string_view key, bool required = true) {
      const toml::node* node = take(key, required);
      if (node == nullptr) return {};
      const auto* value = node->as_string();
      if (value == nullptr) return wrong(*node, key, "a string");
      if (value->get().empty()) return wrong(*node, key, "a string that isn't empty");
      return value->get();
    }
    std::string one_of(std::string_view key, std::span<const std::string_view> allowed) {
      const std::string value = text(key);
      if (value.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
      std::string list;
      for (const auto& a : allowed) (list += list.empty() ? "" : ", ").append(a);
      return wrong(*table_.get(key), key, "one of " + list + ", not \"" + value + "\"");
    }
    int integer(std::string_view key) {
      const toml::node* node = take(key, true);
      if (node == nullptr) return 0;
      if (const auto* value = node->as_integer()) return static_cast<int>(value->get());
      wrong(*node, key, "an integer");
      return 0;
    }
    std::vector<std::string> texts(std::string_view key, std::size_t at_least = 0) {
      std::vector<std::string> values;
      const toml::node* node = take(key, true);
      if (node == nullptr) return values;
      const auto* array = node->as_array();
      if (array == nullptr) {
        wrong(*node, key, "an array of strings");
        return values;
      }
      for (const toml::node& item : *array) {
        if (const auto* value = item.as_string(); value != nullptr && !value->get().empty())
          values.push_back(value->get());
        else
          wrong(item, key, "an array of strings that aren't empty");
      }
      if (values.size() < at_least) wrong(*node, key, "an array with at least one string");
      return values;
    }
    template <class Function>
    void table(std::string_view key, Function&& function, bool required = true) {
      const toml::node* node = take(key, required);
      if (node == nullptr) return;
      if (const auto* value = node->as_table()) {
        Table inner(reader_, *value, name_ + std::string(key) + ".");
        function(inner);
        inner.finish();
      } else {
        wrong(*node, key, "a table");
      }
    }
    template <class Function>
    void tables(std::string_view key, bool required, Function&& function) {
      const toml::node* node = take(key, required);
      if (node == nullptr) return;
      const auto* array = node->as_array();
      if (array == nullptr || !array->is_array_of_tables()) {
        wrong(*node, key, "an array of tables ([[" + std::string(key) + "]])");
        return;
      }
      for (const toml::node& item : *array) {
        Table inner(reader_, *item.as_table(), name_ + std::string(key) + ".");
        function(inner);
        inner.finish();
      }
    }
    Text bilingual(std::string_view key) {
      Text value;
      table(key, [&](Table& t) {
        value.en = t.text("en");
        value.zh = t.text("zh");
      });
      return value;
    }
    void each(const std::function<void(const std::string&, Table&)>& function) {
      for (const auto& [key, node] : table_) {
        taken_.emplace(key.str());
        if (const auto* value = node.as_table()) {
          Table inner(reader_, *value, name_ + std::string(key.str()) + ".");
          function(std::string(key.str()), inner);
          inner.finish();
        } else {
          wrong(node, key.str(), "a table");
        }
      }
    }
    void finish() {
      for (const auto& [key, node] : table_)
        if (!taken_.contains(key.str()))
          reader_.problem(key.source().begin, "unknown key '" + name_ + std::string(key.str()) + "'");
    }

   private:
    const toml::node* take(std::string_view key, bool required) {
      taken_.emplace(key);
      const toml::node* node = table_.get(key);
      if (node == nullptr && required)
        reader_.problem(table_.source().begin, "the key '" + name_ + std::string(key) + "' is missing");
      return node;
    }
    std::string wrong(const toml::node& node, std::string_view key, std::string_view wanted) {
      reader_.problem(node.source().begin, "'" + name_ + std::string(key) + "' must be " + std::string(wanted));
      return {};
    }

    Reader& reader_;
    const toml::table& table_;
    std::string name_;
    std::set<std::string, std::less<>> taken_;
  };

  /// Parses and hands the root table to `function`, unless it isn't TOML.
  template <class Function>
  void read(const std::filesystem::path& path, Function&& function) {
    const Result<std::string> text = read_file(path, 1 << 20);
    if (!text) {
      problem({1, 1}, text.error().message());
      return;
    }
    const toml::parse_result parsed = toml::parse(*text, file_);
    if (!parsed) {
      problem(parsed.error().source().begin, parsed.error().description());
      return;
    }
    Table root(*this, parsed.table(), "");
    function(root);
    root.finish();
  }

 private:
  std::string file_;
  std::vector<std::string>* problems_;
};

constexpr std::array<std::string_view, 3> kKinds{"leaf", "tech", "strategy"};
constexpr std::array<std::string_view, 7> kPeerKinds{"crate", "npm", "pypi", "maven", "go", "debian", "other"};
constexpr std::array<std::string_view, 3> kMaturities{"experimental", "usable", "production"};

void read_leaf(const std::filesystem::path& root, Leaf* leaf, std::vector<std::string>* problems) {
  const std::string file = "grove/" + leaf->id + "/leaf.toml";
  Reader(file, problems).read(root / file, [&](Reader::Table& t) {
    leaf->kind = t.one_of("kind", kKinds);
    leaf->maps_to = t.text("maps-to");
    leaf->maturity = t.one_of("maturity", kMaturities);
    leaf->boundary = t.text("boundary");
    leaf->title = t.bilingual("title");
    leaf->summary = t.bilingual("summary");
    t.table("keywords", [&](Reader::Table& k) {
      leaf->keywords_en = k.texts("en");
      leaf->keywords_zh = k.texts("zh");
    });
    t.table("library", [&](Reader::Table& l) {
      leaf->library = l.text("name");
      leaf->licence = l.text("licence");
      leaf->reason = l.text("reason");
    });
    t.table("packages", [&](Reader::Table& p) {
      leaf->debian = p.texts("debian");
      leaf->prove = p.texts("prove");
      leaf->vcpkg = p.texts("vcpkg");
      leaf->conan = p.texts("conan");
    });
    t.tables("alternative", true,
             [&](Reader::Table& a) { leaf->alternatives.push_back({a.text("name"), a.text("reason")}); });
    t.table("proof", [&](Reader::Table& p) {
      leaf->against = p.texts("against", 1);
      leaf->gap = p.text("gap", false);
    });
    t.tables("peer", false, [&](Reader::Table& p) {
      leaf->peers.push_back({p.text("name"), p.one_of("kind", kPeerKinds), p.text("note", false)});
    });
  });
}

/// What the tool needs of a CMakeLists.txt: the words of its grove_component()
/// and the Debian packages of its grove_need*() calls. It is CMake's own file,
/// so anything more complicated is left to CMake.
void read_cmake(const std::filesystem::path& root, Leaf* leaf, bool is_leaf, std::vector<std::string>* problems) {
  const std::string file = "grove/" + leaf->id + "/CMakeLists.txt";
  const Result<std::string> text = read_file(root / file, 1 << 20);
  if (!text) return;  // not built yet
  leaf->built = true;
  std::size_t line = 1;
  std::size_t column = 1;
  std::string word;
  toml::source_position word_at{};
  bool in_comment = false;
  std::string key;
  bool in_component = false;
  const auto end_word = [&] {
    if (word.empty()) return;
    const std::string w = std::exchange(word, {});
    static const std::set<std::string, std::less<>> kKeys{"NAMESPACE", "USES", "LINK", "TEST_LINK", "DEBIAN"};
    if (kKeys.contains(w)) {
      key = w;
    } else if (key == "NAMESPACE" && in_component) {
      leaf->name_space = w;
    } else if (key == "USES" && in_component) {
      if (w != "base") leaf->uses.push_back(w);
    } else if (key == "DEBIAN") {
      key.clear();
      if (!is_leaf)
        leaf->debian.push_back(w);
      else if (std::find(leaf->debian.begin(), leaf->debian.end(), w) == leaf->debian.end())
        problems->push_back(file + ":" + std::to_string(word_at.line) + ":" + std::to_string(word_at.column) +
                            ": needs " + w + ", which packages.debian in leaf.toml doesn't list");
    }
  };
  for (const char c : *text) {
    if (c == '\n') {
      ++line;
      column = 0;
      in_comment = false;
    }
    if (c == '#') in_comment = true;
    const bool part_of_word = !in_comment && (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                              std::string_view("/_-.:+").find(c) != std::string_view::npos);
    if (part_of_word) {
      if (word.empty()) word_at = {static_cast<toml::source_index>(line), static_cast<toml::source_index>(column)};
      word += c;
    } else if (!in_comment || c == '\n') {
      if (c == '(') {
        in_component = word == "grove_component";
        word.clear();
        key.clear();
      } else {
        end_word();
        if (c == ')') {
          in_component = false;
          key.clear();
        }
      }
    }
    ++column;
  }
}

void read_tree(const std::filesystem::path& root, Tree* tree, std::vector<std::string>* problems) {
  const std::string file = "grove/" + tree->id + "/tree.toml";
  Reader(file, problems).read(root / file, [&](Reader::Table& t) {
    tree->order = t.integer("order");
    tree->maturity = t.one_of("maturity", kMaturities);
    tree->key_crates = t.texts("key-crates");
    tree->title = t.bilingual("title");
    tree->summary = t.bilingual("summary");
    t.table("flagship", [&](Reader::Table& f) {
      tree->flagship = f.text("name");
      tree->flagship_summary = f.bilingual("summary");
    });
    t.table(
        "branch",
        [&](Reader::Table& b) {
          b.each([&](const std::string& path, Reader::Table& title) {
            tree->branches.push_back({tree->id + "/" + path, {title.text("en"), title.text("zh")}});
          });
        },
        false);
  });
}

/// Ids of the folders below grove/ that hold `file`.
void walk(const std::filesystem::path& folder, const std::string& id, std::vector<std::string>* leaves,
          std::vector<std::string>* shared) {
  DIR* const directory = ::opendir(folder.c_str());
  if (directory == nullptr) return;
  std::vector<std::string> folders;
  bool has_leaf = false;
  bool has_cmake = false;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name == "leaf.toml") has_leaf = true;
    if (name == "CMakeLists.txt") has_cmake = true;
    if (name.front() == '.') continue;
    std::error_code ignored;
    // Some file systems don't say; a symbolic link is never followed.
    if (entry->d_type == DT_DIR ||
        (entry->d_type == DT_UNKNOWN &&
         std::filesystem::symlink_status(folder / name, ignored).type() == std::filesystem::file_type::directory))
      folders.push_back(name);
  }
  ::closedir(directory);
  if (has_leaf) {
    leaves->push_back(id);
    return;  // a leaf's own folders (peer, corpus) hold no leaves
  }
  if (has_cmake) {
    shared->push_back(id);
    return;
  }
  for (const std::string& name : folders)
    if (!(id.empty() && name == "base")) walk(folder / name, id.empty() ? name : id + "/" + name, leaves, shared);
}

Result<void> all_or_problems(const std::vector<std::string>& problems) {
  if (problems.empty()) return {};
  std::string text;
  for (const std::string& problem : problems) (text += text.empty() ? "" : "\n") += problem;
  return fail(Errc::parse, std::move(text));
}

template <class Item>
const Item* find_by_id(const std::vector<Item>& items, std::string_view id) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.id == id; });
  return found == items.end() ? nullptr : &*found;
}

/// What only shows when all leaves are seen together.
void check_together(const Map& map, std::vector<std::string>* problems) {
  std::map<std::string, std::string, std::less<>> owners;
  const auto check = [&](const Leaf& leaf) {
    const std::string file = "grove/" + leaf.id + "/CMakeLists.txt:1:1: ";
    if (!leaf.name_space.empty()) {
      const auto [owner, is_new] = owners.emplace(leaf.name_space, leaf.id);
      if (!is_new) problems->push_back(file + "the namespace " + leaf.name_space + " is taken by " + owner->second);
    } else if (leaf.built && find_by_id(map.leaves, leaf.id) != nullptr) {
      problems->push_back(file + "grove_component() names no NAMESPACE");
    }
    for (const std::string& used : leaf.uses) {
      const Leaf* other = map.find(used);
      if (other == nullptr || !other->built)
        problems->push_back(file + "USES " + used + ", which is no built component");
    }
  };
  for (const Leaf& leaf : map.leaves) {
    check(leaf);
    const std::string tree = leaf.id.substr(0, leaf.id.find('/'));
    const Tree* of = map.tree(tree);
    if (of == nullptr) {
      problems->push_back("grove/" + leaf.id + "/leaf.toml:1:1: the tree " + tree + " has no tree.toml");
      continue;
    }
    for (std::size_t slash = leaf.id.find('/', tree.size() + 1); slash != std::string::npos;
         slash = leaf.id.find('/', slash + 1)) {
      const std::string branch = leaf.id.substr(0, slash);
      if (std::none_of(of->branches.begin(), of->branches.end(), [&](const Branch& b) { return b.path == branch; }))
        problems->push_back("grove/" + tree + "/tree.toml:1:1: the branch '" + branch.substr(tree.size() + 1) +
                            "' has no title");
    }
  }
  for (const Leaf& shared : map.shared) check(shared);
}

}  // namespace

const Leaf* Map::find(std::string_view id) const {
  const Leaf* leaf = find_by_id(leaves, id);
  return leaf != nullptr ? leaf : find_by_id(shared, id);
}
const Tree* Map::tree(std::string_view id) const { return find_by_id(trees, id); }

Result<std::vector<std::string>> list_leaves(const std::filesystem::path& root) {
  std::vector<std::string> leaves;
  std::vector<std::string> shared;
  walk(root / "grove", "", &leaves, &shared);
  if (leaves.empty())
    return fail(Errc::not_found,
                "no leaf.toml below " + (root / "grove").string() + "; set GROVE_ROOT to the map's folder");
  std::sort(leaves.begin(), leaves.end());
  return leaves;
}

Result<Leaf> load_leaf(const std::filesystem::path& root, std::string_view id) {
  Leaf leaf;
  leaf.id = id;
  std::vector<std::string> problems;
  const auto folder = root / "grove" / id;
  // A shared folder has a CMakeLists.txt and no row of its own.
  const bool is_leaf =
      std::filesystem::exists(folder / "leaf.toml") || !std::filesystem::exists(folder / "CMakeLists.txt");
  if (is_leaf) read_leaf(root, &leaf, &problems);
  read_cmake(root, &leaf, is_leaf, &problems);
  GROVE_CHECK(all_or_problems(problems));
  return leaf;
}

Result<Tree> load_tree(const std::filesystem::path& root, std::string_view id) {
  Tree tree;
  tree.id = id;
  std::vector<std::string> problems;
  read_tree(root, &tree, &problems);
  GROVE_CHECK(all_or_problems(problems));
  return tree;
}

Result<Map> load_map(const std::filesystem::path& root) {
  Map map;
  map.root = root;
  std::vector<std::string> ids;
  std::vector<std::string> shared;
  walk(root / "grove", "", &ids, &shared);
  if (ids.empty())
    return fail(Errc::not_found,
                "no leaf.toml below " + (root / "grove").string() + "; set GROVE_ROOT to the map's folder");
  std::sort(ids.begin(), ids.end());

  std::vector<std::string> problems;
  for (const std::string& id : ids) {
    const std::string tree = id.substr(0, id.find('/'));
    if (map.tree(tree) == nullptr && std::filesystem::exists(root / "grove" / tree / "tree.toml")) {
      map.trees.push_back({.id = tree});
      read_tree(root, &map.trees.back(), &problems);
    }
    map.leaves.push_back({.id = id});
    read_leaf(root, &map.leaves.back(), &problems);
    read_cmake(root, &map.leaves.back(), true, &problems);
  }
  for (const std::string& id : shared) {
    map.shared.push_back({.id = id});
    read_cmake(root, &map.shared.back(), false, &problems);
  }
  check_together(map, &problems);
  GROVE_CHECK(all_or_problems(problems));

  std::sort(map.trees.begin(), map.trees.end(), [](const Tree& a, const Tree& b) { return a.order < b.order; });
  // Already in the order of ids; a tree's leaves stay together.
  const auto key = [&](const Leaf& leaf) {
    const Tree* tree = map.tree(std::string_view(leaf.id).substr(0, leaf.id.find('/')));
    return std::pair(tree != nullptr ? tree->order : 0, std::string_view(leaf.id));
  };
  std::sort(map.leaves.begin(), map.leaves.end(), [&](const Leaf& a, const Leaf& b) { return key(a) < key(b); });
  return map;
}

Result<std::filesystem::path> find_root() {
  if (const char* variable = std::getenv("GROVE_ROOT"); variable != nullptr && *variable != '\0')
    return std::filesystem::path(variable);
  // The program lies in <root>/build/…; the nearest folder above it with a map is the root.
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  for (auto folder = self.parent_path(); folder.has_relative_path(); folder = folder.parent_path())
    if (std::filesystem::exists(folder / "grove" / "base" / "errc.hpp", error) &&
        std::filesystem::exists(folder / "cmake" / "Grove.cmake", error))
      return folder;
  return fail(Errc::not_found,
              "no map found above " + self.string() + "; set GROVE_ROOT to the folder that holds grove/");
}

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& names, std::size_t count) {
  // Optimal string alignment distance; rows of the dynamic programme are reused.
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> two(b.size() + 1);
    std::vector<std::size_t> one(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) one[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        row[j] = std::min({one[j] + 1, row[j - 1] + 1, one[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], two[j - 2] + 1);
      }
      std::swap(two, one);
      std::swap(one, row);
    }
    return one[b.size()];
  };
  const std::string_view last_of_word = word.substr(word.rfind('/') + 1);
  std::vector<std::pair<std::size_t, std::size_t>> ranked;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = names[i];
    const std::size_t whole = distance(word, name);
    const std::size_t last = 2 * distance(last_of_word, name.substr(name.rfind('/') + 1));
    ranked.emplace_back(std::min(whole * 2, last + (word.find('/') == std::string_view::npos ? 0 : whole)), i);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> result;
  for (const auto& [d, i] : ranked)
    if (result.size() < count) result.push_back(names[i]);
  return result;
}

Result<std::vector<const Leaf*>> match(const Map& map, const std::vector<std::string>& patterns) {
  std::vector<const Leaf*> chosen;
  std::vector<bool> taken(map.leaves.size(), patterns.empty());
  for (std::string pattern : patterns) {
    while (pattern.ends_with('/')) pattern.pop_back();
    bool any = false;
    for (std::size_t i = 0; i < map.leaves.size(); ++i) {
      const std::string& id = map.leaves[i].id;
      if (!id.starts_with(pattern) || (id.size() > pattern.size() && id[pattern.size()] != '/')) continue;
      taken[i] = any = true;
    }
    if (any) continue;
    std::vector<std::string> names;
    for (const Leaf& leaf : map.leaves) names.push_back(leaf.id);
    std::string hint;
    for (const std::string& name : nearest(pattern, names)) hint += "\n  " + name;
    return fail(Errc::not_found, "no leaf is called " + pattern + "; the nearest are" + hint);
  }
  for (std::size_t i = 0; i < taken.size(); ++i)
    if (taken[i]) chosen.push_back(&map.leaves[i]);
  return chosen;
}

std::vector<const Leaf*> with_dependencies(const Map& map, const std::vector<const Leaf*>& leaves) {
  std::vector<const Leaf*> ordered;
  std::set<const Leaf*> seen;
  const std::function<void(const Leaf*)> visit = [&](const Leaf* leaf) {
    if (leaf == nullptr || !seen.insert(leaf).second) return;
    for (const std::string& used : leaf->uses) visit(map.find(used));
    ordered.push_back(leaf);
  };
  for (const Leaf* leaf : leaves) visit(leaf);
  return ordered;
}

}  // namespace grove::tool
