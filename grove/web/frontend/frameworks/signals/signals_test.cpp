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
