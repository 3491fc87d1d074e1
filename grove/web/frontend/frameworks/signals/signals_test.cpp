#include "grove/web/frontend/frameworks/signals/signals.hpp"

#include <map>
#include <string>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"

using namespace grove;
using namespace grove::signals;

TEST_CASE("an effect runs at once and after each change of what it read") {
  Graph graph;
  auto count = signal(graph, 1);
  auto twice = memo(graph, [=] { return count() * 2; });
  std::vector<int> seen;
  effect(graph, [&, twice] { seen.push_back(twice()); });
  CHECK(count.set(21).has_value());
  count.set(21);
  CHECK(seen == std::vector{2, 42});
}

TEST_CASE("a chain of 100 000 memos updates, reads from its top first and goes away without recursion") {
  Graph graph;
  auto head = signal(graph, 0);
  std::vector<Memo<int>> chain{memo(graph, [=] { return head() + 1; })};
  for (int i = 1; i < 100'000; ++i) chain.push_back(memo(graph, [last = chain.back()] { return last() + 1; }));
  CHECK(chain.back()() == 100'000);
  CHECK(!graph.take_fault());
  int seen = 0;
  int runs = 0;
  effect(graph, [&, top = chain.back()] { seen = top(), ++runs; });
  head.set(5);
  CHECK(seen == 100'005);
  CHECK(runs == 2);
  head.set(7);
  CHECK(chain.back()() == 100'007);
}

TEST_CASE("a diamond runs its end once and never sees half of a write") {
  Graph graph;
  auto a = signal(graph, 1);
  auto b = memo(graph, [=] { return a() + 1; });
  auto c = memo(graph, [=] { return a() * 10; });
  std::vector<std::pair<int, int>> seen;
  effect(graph, [&] { seen.emplace_back(b(), c()); });
  a.set(2);
  CHECK(seen == std::vector<std::pair<int, int>>{{2, 10}, {3, 20}});
}

TEST_CASE("what did not change in value wakes nobody") {
  Graph graph;
  auto a = signal(graph, 1);
  auto odd = memo(graph, [=] { return a() % 2; });
  int runs = 0;
  effect(graph, [&] { (void)odd(), ++runs; });
  a.set(3);
  a.set(5);
  CHECK(runs == 1);
  a.set(6);
  CHECK(runs == 2);
  graph.batch([&] {
    a.set(7);
    a.set(6);
  });
  CHECK(runs == 2);
}

TEST_CASE("memos are lazy and run once for each change") {
  Graph graph;
  auto a = signal(graph, 1);
  int runs = 0;
  auto m = memo(graph, [&, a] { return ++runs, a() * 2; });
  a.set(2);
  CHECK(runs == 0);
  CHECK(m() == 4);
  CHECK(m() == 4);
  CHECK(runs == 1);
}

TEST_CASE("dependencies are those of the last run") {
  Graph graph;
  auto which = signal(graph, true);
  auto a = signal(graph, 1);
  auto b = signal(graph, 2);
  int runs = 0;
  effect(graph, [&] { (void)(which() ? a() : b()), ++runs; });
  b.set(3);
  CHECK(runs == 1);
  which.set(false);
  a.set(9);
  CHECK(runs == 2);
  b.set(4);
  CHECK(runs == 3);
  CHECK(graph.stats().edges == 2);
}

TEST_CASE("untracked reads make no dependency") {
  Graph graph;
  auto a = signal(graph, 1);
  auto b = signal(graph, 1);
  int runs = 0;
  effect(graph, [&] { (void)a(), (void)b.peek(), graph.untrack([&] { return b(); }), ++runs; });
  b.set(2);
  CHECK(runs == 1);
}

TEST_CASE("batches group writes, reads inside see them") {
  Graph graph;
  auto a = signal(graph, 1);
  auto b = signal(graph, 1);
  auto sum = memo(graph, [=] { return a() + b(); });
  std::vector<int> seen;
  effect(graph, [&] { seen.push_back(sum()); });
  graph.batch([&] {
    a.set(10);
    CHECK(sum() == 11);
    graph.batch([&] { b.set(20); });
    CHECK(seen.size() == 1);
  });
  CHECK(seen == std::vector{2, 30});
}

TEST_CASE("values that cannot be compared count as changed; in-place changes always do") {
  struct Opaque {
    int value = 0;
  };
  Graph graph;
  auto a = signal(graph, Opaque{});
  auto list = signal(graph, std::vector<Opaque>(2));
  auto text = signal(graph, std::string("a"));
  int runs = 0;
  effect(graph, [&] { (void)a(), (void)list(), (void)text(), ++runs; });
  a.set({});
  list.set({});
  text.set("a");
  CHECK(runs == 3);
  text.update([](std::string&) {});
  CHECK(runs == 4);
  graph.batch([&] {
    text.update([](std::string& now) { now += "b"; });
    text.set("a");
    CHECK(text() == "a");
  });
  CHECK(runs == 5);
}

TEST_CASE("an outer effect runs before, and disposes of, what it created") {
  Graph graph;
  auto a = signal(graph, 1);
  int inner = 0;
  int cleanups = 0;
  auto outer = effect(graph, [&] {
    if (a() > 2) return;
    effect(graph, [&] { (void)a(), ++inner; });
    on_cleanup(graph, [&] { ++cleanups; });
  });
  a.set(2);
  CHECK(inner == 2);
  CHECK(cleanups == 1);
  a.set(3);
  CHECK(inner == 2);
  CHECK(cleanups == 2);
  outer.dispose();
  a.set(1);
  CHECK(inner == 2);
  CHECK(graph.stats().nodes == 1);
  CHECK(graph.stats().edges == 0);
}

TEST_CASE("scopes own what they create, newest goes first") {
  Graph graph;
  std::string order;
  auto outer = scope(graph);
  Signal<int> inside;
  outer.run([&] {
    on_cleanup(graph, [&] { order += 'a'; });
    auto inner = scope(graph);
    inner.run([&] { on_cleanup(graph, [&] { order += 'b'; }); });
    inside = signal(graph, 1);
    on_cleanup(graph, [&] { order += 'c'; });
  });
  CHECK(inside.alive());
  outer.dispose();
  outer.dispose();
  CHECK(order == "cba");
  CHECK(!inside.alive());
  bool ran = false;
  outer.run([&] { ran = true; });
  CHECK(!ran);
  CHECK(graph.stats().nodes == 0);
}

TEST_CASE("a handle that outlived its node reads T{} and faults, whatever took the slot") {
  Graph graph;
  auto a = signal(graph, 5);
  const auto stale = a;
  a.dispose();
  auto b = signal(graph, 6);
  CHECK(!stale.alive());
  CHECK(stale() == 0);
  CHECK(graph.take_fault() == Fault::disposed);
  CHECK(stale.set(1).error() == Fault::disposed);
  CHECK(stale.try_get().error() == Fault::disposed);
  CHECK(b() == 6);
  const Signal<int> nowhere;
  CHECK(nowhere() == 0);
  CHECK(nowhere.set(1).error() == Fault::disposed);
  CHECK(Memo<int>()() == 0);
}

TEST_CASE("a cycle is a fault of all who are in it and below, and heals") {
  Graph graph;
  auto closed = signal(graph, true);
  Memo<int> b;
  auto a = memo(graph, [&, closed] { return closed() ? b() + 1 : 1; });
  b = memo(graph, [=] { return a() + 1; });
  auto below = memo(graph, [=] { return b() * 2; });
  int runs = 0;
  auto watcher = effect(graph, [&] { (void)below(), ++runs; });
  CHECK(watcher.fault() == Fault::cycle);
  CHECK(graph.take_fault() == Fault::cycle);
  CHECK(a.try_get().error() == Fault::cycle);
  CHECK(below.try_get().error() == Fault::cycle);
  closed.set(false);
  CHECK(below() == 4);
  CHECK(watcher.fault() == Fault::none);
  CHECK(runs == 2);
  closed.set(true);
  CHECK(b.try_get().error() == Fault::cycle);
  CHECK(watcher.fault() == Fault::cycle);
  closed.set(false);
  CHECK(below.try_get() == 4);
}

TEST_CASE("a memo that reads itself, or tries to, faults and ends") {
  Graph graph;
  Memo<int> self;
  self = memo(graph, [&] { return self() + 1; });
  CHECK(self() == 1);
  CHECK(graph.take_fault() == Fault::cycle);
  Memo<int> careful;
  careful = memo(graph, [&] { return careful.try_get().value_or(-1); });
  CHECK(careful() == -1);
  CHECK(!graph.take_fault());
}

TEST_CASE("a write inside a memo is refused and the memo is faulty") {
  Graph graph;
  auto a = signal(graph, 1);
  auto b = signal(graph, 1);
  auto m = memo(graph, [=] {
    CHECK(b.set(a()).error() == Fault::write_in_memo);
    CHECK(b.update([](int& n) { ++n; }).error() == Fault::write_in_memo);
    return a();
  });
  a.set(2);
  CHECK(m() == 2);
  CHECK(graph.take_fault() == Fault::write_in_memo);
  CHECK(m.try_get().error() == Fault::write_in_memo);
  CHECK(b() == 1);
}

TEST_CASE("effects that write settle; those that never do are stopped") {
  Graph graph;
  auto a = signal(graph, 0);
  auto clamped = memo(graph, [=] { return a() > 5 ? 5 : a(); });
  effect(graph, [=] {
    if (clamped() < 5) a.set(clamped() + 1);
  });
  CHECK(a() == 5);
  CHECK(!graph.take_fault());

  auto ping = signal(graph, 0);
  auto pong = signal(graph, 0);
  auto first = effect(graph, [=] { pong.set(ping() + 1); });
  effect(graph, [=] { ping.set(pong() + 1); });
  CHECK(graph.take_fault() == Fault::runaway);
  CHECK(first.alive());
  const int before = ping();
  ping.set(0);
  CHECK(pong() > 100);
  CHECK(before > 100);
}

TEST_CASE("memos nested deeper than the limit fault instead of overflowing the stack") {
  Graph graph;
  std::vector<Memo<int>> chain(2000);
  // Built top first, so that no memo knows what it will read.
  for (std::size_t i = chain.size(); i-- > 0;) {
    chain[i] = memo(graph, [&chain, i] { return i == 0 ? 1 : chain[i - 1]() + 1; });
  }
  CHECK(chain.back().try_get().error() == Fault::too_deep);
  for (const auto& link : chain) (void)link();
  (void)graph.take_fault();
  CHECK(chain.back().try_get() == 2000);
}

TEST_CASE("what runs may dispose of itself, of what waits, and of what it reads") {
  Graph graph;
  auto a = signal(graph, 0);
  auto home = scope(graph);
  int later = 0;
  Memo<int> doubled;
  home.run([&] {
    effect(graph, [&, big = std::string(100, 'x')] {
      if (a() == 1) {
        home.dispose();
        CHECK(big.size() == 100);
        (void)a();
        effect(graph, [&] { (void)a(), ++later; });
      }
    });
    doubled = memo(graph, [=] { return a() * 2; });
    effect(graph, [&] { (void)doubled(), ++later; });
  });
  CHECK(later == 1);
  a.set(1);
  CHECK(later == 2);  // The one made on the way out, which went at once.
  a.set(2);
  CHECK(later == 2);
  CHECK(!doubled.alive());
  CHECK(graph.stats().nodes == 1);
  CHECK(graph.stats().edges == 0);

  // A memo that ends the scope of memos that are being looked at above it.
  auto b = signal(graph, 0);
  auto doomed = scope(graph);
  Memo<int> top;
  auto bottom = memo(graph, [=] {
    if (b() == 1) doomed.dispose();
    return b();
  });
  doomed.run([&] {
    auto middle = memo(graph, [=] { return bottom() + 1; });
    top = memo(graph, [=] { return middle() + 1; });
  });
  CHECK(top() == 2);
  b.set(1);
  CHECK(top() == 0);
  CHECK(graph.take_fault() == Fault::disposed);
  CHECK(bottom() == 1);
}

TEST_CASE("a scope in a scope, 100 000 deep, goes away without recursion") {
  Graph graph;
  auto outermost = scope(graph);
  auto inner = outermost;
  for (int i = 0; i < 100'000; ++i) {
    Scope next;
    inner.run([&] { next = scope(graph); });
    inner = next;
  }
  outermost.dispose();
  CHECK(graph.stats().nodes == 0);
}

TEST_CASE("memory is used again") {
  Graph graph;
  auto a = signal(graph, 0);
  std::size_t nodes = 0;
  for (int i = 0; i < 1000; ++i) {
    auto home = scope(graph);
    home.run([&] {
      for (int k = 0; k < 10; ++k) effect(graph, [m = memo(graph, [=] { return a() + k; })] { (void)m(); });
    });
    a.set(i + 1);
    nodes = graph.stats().nodes;
    home.dispose();
  }
  CHECK(nodes == 22);
  CHECK(graph.stats().nodes == 1);
  CHECK(graph.stats().edges == 0);
}
