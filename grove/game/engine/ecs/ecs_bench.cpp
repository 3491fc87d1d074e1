// The workloads of ecs_bench_suite, as in peer/src/main.rs.

#include <array>

#include "grove/base/bench/bench.hpp"
#include "grove/base/random.hpp"
#include "grove/game/engine/ecs/ecs.hpp"

namespace {

using namespace grove::ecs;
using grove::SplitMix64;
using grove::bench::Checksum;
using grove::bench::Meter;
using grove::bench::Parameters;

struct Vec3 {
  float x, y, z;
};
struct Transform {
  std::array<float, 16> m;
};
struct Position {
  Vec3 v;
};
struct Rotation {
  Vec3 v;
};
struct Velocity {
  Vec3 v;
};

float number(SplitMix64& random) { return (static_cast<float>(random.below(2001)) - 1000.0f) * 0.0078125f; }
Vec3 vector(SplitMix64& random) {
  const float x = number(random), y = number(random), z = number(random);
  return {x, y, z};
}
/// Strictly diagonally dominant, so it has an inverse.
Transform matrix(SplitMix64& random) {
  Transform t{};
  for (std::size_t i = 0; i < 16; ++i) t.m[i] = number(random) * 0.0625f + (i % 5 == 0 ? 4.0f : 0.0f);
  return t;
}
std::tuple<Transform, Position, Rotation, Velocity> bundle(SplitMix64& random) {
  const auto t = matrix(random);
  const auto p = vector(random), r = vector(random), v = vector(random);
  return {t, Position{p}, Rotation{r}, Velocity{v}};
}
void fold(Checksum& checksum, const Vec3& v) {
  checksum.number(v.x);
  checksum.number(v.y);
  checksum.number(v.z);
}

/// A row of a matrix. LLVM finds these vectors in the peer's loops by itself, GCC
/// 12 doesn't; the arithmetic is the same, in the same order.
using Row = float __attribute__((vector_size(16)));

/// Gauss-Jordan without pivoting, row by row.
inline void invert(Row (&a)[4]) {
  Row b[4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const float scale = 1.0f / a[i][i];
    a[i] *= scale;
    b[i] *= scale;
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      if (r == i) continue;
      const float factor = a[r][i];
      a[r] -= factor * a[i];
      b[r] -= factor * b[i];
    }
  }
  std::copy(b, b + 4, a);
}
inline void heavy(Transform& transform, Vec3& p) {
  auto& m = transform.m;
  Row rows[4];
  std::memcpy(rows, m.data(), sizeof rows);
  for (int i = 0; i < 100; ++i) invert(rows);
  std::memcpy(m.data(), rows, sizeof rows);
  p = {m[0] * p.x + m[1] * p.y + m[2] * p.z, m[4] * p.x + m[5] * p.y + m[6] * p.z,
       m[8] * p.x + m[9] * p.y + m[10] * p.z};
}

std::vector<Entity> spawn_bundles(World& world, const Parameters& parameters) {
  SplitMix64 random(parameters.seed);
  std::vector<Entity> entities;
  world.spawn_batch(parameters.size, [&](std::size_t) { return bundle(random); }, &entities);
  return entities;
}

void simple_insert(const Parameters& parameters, Meter& meter) {
  SplitMix64 random(parameters.seed);
  const auto first = bundle(random);
  std::unique_ptr<World> world;
  std::vector<Entity> entities;
  meter.measure([&] {
    world = std::make_unique<World>();
    world->spawn_batch(parameters.size, [&](std::size_t) { return first; }, &entities);
  });
  meter.work(parameters.size);
  for (const Entity e : entities) fold(meter.checksum(), world->get_mut<Position>(e)->v);
}

constexpr std::size_t kRepeats = 1000;

void simple_iter(const Parameters& parameters, Meter& meter) {
  World world;
  const auto entities = spawn_bundles(world, parameters);
  Query<const Velocity&, Position&> query(world);
  meter.measure([&] {
    for (std::size_t i = 0; i < kRepeats; ++i) {
      query.each([](const Velocity& v, Position& p) {
        p.v.x += v.v.x;
        p.v.y += v.v.y;
        p.v.z += v.v.z;
      });
    }
  });
  meter.work(parameters.size * kRepeats);
  for (const Entity e : entities) fold(meter.checksum(), world.get<Position>(e)->v);
}

struct Data {
  float value;
};
template <char>
struct Letter {
  float value;
};

