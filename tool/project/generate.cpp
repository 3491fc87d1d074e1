#include "tool/project/generate.hpp"

#include <dirent.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "grove/base/process.hpp"
#include "tool/map/load.hpp"
#include "tool/project/hash.hpp"
#include "tool/project/packages.hpp"
#include "tool/project/texts.hpp"

namespace grove::tool {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}
std::string_view last_segment(std::string_view id) { return id.substr(id.rfind('/') + 1); }

/// What a project doesn't get: proofs and benches need Grove's own repository,
/// an example becomes src/<namespace>.cpp, and base's own tests are Grove's affair.
bool is_left_out(std::string_view owner, std::string_view name, bool is_folder) {
  if (name.starts_with('.')) return true;
  if (is_folder) return name == "peer" || name == "bench" || name == "proof" || name == "target" || name == "build";
  if (name.ends_with("_proof.cpp") || name.ends_with("_bench.cpp") || name == "example.cpp") return true;
  return owner == "base" && (name.ends_with("_test.cpp") || name.starts_with("proof"));
}

/// Copies the plain files below `from` to `to` + "/…". Links are left out: a
/// leaf is copied by what it holds, not by what it points to.
Result<void> copy_folder(const std::filesystem::path& from, const std::string& to, std::string_view owner,
                         Files* files) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(from.c_str()), ::closedir);
  if (!listing) return fail_errno("read the folder " + from.string());
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    auto type = entry->d_type;
    if (type == DT_UNKNOWN) {  // some file systems leave it to stat
      std::error_code ignored;
      const auto status = std::filesystem::symlink_status(from / name, ignored);
      type = std::filesystem::is_directory(status)      ? DT_DIR
             : std::filesystem::is_regular_file(status) ? DT_REG
                                                        : DT_LNK;
    }
    if (is_left_out(owner, name, type == DT_DIR)) continue;
    if (type == DT_DIR) {
      GROVE_CHECK(copy_folder(from / name, to + "/" + name, owner, files));
    } else if (type == DT_REG) {
      GROVE_TRY((*files)[to + "/" + name], read_file(from / name));
    }
  }
  return {};
}

std::string built_nearby(const std::filesystem::path& root, const std::vector<std::string>& ids, std::string_view id) {
  std::string hint;
  std::vector<std::string> built;
  std::error_code ignored;
  for (const std::string& other : ids)
    if (std::filesystem::exists(root / "grove" / other / "CMakeLists.txt", ignored)) built.push_back(other);
  // The longest common path first.
  const auto common = [&](const std::string& other) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < std::min(other.size(), id.size()) && other[i] == id[i]; ++i)
      if (id[i] == '/') n = i;
    return n;
  };
  std::sort(built.begin(), built.end(), [&](const std::string& a, const std::string& b) {
    return common(a) != common(b) ? common(a) > common(b) : a < b;
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(built.size(), 5); ++i) hint += "\n  " + built[i];
  return hint.empty() ? "; no leaf of this map is built yet" : "; built ones, the nearest first:" + hint;
}

Result<std::string> resolve(const std::filesystem::path& root, const std::vector<std::string>& ids, std::string word) {
  while (word.ends_with('/')) word.pop_back();
  std::string id;
  if (std::binary_search(ids.begin(), ids.end(), word)) {
    id = word;
  } else {
    std::vector<std::string> same;
    std::vector<std::string> below;
    for (const std::string& other : ids) {
      if (last_segment(other) == word) same.push_back(other);
      if (other.starts_with(word + "/")) below.push_back(other);
    }
    if (same.size() == 1) {
      id = same.front();
    } else {
      const auto& candidates = same.empty() ? below : same;
      std::string hint;
      for (const std::string& other : candidates.empty() ? nearest(word, ids) : candidates) hint += "\n  " + other;
      if (!candidates.empty()) return fail(Errc::not_found, "'" + word + "' could be any of these; name one:" + hint);
      return fail(Errc::not_found, "no leaf is called '" + word + "'; the nearest are:" + hint);
    }
  }
  std::error_code ignored;
  if (!std::filesystem::exists(root / "grove" / id / "CMakeLists.txt", ignored))
    return fail(Errc::unsupported, id + " is planned, not built yet" + built_nearby(root, ids, id));
  return id;
}

void add_unique(std::vector<std::string>* list, std::string_view item) {
  if (!contains(*list, item)) list->emplace_back(item);
}

}  // namespace

bool Project::is_chosen(std::string_view id) const { return contains(chosen, id); }

Files Project::with_records() const {
  Files all = files;
  std::map<std::string_view, std::string_view> pristine;
  for (const LockedLeaf& leaf : lock.leaves)
    for (const auto& [path, hash] : leaf.files) pristine.emplace(hash, files.at(path));
  all.emplace(kLockPath, lock.to_toml());
  all.emplace(kPristinePath, pack(pristine));
  return all;
}

