#include "grove/data/common/fault_fs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace grove::data {

struct FaultFs::Inode {
  std::uint64_t number = 0;  ///< 0: a directory.
  std::vector<std::byte> content{};
  std::chrono::system_clock::time_point modified = std::chrono::system_clock::now();
};

namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash == 0 ? 1 : slash);
}

/// Names directly and indirectly below a directory start with this.
std::string below(const std::string& directory) {
  return directory.empty() || directory.back() == '/' ? directory : directory + '/';
}

}  // namespace

class FaultFile final : public File {
 public:
  FaultFile(FaultFs& files, std::shared_ptr<FaultFs::Inode> inode, std::string path, bool writable)
      : files_(files), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) const override {
    const std::lock_guard lock(files_.mutex_);
    const auto& content = inode_->content;
    if (offset >= content.size()) return std::size_t{0};
    const std::size_t n = std::min<std::size_t>(into.size(), content.size() - static_cast<std::size_t>(offset));
    std::memcpy(into.data(), content.data() + offset, n);
    return n;
  }
  Result<void> write(std::uint64_t offset, Bytes bytes) override {
    if (bytes.empty()) return {};
    return change({.kind = FileOp::Kind::write, .offset = offset, .bytes = {bytes.begin(), bytes.end()}});
  }
  Result<void> truncate(std::uint64_t size) override {
    return change({.kind = FileOp::Kind::truncate, .offset = size});
  }
  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(files_.mutex_);
    return inode_->content.size();
  }
  Result<void> sync() override { return change({.kind = FileOp::Kind::sync}); }

 private:
  Result<void> change(FileOp op) {
    if (!writable_) return fail(Errc::permission, "write " + path_ + ": opened for reading");
    const std::lock_guard lock(files_.mutex_);
    op.inode = inode_->number;
    op.path = path_;
    if (files_.fault_)
      if (auto allowed = files_.fault_(op); !allowed) return allowed;
    if (op.kind == FileOp::Kind::write) {
      auto& content = inode_->content;
      const std::size_t end = static_cast<std::size_t>(op.offset) + op.bytes.size();
      if (content.size() < end) content.resize(end);
      std::memcpy(content.data() + op.offset, op.bytes.data(), op.bytes.size());
    } else if (op.kind == FileOp::Kind::truncate) {
      inode_->content.resize(static_cast<std::size_t>(op.offset));
    }
    inode_->modified = std::chrono::system_clock::now();
    files_.journal_.push_back(std::move(op));
    return {};
  }

  FaultFs& files_;
  std::shared_ptr<FaultFs::Inode> inode_;
  std::string path_;
  bool writable_;
};

FaultFs::FaultFs() : FaultFs(FileImage{.contents = {}, .names = {{"/", 0}}}) {}

FaultFs::FaultFs(FileImage image) : start_(std::move(image)) {
  std::map<std::uint64_t, std::shared_ptr<Inode>> inodes;
  for (const auto& [number, content] : start_.contents) {
    inodes[number] = std::make_shared<Inode>(number, content);
    last_inode_ = std::max(last_inode_, number);
  }
  for (const auto& [name, number] : start_.names)
    names_[name] = number == 0 ? std::make_shared<Inode>() : inodes.at(number);
}

std::string FaultFs::normalise(std::string_view path) {
  std::string out;
  if (path.starts_with('/')) out = "/";
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (!out.empty() && out.back() != '/') out += '/';
    out += part;
  }
  return out;
}

Result<std::shared_ptr<FaultFs::Inode>> FaultFs::find(std::string_view path) const {
  const auto it = names_.find(normalise(path));
  if (it == names_.end()) return fail(Errc::not_found, std::string(path) + ": no such file or directory");
  return it->second;
}

/// Changes of names; the caller holds the lock and has checked that they can be made.
Result<void> FaultFs::apply(FileOp op) {
  if (fault_)
    if (auto allowed = fault_(op); !allowed) return allowed;
  journal_.push_back(std::move(op));
  return {};
}

Result<std::unique_ptr<File>> FaultFs::open(std::string_view path, OpenMode mode) {
  std::string name = normalise(path);
  const std::lock_guard lock(mutex_);
  const auto it = names_.find(name);
  std::shared_ptr<Inode> inode = it == names_.end() ? nullptr : it->second;
  if (inode != nullptr && inode->number == 0) return fail(Errc::io, "open " + name + ": it is a directory");
  if (inode == nullptr) {
    if (mode == OpenMode::read) return fail(Errc::not_found, "open " + name + ": no such file");
    const auto parent = names_.find(parent_of(name));
    if (parent == names_.end() || parent->second->number != 0)
      return fail(Errc::not_found, "open " + name + ": no such directory");
    GROVE_CHECK(apply({.kind = FileOp::Kind::create, .inode = last_inode_ + 1, .path = name}));
    inode = std::make_shared<Inode>(++last_inode_);
    names_[name] = inode;
  } else if (mode == OpenMode::replace) {
    GROVE_CHECK(apply({.kind = FileOp::Kind::truncate, .inode = inode->number, .path = name}));
    inode->content.clear();
  }
  return std::make_unique<FaultFile>(*this, std::move(inode), std::move(name), mode != OpenMode::read);
}

