#include "grove/game/engine/ecs/ecs.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"

using namespace grove::ecs;
using grove::Errc;
using grove::SplitMix64;
using grove::game::JobPool;
using grove::game::StateBlob;

namespace {

struct Pos {
  float x, y;
};
struct Vel {
  float x, y;
};
struct Health {
  int points;
};
struct Frozen {};
struct Name {
  std::string text;
};
struct Big {
  std::byte bytes[40000];
};
struct alignas(64) Aligned {
  int value;
};

/// Counts what lives.
struct Counted {
  explicit Counted(int& alive) noexcept : alive(&alive) { ++alive; }
  Counted(const Counted& other) noexcept : alive(other.alive) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive; }
  int* alive;
};

template <class Q>
std::vector<std::uint32_t> indices(Q& query) {
  std::vector<std::uint32_t> found;
  query.each([&](Entity e, auto&&...) { found.push_back(e.index); });
  return found;
}

}  // namespace

// --- entities and components ---

TEST_CASE("an entity has the components it was spawned with, and no others") {
  World world;
  const Entity e = world.spawn(Pos{1, 2}, Health{3}, Frozen{});
  REQUIRE(e);
  CHECK(world.alive(e));
  CHECK(world.size() == 1);
  CHECK(world.get<Pos>(e)->y == 2);
  CHECK(world.get<Health>(e)->points == 3);
  CHECK(world.has<Frozen>(e));
  CHECK(world.get<Vel>(e) == nullptr);
  CHECK_FALSE(world.has<Vel>(e));
  CHECK(world.alive(world.spawn()));
}

TEST_CASE("insert adds or replaces, remove takes away, other components stay") {
  World world;
  const Entity e = world.spawn(Pos{1, 2});
  CHECK(world.insert(e, Vel{3, 4}, Name{"a name too long for the small buffer"}).has_value());
  CHECK(world.insert(e, Pos{5, 6}).has_value());
  CHECK(world.get<Pos>(e)->x == 5);
  CHECK(world.get<Vel>(e)->x == 3);
  CHECK(world.get<Name>(e)->text == "a name too long for the small buffer");
  CHECK(world.remove<Vel>(e).has_value());
  CHECK(world.get<Vel>(e) == nullptr);
  CHECK(world.get<Name>(e)->text == "a name too long for the small buffer");
  CHECK(world.get<Pos>(e)->y == 6);
  CHECK((world.remove<Vel, Name>(e).has_value()));
  CHECK_FALSE(world.has<Name>(e));
}

TEST_CASE("a stale handle is refused everywhere, also after its index is used again") {
  World world;
  const Entity old = world.spawn(Pos{});
  CHECK(world.despawn(old).has_value());
  const Entity young = world.spawn(Pos{9, 9});
  CHECK(young.index == old.index);
  CHECK(young.generation != old.generation);
  for (const Entity stale : {old, Entity{}, Entity{1000, 1}, Entity{young.index, 77}}) {
    CHECK_FALSE(world.alive(stale));
    CHECK(world.get<Pos>(stale) == nullptr);
    CHECK(world.get_mut<Pos>(stale) == nullptr);
    CHECK_FALSE(world.has<Pos>(stale));
    CHECK(world.despawn(stale).error() == Errc::not_found);
    CHECK(world.insert(stale, Pos{}).error() == Errc::not_found);
    CHECK(world.remove<Pos>(stale).error() == Errc::not_found);
  }
  CHECK(world.get<Pos>(young)->x == 9);
}

TEST_CASE("removing what the entity lacks is refused and changes nothing") {
  World world;
  const Entity e = world.spawn(Pos{1, 2});
  CHECK(world.remove<Vel>(e).error() == Errc::not_found);
  CHECK(world.get<Pos>(e)->x == 1);
}

