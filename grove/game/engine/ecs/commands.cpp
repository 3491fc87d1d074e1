#include "grove/game/engine/ecs/commands.hpp"

#include <algorithm>

namespace grove::ecs {

void* Commands::room(std::size_t size) {
  constexpr std::size_t kBlock = 16384;
  while (filling_ < blocks_.size() && blocks_[filling_].size - blocks_[filling_].used < size) ++filling_;
  if (filling_ == blocks_.size()) {
    const std::size_t bytes = std::max(kBlock, size);
    blocks_.push_back({std::make_unique<std::byte[]>(bytes), 0, bytes});
  }
  auto& block = blocks_[filling_];
  void* const at = block.bytes.get() + block.used;
  block.used += size;
  return at;
}

template <class F>
void Commands::for_each(F&& f) {
  for (const auto& block : blocks_) {
    for (std::size_t at = 0; at < block.used;) {
      auto* const op = std::launder(reinterpret_cast<Op*>(block.bytes.get() + at));
      at += op->size;
      f(op);
    }
  }
}

std::size_t Commands::apply(World& world) {
  if (count_ == 0) return 0;
  // What a command asks for in turn is for the next time.
  Commands now;
  std::swap(blocks_, now.blocks_);
  std::swap(filling_, now.filling_);
  std::swap(count_, now.count_);
  std::swap(spawned_, now.spawned_);
  std::size_t refused = 0;
  now.for_each([&](Op* op) {
    if (!op->run(op, world, now)) ++refused;
  });
  now.clear();
  if (count_ == 0) {  // Keeps the memory.
    std::swap(blocks_, now.blocks_);
    std::swap(made_, now.made_);
  }
  return refused;
}

void Commands::clear() noexcept {
  for_each([](Op* op) { op->destroy(op); });
  for (auto& block : blocks_) block.used = 0;
  filling_ = 0;
  count_ = 0;
  spawned_ = 0;
  made_.clear();
}

}  // namespace grove::ecs
