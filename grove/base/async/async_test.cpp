#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "grove/base/async/event.hpp"
#include "grove/base/async/loop.hpp"
#include "grove/base/async/queue.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/test/test.hpp"

using namespace grove;
using namespace std::chrono_literals;

namespace {

Task<int> answer() { co_return 42; }
Task<int> throwing() {
  throw std::runtime_error("boom");
  co_return 0;
}
Task<long> deep(int depth) {
  if (depth == 0) co_return 0;
  const long below = co_await deep(depth - 1);
  co_return below + 1;
}

}  // namespace

TEST_CASE("a task gives its value to the loop") {
  Loop loop;
  CHECK(loop.run(answer()) == 42);
}

TEST_CASE("an exception of a task is thrown by run") {
  Loop loop;
  CHECK_THROWS_WITH(loop.run(throwing()), "boom");
}

TEST_CASE("tasks that are never awaited free their frames") {
  const auto unused = answer();
  Loop loop;
  CHECK(loop.run(deep(1000)) == 1000);
}

TEST_CASE("a sleep ends early when the loop is asked to stop from another thread") {
  Loop loop;
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    loop.request_stop();
  });
  const Result<void> slept = loop.run(sleep_for(1h));
  other.join();
  REQUIRE_FALSE(slept);
  CHECK(slept.error().code() == Errc::cancelled);
}

TEST_CASE("with_timeout stops the work, waits for it, and says timeout") {
  Loop loop;
  bool cleaned_up = false;
  const auto work = [&]() -> Task<Result<int>> {
    const Result<void> slept = co_await sleep_for(1h);
    cleaned_up = true;
    if (!slept) co_return std::unexpected(slept.error());
    co_return 1;
  };
  const Result<int> result = loop.run(with_timeout(10ms, work()));
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::timeout);
  CHECK(cleaned_up);
}

TEST_CASE("with_timeout keeps a result that is there in time") {
  Loop loop;
  const auto work = []() -> Task<Result<int>> {
    const Result<void> slept = co_await sleep_for(1ms);
    GROVE_CO_CHECK(slept);
    co_return 7;
  };
  CHECK(loop.run(with_timeout(1h, work())) == 7);
}

TEST_CASE("the nearest deadline is the one a task sees") {
  Loop loop;
  const auto work = []() -> Task<Result<void>> { co_return co_await with_timeout(1h, sleep_for(1h)); };
  const Result<void> result = loop.run(with_timeout(10ms, work()));
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::timeout);
}

TEST_CASE("many deadlines at once: each is kept, in any order, given up or passed, also after an earlier one is gone") {
  Loop loop;
  int timeouts = 0;
  int kept = 0;
  loop.run(with_scope([&](Scope& scope) -> Task<void> {
    for (int i = 0; i < 200; ++i)
      scope.spawn([](int n, int& late, int& fine) -> Task<void> {
        // Odd ones are done long before their deadline, even ones never.
        const std::chrono::milliseconds work = n % 2 == 0 ? std::chrono::milliseconds(1h) : 1ms;
        const Result<void> r = co_await with_timeout(std::chrono::milliseconds(5 + n * 7 % 40), sleep_for(work));
        late += !r && r.error() == Errc::timeout;
        fine += r.has_value();
      }(i, timeouts, kept));
    co_return;
  }));
  CHECK(timeouts >= 100);
  CHECK(timeouts + kept == 200);
  const Result<void> forever = loop.run(with_deadline(std::chrono::steady_clock::time_point::max(), sleep_for(1ms)));
  CHECK(forever);
}

TEST_CASE("tasks that keep one another busy don't starve timers and sockets") {
  Loop loop;
  const auto busy = []() -> Task<Result<void>> {
    const Context& context = co_await current_context();
    while (!context.stop->stopped()) co_await yield_now();
    co_return fail(Errc::cancelled, "stopped");
  };
  const Result<void> result = loop.run(with_timeout(5ms, busy()));
  CHECK_FAILS(result, Errc::timeout);
}

TEST_CASE("a scope waits for all its children") {
  Loop loop;
  int done = 0;
  loop.run(with_scope([&](Scope& scope) -> Task<void> {
    for (int i = 0; i < 10; ++i)
      scope.spawn([](int& count, int ms) -> Task<void> {
        (void)co_await sleep_for(std::chrono::milliseconds(ms));
        ++count;
      }(done, i));
    co_return;
  }));
  CHECK(done == 10);
}

TEST_CASE("an error of the body stops the children before it is returned") {
  Loop loop;
  bool stopped = false;
  const Result<void> result = loop.run(with_scope([&](Scope& scope) -> Task<Result<void>> {
    scope.spawn([](bool& flag) -> Task<void> { flag = !co_await sleep_for(1h); }(stopped));
    co_return fail(Errc::parse, "no");
  }));
  REQUIRE_FALSE(result);
  CHECK(result.error().message() == "no");
  CHECK(stopped);
}

TEST_CASE("an exception of one child stops its siblings and is thrown") {
  Loop loop;
  bool stopped = false;
  const auto both = with_scope([&](Scope& scope) -> Task<void> {
    scope.spawn([](bool& flag) -> Task<void> { flag = !co_await sleep_for(1h); }(stopped));
    scope.spawn([]() -> Task<void> {
      (void)co_await sleep_for(1ms);
      throw std::runtime_error("child");
    }());
    co_return;
  });
  CHECK_THROWS_WITH(loop.run(const_cast<Task<void>&&>(both)), "child");
  CHECK(stopped);
}