TEST_CASE("values are destroyed exactly once, however they go") {
  int alive = 0;
  {
    World world;
    std::vector<Entity> all;
    for (int i = 0; i < 3000; ++i) all.push_back(world.spawn(Counted(alive), Pos{}));
    CHECK(alive == 3000);
    for (int i = 0; i < 1000; ++i) CHECK(world.despawn(all[static_cast<std::size_t>(i * 3)]).has_value());
    CHECK(alive == 2000);
    for (int i = 0; i < 500; ++i) CHECK(world.remove<Counted>(all[static_cast<std::size_t>(i * 3 + 1)]).has_value());
    CHECK(alive == 1500);
    for (int i = 500; i < 1000; ++i)
      CHECK(world.insert(all[static_cast<std::size_t>(i * 3 + 1)], Counted(alive)).has_value());
    CHECK(alive == 1500);
    for (int i = 0; i < 1000; ++i) CHECK(world.insert(all[static_cast<std::size_t>(i * 3 + 2)], Vel{}).has_value());
    CHECK(alive == 1500);
    CHECK(world.clear().has_value());
    CHECK(alive == 0);
    world.spawn(Counted(alive));
    world.set_resource(std::make_unique<Counted>(alive));
    CHECK(alive == 2);
  }
  CHECK(alive == 0);
}

TEST_CASE("a component may be larger than a chunk, and is aligned as it asks") {
  World world;
  std::vector<Entity> all;
  for (int i = 0; i < 5; ++i) {
    auto big = std::make_unique<Big>();
    big->bytes[39999] = static_cast<std::byte>(i);
    all.push_back(world.spawn(*big, Aligned{i}));
  }
  CHECK(world.despawn(all[1]).has_value());
  for (const int i : {0, 2, 3, 4}) {
    const Entity e = all[static_cast<std::size_t>(i)];
    CHECK(std::to_integer<int>(world.get<Big>(e)->bytes[39999]) == i);
    CHECK(reinterpret_cast<std::uintptr_t>(world.get<Aligned>(e)) % 64 == 0);
  }
}

TEST_CASE("a batch equals single spawns, over several chunks") {
  World single, batch;
  std::vector<Entity> handles;
  for (int i = 0; i < 5000; ++i) single.spawn(Pos{static_cast<float>(i), 0}, Health{i});
  const auto make = [](std::size_t i) {
    return std::tuple(Pos{static_cast<float>(i), 0}, Health{static_cast<int>(i)});
  };
  CHECK(batch.spawn_batch(5000, make, &handles) == 5000);
  CHECK(handles.size() == 5000);
  CHECK(batch.state_hash() == single.state_hash());
  CHECK(batch.get<Health>(handles[4321])->points == 4321);
}

TEST_CASE("what was made before a batch's callback threw is there, whole") {
  int alive = 0;
  World world;
  const auto make = [&](std::size_t i) {
    if (i == 700) throw std::string("no more");
    return std::tuple(Counted(alive), Health{static_cast<int>(i)});
  };
  CHECK_THROWS(world.spawn_batch(1000, make));
  CHECK(world.size() == 700);
  CHECK(alive == 700);
  CHECK_FALSE(world.iterating());
  CHECK_THROWS(world.spawn_batch(1, [](std::size_t) -> std::tuple<Vel> { throw 1; }));
  CHECK(world.spawn(Vel{}));
}

// --- iteration ---

TEST_CASE("a query visits what has all its components and none it excludes") {
  World world;
  const Entity a = world.spawn(Pos{1, 0}, Vel{1, 0});
  const Entity b = world.spawn(Pos{2, 0}, Vel{1, 0}, Frozen{});
  const Entity c = world.spawn(Pos{3, 0});
  Query<Pos&, const Vel&, Without<Frozen>> moving(world);
  moving.each([](Pos& p, const Vel& v) { p.x += v.x; });
  CHECK(world.get<Pos>(a)->x == 2);
  CHECK(world.get<Pos>(b)->x == 2);
  CHECK(world.get<Pos>(c)->x == 3);
  CHECK(moving.count() == 1);
  Query<Entity, const Pos&, With<Frozen>> frozen(world);
  CHECK(indices(frozen) == std::vector{b.index});
  Query<Entity, const Pos&, const Vel*> maybe(world);
  int with = 0, without = 0;
  maybe.each([&](Entity, const Pos&, const Vel* v) { ++(v != nullptr ? with : without); });
  CHECK(with == 2);
  CHECK(without == 1);
}

TEST_CASE("a query finds tables that come to be later") {
  World world;
  Query<const Pos&> query(world);
  CHECK(query.count() == 0);
  world.spawn(Pos{}, Health{});
  world.spawn(Pos{}, Name{"x"});
  CHECK(query.count() == 2);
}

