#include "tool/proof/interrupt.hpp"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace grove::tool {
namespace {

using namespace std::chrono_literals;

std::atomic<bool> interrupted = false;

/// What ends the waiter itself.
constexpr int kQuit = SIGUSR2;

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, kQuit}) sigaddset(&set, number);
  return set;
}

/// Every running process below this one, from /proc; zombies don't count.
std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* entry = ::readdir(folder)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 0) continue;
    const auto stat = read_file(std::string("/proc/") + entry->d_name + "/stat");
    if (!stat) continue;
    // "pid (name) state parent …"; the name may hold anything, parentheses too.
    const std::size_t name_end = stat->rfind(')');
    if (name_end == std::string::npos || name_end + 4 >= stat->size() || (*stat)[name_end + 2] == 'Z') continue;
    children.emplace(static_cast<pid_t>(std::strtol(stat->c_str() + name_end + 4, nullptr, 10)), pid);
  }
  ::closedir(folder);
  std::vector<pid_t> found{::getpid()};
  for (std::size_t i = 0; i < found.size(); ++i)
    for (auto [at, end] = children.equal_range(found[i]); at != end; ++at) found.push_back(at->second);
  found.erase(found.begin());
  return found;
}

/// SIGTERM first, so that each can clean up after itself (a TempDir's guard
/// ignores it and ends once it has removed the folder), then SIGKILL.
void end_descendants() {
  for (const pid_t pid : descendants()) ::kill(pid, SIGTERM);
  const auto patience = std::chrono::steady_clock::now() + 3s;
  while (true) {
    const auto left = descendants();
    if (left.empty()) return;
    if (std::chrono::steady_clock::now() > patience)
      for (const pid_t pid : left) ::kill(pid, SIGKILL);
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  // Orphans become ours, so that nothing escapes by a double fork.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const sigset_t signals = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::thread([signals] {
    int number = 0;
    if (::sigwait(&signals, &number) != 0 || number == kQuit) return;
    interrupted = true;
    end_descendants();
    std::fputs("\ninterrupted\n", stderr);
    std::_Exit(128 + number);
  });
}

InterruptGuard::~InterruptGuard() {
  ::pthread_kill(waiter_.native_handle(), kQuit);
  waiter_.join();
  const sigset_t signals = handled_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

Result<ProcessOutput> run_child(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  auto output = run_process(arguments, options);
  while (interrupted) std::this_thread::sleep_for(1s);  // the waiter ends the program
  return output;
}

}  // namespace grove::tool
