#include "grove/game/engine/ecs/schedule.hpp"

#include <algorithm>

namespace grove::ecs {

namespace detail {

namespace {
bool reads_or_writes(Kind kind) { return hands_out(kind) || filters_rows(kind); }
bool needs(Kind kind) {
  return kind != Kind::without && kind != Kind::optional_read && kind != Kind::optional_write && kind != Kind::entity;
}

/// One asks for what the other excludes: no entity is in both.
bool disjoint(std::span<const Term> a, std::span<const Term> b) {
  const auto excluded = [](std::span<const Term> x, std::span<const Term> y) {
    return std::any_of(x.begin(), x.end(), [&](const Term& out) {
      return out.kind == Kind::without &&
             std::any_of(y.begin(), y.end(), [&](const Term& in) { return in.type == out.type && needs(in.kind); });
    });
  };
  return excluded(a, b) || excluded(b, a);
}

bool overlap(std::span<const Term> a, std::span<const Term> b) {
  for (const auto& x : a) {
    for (const auto& y : b) {
      if (x.type != nullptr && x.type == y.type && reads_or_writes(x.kind) && reads_or_writes(y.kind) &&
          (writes(x.kind) || writes(y.kind)))
        return true;
    }
  }
  return false;
}
}  // namespace

bool conflict(const Access& a, const Access& b) {
  if (a.exclusive || b.exclusive) return true;
  for (const auto& x : a.resources) {
    for (const auto& y : b.resources) {
      if (x.type == y.type && (x.write || y.write)) return true;
    }
  }
  for (const auto& x : a.queries) {
    for (const auto& y : b.queries) {
      if (overlap(x, y) && !disjoint(x, y)) return true;
    }
  }
  return false;
}

}  // namespace detail

struct Schedule::Node {
  std::unique_ptr<detail::System> system;
  detail::Access access;
  std::size_t stage = 0;
  std::string name;
  std::vector<std::size_t> after;  ///< As asked for.

  std::vector<Node*> before_me, after_me;  ///< With conflicts, in serial order.
  std::atomic<std::size_t> pending{0};
  Schedule* schedule = nullptr;
  Tick now = 0, last = 0;
  const TypeInfo* missing = nullptr;
};

Schedule::Schedule() = default;
Schedule::~Schedule() = default;

Schedule::Ref Schedule::Ref::after(Ref other) {
  schedule_->nodes_[index_]->after.push_back(other.index_);
  schedule_->built_ = false;
  return *this;
}
Schedule::Ref Schedule::Ref::before(Ref other) {
  other.after(*this);
  return *this;
}
Schedule::Ref Schedule::Ref::named(std::string name) {
  schedule_->nodes_[index_]->name = std::move(name);
  return *this;
}

Schedule::Ref Schedule::add_system(std::unique_ptr<detail::System> system) {
  auto node = std::make_unique<Node>();
  node->access = system->access();
  node->system = std::move(system);
  node->schedule = this;
  node->name = "system " + std::to_string(nodes_.size());
  if (alone_ || node->access.exclusive) flush();
  alone_ = node->access.exclusive;
  node->stage = stage_;
  nodes_.push_back(std::move(node));
  built_ = false;
  identity_.reset();
  return {*this, nodes_.size() - 1};
}

void Schedule::flush() {
  if (nodes_.empty() || nodes_.back()->stage != stage_) return;
  ++stage_;
  alone_ = false;
}

Result<void> Schedule::build() {
  if (built_) return {};
  // Kahn's algorithm; of those that may come next, the first added.
  order_.clear();
  std::vector<bool> placed(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (const auto other : nodes_[i]->after) {
      if (nodes_[other]->stage > nodes_[i]->stage)
        return fail(Errc::invalid_argument, "schedule: " + nodes_[i]->name + " comes after " + nodes_[other]->name +
                                                ", which is in a later stage");
    }
  }
  while (order_.size() < nodes_.size()) {
    std::size_t next = nodes_.size();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto& node = *nodes_[i];
      if (placed[i] || (next != nodes_.size() && nodes_[next]->stage <= node.stage)) continue;
      if (std::all_of(node.after.begin(), node.after.end(), [&](std::size_t other) { return placed[other]; })) next = i;
    }
    if (next == nodes_.size()) {
      std::string cycle;
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!placed[i]) cycle += (cycle.empty() ? "" : ", ") + nodes_[i]->name;
      }
      return fail(Errc::invalid_argument, "schedule: these systems wait for one another: " + cycle);
    }
    placed[next] = true;
    order_.push_back(nodes_[next].get());
  }
  for (auto* node : order_) {
    node->before_me.clear();
    node->after_me.clear();
  }
  for (std::size_t i = 0; i < order_.size(); ++i) {
    auto& later = *order_[i];
    for (std::size_t j = 0; j < i; ++j) {
      auto& earlier = *order_[j];
      if (earlier.stage != later.stage) continue;
      const bool asked = std::any_of(later.after.begin(), later.after.end(),
                                     [&](std::size_t other) { return nodes_[other].get() == &earlier; });
      if (!asked && !detail::conflict(earlier.access, later.access)) continue;
      earlier.after_me.push_back(&later);
      later.before_me.push_back(&earlier);
    }
  }
  built_ = true;
  return {};
}