TEST_CASE("with() looks at one entity") {
  World world;
  const Entity a = world.spawn(Pos{1, 1}), b = world.spawn(Vel{1, 1});
  Query<Pos&> query(world);
  CHECK(query.with(a, [](Pos& p) { p.x = 7; }));
  CHECK(world.get<Pos>(a)->x == 7);
  CHECK_FALSE(query.with(b, [](Pos&) { FAIL("b has no Pos"); }));
  CHECK(world.despawn(a).has_value());
  CHECK_FALSE(query.with(a, [](Pos&) { FAIL("a is dead"); }));
}

TEST_CASE("each_chunk gives whole columns") {
  World world;
  for (int i = 0; i < 4000; ++i) world.spawn(Pos{1, 1}, Vel{2, 2});
  Query<Pos&, const Vel&> query(world);
  std::size_t total = 0;
  query.each_chunk([&](std::span<Pos> p, std::span<const Vel> v) {
    REQUIRE(p.size() == v.size());
    total += p.size();
    for (std::size_t i = 0; i < p.size(); ++i) p[i].x += v[i].x;
  });
  CHECK(total == 4000);
  query.each([](Pos& p, const Vel&) { CHECK(p.x == 3); });
}

TEST_CASE("par_each visits each entity once, with any grain") {
  World world;
  JobPool pool(4);
  for (int i = 0; i < 10000; ++i) world.spawn(Health{0}, Pos{static_cast<float>(i), 0});
  for (int i = 0; i < 100; ++i) world.spawn(Health{0}, Name{"n"});
  Query<Health&> query(world);
  for (const std::size_t grain : {0u, 1u, 100u, 512u, 100000u})
    query.par_each(pool, [](Health& h) { ++h.points; }, grain);
  query.each([](Health& h) { CHECK(h.points == 5); });
}

TEST_CASE("structural changes while a query iterates are refused and change nothing") {
  World world;
  const Entity first = world.spawn(Pos{1, 1});
  for (int i = 0; i < 10; ++i) world.spawn(Pos{}, Vel{});
  StateBlob blob;
  REQUIRE_OK(world.snapshot(blob));
  const auto hash = world.state_hash();
  Query<const Pos&> query(world);
  int visited = 0;
  query.each([&](const Pos&) {
    ++visited;
    CHECK(world.iterating());
    CHECK_FALSE(world.spawn(Pos{}));
    CHECK_FALSE(world.spawn());
    CHECK(world.spawn_batch(3, [](std::size_t) { return std::tuple(Pos{}); }) == 0);
    CHECK(world.despawn(first).error() == Errc::conflict);
    CHECK(world.insert(first, Vel{}).error() == Errc::conflict);
    CHECK(world.remove<Pos>(first).error() == Errc::conflict);
    CHECK(world.clear().error() == Errc::conflict);
    CHECK_FAILS(world.restore(blob), Errc::conflict);
    Query<const Vel&> inner(world);
    inner.each([&](const Vel&) { CHECK_FALSE(world.spawn()); });
    CHECK_FALSE(world.spawn());
  });
  CHECK(visited == 11);
  CHECK(world.state_hash() == hash);
  CHECK_FALSE(world.iterating());
  CHECK(world.despawn(first).has_value());
}

TEST_CASE("a callback that throws leaves the world open to changes") {
  World world;
  world.spawn(Pos{});
  Query<Pos&> query(world);
  CHECK_THROWS(query.each([](Pos&) { throw 1; }));
  CHECK(world.spawn(Pos{}));
}

// --- change detection ---

TEST_CASE("Added and Changed say what is new since the query last ran") {
  World world;
  const Entity a = world.spawn(Health{1}), b = world.spawn(Health{2});
  Query<Entity, Added<Health>> added(world);
  Query<Entity, Changed<Health>> changed(world);
  CHECK(indices(added) == std::vector{a.index, b.index});
  CHECK(indices(changed) == std::vector{a.index, b.index});
  CHECK(indices(added).empty());
  CHECK(indices(changed).empty());
  world.get_mut<Health>(b)->points = 5;
  CHECK(indices(added).empty());
  CHECK(indices(changed) == std::vector{b.index});
  CHECK(world.insert(a, Health{7}).has_value());
  CHECK(indices(added).empty());
  CHECK(indices(changed) == std::vector{a.index});
  const Entity c = world.spawn(Health{3});
  CHECK(indices(added) == std::vector{c.index});
  CHECK(indices(changed) == std::vector{c.index});
}