Result<std::vector<std::string>> resolve_leaves(const std::filesystem::path& root,
                                                const std::vector<std::string>& words) {
  std::vector<std::string> ids;  // read when a word is no plain id of a built leaf: the walk costs more than all else
  std::vector<std::string> resolved;
  std::error_code ignored;
  for (const std::string& word : words) {
    const auto folder = root / "grove" / word;
    if (check_relative(word) && std::filesystem::exists(folder / "leaf.toml", ignored) &&
        std::filesystem::exists(folder / "CMakeLists.txt", ignored)) {
      add_unique(&resolved, word);
      continue;
    }
    if (ids.empty()) {
      GROVE_TRY(ids, list_leaves(root));
    }
    GROVE_TRY(const std::string id, resolve(root, ids, word));
    add_unique(&resolved, id);
  }
  return resolved;
}

Result<std::vector<Leaf>> load_closure(const std::filesystem::path& root, const std::vector<std::string>& ids) {
  std::vector<Leaf> ordered;
  std::set<std::string> seen;
  const std::function<Result<void>(const std::string&, const std::string&)> visit =
      [&](const std::string& id, const std::string& user) -> Result<void> {
    if (!seen.insert(id).second) return {};
    GROVE_TRY(Leaf leaf, load_leaf(root, id));
    if (!leaf.built) return fail(Errc::unsupported, id + ", which " + user + " uses, isn't built yet");
    for (const std::string& used : leaf.uses) GROVE_CHECK(visit(used, id));
    ordered.push_back(std::move(leaf));
    return {};
  };
  for (const std::string& id : ids) GROVE_CHECK(visit(id, "the project"));
  return ordered;
}

std::string commit_of(const std::filesystem::path& root) {
  std::filesystem::path git = root / ".git";
  auto head = read_file(git / "HEAD", 4096);
  if (!head) return "";
  const auto trimmed = [](std::string text) { return text.substr(0, text.find('\n')); };
  const std::string ref = trimmed(*head);
  if (!ref.starts_with("ref: ")) return ref;
  if (const auto hash = read_file(git / ref.substr(5), 4096)) return trimmed(*hash);
  const auto packed = read_file(git / "packed-refs");
  if (!packed) return "";
  const std::size_t at = packed->find(" " + ref.substr(5) + "\n");
  return at == std::string::npos || at < 40 ? "" : packed->substr(at - 40, 40);
}

Result<Project> generate(const std::filesystem::path& root, std::string name, const std::vector<std::string>& chosen) {
  Project project;
  project.name = std::move(name);
  project.chosen = chosen;
  GROVE_TRY(project.leaves, load_closure(root, chosen));

  // Owner → its files; "project" is what no leaf holds.
  std::vector<std::pair<std::string, Files>> parts;
  Files base;
  GROVE_CHECK(copy_folder(root / "grove" / "base", "grove/base", "base", &base));
  GROVE_CHECK(copy_folder(root / "cmake", "cmake", "cmake", &base));
  parts.emplace_back("base", std::move(base));
  for (const std::string_view package : base_debian()) add_unique(&project.debian, package);
  for (const Leaf& leaf : project.leaves) {
    Files files;
    const std::string folder = "grove/" + leaf.id;
    GROVE_CHECK(copy_folder(root / folder, folder, leaf.id, &files));
    if (project.is_chosen(leaf.id))
      if (auto example = read_file(root / folder / "example.cpp")) files["src/" + leaf.name_space + ".cpp"] = *example;
    parts.emplace_back(leaf.id, std::move(files));
    for (const std::string& package : leaf.debian) add_unique(&project.debian, package);
  }
  std::sort(project.debian.begin(), project.debian.end());

  project.lock = {.project = project.name, .grove_version = GROVE_VERSION, .grove_commit = commit_of(root)};
  const auto record = [&](const std::string& id, Files files) {
    LockedLeaf locked{.id = id, .chosen = project.is_chosen(id)};
    for (const auto& [path, content] : files) locked.files.emplace(path, sha256_hex(content));
    locked.version = version_of(locked.files);
    project.lock.leaves.push_back(std::move(locked));
    project.files.merge(files);
  };
  for (auto& [id, files] : parts) record(id, std::move(files));

  Files own = project_texts(project);
  if (auto format = read_file(root / ".clang-format")) own[".clang-format"] = std::move(*format);
  const auto installed = installed_packages(project.debian);
  project.knows_installed = installed.has_value();
  if (installed)
    project.installed = *installed;
  else if (installed.error() != Errc::unsupported)
    return std::unexpected(installed.error());
  own["sbom.cdx.json"] = sbom(project, project.installed);
  record("project", std::move(own));
  return project;
}

}  // namespace grove::tool
