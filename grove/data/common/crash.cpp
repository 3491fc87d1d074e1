#include "grove/data/common/crash.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "grove/base/random.hpp"

namespace grove::data {
namespace {

using Kind = FileOp::Kind;

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::write: return "write";
    case Kind::truncate: return "truncate";
    case Kind::sync: return "sync";
    case Kind::create: return "create";
    case Kind::remove: return "remove";
    case Kind::rename: return "rename";
    case Kind::link: return "link";
    case Kind::make_directory: return "make directory";
    case Kind::sync_directory: return "sync directory";
    case Kind::mark: return "mark";
  }
  return "?";
}

bool changes_names(Kind kind) {
  return kind == Kind::create || kind == Kind::remove || kind == Kind::rename || kind == Kind::link ||
         kind == Kind::make_directory;
}

bool directly_in(const std::string& path, const std::string& directory) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return directory.empty();
  return path.compare(0, slash == 0 ? 1 : slash, directory) == 0;
}

void apply_name(FileImage& image, const FileOp& op) {
  const auto inode_of = [&](const std::string& path) {
    const auto it = image.names.find(path);
    return it == image.names.end() ? std::uint64_t{0} : it->second;
  };
  switch (op.kind) {
    case Kind::create:
      image.names[op.path] = op.inode;
      image.contents.try_emplace(op.inode);
      break;
    case Kind::make_directory: image.names[op.path] = 0; break;
    case Kind::remove: image.names.erase(op.path); break;
    case Kind::rename:
      if (const auto inode = inode_of(op.path); inode != 0) image.names[op.to] = inode;
      image.names.erase(op.path);
      break;
    case Kind::link:
      if (const auto inode = inode_of(op.path); inode != 0) image.names[op.to] = inode;
      break;
    default: break;
  }
}

void apply_data(FileImage& image, const FileOp& op) {
  auto& content = image.contents[op.inode];
  if (op.kind == Kind::truncate) {
    content.resize(static_cast<std::size_t>(op.offset));
    return;
  }
  const std::size_t end = static_cast<std::size_t>(op.offset) + op.bytes.size();
  if (content.size() < end) content.resize(end);
  std::memcpy(content.data() + op.offset, op.bytes.data(), op.bytes.size());
}

/// Some of the sectors that the write touches, cut at the disk's boundaries.
void apply_torn(FileImage& image, const FileOp& op, std::uint32_t sector, SplitMix64& random) {
  for (std::uint64_t at = op.offset, end = op.offset + op.bytes.size(); at < end;) {
    const std::uint64_t next = std::min(end, (at / sector + 1) * sector);
    if (random.below(2) == 0) {
      const auto first = op.bytes.begin() + static_cast<std::ptrdiff_t>(at - op.offset);
      apply_data(image, {.kind = Kind::write,
                         .inode = op.inode,
                         .offset = at,
                         .bytes = {first, first + static_cast<std::ptrdiff_t>(next - at)}});
    }
    at = next;
  }
}

/// Durable state and what is pending beyond it, moved forward op by op.
struct Disk {
  FileImage durable;
  std::vector<const FileOp*> data;   ///< Writes and truncates not yet synced.
  std::vector<const FileOp*> names;  ///< Changes of names not yet synced.
  std::uint64_t mark = 0;

  void step(const FileOp& op) {
    if (op.kind == Kind::write || op.kind == Kind::truncate) data.push_back(&op);
    if (changes_names(op.kind)) names.push_back(&op);
    if (op.kind == Kind::mark) mark = std::max(mark, op.offset);
    if (op.kind == Kind::sync)
      std::erase_if(data, [&](const FileOp* pending) {
        if (pending->inode != op.inode) return false;
        apply_data(durable, *pending);
        return true;
      });
    if (op.kind == Kind::sync_directory)
      std::erase_if(names, [&](const FileOp* pending) {
        if (!directly_in(pending->path, op.path) && (pending->to.empty() || !directly_in(pending->to, op.path)))
          return false;
        apply_name(durable, *pending);
        return true;
      });
  }
};