TEST_CASE("T& marks what was handed out, Mut<T> what was written, const T& nothing") {
  World world;
  std::vector<Entity> all;
  for (int i = 0; i < 3000; ++i) all.push_back(world.spawn(Health{i}, Pos{}));
  Query<Entity, Changed<Health>> changed(world);
  CHECK(indices(changed).size() == 3000);
  Query<const Health&> readers(world);
  readers.each([](const Health&) {});
  CHECK(indices(changed).empty());
  Query<Mut<Health>> careful(world);
  careful.each([](Mut<Health> h) {
    if (h->points % 1000 == 7) h.write().points = -1;
  });
  CHECK(indices(changed) == std::vector{all[7].index, all[1007].index, all[2007].index});
  Query<Health&> writers(world);
  writers.each([](Health&) {});
  CHECK(indices(changed).size() == 3000);
  CHECK(indices(changed).empty());
  CHECK(writers.with(all[5], [](Health&) {}));
  CHECK(indices(changed) == std::vector{all[5].index});
}

TEST_CASE("a query does not see its own writes") {
  World world;
  world.spawn(Health{1});
  Query<Health&, Changed<Health>> query(world);
  int visited = 0;
  for (int i = 0; i < 3; ++i) query.each([&](Health&) { ++visited; });
  CHECK(visited == 1);
}

TEST_CASE("a row keeps its own history when it moves between chunks and tables") {
  World world;
  std::vector<Entity> all;
  for (int i = 0; i < 5000; ++i) all.push_back(world.spawn(Health{i}));
  Query<Entity, Changed<Health>> changed(world);
  changed.each([](Entity) {});
  for (int i = 0; i < 10; ++i) world.spawn(Health{i}, Pos{});
  Query<Health&, With<Pos>> some(world);
  changed.each([](Entity) {});
  some.each([](Health&) {});
  // An old row joins a chunk that was handed out as a whole.
  CHECK(world.insert(all[100], Pos{}).has_value());
  CHECK(indices(changed).size() == 10);
  CHECK(indices(changed).empty());
  // The last row fills the hole of another chunk.
  world.get_mut<Health>(all[4999])->points = 1;
  CHECK(world.despawn(all[0]).has_value());
  CHECK(indices(changed) == std::vector{all[4999].index});
}

TEST_CASE("changes stay known over many ticks, and the counter's wrap is no change") {
  World world;
  const Entity a = world.spawn(Health{1});
  Query<Entity, Changed<Health>> changed(world);
  CHECK(indices(changed).size() == 1);
  for (const Tick far : {Tick{1} << 29, Tick{1} << 31, Tick{1} << 32, (Tick{1} << 33) + 12345}) {
    world.skip_ticks(far);
    CHECK(indices(changed).empty());
  }
  world.get_mut<Health>(a)->points = 2;
  world.skip_ticks(1000000);
  CHECK(indices(changed).size() == 1);
}

// --- hooks, resources, commands, events ---

TEST_CASE("hooks see what is added and removed, and may not change the world") {
  World world;
  std::string log;
  world.on_add<Health>([&](Entity, Health& h) {
    log += "+" + std::to_string(h.points);
    CHECK_FALSE(world.spawn());
  });
  world.on_remove<Health>([&](Entity e, Health& h) {
    log += "-" + std::to_string(h.points);
    CHECK(world.alive(e));
  });
  const Entity a = world.spawn(Health{1}, Pos{});
  const Entity b = world.spawn(Pos{});
  CHECK(world.insert(b, Health{2}).has_value());
  CHECK(world.insert(b, Health{3}, Vel{}).has_value());  // Replaced: not added.
  CHECK(world.remove<Health>(a).has_value());
  CHECK(world.despawn(b).has_value());
  world.spawn_batch(2, [](std::size_t i) { return std::tuple(Health{static_cast<int>(i) + 7}); });
  CHECK(log == "+1+2-1-3+7+8");
  world.on_add<Health>({});
  world.spawn(Health{1});
  CHECK(log == "+1+2-1-3+7+8");
}

