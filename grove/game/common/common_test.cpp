#include <algorithm>
#include <numeric>
#include <string_view>

#include "grove/base/test/test.hpp"
#include "grove/game/common/jobs.hpp"
#include "grove/game/common/state.hpp"

using namespace grove::game;

TEST_CASE("parallel_for visits every index once, whatever the grain and the threads") {
  for (const unsigned threads : {1u, 2u, 5u}) {
    JobPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const std::size_t count : {0u, 1u, 7u, 1000u}) {
      for (const std::size_t grain : {0u, 1u, 3u, 64u, 5000u}) {
        std::vector<int> seen(count, 0);
        pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
          for (auto i = begin; i < end; ++i) ++seen[i];
        });
        CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
      }
    }
  }
}

TEST_CASE("loops nest and don't deadlock") {
  JobPool pool(3);
  std::atomic<int> sum = 0;
  for (int round = 0; round < 50; ++round) {
    pool.parallel_for(8, 1, [&](std::size_t, std::size_t) {
      pool.parallel_for(16, 1, [&](std::size_t begin, std::size_t end) { sum += static_cast<int>(end - begin); });
    });
  }
  CHECK(sum == 50 * 8 * 16);
}

namespace {
struct Countdown {
  JobPool& pool;
  std::atomic<std::size_t> unsubmitted, left;
  static void step(void* context) {
    auto& it = *static_cast<Countdown*>(context);
    for (int i = 0; i < 2; ++i) {
      auto more = it.unsubmitted.load();
      while (more > 0 && !it.unsubmitted.compare_exchange_weak(more, more - 1)) continue;
      if (more > 0) it.pool.submit(step, context);
    }
    if (it.left.fetch_sub(1) == 1) it.pool.wake();
  }
};
}  // namespace

TEST_CASE("calls that submit further calls all run before help_until_zero returns") {
  for (const unsigned threads : {1u, 4u}) {
    JobPool pool(threads);
    Countdown countdown{pool, 299, 300};
    pool.submit(Countdown::step, &countdown);
    pool.help_until_zero(countdown.left);
    CHECK(countdown.left == 0);
    CHECK(countdown.unsubmitted == 0);
  }
}

TEST_CASE("a pool that is destroyed at once or after a rest joins its threads") {
  for (int i = 0; i < 20; ++i) JobPool pool(4);
  JobPool pool(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  int sum = 0;
  std::mutex mutex;
  pool.parallel_for(10, 1, [&](std::size_t begin, std::size_t) {
    const std::lock_guard lock(mutex);
    sum += static_cast<int>(begin);
  });
  CHECK(sum == 45);
}

TEST_CASE("xxh64 gives the reference values") {
  const auto hash = [](std::string_view text, std::uint64_t seed = 0) {
    return xxh64(std::as_bytes(std::span(text)), seed);
  };
  CHECK(hash("") == 0xef46db3751d8e999);
  CHECK(hash("a") == 0xd24ec4f1a98c6e5b);
  CHECK(hash("abc") == 0x44bc2cf5ad770999);
  CHECK(hash("abc", 1) != hash("abc"));
}

TEST_CASE("xxh64 depends on every byte at every length") {
  std::vector<std::byte> data(100);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37);
  for (std::size_t size = 1; size <= data.size(); ++size) {
    const auto part = std::span(data).first(size);
    const auto before = xxh64(part);
    for (auto& byte : part) {
      byte ^= std::byte{1};
      CHECK(xxh64(part) != before);
      byte ^= std::byte{1};
    }
  }
}
