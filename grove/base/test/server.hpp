#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "grove/base/process.hpp"

namespace grove::test {

struct ServerOptions {
  /// Program and arguments; `{port}`, `{port1}` … `{port9}` (ephemeral loopback
  /// ports) and `{dir}` (its temporary folder) are replaced.
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> environment;
  std::chrono::milliseconds start_timeout{20'000};
  /// It is ready when `{port}` accepts a connection or, if this isn't empty,
  /// when its output holds this text.
  std::string ready_text;
};

/// A real server in a temporary folder of its own on ephemeral loopback ports.
/// It is killed and its folder removed when this object goes, or when the
/// process that holds it dies in any way (TempDir's guard). Not thread safe.
class Server {
 public:
  /// `not_found` when the program isn't installed; `unavailable`, with the end
  /// of its output, when it doesn't get ready.
  static Result<Server> start(ServerOptions options);
  Server(Server&& other) noexcept;
  Server& operator=(Server&&) = delete;
  ~Server();

  std::uint16_t port(std::size_t index = 0) const { return ports_.at(index); }
  const std::filesystem::path& directory() const noexcept { return directory_.path(); }
  pid_t pid() const noexcept { return pid_; }
  /// What it has printed so far, both streams.
  std::string log() const;

  void signal(int number) const;
  /// SIGTERM, then SIGKILL after a grace time; waits until it is gone.
  void stop();
  /// kill -9; waits until it is gone. Folder and ports stay.
  void kill();
  /// Starts it again with the same folder, ports and command.
  Result<void> restart();

 private:
  Server(ServerOptions options, TempDir directory) : options_(std::move(options)), directory_(std::move(directory)) {}
  Result<void> launch();
  bool wait_gone(std::chrono::milliseconds timeout);

  ServerOptions options_;
  TempDir directory_;
  std::vector<std::uint16_t> ports_;
  pid_t pid_ = -1;
};

/// A loopback TCP port that was free a moment ago.
Result<std::uint16_t> free_port();

}  // namespace grove::test
