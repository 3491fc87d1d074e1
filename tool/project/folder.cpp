#include "tool/project/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

namespace grove::tool {
namespace {

constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr std::string_view kStaging = ".grove/staging";

class Fd {
 public:
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// Ctrl-C between two renames would leave half a change; it is delivered after.
class HoldSignals {
 public:
  HoldSignals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
  ~HoldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}
std::string name_of(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

Error link_error(std::string_view path) {
  return {Errc::permission, std::string(path) +
                                " is a symbolic link; it may lead out of the project, so nothing is "
                                "read or written through it. Put the file or folder itself there"};
}

/// Opens the last segment of `path`, a folder in the folder `parent`; made first if it is to be.
Result<Fd> step_into(int parent, std::string_view path, bool make) {
  const std::string name = name_of(path);
  if (make && ::mkdirat(parent, name.c_str(), 0777) != 0 && errno != EEXIST)
    return fail_errno("make the folder " + std::string(path));
  Fd next(::openat(parent, name.c_str(), kOpenFolder));
  if (next.get() >= 0) return next;
  const int number = errno;
  struct stat status{};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
    return std::unexpected(link_error(path));
  return fail_errno("open the folder " + std::string(path), number);
}

/// Opens a folder below `root`, segment by segment; `not_found` when one is
/// missing, unless they are to be made.
Result<Fd> open_below(int root, std::string_view folder, bool make) {
  Fd at(::openat(root, ".", kOpenFolder));
  if (at.get() < 0) return fail_errno("open the folder");
  for (std::size_t end = 0; end < folder.size(); ++end) {
    end = std::min(folder.find('/', end), folder.size());
    GROVE_TRY(at, step_into(at.get(), folder.substr(0, end), make));
  }
  return at;
}

/// Writes files one after another. The folders on the way to the last one stay
/// open, so that sorted paths cost one step or two, not one from the root each.
class Writer {
 public:
  explicit Writer(int root) : root_(root) {}

  Result<void> write(std::string_view path, std::string_view content) {
    GROVE_TRY(const int folder, enter(parent_of(path)));
    const Fd file(::openat(folder, name_of(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (file.get() < 0) return fail_errno("create " + std::string(path));
    while (!content.empty()) {
      const ssize_t n = ::write(file.get(), content.data(), content.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("write " + std::string(path));
      content.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }

 private:
  Result<int> enter(std::string_view folder) {
    const auto holds = [&](const std::string& open) {
      return folder.starts_with(open) && (folder.size() == open.size() || folder[open.size()] == '/');
    };
    while (!open_.empty() && !holds(open_.back().first)) open_.pop_back();
    while (open_.empty() ? !folder.empty() : open_.back().first.size() < folder.size()) {
      const std::size_t begin = open_.empty() ? 0 : open_.back().first.size() + 1;
      const std::size_t end = std::min(folder.find('/', begin), folder.size());
      GROVE_TRY(Fd next, step_into(at(), folder.substr(0, end), true));
      open_.emplace_back(folder.substr(0, end), std::move(next));
    }
    return at();
  }
  int at() const { return open_.empty() ? root_ : open_.back().second.get(); }

  int root_;
  std::vector<std::pair<std::string, Fd>> open_;  ///< Path and descriptor of each folder down to the last file's.
};

/// Removes a folder and what it holds; links are removed, not followed.
void remove_below(int parent, const char* name) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  const int fd = ::openat(parent, name, kOpenFolder);
  DIR* const listing = fd < 0 ? nullptr : ::fdopendir(fd);
  if (listing == nullptr) {
    if (fd >= 0) ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view child = entry->d_name;
    if (child != "." && child != "..") remove_below(fd, entry->d_name);
  }
  ::closedir(listing);
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

std::string explain(const Error& error) {
  switch (error.code()) {
    case Errc::no_space: return "; free some space and run it again. Nothing was changed";
    case Errc::permission: return ". Nothing was changed";
    default: return "; nothing was changed";
  }
}
std::unexpected<Error> nothing_changed(const Error& error) {
  return fail(error.code(), error.message() + explain(error));
}

/// One file's change of places, and how to take it back.
struct Move {
  Fd folder;
  std::string name;
  std::string path;
  bool had_old = false;
  bool placed = false;
};

}  // namespace

Result<void> check_relative(std::string_view path) {
  const auto refuse = [&] {
    return fail(Errc::permission, "the path '" + std::string(path) + "' leads out of the project; nothing was changed");
  };
  if (path.empty() || path.find('\0') != std::string_view::npos) return refuse();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return refuse();
    begin = end + 1;
  }
  return {};
}

Result<Folder> Folder::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open the folder " + path.string());
  return Folder(fd, path);
}
Folder::Folder(Folder&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
Folder::~Folder() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<std::string>> Folder::read(std::string_view path) const {
  GROVE_CHECK(check_relative(path));
  const Result<Fd> parent = open_below(fd_, parent_of(path), false);
  if (!parent) {
    if (parent.error() == Errc::not_found) return std::nullopt;
    return std::unexpected(parent.error());
  }
  // O_NONBLOCK: a pipe in a file's place must not hang us.
  const Fd file(::openat(parent->get(), name_of(path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    if (errno == ELOOP) return std::unexpected(link_error(path));
    return fail_errno("open " + std::string(path));
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno("read " + std::string(path));
  if (!S_ISREG(status.st_mode)) return fail(Errc::io, std::string(path) + " is no plain file; move it out of the way");
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t used = 0;
  while (used < content.size()) {
    const ssize_t n = ::read(file.get(), content.data() + used, content.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + std::string(path));
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  content.resize(used);
  return content;
}

Result<void> Folder::apply(const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) const {
  for (const auto& [path, content] : changes) GROVE_CHECK(check_relative(path));
  if (changes.empty()) return {};
  const HoldSignals hold;
  if (const Result<Fd> staging = open_below(fd_, kStaging, false); staging)
    return fail(Errc::already_exists, "an earlier change was cut off: the files that it had moved lie in " +
                                          (path_ / kStaging / "old").string() +
                                          ". Put back what you need, remove the folder and run it again");

  GROVE_TRY(const Fd grove_folder, open_below(fd_, ".grove", true));
  const auto clean_up = [&] { remove_below(grove_folder.get(), "staging"); };
  Writer writer(fd_);
  for (const auto& [path, content] : changes) {
    if (!content) continue;
    if (const auto written = writer.write(std::string(kStaging) + "/new/" + path, *content); !written) {
      clean_up();
      return nothing_changed(written.error());
    }
  }

  const Result<Fd> staging = open_below(fd_, kStaging, true);
  if (!staging) return nothing_changed(staging.error());
  std::vector<Move> moves;
  moves.reserve(changes.size());
  const auto old_name = [](const Move& move) { return "old/" + move.path; };
  const auto new_name = [](const Move& move) { return "new/" + move.path; };
  const auto undo = [&] {
    for (auto move = moves.rbegin(); move != moves.rend(); ++move) {
      if (move->had_old)
        ::renameat(staging->get(), old_name(*move).c_str(), move->folder.get(), move->name.c_str());
      else if (move->placed)
        ::unlinkat(move->folder.get(), move->name.c_str(), 0);
    }
    clean_up();
  };
  const auto one = [&](const std::string& path, bool is_write) -> Result<void> {
    GROVE_TRY(Fd folder, open_below(fd_, parent_of(path), is_write));
    GROVE_CHECK(open_below(staging->get(), parent_of("old/" + path), true));
    moves.push_back({std::move(folder), name_of(path), path});
    Move& move = moves.back();
    struct stat status{};
    if (::fstatat(move.folder.get(), move.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      if (!S_ISREG(status.st_mode)) return std::unexpected(link_error(path));
      if (::renameat(move.folder.get(), move.name.c_str(), staging->get(), old_name(move).c_str()) != 0)
        return fail_errno("replace " + path);
      move.had_old = true;
      if (is_write) ::fchmodat(staging->get(), new_name(move).c_str(), status.st_mode & 07777, 0);
    }
    if (is_write) {
      if (::renameat(staging->get(), new_name(move).c_str(), move.folder.get(), move.name.c_str()) != 0)
        return fail_errno("replace " + path);
      move.placed = true;
    }
    return {};
  };
  for (const auto& [path, content] : changes) {
    if (const auto done = one(path, content.has_value()); !done) {
      undo();
      return nothing_changed(done.error());
    }
  }
  clean_up();
  return {};
}

Result<void> check_free(const std::filesystem::path& parent, std::string_view name) {
  const auto path = parent / name;
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return fail_errno("look at " + path.string());
    std::error_code error;
    if (!std::filesystem::is_directory(parent, error))
      return fail(Errc::not_found, "there is no folder " + parent.string() + "; make it or choose another --directory");
    if (::access(parent.c_str(), W_OK | X_OK) != 0)
      return fail_errno("make " + path.string() + ": " + parent.string() + " can't be written");
    return {};
  }
  if (S_ISLNK(status.st_mode))
    return fail(Errc::already_exists, path.string() + " is a symbolic link; choose another name or --directory");
  if (!S_ISDIR(status.st_mode))
    return fail(Errc::already_exists, path.string() + " is a file; choose another name or --directory");
  std::error_code error;
  if (std::filesystem::exists(path / "grove.lock", error))
    return fail(Errc::already_exists, path.string() +
                                          " is a Grove project already and stays as it is; in it, grove add brings "
                                          "more leaves and grove update newer ones");
  const bool empty = std::filesystem::is_empty(path, error);
  if (error) return fail_errno("look into " + path.string(), error.value());
  if (!empty)
    return fail(Errc::already_exists,
                "the folder " + path.string() + " isn't empty; choose another name or --directory");
  return {};
}

Result<void> write_folder(const std::filesystem::path& parent, std::string_view name, const Files& files) {
  for (const auto& [path, content] : files) GROVE_CHECK(check_relative(path));
  GROVE_CHECK(check_free(parent, name));
  const HoldSignals hold;
  const Fd at(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.get() < 0) return fail_errno("open the folder " + parent.string());
  const std::string temporary = "." + std::string(name) + ".new-" + std::to_string(::getpid());
  if (::mkdirat(at.get(), temporary.c_str(), 0777) != 0)
    return fail_errno("make a folder in " + parent.string() + ", nothing was written");
  const auto made = [&]() -> Result<void> {
    const Fd root(::openat(at.get(), temporary.c_str(), kOpenFolder));
    if (root.get() < 0) return fail_errno("open " + temporary);
    Writer writer(root.get());
    for (const auto& [path, content] : files) GROVE_CHECK(writer.write(path, content));
    // Onto an empty folder this is allowed; onto one that got something meanwhile it fails.
    if (::renameat(at.get(), temporary.c_str(), at.get(), std::string(name).c_str()) != 0)
      return fail_errno("make " + (parent / name).string());
    return {};
  }();
  if (made) return {};
  remove_below(at.get(), temporary.c_str());
  return nothing_changed(made.error());
}

}  // namespace grove::tool
