#include "grove/web/frontend/frameworks/signals/resource.hpp"

#include <vector>

#include "grove/base/test/test.hpp"

using namespace grove;
using namespace grove::signals;

TEST_CASE("a resource loads again when what it read changes, and late answers are passed over") {
  Graph graph;
  auto id = signal(graph, 1);
  std::vector<std::pair<int, Answer<std::string>>> asked;
  Resource<std::string> user(graph, [&](Answer<std::string> answer) { asked.emplace_back(id(), answer); });
  std::vector<std::string> seen;
  effect(graph, [&] { seen.push_back(user.value().value_or("-") + (user.loading() ? "…" : "")); });
  id.set(2);
  REQUIRE(asked.size() == 2);
  CHECK(!asked[0].second.wanted());
  asked[0].second.resolve("one");
  asked[1].second.resolve("two");
  asked[1].second.resolve("twice");
  CHECK(seen.back() == "two");
  user.refetch();
  CHECK(seen.back() == "two…");
  asked[2].second.reject("no network");
  CHECK(user.error() == "no network");
  CHECK(seen.back() == "two");
}

TEST_CASE("an answer may come at once, or after the resource is gone") {
  Graph graph;
  auto home = scope(graph);
  std::vector<Answer<int>> asked;
  std::optional<int> seen;
  home.run([&] {
    Resource<int> now(graph, [](Answer<int> answer) { answer.resolve(7); });
    seen = now.value();
    Resource<int> later(graph, [&](Answer<int> answer) { asked.push_back(answer); });
  });
  CHECK(seen == 7);
  home.dispose();
  asked[0].resolve(1);
  asked[0].reject("late");
  CHECK(!graph.take_fault());
}

TEST_CASE("a store wakes only the readers of what changed") {
  struct State {
    std::string name;
    int age = 0;
  };
  Graph graph;
  Store<State> store(graph, {"Ada", 36});
  auto name = store.select(&State::name);
  auto adult = store.select([](const State& state) { return state.age >= 18; });
  int names = 0;
  int adults = 0;
  effect(graph, [&] { (void)name(), ++names; });
  effect(graph, [&] { (void)adult(), ++adults; });
  store.update([](State& state) { ++state.age; });
  CHECK(names == 1);
  CHECK(adults == 1);
  store.update([](State& state) { state.name = "Grace"; });
  CHECK(names == 2);
  CHECK(name() == "Grace");
}
