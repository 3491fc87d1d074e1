#include "grove/base/test/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace grove::test {
namespace {

using namespace std::chrono_literals;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool open = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return open;
}

void replace_all(std::string* text, std::string_view from, const std::string& to) {
  for (std::size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size())
    text->replace(at, from.size(), to);
}

}  // namespace

Result<std::uint16_t> free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail_errno("make a socket");
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int number = errno;
  ::close(fd);
  if (!bound) return fail_errno("find a free port", number);
  return ntohs(address.sin_port);
}

Result<Server> Server::start(ServerOptions options) {
  if (options.command.empty()) return fail(Errc::invalid_argument, "start a server: no command");
  if (!find_program(options.command.front()))
    return fail(Errc::not_found, options.command.front() + " is not installed");
  Error last(Errc::internal);
  // Somebody may take the port between our look and the server's bind.
  for (int attempt = 0; attempt < 3; ++attempt) {
    GROVE_TRY(auto directory, TempDir::make("grove-server"));
    Server server(options, std::move(directory));
    for (int i = 0; i < 10; ++i) {
      GROVE_TRY(const std::uint16_t port, free_port());
      server.ports_.push_back(port);
    }
    const Result<void> launched = server.launch();
    if (launched) return server;
    last = launched.error();
    if (last.code() == Errc::timeout) break;  // slow, not unlucky
  }
  return std::unexpected(std::move(last));
}

Server::Server(Server&& other) noexcept
    : options_(std::move(other.options_)),
      directory_(std::move(other.directory_)),
      ports_(std::move(other.ports_)),
      pid_(std::exchange(other.pid_, -1)) {}

Server::~Server() { stop(); }

Result<void> Server::launch() {
  std::vector<std::string> command = options_.command;
  auto environment = options_.environment;
  const auto fill_in = [&](std::string& text) {
    replace_all(&text, "{dir}", directory_.path());
    replace_all(&text, "{port}", std::to_string(ports_[0]));
    for (std::size_t i = 1; i < ports_.size(); ++i)
      replace_all(&text, "{port" + std::to_string(i) + "}", std::to_string(ports_[i]));
  };
  std::for_each(command.begin(), command.end(), fill_in);
  for (auto& [name, value] : environment) fill_in(value);

  const std::size_t log_before = log().size();  // a restart appends
  GROVE_TRY(pid_, spawn_process(command, environment, directory_.path() / "server.log"));
  directory_.guard(pid_);

  const auto last_lines = [this] {
    const std::string text = log();
    return text.substr(text.size() > 2000 ? text.size() - 2000 : 0);
  };
  const auto deadline = std::chrono::steady_clock::now() + options_.start_timeout;
  for (auto pause = 1ms; std::chrono::steady_clock::now() < deadline; pause = std::min(pause * 2, 50ms)) {
    std::this_thread::sleep_for(pause);
    if (wait_gone(0ms)) return fail(Errc::unavailable, command.front() + " ended at once; it said:\n" + last_lines());
    if (options_.ready_text.empty()
            ? accepts(ports_[0])
            : log().find(options_.ready_text, std::min(log_before, log().size())) != std::string::npos)
      return {};
  }
  return fail(Errc::timeout, command.front() + " was not ready in time; it said:\n" + last_lines());
}

std::string Server::log() const { return read_file(directory_.path() / "server.log").value_or(""); }

void Server::signal(int number) const {
  if (pid_ > 0) ::kill(-pid_, number);
}

bool Server::wait_gone(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (pid_ > 0) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0)
      pid_ = -1;
    else if (std::chrono::steady_clock::now() >= deadline)
      return false;
    else
      std::this_thread::sleep_for(2ms);
  }
  return true;
}

void Server::stop() {
  signal(SIGTERM);
  if (!wait_gone(5s)) kill();
}

void Server::kill() {
  signal(SIGKILL);
  wait_gone(30s);
}

Result<void> Server::restart() {
  stop();
  return launch();
}

}  // namespace grove::test
