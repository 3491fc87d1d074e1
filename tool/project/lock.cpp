#include "tool/project/lock.hpp"

#include <algorithm>
#include <charconv>

#include "tool/map/toml.hpp"
#include "tool/project/folder.hpp"
#include "tool/project/hash.hpp"

namespace grove::tool {
namespace {

constexpr std::string_view kHeader = "grove-pristine 1\n";
constexpr std::size_t kHashSize = 64;

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

bool is_hash(std::string_view text) {
  return text.size() == kHashSize && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::unexpected<Error> wrong(const toml::node& node, std::string_view what) {
  return fail(Errc::corrupt, "grove.lock:" + std::to_string(node.source().begin.line) + ": " + std::string(what) +
                                 "; restore the file from your version control");
}

Result<std::string> text_of(const toml::table& table, std::string_view key) {
  const toml::node* node = table.get(key);
  if (node == nullptr || !node->is_string()) return wrong(table, "'" + std::string(key) + "' must be a string");
  return node->as_string()->get();
}

Result<LockedLeaf> leaf_of(const toml::table& table) {
  LockedLeaf leaf;
  for (const auto& [key, node] : table)
    if (key != "id" && key != "version" && key != "chosen" && key != "files")
      return wrong(node, "unknown key '" + std::string(key.str()) + "'");
  GROVE_TRY(leaf.id, text_of(table, "id"));
  GROVE_TRY(leaf.version, text_of(table, "version"));
  if (const toml::node* chosen = table.get("chosen"); chosen != nullptr) {
    if (!chosen->is_boolean()) return wrong(*chosen, "'chosen' must be true or false");
    leaf.chosen = chosen->as_boolean()->get();
  }
  const toml::node* files = table.get("files");
  if (files == nullptr || !files->is_table()) return wrong(table, "'files' must be a table");
  for (const auto& [path, node] : *files->as_table()) {
    if (!check_relative(path.str())) return wrong(node, "a path leads out of the project");
    if (!node.is_string() || !is_hash(node.as_string()->get())) return wrong(node, "a file's SHA-256 is no such hash");
    leaf.files.emplace(path.str(), node.as_string()->get());
  }
  return leaf;
}

}  // namespace

const LockedLeaf* Lock::find(std::string_view id) const {
  const auto found = std::find_if(leaves.begin(), leaves.end(), [&](const LockedLeaf& leaf) { return leaf.id == id; });
  return found == leaves.end() ? nullptr : &*found;
}

std::vector<std::string> Lock::chosen() const {
  std::vector<std::string> ids;
  for (const LockedLeaf& leaf : leaves)
    if (leaf.chosen) ids.push_back(leaf.id);
  return ids;
}

std::map<std::string, std::string> Lock::files() const {
  std::map<std::string, std::string> all;
  for (const LockedLeaf& leaf : leaves) all.insert(leaf.files.begin(), leaf.files.end());
  return all;
}

std::string Lock::to_toml() const {
  std::string out =
      "# What came from where. `grove diff` and `grove update` need this file and .grove/pristine:\n"
      "# keep both under version control, and change neither by hand.\n"
      "lock = 1\n";
  out += "project = " + in_quotes(project) + "\n\n[grove]\nversion = " + in_quotes(grove_version) +
         "\ncommit = " + in_quotes(grove_commit) + "\n";
  for (const LockedLeaf& leaf : leaves) {
    out += "\n[[leaf]]\nid = " + in_quotes(leaf.id) + "\nversion = " + in_quotes(leaf.version) + "\n";
    if (leaf.chosen) out += "chosen = true\n";
    out += "[leaf.files]\n";
    for (const auto& [path, hash] : leaf.files) out += in_quotes(path) + " = " + in_quotes(hash) + "\n";
  }
  return out;
}

Result<Lock> Lock::parse(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text, std::string_view("grove.lock"));
  if (!parsed)
    return fail(Errc::corrupt, "grove.lock:" + std::to_string(parsed.error().source().begin.line) + ": " +
                                   std::string(parsed.error().description()) +
                                   "; restore the file from your version control");
  const toml::table& root = parsed.table();
  const toml::node* format = root.get("lock");
  if (format == nullptr || !format->is_integer()) return wrong(root, "'lock' must be a number");
  if (format->as_integer()->get() != 1)
    return fail(Errc::unsupported, "grove.lock was written by a newer grove; update grove and run it again");
  Lock lock;
  for (const auto& [key, node] : root)
    if (key != "lock" && key != "project" && key != "grove" && key != "leaf")
      return wrong(node, "unknown key '" + std::string(key.str()) + "'");
  GROVE_TRY(lock.project, text_of(root, "project"));
  const toml::node* grove = root.get("grove");
  if (grove == nullptr || !grove->is_table()) return wrong(root, "'grove' must be a table");
  GROVE_TRY(lock.grove_version, text_of(*grove->as_table(), "version"));
  GROVE_TRY(lock.grove_commit, text_of(*grove->as_table(), "commit"));
  const toml::node* leaves = root.get("leaf");
  if (leaves == nullptr || !leaves->is_array()) return wrong(root, "there is no [[leaf]]");
  for (const toml::node& node : *leaves->as_array()) {
    if (!node.is_table()) return wrong(node, "a leaf must be a table");
    GROVE_TRY(auto leaf, leaf_of(*node.as_table()));
    lock.leaves.push_back(std::move(leaf));
  }
  return lock;
}

std::string version_of(const std::map<std::string, std::string>& files) {
  std::string text;
  for (const auto& [path, hash] : files) text += hash + "  " + path + "\n";
  return sha256_hex(text);
}

std::string pack(const std::map<std::string_view, std::string_view>& pristine) {
  std::string out(kHeader);
  std::size_t size = out.size();
  for (const auto& [hash, content] : pristine) size += content.size() + kHashSize + 16;
  out.reserve(size);
  for (const auto& [hash, content] : pristine) {
    out.append(hash).append(" ").append(std::to_string(content.size())).append("\n");
    out.append(content).append("\n");
  }
  return out;
}

Result<Pristine> unpack(std::string_view text) {
  const auto damaged = [] {
    return fail(Errc::corrupt, ".grove/pristine is damaged; restore it from your version control");
  };
  if (!text.starts_with(kHeader)) return damaged();
  text.remove_prefix(kHeader.size());
  Pristine pristine;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || end < kHashSize + 2 || text[kHashSize] != ' ') return damaged();
    const std::string_view hash = text.substr(0, kHashSize);
    const std::string_view number = text.substr(kHashSize + 1, end - kHashSize - 1);
    std::size_t size = 0;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), size);
    if (error != std::errc() || stop != number.data() + number.size()) return damaged();
    text.remove_prefix(end + 1);
    if (size >= text.size() || text[size] != '\n') return damaged();
    const std::string_view content = text.substr(0, size);
    if (sha256_hex(content) != hash) return damaged();
    pristine.emplace(hash, content);
    text.remove_prefix(size + 1);
  }
  return pristine;
}

}  // namespace grove::tool