/// Content that no name leads to is gone after a crash.
void drop_orphans(FileImage& image) {
  std::set<std::uint64_t> used;
  for (const auto& [name, inode] : image.names) used.insert(inode);
  std::erase_if(image.contents, [&](const auto& entry) { return !used.contains(entry.first); });
}

}  // namespace

Result<CrashCount> for_each_crash(const FaultFs& files, const CrashOptions& options,
                                  const std::function<Result<void>(Crash&&)>& check) {
  const std::vector<FileOp> journal = files.journal();
  // Points beside a sync or a mark are where promises begin; the rest fills up.
  std::vector<bool> chosen(journal.size() + 1, journal.size() < options.max_points);
  std::vector<std::size_t> near;
  for (std::size_t i = 0; i < journal.size(); ++i)
    if (const Kind kind = journal[i].kind; kind == Kind::sync || kind == Kind::sync_directory || kind == Kind::mark) {
      near.push_back(i);
      near.push_back(i + 1);
    }
  const auto spread = [&](std::size_t count, std::uint64_t room, auto&& at) {
    const std::uint64_t take = std::min<std::uint64_t>(count, room);
    for (std::uint64_t i = 0; i < take; ++i) chosen[at(static_cast<std::size_t>(i * count / take))] = true;
  };
  spread(near.size(), options.max_points / 4 * 3, [&](std::size_t i) { return near[i]; });
  spread(chosen.size(), options.max_points / 4, [](std::size_t i) { return i; });

  CrashCount count;
  Disk disk{files.start(), {}, {}, 0};
  SplitMix64 random(options.seed);
  for (std::size_t point = 0; point <= journal.size(); ++point) {
    if (point > 0) disk.step(journal[point - 1]);
    if (!chosen[point]) continue;
    ++count.points;
    const std::string at = point == 0 ? "before any change"
                                      : "after op " + std::to_string(point) + " (" + name_of(journal[point - 1].kind) +
                                            " " + journal[point - 1].path + ")";
    // 0 nothing, 1 all, 2 names only, 3 data only, then random mixtures.
    const std::uint32_t variants = disk.data.empty() && disk.names.empty() ? 1 : 4 + options.random_states;
    for (std::uint32_t variant = 0; variant < variants; ++variant) {
      if (variant == 2 && disk.data.empty()) continue;   // the same as 1
      if (variant == 3 && disk.names.empty()) continue;  // the same as 1
      Crash crash{point, disk.mark, at, disk.durable};
      std::size_t names = variant == 1 || variant == 2 ? disk.names.size() : 0;
      if (variant >= 4) names = static_cast<std::size_t>(random.below(disk.names.size() + 1));
      for (std::size_t i = 0; i < names; ++i) apply_name(crash.image, *disk.names[i]);
      std::uint64_t kept = 0;
      std::uint64_t torn = 0;
      for (const FileOp* op : disk.data) {
        const std::uint64_t fate = variant >= 4 ? random.below(3) : (variant == 1 || variant == 3 ? 1 : 0);
        if (fate == 1) apply_data(crash.image, *op), ++kept;
        if (fate == 2 && op->kind == Kind::write) apply_torn(crash.image, *op, options.sector, random), ++torn;
      }
      drop_orphans(crash.image);
      crash.story += ", of what was not synced " + std::to_string(kept) + "/" + std::to_string(disk.data.size()) +
                     " writes kept, " + std::to_string(torn) + " torn, " + std::to_string(names) + "/" +
                     std::to_string(disk.names.size()) + " names kept";
      ++count.states;
      const std::string story = crash.story;
      if (auto held = check(std::move(crash)); !held) return std::unexpected(std::move(held).error().with(story));
    }
  }
  return count;
}

}  // namespace grove::data
