#include "grove/base/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

extern char** environ;

namespace grove {
namespace {

using Clock = std::chrono::steady_clock;

class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { close(); }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<std::array<Fd, 2>> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("make a pipe");
  return std::array<Fd, 2>{Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& change : changes) replaced = replaced || change.first == name;
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : changes) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& s : strings) result.push_back(const_cast<char*>(s.c_str()));
  result.push_back(nullptr);
  return result;
}

/// posix_spawn's two attribute objects, destroyed in the right order.
struct SpawnSetup {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // A process group of its own, so that a kill reaches what it started too;
    // default signal handling, whatever the caller has changed.
    sigset_t all;
    sigfillset(&all);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  Result<pid_t> spawn(const std::vector<std::string>& arguments,
                      const std::vector<std::pair<std::string, std::string>>& environment) const {
    if (arguments.empty()) return fail(Errc::invalid_argument, "run a program: no name was given");
    const auto program = find_program(arguments.front());
    if (!program) return fail(Errc::not_found, "run " + arguments.front() + ": no such program in PATH");
    const auto variables = merged_environment(environment);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, program->c_str(), &actions, &attributes, pointers(arguments).data(),
                                    pointers(variables).data());
    if (error != 0) return fail_errno("run " + arguments.front(), error);
    return pid;
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/// Hands the complete lines that `out` holds beyond `*seen` to the callback.
void report_lines(const std::string& out, std::size_t* seen, const std::function<void(std::string_view)>& on_line) {
  for (std::size_t end = 0; (end = out.find('\n', *seen)) != std::string::npos; *seen = end + 1)
    on_line(std::string_view(out).substr(*seen, end - *seen));
}

}  // namespace

std::optional<std::filesystem::path> find_program(std::string_view name) {
  const auto executable = [](const std::filesystem::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string_view::npos) {
    const std::filesystem::path path(name);
    return executable(path) ? std::optional(path) : std::nullopt;
  }
  const char* variable = std::getenv("PATH");
  std::string_view rest = variable != nullptr ? variable : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const auto path = std::filesystem::path(rest.substr(0, colon)) / name;
    if (executable(path)) return path;
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return std::nullopt;
}

Result<pid_t> spawn_process(const std::vector<std::string>& arguments,
                            const std::vector<std::pair<std::string, std::string>>& environment,
                            const std::filesystem::path& output) {
  SpawnSetup setup;
  posix_spawn_file_actions_addopen(&setup.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&setup.actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&setup.actions, 1, 2);
  return setup.spawn(arguments, environment);
}

Result<ProcessOutput> run_process(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  GROVE_TRY(auto in, make_pipe());
  GROVE_TRY(auto out, make_pipe());
  GROVE_TRY(auto err, make_pipe());
  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, in[0].get(), 0);
  if (!options.pass_through) {
    posix_spawn_file_actions_adddup2(&setup.actions, out[1].get(), 1);
    posix_spawn_file_actions_adddup2(&setup.actions, options.merge_error ? out[1].get() : err[1].get(), 2);
  }
  if (!options.directory.empty()) posix_spawn_file_actions_addchdir_np(&setup.actions, options.directory.c_str());

  GROVE_TRY(const pid_t pid, setup.spawn(arguments, options.environment));
  const std::string& name = arguments.front();
  in[0].close();
  out[1].close();
  err[1].close();

  ProcessOutput output;
  const auto deadline = options.timeout.count() > 0 ? Clock::now() + options.timeout : Clock::time_point::max();
  const auto kill_and_reap = [pid] {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  };
  std::size_t input_sent = 0;
  std::size_t lines_seen = 0;
  if (options.input.empty()) in[1].close();
  ::fcntl(in[1].get(), F_SETFL, O_NONBLOCK);
  // The write below must give EPIPE, not kill the caller.
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction before{};
  ::sigaction(SIGPIPE, &ignore, &before);
  struct Restore {
    struct sigaction* action;
    ~Restore() { ::sigaction(SIGPIPE, action, nullptr); }
  } restore{&before};

  while (out[0].get() >= 0 || err[0].get() >= 0) {
    std::array<pollfd, 3> polled{{{out[0].get(), POLLIN, 0}, {err[0].get(), POLLIN, 0}, {in[1].get(), POLLOUT, 0}}};
    int wait = -1;
    if (deadline != Clock::time_point::max()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) {
        kill_and_reap();
        return fail(Errc::timeout, "run " + name + ": killed after " + std::to_string(options.timeout.count()) + " ms");
      }
      wait = static_cast<int>(std::min<long long>(left, 1'000'000));
    }
    if (::poll(polled.data(), polled.size(), wait) < 0) {
      if (errno == EINTR) continue;
      kill_and_reap();
      return fail_errno("wait for " + name);
    }
    const std::array<std::pair<Fd*, std::string*>, 2> streams{{{&out[0], &output.out}, {&err[0], &output.err}}};
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (polled[i].revents == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t n = ::read(polled[i].fd, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        streams[i].first->close();
        continue;
      }
      streams[i].second->append(buffer.data(), static_cast<std::size_t>(n));
      if (streams[i].second->size() > options.output_limit) {
        kill_and_reap();
        return fail(Errc::limit,
                    "run " + name + ": it wrote more than " + std::to_string(options.output_limit) + " bytes");
      }
    }
    if (options.on_line) report_lines(output.out, &lines_seen, options.on_line);
    if (polled[2].revents != 0) {
      const ssize_t n = ::write(in[1].get(), options.input.data() + input_sent, options.input.size() - input_sent);
      if (n > 0) input_sent += static_cast<std::size_t>(n);
      // A program may stop reading before we stop writing; that is its choice.
      if ((n < 0 && errno != EAGAIN && errno != EINTR) || input_sent == options.input.size()) in[1].close();
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for " + name);
  output.status = exit_status(status);
  return output;
}

