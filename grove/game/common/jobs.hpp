#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace grove::game {

/// Threads that share loops and tasks. The thread that waits works too, so a
/// pool of one thread starts none and runs everything in the caller. Thread
/// safe; a job may submit and wait for further jobs. Work must not throw.
class JobPool {
 public:
  /// `count` calls of run(context, i). Whoever submits it keeps it alive until
  /// `wait` has returned.
  class Batch {
   public:
    using Run = void (*)(void* context, std::size_t index);
    Batch(Run run, void* context, std::size_t count) noexcept
        : run_(run), context_(context), count_(count), left_(count) {}
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

   private:
    friend class JobPool;
    Run run_;
    void* context_;
    std::size_t count_;
    std::size_t next_ = 0;  ///< Guarded by the pool's mutex.
    std::atomic<std::size_t> left_;
  };

  /// 0: as many threads as the machine has. The caller counts as one.
  explicit JobPool(unsigned threads = 0);
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  unsigned threads() const noexcept { return static_cast<unsigned>(workers_.size()) + 1; }

  /// body(begin, end) over [0, count) in pieces of at most `grain`, in any order
  /// and on any thread; returns when all are done.
  template <class Body>
  void parallel_for(std::size_t count, std::size_t grain, Body&& body) {
    if (grain == 0) grain = 1;
    if (count <= grain || workers_.empty()) {
      if (count != 0) body(std::size_t{0}, count);
      return;
    }
    struct Loop {
      std::remove_reference_t<Body>* body;
      std::size_t count, grain;
    } loop{&body, count, grain};
    Batch batch(
        [](void* context, std::size_t index) {
          const auto& it = *static_cast<Loop*>(context);
          const std::size_t begin = index * it.grain;
          (*it.body)(begin, it.count - begin < it.grain ? it.count : begin + it.grain);
        },
        &loop, (count - 1) / grain + 1);
    submit(batch);
    wait(batch);
  }

  /// Hands a batch to the threads and returns at once; `wait` must follow.
  void submit(Batch& batch);
  /// Hands one call to the threads and forgets it.
  void submit(void (*run)(void* context), void* context);
  /// Works on the batch, then waits for what other threads took of it.
  void wait(Batch& batch);
  /// Works on anything until `left` is 0; whoever makes it 0 calls `wake`.
  void help_until_zero(const std::atomic<std::size_t>& left);
  void wake();

 private:
  struct Job {  ///< An item of a batch, or (batch == nullptr) one call.
    Batch* batch;
    void (*call)(void*);
    void* context;
    std::size_t index;
  };
  void push(const Job& job);
  bool claim(Batch* only, Job& job);
  void run(const Job& job);
  void work();
  template <class Ready>
  void rest(Ready ready);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;                ///< Batches with unclaimed items, and calls.
  std::atomic<std::size_t> waiting_{0};  ///< How many: readable without the mutex.
  std::size_t sleepers_ = 0;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace grove::game
