// The world against a std::map that does the same; parallel against serial;
// misuse. GROVE_PROOF_SCALE multiplies the counts (1: what the map names).

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/game/engine/ecs/ecs.hpp"

using namespace grove::ecs;
using grove::Errc;
using grove::SplitMix64;
using grove::game::JobPool;
using grove::game::StateBlob;
namespace proof = grove::proof;

namespace {

double scale() {
  const char* text = std::getenv("GROVE_PROOF_SCALE");
  const double value = text == nullptr ? 1.0 : std::atof(text);
  return value > 0 ? value : 1.0;
}
std::uint64_t scaled(double count) { return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(count * scale())); }

struct Small {
  std::uint32_t value;
};
struct Wide {
  std::uint64_t a, b, c;
};
struct Tag {};
/// Not trivially copyable: moved and destroyed by its own functions, which the
/// sanitizers watch.
struct Owned {
  std::unique_ptr<std::uint64_t> value;
};
struct Byte {
  std::uint8_t value;
};

/// What the oracle knows of an entity.
struct Model {
  std::optional<std::uint32_t> small;
  std::optional<std::uint64_t> wide, owned;
  std::optional<std::uint8_t> byte;
  bool tag = false;
  std::set<char> changed, added;  ///< Since the detectors last ran.
};
bool operator==(const Model& a, const Model& b) {
  return a.small == b.small && a.wide == b.wide && a.owned == b.owned && a.byte == b.byte && a.tag == b.tag;
}

class Differential {
 public:
  explicit Differential(std::uint64_t seed) : random_(seed) {}