TEST_CASE("a resource is one value of its type") {
  World world;
  CHECK(world.resource<Health>() == nullptr);
  world.set_resource(Health{4}).points += 1;
  CHECK(world.resource<Health>()->points == 5);
  world.set_resource(Health{6});
  CHECK(world.resource<Health>()->points == 6);
  CHECK(world.remove_resource<Health>());
  CHECK_FALSE(world.remove_resource<Health>());
  CHECK(world.resource<Health>() == nullptr);
}

TEST_CASE("commands are applied in order, and refused ones are counted") {
  int alive = 0;
  World world;
  const Entity doomed = world.spawn(Pos{});
  Commands commands;
  const auto pending = commands.spawn(Health{1}, Name{std::string(100, 'x')});
  commands.insert(pending, Pos{4, 5}, Aligned{3});
  commands.despawn(doomed);
  commands.insert(doomed, Vel{});  // Dead by then.
  commands.despawn(doomed);
  commands.run([&](World& w) { CHECK(w.size() == 1); });
  commands.spawn(Counted(alive));
  CHECK(world.size() == 1);
  Query<const Pos&> query(world);
  CHECK(commands.apply(world) == 2);
  CHECK(commands.empty());
  CHECK(commands.apply(world) == 0);
  CHECK(world.size() == 2);
  Query<const Health&, const Name&, const Pos&, const Aligned&> made(world);
  made.each([](const Health& h, const Name& n, const Pos& p, const Aligned& a) {
    CHECK(h.points == 1);
    CHECK(n.text.size() == 100);
    CHECK(p.y == 5);
    CHECK(a.value == 3);
  });
  CHECK(made.count() == 1);
  CHECK(alive == 1);
}

TEST_CASE("commands that are never applied are destroyed, and any size fits") {
  int alive = 0;
  World world;
  {
    Commands commands;
    for (int i = 0; i < 1000; ++i) commands.spawn(Counted(alive), Pos{});
    commands.spawn(Big{});
    CHECK(alive == 1000);
    commands.clear();
    CHECK(alive == 0);
    for (int i = 0; i < 10; ++i) commands.spawn(Big{}, Counted(alive));
    CHECK(commands.apply(world) == 0);
    CHECK(world.size() == 10);
    commands.spawn(Counted(alive));
  }
  CHECK(alive == 10);
}

TEST_CASE("each reader sees each event once; unread ones go after two updates") {
  EventQueue<int> queue;
  const auto a = queue.add_reader(), b = queue.add_reader();
  const auto read = [&](std::size_t reader) {
    std::vector<int> seen;
    queue.read(reader, [&](int e) { seen.push_back(e); });
    return seen;
  };
  queue.send(1);
  CHECK(read(a) == std::vector{1});
  queue.send(2);
  queue.update();
  queue.send(3);
  CHECK(read(a) == std::vector{2, 3});
  queue.update();
  CHECK(read(b) == std::vector{3});
  queue.update();
  queue.update();
  CHECK(queue.size() == 0);
  CHECK(read(a).empty());
  queue.send(4);
  CHECK(read(a) == std::vector{4});
  CHECK(read(b) == std::vector{4});
}

// --- schedules ---

TEST_CASE("conflicting systems run in the order added, others need not wait") {
  Schedule schedule;
  schedule.add([](Query<Pos&, const Vel&>&) {}).named("move");
  schedule.add([](Query<Health&>&) {}).named("heal");
  schedule.add([](Query<const Pos&>&) {}).named("draw");
  schedule.add([](Query<Entity, const Pos&, Health*>&) {}).named("hurt");
  schedule.add([](Query<Vel&, With<Frozen>>&) {}).named("thaw");
  schedule.add([](Query<Vel&, Without<Frozen>>&) {}).named("drag");
  schedule.add([](Query<Entity, Changed<Vel>>&) {}).named("watch");
  CHECK(schedule.describe() == std::vector<std::string>{"move", "heal", "draw < move", "hurt < move, heal",
                                                        "thaw < move", "drag < move", "watch < thaw, drag"});
}

TEST_CASE("after and before change the order; a cycle is an error and runs nothing") {
  Schedule schedule;
  std::string log;
  World world;
  auto a = schedule.add([&](Res<int>) { log += "a"; }).named("a");
  auto b = schedule.add([&](Res<int>) { log += "b"; }).named("b");
  auto c = schedule.add([&](Res<int>) { log += "c"; }).named("c");
  world.set_resource(0);
  a.after(c);
  CHECK_OK(schedule.run(world));
  CHECK(log == "bca");
  b.after(a);
  CHECK_OK(schedule.run(world));
  CHECK(log == "bcacab");
  c.after(b);
  CHECK_FAILS(schedule.run(world), Errc::invalid_argument);
  CHECK(log == "bcacab");
  CHECK(schedule.describe().empty());
}

