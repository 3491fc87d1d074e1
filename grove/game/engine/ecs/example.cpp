#include "grove/base/example.hpp"
#include "grove/game/engine/ecs/ecs.hpp"

// A ball bounces down a stair of text; a second system draws every frame.
namespace grove::ecs {

struct Position {
  float x, y;
};
struct Velocity {
  float x, y;
};
struct Landed {};

Result<void> example(const ExampleContext& context) {
  World world;
  world.spawn(Position{0, 0}, Velocity{2, 3});
  world.spawn(Position{4, 0}, Velocity{1, 4});

  Schedule frame;
  frame.add([](Query<Entity, Position&, Velocity&, Without<Landed>>& balls, Commands& commands) {
    balls.each([&](Entity ball, Position& p, Velocity& v) {
      p.x += v.x;
      p.y += v.y;
      v.y -= 1;
      if (p.y <= 0) commands.insert(ball, Landed{});
    });
  });
  frame.add([&](Query<const Position&, Changed<Position>>& moved) {
    std::string line(40, '.');
    moved.each([&](const Position& p) { line[static_cast<std::size_t>(p.x) % line.size()] = p.y > 0 ? 'o' : '_'; });
    context.out << line << '\n';
  });

  game::JobPool pool;
  Query<const Position&, Without<Landed>> flying(world);
  while (flying.count() > 0) GROVE_CHECK(frame.run(world, pool));
  return {};
}

}  // namespace grove::ecs