  void run(std::uint64_t operations, std::size_t population) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      step(population);
      // Full comparisons cost as much as a thousand operations.
      if (i % 20011 == 20010 || i + 1 == operations) compare();
    }
  }
  std::uint64_t differences() const { return differences_; }
  std::uint64_t compared() const { return compared_; }
  std::size_t tables() const { return world_.archetype_count(); }

 private:
  void expect(bool same) {
    ++compared_;
    if (!same) ++differences_;
  }
  Entity any() {
    if (handles_.empty()) return {};
    return handles_[random_.below(handles_.size())];
  }
  /// No handle is given out twice, also not after its entity died.
  bool is_new(Entity e) {
    if (e.index >= generations_.size()) generations_.resize(e.index + 1);
    return e.generation > std::exchange(generations_[e.index], e.generation);
  }
  Owned owned(std::uint64_t value) { return {std::make_unique<std::uint64_t>(value)}; }

  void step(std::size_t population) {
    const auto value = random_();
    auto kind = random_.below(20);
    if (oracle_.size() > population && kind < 3) kind = 4;
    if (kind < 3) {
      Model model;
      Entity e;
      switch (random_.below(5)) {
        case 0: e = world_.spawn(); break;
        case 1:
          e = world_.spawn(Small{static_cast<std::uint32_t>(value)});
          model.small = static_cast<std::uint32_t>(value);
          model.changed = model.added = {'s'};
          break;
        case 2:
          e = world_.spawn(Wide{value, 1, 2}, Tag{});
          model.wide = value;
          model.tag = true;
          model.changed = model.added = {'w'};
          break;
        case 3:
          e = world_.spawn(owned(value), Small{1}, Byte{static_cast<std::uint8_t>(value)});
          model.owned = value;
          model.small = 1;
          model.byte = static_cast<std::uint8_t>(value);
          model.changed = model.added = {'s'};
          break;
        default:
          world_.spawn_batch(1, [&](std::size_t) { return std::tuple(Byte{3}, Wide{value, 0, 0}); }, &handles_);
          e = handles_.back();
          handles_.pop_back();
          model.byte = std::uint8_t{3};
          model.wide = value;
          model.changed = model.added = {'w'};
      }
      expect(static_cast<bool>(e) && world_.alive(e) && is_new(e));
      oracle_.emplace(e, std::move(model));
      handles_.push_back(e);
      return;
    }
    if (handles_.empty()) return;
    const std::size_t at = random_.below(handles_.size());
    const Entity e = handles_[at];
    const auto found = oracle_.find(e);
    const bool alive = found != oracle_.end();
    expect(world_.alive(e) == alive);
    Model none;
    Model& model = alive ? found->second : none;
    const auto refused = [&](const Outcome<>& outcome) { return !outcome && outcome.error() == Errc::not_found; };
    switch (kind) {
      case 3:
      case 4: {  // Despawn; the handle is kept for a while, to be tried when stale.
        const auto outcome = world_.despawn(e);
        expect(alive ? outcome.has_value() : refused(outcome));
        if (alive) oracle_.erase(found);
        if (!alive || handles_.size() > 2 * population) {
          handles_[at] = handles_.back();
          handles_.pop_back();
        }
        break;
      }
      case 5:
      case 6:
      case 7: {
        const auto outcome = world_.insert(e, Small{static_cast<std::uint32_t>(value)});
        expect(alive ? outcome.has_value() : refused(outcome));
        model.changed.insert('s');
        if (!model.small) model.added.insert('s');
        model.small = static_cast<std::uint32_t>(value);
        break;
      }
      case 8:
      case 9: {
        const auto outcome = world_.insert(e, owned(value), Tag{});
        expect(alive ? outcome.has_value() : refused(outcome));
        model.owned = value;
        model.tag = true;
        break;
      }
      case 10: {
        const auto outcome = world_.insert(e, Wide{value, 3, 4}, Byte{9});
        expect(alive ? outcome.has_value() : refused(outcome));
        model.changed.insert('w');
        if (!model.wide) model.added.insert('w');
        model.wide = value;
        model.byte = std::uint8_t{9};
        break;
      }
      case 11:
      case 12: {
        const auto outcome = world_.remove<Small>(e);
        expect(model.small ? outcome.has_value() : refused(outcome));
        model.small.reset();
        model.changed.erase('s');
        model.added.erase('s');
        break;
      }
      case 13: {
        const auto outcome = world_.remove<Owned, Wide>(e);
        expect(model.owned || model.wide ? outcome.has_value() : refused(outcome));
        model.owned.reset();
        model.wide.reset();
        model.changed.erase('w');
        model.added.erase('w');
        break;
      }
      case 14: {
        const auto outcome = world_.remove<Tag>(e);
        expect(model.tag ? outcome.has_value() : refused(outcome));
        model.tag = false;
        break;
      }
      case 15: {
        auto* small = world_.get_mut<Small>(e);
        expect((small != nullptr) == model.small.has_value());
        if (small != nullptr) {
          small->value += 1;
          ++*model.small;
          model.changed.insert('s');
        }
        break;
      }
      default: compare(e, model);
    }
  }

  Model look(Entity e) const {
    Model seen;
    if (const auto* it = world_.get<Small>(e)) seen.small = it->value;
    if (const auto* it = world_.get<Wide>(e)) seen.wide = it->a;
    if (const auto* it = world_.get<Owned>(e)) seen.owned = *it->value;
    if (const auto* it = world_.get<Byte>(e)) seen.byte = it->value;
    seen.tag = world_.has<Tag>(e);
    return seen;
  }
  void compare(Entity e, const Model& model) { expect(look(e) == model); }

  /// Every entity, what the queries find, and what is said to have changed.
  void compare() {
    expect(world_.size() == oracle_.size());
    for (const auto& [e, model] : oracle_) compare(e, model);
    std::size_t visited = 0;
    all_.each([&](Entity e, const Small* s, const Owned* o) {
      ++visited;
      const auto it = oracle_.find(e);
      expect(it != oracle_.end() && (s != nullptr) == it->second.small.has_value() &&
             (o != nullptr) == it->second.owned.has_value());
    });
    expect(visited == oracle_.size());
    const auto exact = [&](auto& query, auto&& in_oracle) {
      std::set<Entity> found, wanted;
      std::size_t count = 0;
      query.each([&](Entity e) {
        found.insert(e);
        ++count;
      });
      for (const auto& [e, model] : oracle_) {
        if (in_oracle(model)) wanted.insert(e);
      }
      expect(found == wanted && count == found.size());
    };
    exact(tagged_, [](const Model& m) { return m.tag && !m.byte; });
    exact(added_, [](const Model& m) { return m.added.contains('s'); });
    exact(changed_small_, [](const Model& m) { return m.changed.contains('s'); });
    exact(changed_wide_, [](const Model& m) { return m.changed.contains('w') && !m.tag; });
    for (auto& [e, model] : oracle_) {
      model.added.clear();
      // changed_wide_ looked at rows without Tag only, but time went by for all.
      model.changed.clear();
    }
    // A query that writes whole chunks; its rows then mix with older ones.
    write_.each([](Entity, Wide& wide) { wide.b += 1; });
    for (auto& [e, model] : oracle_) {
      if (model.wide && model.byte && !model.small) model.changed.insert('w');
    }
  }

  SplitMix64 random_;
  World world_;
  std::map<Entity, Model> oracle_;
  std::vector<Entity> handles_;
  std::vector<std::uint32_t> generations_;  ///< By index: the last one given out.
  std::uint64_t differences_ = 0, compared_ = 0;
  Query<Entity, const Small*, const Owned*> all_{world_};
  Query<Entity, With<Tag>, Without<Byte>> tagged_{world_};
  Query<Entity, Added<Small>> added_{world_};
  Query<Entity, Changed<Small>> changed_small_{world_};
  Query<Entity, Changed<Wide>, Without<Tag>> changed_wide_{world_};
  Query<Entity, Wide&, With<Byte>, Without<Small>> write_{world_};
};