TEST_CASE("commands are applied at the end of a stage, in serial order") {
  for (const unsigned threads : {1u, 4u}) {
    JobPool pool(threads);
    World world;
    Schedule schedule;
    schedule.add([](Query<const Pos&>&, Commands& commands) { commands.spawn(Health{1}); });
    schedule.add([](Query<const Pos&>&, Commands& commands) { commands.spawn(Health{2}); });
    std::size_t seen_early = 0, seen_late = 0;
    schedule.add([&](Query<const Health&>& q) { seen_early = q.count(); });
    schedule.flush();
    int added = 0;
    schedule.add([&](Query<const Health&, Added<Health>>& q) {
      seen_late = q.count();
      q.each([&](const Health& h) { added = added * 10 + h.points; });
    });
    REQUIRE_OK(schedule.run(world, pool));
    CHECK(seen_early == 0);
    CHECK(seen_late == 2);
    CHECK(added == 12);
    REQUIRE_OK(schedule.run(world, pool));
    CHECK(seen_early == 2);
    CHECK(added == 1212);
    CHECK(schedule.refused() == 0);
  }
}

TEST_CASE("a system with World& runs alone, between the systems before and after it") {
  JobPool pool(3);
  World world;
  Schedule schedule;
  std::size_t seen = 0;
  schedule.add([](Commands& commands) { commands.spawn(Pos{}); });
  schedule.add([](World& w) {
    CHECK_FALSE(w.iterating());
    CHECK(w.size() % 2 == 1);
    CHECK(w.spawn(Pos{}, Vel{}));
  });
  schedule.add([&](Query<const Pos&>& q) { seen = q.count(); });
  REQUIRE_OK(schedule.run(world, pool));
  CHECK(seen == 2);
  REQUIRE_OK(schedule.run(world, pool));
  CHECK(seen == 4);
}

TEST_CASE("inside the query of a system with World& changes are refused, around it they are seen") {
  World world;
  world.spawn(Pos{});
  Schedule schedule;
  schedule.add([](World& w, Query<Entity, const Pos&>& q) {
    q.each([&](Entity e, const Pos&) {
      CHECK_FALSE(w.spawn(Pos{}));
      CHECK(w.despawn(e).error() == Errc::conflict);
    });
    const auto before = q.count();
    CHECK(w.spawn(Pos{}, Health{}));
    std::size_t visited = 0;
    q.each([&](Entity, const Pos&) { ++visited; });
    CHECK(visited == before + 1);
  });
  REQUIRE_OK(schedule.run(world));
  REQUIRE_OK(schedule.run(world));
  CHECK(world.size() == 3);
  CHECK_FALSE(world.iterating());
}

TEST_CASE("a system sees changes since its own last run, whoever made them") {
  World world;
  const Entity e = world.spawn(Health{1}, Vel{});
  Schedule schedule;
  int before = 0, after = 0;
  bool write = false;
  schedule.add([&](Query<const Health&, Changed<Health>>& q) { q.each([&](const Health&) { ++before; }); });
  schedule.add([&](Query<Health&>& q) {
    if (write) q.each([](Health& h) { ++h.points; });
  });
  schedule.add([&](Query<const Health&, Changed<Health>>& q) { q.each([&](const Health&) { ++after; }); });
  const auto counts = [&](bool w) {
    before = after = 0;
    write = w;
    REQUIRE_OK(schedule.run(world));
    return std::pair(before, after);
  };
  CHECK(counts(false) == std::pair(1, 1));
  CHECK(counts(false) == std::pair(0, 0));
  CHECK(counts(true) == std::pair(0, 1));
  CHECK(counts(false) == std::pair(1, 0));
  world.get_mut<Health>(e)->points = 0;
  CHECK(counts(false) == std::pair(1, 1));
}