Result<FileInfo> FaultFs::stat(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  GROVE_TRY(const auto inode, find(path));
  return FileInfo{inode->content.size(), inode->number == 0, inode->modified};
}

Result<std::vector<std::string>> FaultFs::list(std::string_view directory) const {
  const std::lock_guard lock(mutex_);
  GROVE_TRY(const auto inode, find(directory));
  if (inode->number != 0) return fail(Errc::io, "list " + std::string(directory) + ": not a directory");
  const std::string prefix = below(normalise(directory));
  std::vector<std::string> names;
  for (auto it = names_.upper_bound(prefix); it != names_.end() && it->first.starts_with(prefix); ++it)
    if (it->first.find('/', prefix.size()) == std::string::npos) names.push_back(it->first.substr(prefix.size()));
  return names;
}

Result<void> FaultFs::make_directory(std::string_view path) {
  std::string name = normalise(path);
  const std::lock_guard lock(mutex_);
  if (const auto it = names_.find(name); it != names_.end()) {
    if (it->second->number == 0) return {};
    return fail(Errc::already_exists, "make the directory " + name + ": a file has that name");
  }
  if (!names_.contains(parent_of(name))) return fail(Errc::not_found, "make the directory " + name + ": no parent");
  GROVE_CHECK(apply({.kind = FileOp::Kind::make_directory, .path = name}));
  names_[name] = std::make_shared<Inode>();
  return {};
}

Result<void> FaultFs::remove(std::string_view path) {
  const std::string name = normalise(path);
  const std::lock_guard lock(mutex_);
  GROVE_TRY(const auto inode, find(name));
  if (inode->number == 0) {
    const auto child = names_.upper_bound(below(name));
    if (child != names_.end() && child->first.starts_with(below(name)))
      return fail(Errc::io, "remove " + name + ": the directory is not empty");
  }
  GROVE_CHECK(apply({.kind = FileOp::Kind::remove, .path = name}));
  names_.erase(name);
  return {};
}

Result<void> FaultFs::rename(std::string_view from, std::string_view to) {
  const std::string a = normalise(from);
  const std::string b = normalise(to);
  const std::lock_guard lock(mutex_);
  GROVE_TRY(auto inode, find(a));
  if (inode->number == 0) return fail(Errc::unsupported, "rename " + a + ": directories are not renamed here");
  if (!names_.contains(parent_of(b))) return fail(Errc::not_found, "rename to " + b + ": no such directory");
  GROVE_CHECK(apply({.kind = FileOp::Kind::rename, .path = a, .to = b}));
  names_.erase(a);
  names_[b] = std::move(inode);
  return {};
}

Result<void> FaultFs::link(std::string_view from, std::string_view to) {
  const std::string a = normalise(from);
  const std::string b = normalise(to);
  const std::lock_guard lock(mutex_);
  GROVE_TRY(auto inode, find(a));
  if (names_.contains(b)) return fail(Errc::already_exists, "link " + b + ": it exists");
  if (inode->number == 0 || !names_.contains(parent_of(b))) return fail(Errc::io, "link " + a + " to " + b);
  GROVE_CHECK(apply({.kind = FileOp::Kind::link, .path = a, .to = b}));
  names_[b] = std::move(inode);
  return {};
}

Result<void> FaultFs::sync_directory(std::string_view path) {
  const std::lock_guard lock(mutex_);
  GROVE_CHECK(find(path));
  return apply({.kind = FileOp::Kind::sync_directory, .path = normalise(path)});
}

void FaultFs::mark(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  journal_.push_back({.kind = FileOp::Kind::mark, .offset = number});
}

void FaultFs::set_fault(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

void FaultFs::fail_after(std::uint64_t count, Errc code) {
  set_fault([count, code](const FileOp& op) mutable -> Result<void> {
    if (count == 0) return fail(code, op.path + ": an injected fault");
    --count;
    return {};
  });
}

std::vector<FileOp> FaultFs::journal() const {
  const std::lock_guard lock(mutex_);
  return journal_;
}

FileImage FaultFs::image() const {
  const std::lock_guard lock(mutex_);
  FileImage image;
  for (const auto& [name, inode] : names_) {
    image.names[name] = inode->number;
    if (inode->number != 0) image.contents[inode->number] = inode->content;
  }
  return image;
}

Result<void> FaultFs::damage(std::string_view path, std::uint64_t offset, std::byte mask) {
  const std::lock_guard lock(mutex_);
  GROVE_TRY(const auto inode, find(path));
  if (offset >= inode->content.size())
    return fail(Errc::invalid_argument, "damage " + std::string(path) + ": too short");
  inode->content[static_cast<std::size_t>(offset)] ^= mask;
  return {};
}

}  // namespace grove::data