// --- a small simulation with every kind of access ---

struct Position {
  std::int32_t x, y;
};
struct Speed {
  std::int32_t x, y;
};
struct Energy {
  std::int32_t value;
};
struct Heat {
  std::uint32_t value;
};
struct Asleep {};
struct Hit {
  Entity who;
  std::int32_t force;
};
struct Score {
  std::uint64_t hits;
};
struct Dice {
  std::uint64_t state;
};

std::uint64_t mix(std::uint64_t value) { return SplitMix64(value)(); }

void populate(World& world, std::uint64_t seed) {
  SplitMix64 random(seed);
  world.set_resource(Score{0});
  world.set_resource(Dice{seed});
  for (std::uint64_t i = 0; i < 100 + random.below(400); ++i) {
    const auto number = [&] { return static_cast<std::int32_t>(random.below(1000)) - 500; };
    const Position position{number(), number()};
    const Speed speed{number() / 50, number() / 50};
    switch (random.below(4)) {
      case 0: world.spawn(position, speed); break;
      case 1: world.spawn(position, speed, Energy{number()}); break;
      case 2: world.spawn(position, Energy{number()}, Heat{0}); break;
      default: world.spawn(position, speed, Energy{number()}, Heat{1}, Asleep{});
    }
  }
}

/// Random subsets and orders of systems: the graph differs from seed to seed.
void add_systems(Schedule& schedule, std::uint64_t seed) {
  SplitMix64 random(seed);
  const auto add_one = [&](std::uint64_t kind) {
    switch (kind) {
      case 0:
        schedule.add([](Query<Position&, const Speed&, Without<Asleep>>& q) {
          q.par_each(
              [](Position& p, const Speed& s) {
                p.x += s.x;
                p.y += s.y;
              },
              32);
        });
        break;
      case 1:
        schedule.add([](Query<Entity, const Position&, Speed&>& q, EventWriter<Hit> hits) {
          q.each([&](Entity e, const Position& p, Speed& s) {
            if (std::abs(p.x) < 500 && std::abs(p.y) < 500) return;
            s = {-s.x, -s.y};
            hits.send({e, s.x});
          });
        });
        break;
      case 2:
        schedule.add([](EventReader<Hit> hits, Query<Energy&>& q, Res<Score> score) {
          hits.each([&](const Hit& hit) {
            ++score->hits;
            q.with(hit.who, [&](Energy& e) { e.value -= hit.force; });
          });
        });
        break;
      case 3:
        schedule.add([](Query<Entity, const Energy&, Without<Asleep>>& q, Commands& commands) {
          q.each([&](Entity e, const Energy& energy) {
            if (energy.value % 17 == 0) commands.insert(e, Asleep{});
          });
        });
        break;
      case 4:
        schedule.add([](Query<Entity, Heat&, With<Asleep>>& q, Commands& commands) {
          q.each([&](Entity e, Heat& heat) {
            heat.value += 3;
            if (heat.value % 5 == 0) commands.remove<Asleep>(e);
          });
        });
        break;
      case 5:
        schedule.add([](Query<const Position&, Changed<Position>>& q, Res<Score> score) {
          q.each([&](const Position& p) { score->hits += static_cast<std::uint64_t>(p.x & 1); });
        });
        break;
      case 6:
        schedule.add([](Res<Dice> dice, Query<Entity, const Speed&>& q, Commands& commands) {
          dice->state = mix(dice->state);
          std::uint64_t left = dice->state % 4;
          q.each([&](Entity e, const Speed&) {
            if (left == 0 || mix(dice->state + e.index) % 16 != 0) return;
            --left;
            commands.despawn(e);
            const auto born = commands.spawn(Position{0, 0}, Speed{1, static_cast<std::int32_t>(left)});
            if (left == 2) commands.insert(born, Energy{7}, Heat{0});
          });
        });
        break;
      case 7:
        schedule.add(
            [](Query<Heat&, Without<Asleep>>& q) { q.par_each([](Heat& h) { h.value = h.value * 3 + 1; }, 16); });
        break;
      case 8:
        schedule.add([](Query<Mut<Energy>, Added<Asleep>>& q) {
          q.each([](Mut<Energy> e) {
            if (e->value < 0) e.write().value += 100;
          });
        });
        break;
      default:
        schedule.add([](World& world) {
          if (world.resource<Dice>()->state % 3 == 0) world.spawn(Position{1, 1}, Energy{34});
        });
    }
    if (random.below(6) == 0) schedule.flush();
  };
  const auto count = 4 + random.below(10);
  for (std::uint64_t i = 0; i < count; ++i) add_one(random.below(10));
}

