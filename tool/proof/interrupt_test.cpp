#include "tool/proof/interrupt.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "grove/base/process.hpp"
#include "grove/base/test/test.hpp"

using namespace grove;
using namespace std::chrono_literals;

namespace {
bool runs(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat && stat->find(") Z") == std::string::npos;
}
}  // namespace

TEST_CASE("an interrupt ends the program and all that it started, in other process groups too") {
  const auto folder = TempDir::make("interrupt").value();
  const auto pids = folder.path() / "pids";
  const pid_t program = ::fork();
  if (program == 0) {
    const tool::InterruptGuard guard;
    // A child, one that ignores SIGTERM, and an orphan in a session of its own.
    (void)tool::run_child({"sh", "-c",
                           "setsid sh -c 'echo $$ >>\"$1\"; exec sleep 60' x \"$1\" & "
                           "sh -c 'trap \"\" TERM; echo $$ >>\"$1\"; sleep 60; sleep 60' x \"$1\" & "
                           "echo $$ >>\"$1\"; sleep 60",
                           "sh", pids.string()});
    ::_exit(1);
  }
  std::vector<pid_t> started;
  for (int i = 0; i < 500 && started.size() < 3; ++i) {
    std::this_thread::sleep_for(10ms);
    started.clear();
    const auto text = read_file(pids);
    for (std::size_t at = 0; text && at < text->size(); at = text->find('\n', at) + 1)
      started.push_back(std::stoi(text->substr(at)));
  }
  REQUIRE(started.size() == 3);
  ::kill(program, SIGINT);
  int status = 0;
  REQUIRE(::waitpid(program, &status, 0) == program);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 130);
  for (const pid_t pid : started) CHECK(!runs(pid));
}

TEST_CASE("the guard leaves the program as it found it") {
  {
    const tool::InterruptGuard guard;
  }
  {
    const tool::InterruptGuard again;
  }
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  CHECK(sigismember(&blocked, SIGINT) == 0);
}
