#pragma once

#include <string>
#include <thread>
#include <vector>

#include "grove/base/process.hpp"

namespace grove::tool {

/// While one exists, SIGINT, SIGTERM and SIGHUP end this program only after
/// everything that it started, directly or not, has ended: children run in
/// process groups of their own, which a terminal's Ctrl-C doesn't reach. Make
/// it before other threads, at most one at a time, and start programs by
/// run_child(), so that none that an interrupt ended counts as one that failed.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

 private:
  std::thread waiter_;
};

/// run_process(), but doesn't return once an interrupt has come.
Result<ProcessOutput> run_child(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

}  // namespace grove::tool