std::vector<std::string> Schedule::describe() {
  std::vector<std::string> lines;
  if (!build()) return lines;
  for (const auto* node : order_) {
    std::string line = node->name;
    for (const auto* other : node->before_me) line += (other == node->before_me.front() ? " < " : ", ") + other->name;
    lines.push_back(std::move(line));
  }
  return lines;
}

void Schedule::run_node(Node& node) {
  node.missing = node.system->run({*world_, node.now, node.last, pool_, node.access.exclusive});
  node.last = node.now;
}

void Schedule::run_stage(std::span<Node* const> stage) {
  if (pool_ == nullptr || pool_->threads() == 1 || stage.size() == 1) {
    for (auto* node : stage) run_node(*node);
    return;
  }
  left_.store(stage.size());
  for (auto* node : stage) node->pending.store(node->before_me.size(), std::memory_order_relaxed);
  // Runs a system and then what only waited for it: one here, others elsewhere.
  // Once left_ is 0 the schedule may be gone; only the pool is touched then.
  const auto work = [](void* context) {
    for (auto* node = static_cast<Node*>(context); node != nullptr;) {
      Schedule& schedule = *node->schedule;
      game::JobPool& pool = *schedule.pool_;
      schedule.run_node(*node);
      Node* next = nullptr;
      for (auto* follower : node->after_me) {
        if (follower->pending.fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
        if (next != nullptr) pool.submit(schedule.work_, next);
        next = follower;
      }
      node = next;
      if (schedule.left_.fetch_sub(1, std::memory_order_acq_rel) == 1) pool.wake();
    }
  };
  work_ = work;
  Node* mine = nullptr;
  for (auto* node : stage) {
    if (!node->before_me.empty()) continue;
    if (mine != nullptr) pool_->submit(work_, mine);
    mine = node;
  }
  work(mine);
  pool_->help_until_zero(left_);
}

Result<void> Schedule::run(World& world, game::JobPool* pool) {
  if (world.locks_ != 0) return fail(Errc::conflict, "schedule: run from inside an iteration over the same world");
  GROVE_CHECK(build());
  if (identity_ != world.identity_) {
    for (auto* node : order_) {
      node->system->bind(world);
      node->last = 0;
    }
    world_ = &world;
    identity_ = world.identity_;
  }
  pool_ = pool;
  refused_ = 0;
  const std::span<Node* const> all(order_);
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end]->stage == all[begin]->stage) ++end;
    const auto stage = all.subspan(begin, end - begin);
    const bool alone = stage.front()->access.exclusive;
    for (auto* node : stage) node->now = world.next_tick();
    if (!alone) ++world.locks_;
    run_stage(stage);
    if (!alone) --world.locks_;
    world.next_tick();
    for (auto* node : stage) refused_ += node->system->apply(world);
  }
  for (const auto* node : order_) {
    if (node->missing != nullptr)
      return fail(Errc::not_found,
                  "schedule: " + node->name + " was left out: no resource " + std::string(node->missing->name));
  }
  return {};
}

}  // namespace grove::ecs
