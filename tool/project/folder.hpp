#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::tool {

/// Text or bytes by path, relative to a project's folder; `/` between segments.
using Files = std::map<std::string, std::string>;

/// A path that may come from a file: it must be relative, and without empty
/// segments, "." or "..".
Result<void> check_relative(std::string_view path);

/// A folder that was opened once. Everything in it is reached segment by
/// segment from its descriptor, and a symbolic link on the way, the last
/// segment included, is an error: nothing is read or written outside, however
/// the folder is changed meanwhile.
class Folder {
 public:
  static Result<Folder> open(const std::filesystem::path& path);
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Nothing if there is no such file; an error for anything that is no plain file.
  Result<std::optional<std::string>> read(std::string_view path) const;

  /// Makes all changes or none: new content is written below .grove/staging
  /// first (so a full disk is noticed before anything is touched), then files
  /// change places by rename; on an error what was moved is moved back. An
  /// empty optional removes the file. Signals that end a program wait.
  Result<void> apply(const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) const;

 private:
  Folder(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::filesystem::path path_;
};

/// Whether `parent/name` can be made: nothing is there, or an empty folder.
Result<void> check_free(const std::filesystem::path& parent, std::string_view name);

/// Makes the folder `parent/name` with these files: written into a folder
/// beside it, which is then renamed, so that all of it is there or nothing.
Result<void> write_folder(const std::filesystem::path& parent, std::string_view name, const Files& files);

}  // namespace grove::tool