template <char... Letters>
std::vector<Entity> spawn_fragments(World& world, const Parameters& parameters,
                                    std::integer_sequence<char, Letters...>) {
  SplitMix64 random(parameters.seed);
  std::vector<Entity> entities;
  const auto spawn = [&]<char L>(std::integral_constant<char, L>) {
    for (std::size_t i = 0; i < parameters.size; ++i) {
      const Data data{number(random)};
      entities.push_back(world.spawn(Letter<L>{0}, data));
    }
  };
  (spawn(std::integral_constant<char, Letters>()), ...);
  return entities;
}

void fragmented_iter(const Parameters& parameters, Meter& meter) {
  World world;
  const auto entities = spawn_fragments(world, parameters, std::make_integer_sequence<char, 26>());
  Query<Data&> query(world);
  meter.measure([&] {
    for (std::size_t i = 0; i < kRepeats; ++i) query.each([](Data& data) { data.value = data.value * 0.5f + 1.0f; });
  });
  meter.work(entities.size() * kRepeats);
  for (const Entity e : entities) meter.checksum().number(world.get<Data>(e)->value);
}

void heavy_compute(const Parameters& parameters, Meter& meter) {
  static grove::game::JobPool pool;
  World world;
  const auto entities = spawn_bundles(world, parameters);
  Query<Position&, Transform&> query(world);
  meter.measure([&] { query.par_each(pool, [](Position& p, Transform& t) { heavy(t, p.v); }); });
  meter.work(parameters.size);
  for (const Entity e : entities) fold(meter.checksum(), world.get<Position>(e)->v);
}

using A = Letter<'a'>;
using B = Letter<'b'>;
using C = Letter<'c'>;
using D = Letter<'d'>;
using E = Letter<'e'>;

void schedule(const Parameters& parameters, Meter& meter) {
  static grove::game::JobPool pool;
  SplitMix64 random(parameters.seed);
  World world;
  std::vector<Entity> entities;
  const auto many = [&]<class... Ts>(std::type_identity<std::tuple<Ts...>>) {
    world.spawn_batch(parameters.size, [&](std::size_t) { return std::tuple{Ts{number(random)}...}; }, &entities);
  };
  many(std::type_identity<std::tuple<A, B>>());
  many(std::type_identity<std::tuple<A, B, C>>());
  many(std::type_identity<std::tuple<A, B, C, D>>());
  many(std::type_identity<std::tuple<A, B, C, E>>());
  Schedule schedule;
  schedule.add([](Query<A&, B&>& query) { query.each([](A& a, B& b) { std::swap(a.value, b.value); }); });
  schedule.add([](Query<C&, D&>& query) { query.each([](C& c, D& d) { std::swap(c.value, d.value); }); });
  schedule.add([](Query<C&, E&>& query) { query.each([](C& c, E& e) { std::swap(c.value, e.value); }); });
  if (!schedule.run(world, pool)) return meter.fail("the schedule doesn't run");
  constexpr std::size_t kFrames = 100;
  meter.measure([&] {
    for (std::size_t i = 0; i < kFrames; ++i) (void)schedule.run(world, pool);
  });
  meter.work(parameters.size * 6 * kFrames);
  for (const Entity e : entities) {
    meter.checksum().number(world.get<A>(e)->value);
    const C* c = world.get<C>(e);
    meter.checksum().number(c != nullptr ? c->value : 0);
  }
}

void add_remove(const Parameters& parameters, Meter& meter) {
  SplitMix64 random(parameters.seed);
  World world;
  std::vector<Entity> entities;
  for (std::size_t i = 0; i < parameters.size; ++i) entities.push_back(world.spawn(A{number(random)}));
  constexpr std::size_t kRounds = 10;
  meter.measure([&] {
    for (std::size_t i = 0; i < kRounds; ++i) {
      for (const Entity e : entities) (void)world.insert(e, B{0});
      for (const Entity e : entities) (void)world.remove<B>(e);
    }
  });
  meter.work(parameters.size * 2 * kRounds);
  for (const Entity e : entities) meter.checksum().number(world.get<A>(e)->value);
}

const grove::bench::Workload kWorkloads[] = {
    {"simple-insert", 10000, "entity", simple_insert},
    {"simple-iter", 10000, "entity", simple_iter},
    {"fragmented-iter", 20, "entity", fragmented_iter},
    {"heavy-compute", 1000, "entity", heavy_compute},
    {"schedule", 10000, "entity", schedule},
    {"add-remove", 10000, "op", add_remove},
};

}  // namespace

int main(int argc, char** argv) { return grove::bench::run(argc, argv, kWorkloads); }
