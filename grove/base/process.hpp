#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grove/base/error.hpp"

namespace grove {

struct ProcessOptions {
  std::string input;                                             ///< Given on standard input.
  std::filesystem::path directory;                               ///< Empty: the caller's.
  std::vector<std::pair<std::string, std::string>> environment;  ///< Added to, or replacing, the caller's.
  std::chrono::milliseconds timeout{0};                          ///< 0: none. After it the process group is killed.
  std::size_t output_limit = std::size_t{64} << 20;              ///< Bytes of each stream; beyond it: `limit`.
  bool merge_error = false;                                      ///< Standard error goes into `out`.
  bool pass_through = false;                                     ///< Output goes to the caller's own streams.
  std::function<void(std::string_view)> on_line;                 ///< Each complete line of `out` as it comes.
};

struct ProcessOutput {
  int status = 0;  ///< Exit code, or 128 + signal.
  std::string out;
  std::string err;
};

/// Runs a program (looked up in PATH; no shell) to its end. Blocks. A program
/// that runs and fails is not an Error: look at `status`. `not_found` when
/// there is no such program, `timeout` when it was killed for taking too long.
Result<ProcessOutput> run_process(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

/// Starts a program in a process group of its own, with standard input empty
/// and both output streams appended to a file. The caller reaps it.
Result<pid_t> spawn_process(const std::vector<std::string>& arguments,
                            const std::vector<std::pair<std::string, std::string>>& environment,
                            const std::filesystem::path& output);

/// The first executable of that name in PATH.
std::optional<std::filesystem::path> find_program(std::string_view name);

/// A fresh directory below the system's temporary directory, removed with all
/// it holds when this object goes, or when the process dies in any way.
class TempDir {
 public:
  static Result<TempDir> make(std::string_view prefix = "grove");
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})), guard_(std::exchange(other.guard_, -1)) {}
  TempDir& operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(guard_, other.guard_);
    return *this;
  }
  ~TempDir();
  const std::filesystem::path& path() const noexcept { return path_; }

  /// The guard process (see below) will also kill this process group.
  void guard(pid_t group) const;

 private:
  TempDir() = default;
  std::filesystem::path path_;
  int guard_ = -1;  ///< Write end of a pipe to a shell that waits for it to close, then cleans up.
};

/// Whole-file helpers. `write_file` replaces the file atomically (write beside
/// it, fsync, rename), so a reader sees the old or the new content.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit = std::size_t{1} << 30);
Result<void> write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace grove
