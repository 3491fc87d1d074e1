#pragma once

#include "grove/game/engine/ecs/world.hpp"

namespace grove::ecs {

/// Structural changes for later: what a system asks for while queries iterate.
/// Applied in the order in which they were asked for. Not thread safe; each
/// system of a schedule has its own, so parallel runs apply in the same order
/// as serial ones.
class Commands {
 public:
  /// An entity that doesn't exist until the commands are applied. Good for
  /// further commands of the same buffer until then.
  struct Pending {
    std::uint32_t number;
  };

  Commands() = default;
  ~Commands() { clear(); }
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  template <class... Ts>
  Pending spawn(Ts... values) {
    const Pending pending{spawned_++};
    defer([... values = std::move(values)](World& world, Commands& self) mutable -> Outcome<> {
      const Entity entity = world.spawn(std::move(values)...);
      self.made_.push_back(entity);
      if (!entity) return std::unexpected(Errc::limit);
      return {};
    });
    return pending;
  }
  void despawn(Entity entity) {
    defer([entity](World& world, Commands&) { return world.despawn(entity); });
  }
  /// `entity`: an Entity, or a Pending of this buffer.
  template <class E, class... Ts>
  void insert(E entity, Ts... values) {
    defer([entity, ... values = std::move(values)](World& world, Commands& self) mutable {
      return world.insert(self.resolve(entity), std::move(values)...);
    });
  }
  template <class... Ts>
  void remove(Entity entity) {
    defer([entity](World& world, Commands&) { return world.remove<Ts...>(entity); });
  }
  /// f(World&): anything else.
  template <class F>
  void run(F f) {
    defer([f = std::move(f)](World& world, Commands&) mutable -> Outcome<> {
      f(world);
      return {};
    });
  }

  bool empty() const noexcept { return count_ == 0; }

  /// Does what was asked for and forgets it. Returns how many commands the world
  /// refused: an entity had died meanwhile, say. All of them while it iterates.
  std::size_t apply(World& world);
  /// Forgets what was asked for.
  void clear() noexcept;

 private:
  struct alignas(16) Op {
    Outcome<> (*run)(Op*, World&, Commands&);
    void (*destroy)(Op*) noexcept;
    std::size_t size;
  };
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t used, size;
  };

  Entity resolve(Entity entity) const noexcept { return entity; }
  Entity resolve(Pending pending) const noexcept {
    return pending.number < made_.size() ? made_[pending.number] : Entity{};
  }

  template <class F>
  void defer(F f) {
    if constexpr (alignof(F) > alignof(Op)) {
      defer(
          [boxed = std::make_unique<F>(std::move(f))](World& world, Commands& self) { return (*boxed)(world, self); });
    } else {
      struct Held : Op {
        explicit Held(F&& f) : f(std::move(f)) {}
        F f;
      };
      auto* held = ::new (room(sizeof(Held))) Held(std::move(f));
      held->run = [](Op* op, World& world, Commands& self) -> Outcome<> {
        return static_cast<Held*>(op)->f(world, self);
      };
      held->destroy = [](Op* op) noexcept { static_cast<Held*>(op)->~Held(); };
      held->size = sizeof(Held);
      ++count_;
    }
  }
  void* room(std::size_t size);
  template <class F>
  void for_each(F&& f);

  std::vector<Block> blocks_;
  std::size_t filling_ = 0;  ///< Which block.
  std::size_t count_ = 0;
  std::uint32_t spawned_ = 0;
  std::vector<Entity> made_;
};

}  // namespace grove::ecs