TEST_CASE("a missing resource leaves its system out, names it, and runs the others") {
  World world;
  Schedule schedule;
  bool ran = false;
  schedule.add([](Res<const Health>) { FAIL("must not run"); }).named("needs health");
  schedule.add([&](Query<const Pos&>&) { ran = true; });
  const auto result = schedule.run(world);
  CHECK_FAILS(result, Errc::not_found);
  CHECK(result.error().message().find("needs health") != std::string::npos);
  CHECK(result.error().message().find("Health") != std::string::npos);
  CHECK(ran);
}

TEST_CASE("a schedule may move to another world, and may not run inside an iteration") {
  Schedule schedule;
  int visited = 0;
  schedule.add([&](Query<const Pos&>& q) { q.each([&](const Pos&) { ++visited; }); });
  for (int i = 0; i < 3; ++i) {
    World world;
    world.spawn(Pos{});
    REQUIRE_OK(schedule.run(world));
    Query<Pos&> query(world);
    query.each([&](Pos&) { CHECK_FAILS(schedule.run(world), Errc::conflict); });
  }
  CHECK(visited == 3);
}

TEST_CASE("events go from system to system, also backwards within two frames") {
  JobPool pool(2);
  World world;
  Schedule schedule;
  int early = 0, late = 0;
  schedule.add([&](EventReader<Health> in) { in.each([&](const Health& h) { early += h.points; }); });
  schedule.add([](EventWriter<Health> out) { out.send({1}); });
  schedule.add([&](EventReader<Health> in) { in.each([&](const Health& h) { late += h.points; }); });
  for (int frame = 1; frame <= 5; ++frame) {
    REQUIRE_OK(schedule.run(world, pool));
    world.update_events();
    CHECK(late == frame);
    CHECK(early == frame - 1);
  }
}

TEST_CASE("par_each inside a system uses the schedule's pool") {
  JobPool pool(4);
  World world;
  for (int i = 0; i < 5000; ++i) world.spawn(Health{0}, Pos{});
  Schedule schedule;
  schedule.add([](Query<Health&>& q) { q.par_each([](Health& h) { ++h.points; }, 16); });
  schedule.add([](Query<Pos&>& q) { q.par_each([](Pos& p) { p.x += 1; }, 16); });
  for (int i = 0; i < 20; ++i) REQUIRE_OK(schedule.run(world, pool));
  REQUIRE_OK(schedule.run(world));
  Query<const Health&, const Pos&> all(world);
  all.each([](const Health& h, const Pos& p) {
    CHECK(h.points == 21);
    CHECK(p.x == 21);
  });
}

// --- snapshots ---

namespace {
void churn(World& world, std::vector<Entity>& alive, SplitMix64& random, int steps) {
  for (int i = 0; i < steps; ++i) {
    const auto kind = random.below(6);
    if (alive.empty() || kind < 2) {
      alive.push_back(kind == 0 ? world.spawn(Pos{static_cast<float>(random.below(100)), 1})
                                : world.spawn(Health{static_cast<int>(random.below(100))}, Frozen{}));
      continue;
    }
    const auto at = random.below(alive.size());
    const Entity e = alive[at];
    if (kind == 2) {
      REQUIRE(world.despawn(e).has_value());
      alive[at] = alive.back();
      alive.pop_back();
    } else if (kind == 3) {
      REQUIRE(world.insert(e, Vel{1, static_cast<float>(random.below(9))}).has_value());
    } else if (kind == 4) {
      (void)world.remove<Vel>(e);
    } else if (auto* health = world.get_mut<Health>(e)) {
      health->points += 1;
    }
  }
}
}  // namespace

TEST_CASE("a restored world is the same now and stays the same: into itself and into a fresh one") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SplitMix64 random(seed);
    World world;
    world.set_resource(Health{static_cast<int>(seed)});
    std::vector<Entity> alive;
    churn(world, alive, random, 3000);
    StateBlob blob, again;
    REQUIRE_OK(world.snapshot(blob));
    const auto hash = world.state_hash();
    const auto then_alive = alive;
    const auto then_random = random;
    churn(world, alive, random, 1000);
    world.set_resource(Health{-1});
    const auto later_hash = world.state_hash();

    World fresh;
    fresh.register_components<Pos, Health, Frozen, Vel>();
    fresh.set_resource(Health{0});
    for (World* it : {&world, &fresh}) {
      Query<Entity, Changed<Health>> changed(*it);
      REQUIRE_OK(it->restore(blob));
      CHECK(it->state_hash() == hash);
      CHECK(it->size() == then_alive.size());
      CHECK(it->resource<Health>()->points == static_cast<int>(seed));
      REQUIRE_OK(it->snapshot(again));
      if (it == &world) CHECK(again == blob);
      auto replay_alive = then_alive;
      auto replay_random = then_random;
      churn(*it, replay_alive, replay_random, 1000);
      CHECK(it->state_hash() == later_hash);
      changed.each([](Entity) {});
    }
  }
}

