#include "grove/systems/common/rig.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace grove::sys {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
constexpr std::string_view kProgram = "qemu-system-x86_64";
constexpr std::string_view kPrompt = "(qemu) ";

int left_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000));
}

Result<int> listen_at(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) return fail(Errc::invalid_argument, "socket path too long: " + text);
  std::copy(text.begin(), text.end(), address.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail_errno("make a socket");
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 1) != 0) {
    const int number = errno;
    ::close(fd);
    return fail_errno("listen at " + text, number);
  }
  return fd;
}

Result<void> send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail_errno("write to QEMU");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

}  // namespace

Result<void> Rig::Stream::fill(Clock::time_point deadline) {
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, left_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno("wait for QEMU");
    if (ready == 0) return fail(Errc::timeout, "QEMU said nothing in time");
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Errc::closed, "the machine has ended");
    pending.append(buffer.data(), static_cast<std::size_t>(got));
    return {};
  }
}

Result<Rig> Rig::start(const RigOptions& options) {
  if (!find_program(kProgram))
    return fail(Errc::not_found, std::string(kProgram) + " is missing: apt-get install qemu-system-x86");
  if (options.memory_bytes == 0 || options.memory_bytes % 4096 != 0 || options.memory_bytes >= 0xb000'0000)
    return fail(Errc::invalid_argument, "a rig's memory is whole pages, less than 2.75 GiB");
  GROVE_TRY(auto directory, TempDir::make("grove-rig"));
  Rig rig(std::move(directory));
  GROVE_CHECK(rig.launch(options));
  return rig;
}

Result<void> Rig::launch(const RigOptions& options) {
  const auto& folder = directory_.path();
  const auto ram = folder / "ram";
  const int file = ::open(ram.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(options.memory_bytes)) != 0) {
    const int number = errno;
    if (file >= 0) ::close(file);
    return fail_errno("make the guest's memory", number);
  }
  void* const mapped = ::mmap(nullptr, options.memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int number = errno;
  ::close(file);
  if (mapped == MAP_FAILED) return fail_errno("map the guest's memory", number);
  memory_ = {static_cast<std::byte*>(mapped), options.memory_bytes};

  struct Listener {
    int fd;
    ~Listener() { ::close(fd); }
  };
  GROVE_TRY(const int serial, listen_at(folder / "serial"));
  const Listener serial_listener{serial};
  GROVE_TRY(const int control, listen_at(folder / "monitor"));
  const Listener control_listener{control};

  const std::string bytes = std::to_string(options.memory_bytes) + "B";
  std::vector<std::string> command{std::string(kProgram),
                                   "-M",
                                   "q35,memory-backend=ram",
                                   "-accel",
                                   "tcg",
                                   "-nodefaults",
                                   "-no-reboot",
                                   "-display",
                                   "none",
                                   "-cpu",
                                   options.cpu,
                                   "-m",
                                   bytes,
                                   "-object",
                                   "memory-backend-file,id=ram,share=on,size=" + bytes + ",mem-path=" + ram.string(),
                                   "-smp",
                                   std::to_string(options.processors),
                                   "-chardev",
                                   "socket,id=serial,path=" + (folder / "serial").string(),
                                   "-serial",
                                   "chardev:serial",
                                   "-chardev",
                                   "socket,id=monitor,path=" + (folder / "monitor").string(),
                                   "-mon",
                                   "chardev=monitor,mode=readline",
                                   "-device",
                                   "isa-debug-exit,iobase=0xf4,iosize=4",
                                   "-kernel",
                                   options.kernel.string()};
  if (!options.command_line.empty()) command.insert(command.end(), {"-append", options.command_line});
  if (options.instruction_clock) command.insert(command.end(), {"-icount", "shift=0"});
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  GROVE_TRY(pid_, spawn_process(command, {}, folder / "log"));
  directory_.guard(pid_);
  GROVE_TRY(serial_.fd, accept_from(serial));
  GROVE_TRY(monitor_.fd, accept_from(control));
  const auto deadline = Clock::now() + 20s;
  while (monitor_.pending.find(kPrompt) == std::string::npos) GROVE_CHECK(monitor_.fill(deadline));
  monitor_.pending.clear();
  // It prompts before it has read all of its command line, and answers after.
  if (!monitor("info status")) return fail(Errc::unavailable, "QEMU did not start: " + log());
  return {};
}

Result<int> Rig::accept_from(int listener) {
  const auto deadline = Clock::now() + 20s;
  while (Clock::now() < deadline) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 50) == 1) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return fail_errno("accept QEMU's connection");
      return fd;
    }
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return fail(Errc::unavailable, "QEMU did not start: " + log());
    }
  }
  return fail(Errc::unavailable, "QEMU did not connect in time: " + log());
}

std::string Rig::log() const { return read_file(directory_.path() / "log").value_or(std::string()); }

Rig::Rig(Rig&& other) noexcept
    : directory_(std::move(other.directory_)),
      pid_(std::exchange(other.pid_, -1)),
      serial_(std::exchange(other.serial_, {})),
      monitor_(std::exchange(other.monitor_, {})),
      memory_(std::exchange(other.memory_, {})),
      transcript_(std::move(other.transcript_)) {}

Rig::~Rig() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {serial_.fd, monitor_.fd})
    if (fd >= 0) ::close(fd);
  if (!memory_.empty()) ::munmap(memory_.data(), memory_.size());
}

Result<std::string> Rig::line(Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  std::size_t end;
  while ((end = serial_.pending.find('\n')) == std::string::npos)
    if (auto filled = serial_.fill(deadline); !filled)
      return std::unexpected(std::move(filled.error()).with("the kernel's next line, after: " + transcript_ + log()));
  std::string text = serial_.pending.substr(0, end);
  serial_.pending.erase(0, end + 1);
  if (!text.empty() && text.back() == '\r') text.pop_back();
  transcript_ += text + '\n';
  return text;
}

Result<void> Rig::send(std::string_view text) { return send_all(serial_.fd, text); }

Result<std::string> Rig::monitor(std::string_view command, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  GROVE_CHECK(send_all(monitor_.fd, std::string(command) + "\n"));
  // The monitor echoes the command with cursor movements, then answers, then prompts.
  std::string& text = monitor_.pending;
  std::size_t end = std::string::npos;
  std::size_t start = std::string::npos;
  for (;;) {
    start = text.find('\n');
    if (start != std::string::npos && text.size() >= start + 1 + kPrompt.size() && text.ends_with(kPrompt)) {
      end = text.size() - kPrompt.size();
      break;
    }
    GROVE_CHECK(monitor_.fill(deadline));
  }
  std::string answer = text.substr(start + 1, end - start - 1);
  text.clear();
  std::erase(answer, '\r');
  return answer;
}

Result<int> Rig::wait(Milliseconds limit) {
  if (pid_ < 0) return fail(Errc::closed, "the machine has ended before");
  const auto deadline = Clock::now() + limit;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) return fail(Errc::timeout, "the kernel did not end in time, after: " + transcript_);
    std::this_thread::sleep_for(2ms);
  }
  pid_ = -1;
  // isa-debug-exit makes (value << 1) | 1 of what the kernel wrote.
  if (WIFEXITED(status) && (WEXITSTATUS(status) & 1) != 0) return WEXITSTATUS(status) >> 1;
  return fail(Errc::protocol,
              "the machine went without guest::exit(), as after a triple fault: " + transcript_ + log());
}

}  // namespace grove::sys