std::uint64_t simulate(World& world, std::uint64_t seed, JobPool* pool, int frames, bool twice_snapshot = false) {
  Schedule schedule;
  add_systems(schedule, seed);
  StateBlob blob;
  std::uint64_t hash = 0;
  for (int i = 0; i < frames; ++i) {
    const auto ran = pool != nullptr ? schedule.run(world, *pool) : schedule.run(world);
    REQUIRE_OK(ran);
    world.update_events();
    hash = mix(hash ^ world.state_hash()) + world.resource<Score>()->hits + schedule.refused();
    if (twice_snapshot && i == frames / 2) {
      REQUIRE_OK(world.snapshot(blob));
      (void)world.spawn(Heat{9}, Asleep{});
      REQUIRE_OK(world.restore(blob));
    }
  }
  return hash;
}

}  // namespace

TEST_CASE("random operations give what a std::map oracle gives") {
  const std::uint64_t total = scaled(1e7);
  std::uint64_t differences = 0, compared = 0, done = 0;
  std::size_t tables = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Differential differential(seed);
    const std::uint64_t operations = std::max<std::uint64_t>(1, total / 10);
    differential.run(operations, seed % 2 == 0 ? 50 : 4000);
    differences += differential.differences();
    compared += differential.compared();
    tables = std::max(tables, differential.tables());
    done += operations;
  }
  proof::figure("oracle-operations", static_cast<double>(done), "op");
  proof::figure("oracle-comparisons", static_cast<double>(compared), "comparison");
  proof::figure("oracle-differences", static_cast<double>(differences), "difference");
  proof::figure("oracle-tables", static_cast<double>(tables), "table");
  CHECK(differences == 0);
}