TEST_CASE("queries and schedules go on working after a restore that drops tables") {
  World world;
  world.spawn(Pos{1, 1});
  Query<const Pos&> query(world);
  Schedule schedule;
  std::size_t seen = 0;
  schedule.add([&](Query<const Pos&>& q) { seen = q.count(); });
  StateBlob blob;
  REQUIRE_OK(world.snapshot(blob));
  world.spawn(Pos{}, Vel{});
  world.spawn(Pos{}, Health{});
  CHECK(query.count() == 3);
  REQUIRE_OK(schedule.run(world));
  CHECK(seen == 3);
  REQUIRE_OK(world.restore(blob));
  CHECK(query.count() == 1);
  REQUIRE_OK(schedule.run(world));
  CHECK(seen == 1);
  world.spawn(Pos{}, Vel{});
  CHECK(query.count() == 2);
}

TEST_CASE("events and their readers are part of a snapshot") {
  World world;
  Schedule schedule;
  int sum = 0;
  schedule.add([&](EventReader<Health> in) { in.each([&](const Health& h) { sum += h.points; }); });
  StateBlob empty;
  REQUIRE_OK(world.snapshot(empty));
  REQUIRE_OK(schedule.run(world));
  events<Health>(world).send({1});
  StateBlob blob;
  REQUIRE_OK(world.snapshot(blob));
  REQUIRE_OK(schedule.run(world));
  CHECK(sum == 1);
  REQUIRE_OK(world.restore(blob));
  REQUIRE_OK(schedule.run(world));
  CHECK(sum == 2);
  REQUIRE_OK(world.restore(empty));
  REQUIRE_OK(schedule.run(world));
  CHECK(sum == 2);
  events<Health>(world).send({5});
  REQUIRE_OK(schedule.run(world));
  CHECK(sum == 7);
}

TEST_CASE("a component in use that isn't trivially copyable is named by snapshot") {
  World world;
  const Entity e = world.spawn(Name{"x"});
  StateBlob blob;
  const auto refused = world.snapshot(blob);
  CHECK_FAILS(refused, Errc::unsupported);
  CHECK(refused.error().message().find("Name") != std::string::npos);
  CHECK(world.state_hash() == 0);
  CHECK(world.despawn(e).has_value());
  CHECK_OK(world.snapshot(blob));
}

TEST_CASE("a truncated or damaged snapshot is refused or restored whole, never half") {
  World world;
  std::vector<Entity> alive;
  SplitMix64 random(3);
  world.set_resource(Health{1});
  events<Vel>(world).send({1, 2});
  churn(world, alive, random, 60);
  StateBlob blob;
  REQUIRE_OK(world.snapshot(blob));
  World other;
  other.register_components<Pos, Health, Frozen, Vel>();
  other.set_resource(Health{2});
  events<Vel>(other);
  other.spawn(Pos{42, 42});
  const auto before = other.state_hash();
  for (std::size_t size = 0; size < blob.size(); ++size) {
    CHECK_FALSE(other.restore(std::span(blob).first(size)).has_value());
    CHECK(other.state_hash() == before);
  }
  for (std::size_t at = 0; at < blob.size(); ++at) {
    auto damaged = blob;
    damaged[at] ^= static_cast<std::byte>(1u << random.below(8));
    World victim;
    victim.register_components<Pos, Health, Frozen, Vel>();
    victim.set_resource(Health{2});
    events<Vel>(victim);
    if (!victim.restore(damaged)) continue;
    // Whatever it says, it is a world.
    Query<Entity> all(victim);
    std::vector<Entity> found;
    all.each([&](Entity e) { found.push_back(e); });
    CHECK(found.size() == victim.size());
    for (const Entity e : found) CHECK(victim.despawn(e).has_value());
    CHECK(victim.spawn(Pos{}));
  }
  World unregistered;
  CHECK_FAILS(unregistered.restore(blob), Errc::not_found);
}