TEST_CASE("an event wakes every waiter, and a stop wakes one that waits in vain") {
  Loop loop;
  Event event;
  int woken = 0;
  const Result<void> result = loop.run(with_scope([&](Scope& scope) -> Task<Result<void>> {
    for (int i = 0; i < 3; ++i)
      scope.spawn([](Event& e, int& count) -> Task<void> {
        if (co_await e.wait()) ++count;
      }(event, woken));
    (void)co_await sleep_for(1ms);
    event.set();
    co_await yield_now();
    event.reset();
    co_return co_await with_timeout(5ms, [](Event& e) -> Task<Result<void>> { co_return co_await e.wait(); }(event));
  }));
  CHECK(woken == 3);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::timeout);
}

TEST_CASE("a socket echoes through the resume token, and a read is cancelled by a stop") {
  using boost::asio::ip::tcp;
  Loop loop;
  tcp::acceptor acceptor(loop.io(), {boost::asio::ip::address_v4::loopback(), 0});
  std::string got;
  Result<std::size_t> cancelled = std::size_t{0};
  loop.run(with_scope([&](Scope& scope) -> Task<void> {
    scope.spawn([](tcp::acceptor& listening) -> Task<void> {
      Result<tcp::socket> socket = co_await listening.async_accept(resume);
      REQUIRE(socket);
      std::string buffer(16, '\0');
      const Result<std::size_t> n = co_await socket->async_read_some(boost::asio::buffer(buffer), resume);
      REQUIRE(n);
      (void)co_await boost::asio::async_write(*socket, boost::asio::buffer(buffer, *n), resume);
      (void)co_await sleep_for(1h);
    }(acceptor));
    tcp::socket client(loop.io());
    REQUIRE(co_await client.async_connect(acceptor.local_endpoint(), resume));
    REQUIRE(co_await boost::asio::async_write(client, boost::asio::buffer("ping", 4), resume));
    std::string buffer(16, '\0');
    const Result<std::size_t> n = co_await client.async_read_some(boost::asio::buffer(buffer), resume);
    REQUIRE(n);
    got = buffer.substr(0, *n);
    cancelled = co_await with_timeout(5ms, [](tcp::socket& s, std::string& b) -> Task<Result<std::size_t>> {
      co_return co_await s.async_read_some(boost::asio::buffer(b), resume);
    }(client, buffer));
    scope.cancel();
  }));
  CHECK(got == "ping");
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().code() == Errc::timeout);
}

TEST_CASE("a loop that is destroyed first destroys what is suspended in it") {
  bool destroyed = false;
  struct Flag {
    bool& flag;
    ~Flag() { flag = true; }
  };
  {
    Loop loop;
    loop.spawn([](bool& d) -> Task<void> {
      const Flag flag{d};
      (void)co_await sleep_for(1h);
    }(destroyed));
    CHECK(loop.run(answer()) == 42);
    CHECK_FALSE(destroyed);
  }
  CHECK(destroyed);
}

TEST_CASE("many posts from many threads all run") {
  Loop loop;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) loop.post([&] { ++count; });
    });
  loop.run([](int& n) -> Task<void> {
    while (n < 4000) (void)co_await sleep_for(1ms);
  }(count));
  for (auto& thread : threads) thread.join();
  CHECK(count == 4000);
}

TEST_CASE("a queue serves its waiters in the order in which they came, and closes after its backlog") {
  Loop loop;
  Queue<int> queue;
  std::vector<int> got;
  loop.run(with_scope([&](Scope& scope) -> Task<void> {
    for (int i = 0; i < 3; ++i)
      scope.spawn([](Queue<int>& q, std::vector<int>& out, int who) -> Task<void> {
        const Result<int> value = co_await q.pop();
        if (value) out.push_back(10 * who + *value);
      }(queue, got, i));
    CHECK(queue.push(1));
    CHECK(queue.push(2));
    CHECK(queue.push(3));
    CHECK_FALSE(queue.push(4));
    queue.close({Errc::closed, "over"});
    queue.close({Errc::internal, "too late"});
    CHECK_FALSE(queue.push(5));
    const Result<int> stored = co_await queue.pop();
    CHECK(stored == 4);
    const Result<int> none = co_await queue.pop();
    CHECK_FAILS(none, Errc::closed);
  }));
  CHECK(got == std::vector<int>{1, 12, 23});
}

TEST_CASE("a queue's value that was handed over survives a stop, and a stop ends a wait") {
  Loop loop;
  Queue<int> queue;
  Result<int> handed = 0;
  Result<int> stopped = 0;
  loop.run(with_scope([&](Scope& scope) -> Task<void> {
    scope.spawn([](Queue<int>& q, Result<int>& out) -> Task<void> { out = co_await q.pop(); }(queue, handed));
    scope.spawn([](Queue<int>& q, Result<int>& out) -> Task<void> { out = co_await q.pop(); }(queue, stopped));
    queue.push(7);
    scope.cancel();
    co_return;
  }));
  CHECK(handed == 7);
  CHECK_FAILS(stopped, Errc::cancelled);
  CHECK_FALSE(queue.push(8));
  CHECK(queue.try_pop() == 8);
}

TEST_CASE("a task that waits for something that nobody will do is an error, not undefined behaviour") {
  Event never;
  Loop loop;
  const auto work = [&]() -> Task<int> {
    (void)co_await never.wait();
    co_return 1;
  };
  CHECK_THROWS_AS(loop.run(work()), std::logic_error);
}
