// The first byte says what the others are: a snapshot; operations on a world that
// is compared with itself after a snapshot and a restore; or damage to a good
// snapshot, which gets past the names of the types in it.

#include <cstdlib>
#include <vector>

#include "grove/game/engine/ecs/ecs.hpp"

namespace {

using namespace grove::ecs;

struct Small {
  std::uint32_t value;
};
struct Wide {
  std::uint64_t a, b;
};
struct Tag {};

void need(bool holds) {
  if (!holds) std::abort();
}

void register_all(World& world) {
  world.register_components<Small, Wide, Tag>();
  world.set_resource(Small{1});
  events<Small>(world);
}

/// Whatever was restored is a world: every entity is found, goes once, and
/// handles are given out anew.
void use(World& world) {
  std::vector<Entity> all;
  Query<Entity, Small*, const Wide*> query(world);
  query.each([&](Entity e, Small* small, const Wide*) {
    if (small != nullptr) ++small->value;
    all.push_back(e);
  });
  need(all.size() == world.size());
  world.update_events();
  for (std::size_t i = 0; i < all.size(); ++i) {
    need(world.alive(all[i]));
    if (i % 3 == 0) need(world.insert(all[i], Wide{1, 2}).has_value());
    if (i % 3 == 1) need(world.insert(all[i], Tag{}).has_value() && world.remove<Tag>(all[i]).has_value());
    need(world.despawn(all[i]).has_value());
    need(!world.despawn(all[i]).has_value());
  }
  need(world.size() == 0);
  for (int i = 0; i < 8; ++i) need(world.alive(world.spawn(Small{2}, Tag{})));
  need(world.size() == 8);
}

void restore_bytes(std::span<const std::byte> bytes) {
  World world;
  register_all(world);
  world.spawn(Small{7});
  const auto before = world.state_hash();
  if (!world.restore(bytes)) {
    need(world.state_hash() == before);
    return use(world);
  }
  grove::game::StateBlob blob;
  const auto hash = world.state_hash();
  need(world.snapshot(blob).has_value());
  need(world.restore(blob).has_value());
  need(world.state_hash() == hash);
  use(world);
}

/// Three bytes a patch: where, and what to flip.
void restore_damaged(std::span<const std::byte> bytes) {
  World world;
  register_all(world);
  for (std::uint32_t i = 0; i < 6; ++i) {
    const Entity e = world.spawn(Small{i});
    if (i % 2 == 0) (void)world.insert(e, Wide{i, i}, Tag{});
    if (i % 3 == 0) (void)world.despawn(e);
  }
  events<Small>(world).send({3});
  grove::game::StateBlob blob;
  need(world.snapshot(blob).has_value());
  for (; bytes.size() >= 3; bytes = bytes.subspan(3)) {
    const auto at = std::to_integer<std::size_t>(bytes[0]) << 8 | std::to_integer<std::size_t>(bytes[1]);
    blob[at % blob.size()] ^= bytes[2];
  }
  restore_bytes(blob);
}

void operate(std::span<const std::byte> bytes) {
  World world;
  register_all(world);
  Commands commands;
  std::vector<Entity> all;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto op = std::to_integer<unsigned>(bytes[i]), value = std::to_integer<unsigned>(bytes[i + 1]);
    const Entity e = all.empty() ? Entity{value, op} : all[value % all.size()];
    switch (op % 12) {
      case 0: all.push_back(world.spawn(Small{value})); break;
      case 1: all.push_back(world.spawn(Wide{value, value}, Tag{})); break;
      case 2: world.spawn_batch(value, [&](std::size_t j) { return std::tuple(Wide{j, 0}, Small{op}); }, &all); break;
      case 3: (void)world.despawn(e); break;
      case 4: (void)world.insert(e, Small{value}, Tag{}); break;
      case 5: (void)world.insert(e, Wide{op, value}); break;
      case 6: (void)world.remove<Small>(e); break;
      case 7: (void)world.remove<Wide, Tag>(e); break;
      case 8: commands.insert(commands.spawn(Small{1}), Wide{2, 3}); break;
      case 9: commands.despawn(e); break;
      case 10: (void)commands.apply(world); break;
      default: events<Small>(world).send({value});
    }
  }
  grove::game::StateBlob blob;
  const auto hash = world.state_hash();
  need(world.snapshot(blob).has_value());
  need(world.restore(blob).has_value());
  need(world.state_hash() == hash);
  World other;
  register_all(other);
  need(other.restore(blob).has_value());
  need(other.state_hash() == hash);
  use(other);
  use(world);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 3) {
    case 0: restore_bytes(bytes); break;
    case 1: operate(bytes); break;
    default: restore_damaged(bytes);
  }
  return 0;
}