TEST_CASE("a parallel schedule leaves the state that a serial one leaves") {
  const std::uint64_t seeds = scaled(1000);
  std::uint64_t equal = 0, restored = 0;
  JobPool two(2), four(4);
  std::set<std::uint64_t> distinct;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    World serial, parallel, undone;
    for (World* world : {&serial, &parallel, &undone}) populate(*world, seed);
    const auto wanted = simulate(serial, seed, nullptr, 12);
    distinct.insert(wanted);
    if (simulate(parallel, seed, seed % 2 == 0 ? &two : &four, 12) == wanted) ++equal;
    if (simulate(undone, seed, nullptr, 12, true) == wanted) ++restored;
  }
  proof::conformance(equal, seeds, "parallel-equals-serial");
  proof::conformance(restored, seeds, "restored-equals-undisturbed");
  CHECK(equal == seeds);
  CHECK(restored == seeds);
  CHECK(distinct.size() > seeds / 2);  // The hash is of something.
}

TEST_CASE("misuse is refused with an error and leaves the world as it was") {
  std::uint64_t caught = 0, tried = 0;
  const auto expect = [&](bool refused) {
    ++tried;
    if (refused) ++caught;
  };
  World world;
  std::vector<Entity> handles;
  world.spawn_batch(1000, [](std::size_t i) { return std::tuple(Small{static_cast<std::uint32_t>(i)}); }, &handles);
  // Despawned once, tried again through every old generation of the same index.
  std::vector<Entity> stale;
  for (int round = 0; round < 50; ++round) {
    const Entity e = world.spawn(Small{1}, Tag{});
    REQUIRE(world.despawn(e).has_value());
    stale.push_back(e);
  }
  const Entity young = world.spawn(Small{2}, Tag{});
  CHECK(young.index == stale.back().index);
  for (const Entity e : stale) {
    expect(world.despawn(e).error() == Errc::not_found);
    expect(world.insert(e, Tag{}).error() == Errc::not_found);
    expect(world.remove<Small>(e).error() == Errc::not_found);
    expect(world.get<Small>(e) == nullptr && world.get_mut<Small>(e) == nullptr && !world.has<Tag>(e));
  }
  const auto hash = world.state_hash();
  Query<Entity, Small&> query(world);
  query.each([&](Entity e, Small&) {
    expect(world.despawn(e).error() == Errc::conflict);
    expect(world.insert(e, Wide{}).error() == Errc::conflict);
    expect(world.remove<Small>(e).error() == Errc::conflict);
    expect(!world.spawn(Small{}));
  });
  JobPool pool(2);
  Commands commands;
  query.each([&](Entity e, Small&) {
    if (e != young) commands.despawn(e);
  });
  query.each([&](Entity, Small&) { expect(commands.empty() || !world.clear().has_value()); });
  CHECK(world.state_hash() == hash);
  for (const Entity e : handles) commands.despawn(e);  // Each a second time.
  const auto refused = commands.apply(world);
  for (std::size_t i = 0; i < handles.size(); ++i) expect(i < refused);
  CHECK(world.size() == 1);
  CHECK(world.alive(young));
  proof::conformance(caught, tried, "misuse-refused");
  CHECK(caught == tried);
}

TEST_CASE("a world of a million entities is saved and put back as it was") {
  const std::uint64_t count = scaled(1e6);
  World world;
  world.spawn_batch(count, [](std::size_t i) {
    return std::tuple(Position{static_cast<std::int32_t>(i), 0}, Speed{1, 2}, Energy{3});
  });
  StateBlob blob;
  REQUIRE_OK(world.snapshot(blob));
  const auto hash = world.state_hash();
  Query<Position&, const Speed&> move(world);
  move.each([](Position& p, const Speed& s) { p.x += s.x; });
  CHECK(world.state_hash() != hash);
  const auto timed = [](auto&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  const double saving = timed([&] { REQUIRE_OK(world.snapshot(blob)); });
  const auto moved = world.state_hash();
  move.each([](Position& p, const Speed& s) { p.x += s.x; });
  const double restoring = timed([&] { REQUIRE_OK(world.restore(blob)); });
  CHECK(world.state_hash() == moved);
  proof::figure("snapshot-bytes", static_cast<double>(blob.size()), "B");
  proof::figure("snapshot-time", saving, "ms");
  proof::figure("restore-time", restoring, "ms");
}