Result<TempDir> TempDir::make(std::string_view prefix) {
  std::error_code ignored;
  auto base = std::filesystem::temp_directory_path(ignored);
  if (base.empty()) base = "/tmp";
  std::string path = (base / prefix).string() + "-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno("make a directory like " + path);
  TempDir made;
  made.path_ = path;

  // The guard: a shell that reads process groups, one a line, until the pipe
  // closes (which the kernel does however we end), then kills and removes.
  GROVE_TRY(auto pipe, make_pipe());
  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, pipe[0].get(), 0);
  posix_spawn_file_actions_addopen(&setup.actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&setup.actions, 2, "/dev/null", O_WRONLY, 0);
  const std::vector<std::string> arguments{
      "sh", "-c",
      "trap '' HUP INT TERM; groups=; while read -r g; do groups=\"$groups -$g\"; done; "
      "for g in $groups; do kill -s KILL -- \"$g\"; done; rm -rf -- \"$1\"",
      "grove-guard", path};
  if (const auto guard = setup.spawn(arguments, {}); !guard) {
    ::rmdir(path.c_str());
    return std::unexpected(guard.error());
  }
  made.guard_ = pipe[1].release();
  return made;
}

void TempDir::guard(pid_t group) const {
  const std::string line = std::to_string(group) + "\n";
  [[maybe_unused]] const auto n = ::write(guard_, line.data(), line.size());
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  if (guard_ >= 0) ::close(guard_);
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail_errno("open " + path.string());
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno("stat " + path.string());
  if (S_ISDIR(status.st_mode)) return fail(Errc::io, "read " + path.string() + ": it is a directory");
  std::string content;
  content.resize(std::min(limit, static_cast<std::size_t>(status.st_size)) + 1);
  std::size_t used = 0;
  while (true) {  // the size is a hint: /proc says 0, a growing file says less
    if (used == content.size()) content.resize(used * 2);
    const ssize_t n = ::read(file.get(), content.data() + used, content.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path.string());
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
    if (used > limit)
      return fail(Errc::limit, "read " + path.string() + ": larger than " + std::to_string(limit) + " bytes");
  }
  content.resize(used);
  return content;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view content) {
  const std::string temporary = path.string() + ".new";
  const auto fail_and_remove = [&](std::string_view what) {
    const int number = errno;
    ::unlink(temporary.c_str());
    return fail_errno(std::string(what) + " " + path.string(), number);
  };
  Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return fail_errno("create " + temporary);
  for (std::string_view rest = content; !rest.empty();) {
    const ssize_t n = ::write(file.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_and_remove("write");
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(file.get()) != 0 && errno != EINVAL) return fail_and_remove("write");
  file.close();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_and_remove("replace");
  return {};
}

}  // namespace grove
