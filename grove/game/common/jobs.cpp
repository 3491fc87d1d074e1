#include "grove/game/common/jobs.hpp"

#include <algorithm>

namespace grove::game {

namespace {
void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
// Frames hand out work every few microseconds, and a futex round trip costs as
// much as a small system: look around for a moment before sleeping.
constexpr int kSpins = 200;
}  // namespace

JobPool::JobPool(unsigned threads) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

JobPool::~JobPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  changed_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void JobPool::submit(Batch& batch) {
  if (batch.count_ != 0) push({&batch, nullptr, nullptr, 0});
}

void JobPool::submit(void (*run)(void* context), void* context) { push({nullptr, run, context, 0}); }

void JobPool::push(const Job& job) {
  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(job);
    waiting_.store(queue_.size(), std::memory_order_relaxed);
    notify = sleepers_ != 0;
  }
  if (notify) changed_.notify_all();
}

bool JobPool::claim(Batch* only, Job& job) {
  const std::lock_guard lock(mutex_);
  auto at = queue_.begin();
  if (only != nullptr) at = std::find_if(at, queue_.end(), [&](const Job& it) { return it.batch == only; });
  if (at == queue_.end()) return false;
  job = *at;
  if (job.batch != nullptr) {
    job.index = job.batch->next_++;
    if (job.batch->next_ != job.batch->count_) return true;
  }
  queue_.erase(at);
  waiting_.store(queue_.size(), std::memory_order_relaxed);
  return true;
}

void JobPool::run(const Job& job) {
  if (job.batch == nullptr) return job.call(job.context);
  job.batch->run_(job.batch->context_, job.index);
  // Once left_ is 0 the batch may be gone; only the pool is touched then.
  if (job.batch->left_.fetch_sub(1, std::memory_order_acq_rel) == 1) wake();
}

void JobPool::wake() {
  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    notify = sleepers_ != 0;
  }
  if (notify) changed_.notify_all();
}

template <class Ready>
void JobPool::rest(Ready ready) {
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return;
    pause();
  }
  std::unique_lock lock(mutex_);
  ++sleepers_;
  changed_.wait(lock, ready);
  --sleepers_;
}

void JobPool::wait(Batch& batch) {
  Job job{};
  while (claim(&batch, job)) run(job);
  const auto done = [&] { return batch.left_.load(std::memory_order_acquire) == 0; };
  if (!done()) rest(done);
}

void JobPool::help_until_zero(const std::atomic<std::size_t>& left) {
  const auto done = [&] { return left.load(std::memory_order_acquire) == 0; };
  Job job{};
  while (!done()) {
    if (claim(nullptr, job))
      run(job);
    else
      rest([&] { return done() || waiting_.load(std::memory_order_relaxed) != 0; });
  }
}

void JobPool::work() {
  const auto stop = [&] { return stop_.load(std::memory_order_relaxed); };
  Job job{};
  while (!stop()) {
    if (claim(nullptr, job))
      run(job);
    else
      rest([&] { return stop() || waiting_.load(std::memory_order_relaxed) != 0; });
  }
}

}  // namespace grove::game
