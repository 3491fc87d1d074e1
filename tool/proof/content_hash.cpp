#include "tool/proof/content_hash.hpp"

#include <algorithm>

#include "grove/base/process.hpp"
#include "tool/project/hash.hpp"

namespace grove::tool {

namespace fs = std::filesystem;

std::vector<std::string> source_folders(const Map& map, const Leaf& leaf) {
  std::vector<std::string> folders{"cmake", "grove/base"};
  for (const Leaf* used : with_dependencies(map, {&leaf})) folders.push_back("grove/" + used->id);
  return folders;
}

Result<std::string> ContentHasher::folder(const fs::path& folder, Peer peer) {
  const fs::path key = peer == Peer::included ? folder / "peer" : folder;
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename();
    if (at->is_directory(error) && (name == "target" || (peer == Peer::left_out && name == "peer")))
      at.disable_recursion_pending();
    else if (at->is_regular_file(error))
      files.push_back(at->path());
  }
  if (error) return fail(Errc::io, "read the folder " + folder.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  std::string list;
  for (const fs::path& file : files) {
    GROVE_TRY(const std::string content, read_file(file));
    list += sha256_hex(content) + "  " + file.lexically_relative(folder).string() + "\n";
  }
  return known_[key] = sha256_hex(list);
}

Result<std::string> ContentHasher::hash(const Leaf& leaf, std::string_view environment, Peer peer) {
  std::string list(environment);
  for (const std::string& name : source_folders(map_, leaf)) {
    // Only the leaf's own peer is part of its work.
    const Peer own = name == "grove/" + leaf.id || name == "grove/base" ? peer : Peer::left_out;
    GROVE_TRY(const std::string hash, folder(map_.root / name, own));
    list += "\n" + hash + "  " + name;
  }
  return sha256_hex(list);
}

}  // namespace grove::tool
