#include "grove/web/frontend/frameworks/signals/graph.hpp"

#include <algorithm>
#include <bit>

namespace grove::signals {

using detail::Link;
using detail::Node;
using detail::Reactor;
using namespace detail;  // The flags.

// ---- slots ----

void* Graph::bump(std::size_t size) {
  if (size > bump_left_) {
    const std::size_t bytes = std::max(size, kChunk);
    chunks_.push_back(std::unique_ptr<std::byte[]>(new std::byte[bytes + 16]));
    const auto address = reinterpret_cast<std::uintptr_t>(chunks_.back().get());
    bump_ = chunks_.back().get() + (16 - address % 16) % 16;
    bump_left_ = bytes;
  }
  bump_left_ -= size;
  return std::exchange(bump_, bump_ + size);
}

void* Graph::allocate(std::size_t size, std::uint32_t& generation, std::uint8_t& size_class) {
  std::size_t index = (size + 15) / 16;
  size = index * 16;
  if (size > kSmall) {
    size = std::bit_ceil(size);
    index = kSmall / 16 + static_cast<std::size_t>(std::countr_zero(size)) % 32;
  }
  size_class = static_cast<std::uint8_t>(index);
  if (Node* slot = free_nodes_[index]) {
    free_nodes_[index] = slot->next_sibling;
    generation = slot->generation;
    return slot;
  }
  return bump(size);
}

// ---- edges ----

void Graph::add_link(Node* dep, Reactor* sub, Link* last, Link* next) {
  Link* tail = dep->subs_tail;
  // Read already in this run, with something else in between.
  if (tail != nullptr && tail->sub == sub && tail->version == sub->version) return;
  Link* link = free_links_;
  if (link != nullptr) {
    free_links_ = link->next_sub;
  } else {
    link = static_cast<Link*>(bump((sizeof(Link) + 15) / 16 * 16));
  }
  new (link) Link{dep, sub, next, tail, nullptr, sub->version};
  (last != nullptr ? last->next_dep : sub->deps) = link;
  sub->deps_tail = link;
  (tail != nullptr ? tail->next_sub : dep->subs) = link;
  dep->subs_tail = link;
  ++stats_.edges;
}

// Drops the edges after `last` (all of them after nullptr) into `bin`. Their
// next_dep stays for a walk that may stand on one.
void Graph::cut_deps(Reactor* sub, Link* last, Link*& bin) {
  Link* link = last != nullptr ? std::exchange(last->next_dep, nullptr) : std::exchange(sub->deps, nullptr);
  sub->deps_tail = last;
  for (; link != nullptr; link = link->next_dep) {
    Node* dep = link->dep;
    (link->next_sub != nullptr ? link->next_sub->prev_sub : dep->subs_tail) = link->prev_sub;
    (link->prev_sub != nullptr ? link->prev_sub->next_sub : dep->subs) = link->next_sub;
    link->dep = &tombstone_;
    link->next_sub = bin;
    bin = link;
    --stats_.edges;
  }
}

// ---- push ----

void Graph::notify(Reactor* effect) {
  // An effect around this one may dispose of it, so it goes first.
  const std::size_t first = queue_.size();
  do {
    effect->flags |= kQueued;
    queue_.push_back(effect);
    effect = effect->effect;
  } while (effect != nullptr && !(effect->flags & (kQueued | kRunning | kDead)));
  std::reverse(queue_.begin() + static_cast<std::ptrdiff_t>(first), queue_.end());
}

void Graph::propagate(Link* link) {
  const std::size_t base = pushes_.size();
  while (true) {
    Reactor* sub = link->sub;
    const std::uint16_t flags = sub->flags;
    // A body that runs cares only about what it has read in this run.
    const bool reached = !(flags & kRunning) || link->version == sub->version;
    Link* below = nullptr;
    if (reached && !(flags & (kDirty | kPending))) {
      sub->flags = flags | kPending;
      if ((flags & (kEffect | kQueued)) == kEffect) notify(sub);
      if (flags & kMutable) below = sub->subs;
    }
    Link* next = link->next_sub;
    if (below != nullptr) {
      if (next != nullptr) pushes_.push_back(next);
      link = below;
    } else if (next != nullptr) {
      link = next;
    } else if (pushes_.size() > base) {
      link = pushes_.back();
      pushes_.pop_back();
    } else {
      return;
    }
  }
}

void Graph::invalidate_direct(Link* link) {
  for (; link != nullptr; link = link->next_sub) {
    Reactor* sub = link->sub;
    if ((sub->flags & (kDirty | kPending)) == kPending) sub->flags |= kDirty;
  }
}

// ---- pull ----

bool Graph::refresh(Node* node) {
  return node->flags & kMemo ? run_memo(static_cast<Reactor*>(node)) : node->type->update(node);
}

// Whether a pending reactor must run: goes down to the first dependency that
// changed, bringing memos up to date on the way back.
bool Graph::check(Reactor* sub) {
  const std::size_t base = checks_.size();
  ++busy_;
  sub->flags |= kChecking;
  Link* link = sub->deps;
  bool dirty = false;
  while (true) {
    dirty = sub->flags & kDirty;
    while (!dirty && link != nullptr) {
      Node* dep = link->dep;
      // What runs or is looked at further up makes a cycle; the body that reads it will hear of it.
      if (dep->flags & (kRunning | kChecking)) {
      } else if (dep->flags & kDirty) {
        if (refresh(dep)) invalidate_direct(dep->subs);
        dirty = sub->flags & kDirty;
      } else if (dep->flags & kPending) {
        checks_.push_back(link);
        sub = static_cast<Reactor*>(dep);
        sub->flags |= kChecking;
        link = sub->deps;
        continue;
      }
      if (!dirty) link = link->next_dep;
    }
    sub->flags = static_cast<std::uint16_t>(sub->flags & ~kChecking);
    if (checks_.size() == base) break;
    if (dirty) {
      if (refresh(sub)) invalidate_direct(sub->subs);
    } else {
      sub->flags = static_cast<std::uint16_t>(sub->flags & ~kPending);
    }
    link = checks_.back();
    checks_.pop_back();
    sub = link->sub;
    link = link->next_dep;
  }
  --busy_;
  return dirty;
}

Fault Graph::resolve(Reactor* memo) {
  if (memo->flags & (kRunning | kChecking)) return Fault::cycle;
  // While warming up a few more: what is warmed stands on top of a full stack.
  const std::uint32_t limit = options_.max_depth + (warming_ ? 8 : 0);
  if (pull_depth_ > limit) return Fault::too_deep;
  if (pull_depth_ == limit && memo->flags & kFresh && !warming_) warm_up(memo);
  ++pull_depth_;
  ++busy_;
  if (memo->flags & kDirty || (memo->flags & kPending && check(memo))) {
    if (run_memo(memo)) invalidate_direct(memo->subs);
  } else {
    memo->flags = static_cast<std::uint16_t>(memo->flags & ~kPending);
  }
  --busy_;
  --pull_depth_;
  settle();
  return Fault::none;
}

// Runs memos that never ran, oldest first, up to one that stands on a full
// stack: what they read is older still, so none of them goes deep.
void Graph::warm_up(Reactor* until) {
  const Frame saved{std::exchange(active_, nullptr), std::exchange(running_, nullptr), owner_};
  warming_ = true;
  std::size_t i = 0;
  for (; i < fresh_.size(); ++i) {
    const FreshMemo entry = fresh_[i];
    if (entry.memo == until) break;
    if (entry.memo->generation == entry.generation && entry.memo->flags & kFresh) resolve(entry.memo);
  }
  fresh_.erase(fresh_.begin(), fresh_.begin() + static_cast<std::ptrdiff_t>(std::min(i, fresh_.size())));
  warming_ = false;
  active_ = saved.active;
  running_ = saved.running;
}

void Graph::register_memo(Reactor* memo) {
  if (fresh_.size() >= fresh_limit_) {
    std::erase_if(fresh_, [](const FreshMemo& entry) {
      return entry.memo->generation != entry.generation || !(entry.memo->flags & kFresh);
    });
    fresh_limit_ = std::max<std::size_t>(1024, fresh_.size() * 2);
  }
  fresh_.push_back({memo, memo->generation});
}

// ---- bodies ----

Graph::Frame Graph::enter(Reactor* node) {
  const Frame saved{active_, running_, owner_};
  node->flags = static_cast<std::uint16_t>((node->flags & ~(kDirty | kPending | kFresh)) | kRunning);
  node->fault = Fault::none;
  node->version = ++runs_;
  node->deps_tail = nullptr;
  active_ = running_ = owner_ = node;
  ++busy_;
  return saved;
}

void Graph::leave(Reactor* node, const Frame& saved) {
  active_ = saved.active;
  running_ = saved.running;
  owner_ = saved.owner;
  node->flags = static_cast<std::uint16_t>(node->flags & ~kRunning);
  if (node->flags & kDead) {  // It disposed of itself.
    dispose_children(node);
    cut_deps(node, nullptr, dead_links_);
    node->type->destroy(node);
  } else if (node->deps_tail == nullptr ? node->deps != nullptr : node->deps_tail->next_dep != nullptr) {
    // No walk stands on the edges of a body that ran: it would have been a cycle.
    cut_deps(node, node->deps_tail, free_links_);
  }
  --busy_;
}

void Graph::leave_scope(Reactor* scope, const Frame& saved) {
  active_ = saved.active;
  owner_ = saved.owner;
  if (scope->flags & kDead) dispose_children(scope);
  --busy_;
  if (--batch_depth_ == 0) flush();
  settle();
}

void Graph::call(Reactor* node) {
  const bool outermost = !(node->flags & kRunning);
  node->flags |= kRunning;
  run_owned(node, [&] {
    node->type->update(node);
    if (!outermost) return;
    node->flags = static_cast<std::uint16_t>(node->flags & ~kRunning);
    if (node->flags & kDead) node->type->destroy(node);
  });
}

bool Graph::run_memo(Reactor* memo) {
  const Fault before = memo->fault;
  dispose_children(memo);
  if (memo->flags & kDead) return false;
  ++stats_.memo_runs;
  const Frame saved = enter(memo);
  ++memo_depth_;
  const bool changed = memo->type->update(memo);
  --memo_depth_;
  leave(memo, saved);
  if (memo->flags & kDead) return false;
  // The next read tries again: from elsewhere there may be room.
  if (memo->fault == Fault::too_deep) memo->flags |= kDirty;
  return changed || memo->fault != before;
}

void Graph::run_effect(Reactor* effect) {
  dispose_children(effect);
  if (effect->flags & kDead) return;
  ++stats_.effect_runs;
  const Frame saved = enter(effect);
  effect->type->update(effect);
  leave(effect, saved);
  if (effect->fault != Fault::none && fault_ == Fault::none) fault_ = effect->fault;
}

void Graph::start(Reactor* effect) {
  ++batch_depth_;
  run_effect(effect);
  if (--batch_depth_ == 0) flush();
  settle();
}

void Graph::flush() {
  if (flushing_ || queue_.empty()) return;
  flushing_ = true;
  ++flushes_;
  ++batch_depth_;
  ++busy_;
  while (queue_head_ < queue_.size()) {
    Reactor* effect = queue_[queue_head_++];
    if (queue_head_ >= 4096 && queue_head_ * 2 > queue_.size()) {
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(std::exchange(queue_head_, 0)));
    }
    effect->flags = static_cast<std::uint16_t>(effect->flags & ~kQueued);
    if (!(effect->flags & kDirty) && !(effect->flags & kPending && check(effect))) {
      effect->flags = static_cast<std::uint16_t>(effect->flags & ~kPending);
      continue;
    }
    if (effect->flush != flushes_) {
      effect->flush = flushes_;
      effect->reruns = 0;
    }
    if (effect->reruns++ < options_.max_reruns) {
      run_effect(effect);
      continue;
    }
    // Left alone until something writes again; its dependencies must be clean to pass that on.
    effect->fault = Fault::runaway;
    if (fault_ == Fault::none) fault_ = Fault::runaway;
    for (Link* link = effect->deps; link != nullptr; link = link->next_dep) {
      if (!(link->dep->flags & (kDirty | kPending))) continue;
      if (link->dep->flags & kMemo) {
        resolve(static_cast<Reactor*>(link->dep));
      } else {
        commit(link->dep);
      }
    }
    effect->flags = static_cast<std::uint16_t>(effect->flags & ~(kDirty | kPending));
  }
  queue_.clear();
  queue_head_ = 0;
  --busy_;
  --batch_depth_;
  flushing_ = false;
  settle();
}

// ---- disposal ----

void Graph::detach(Node* node) {
  if (node->place == nullptr) return;
  *node->place = node->next_sibling;
  if (node->next_sibling != nullptr) node->next_sibling->place = node->place;
  node->next_sibling = nullptr;
  node->place = nullptr;
}

void Graph::dispose(Node* node) {
  ++busy_;
  ++batch_depth_;
  detach(node);
  const std::size_t base = doomed_.size();
  doomed_.push_back(node);
  while (doomed_.size() > base) {
    Node* top = doomed_.back();
    if (top->flags & kReactor) {
      if (Node* child = static_cast<Reactor*>(top)->children) {
        detach(child);
        doomed_.push_back(child);
        continue;
      }
    }
    doomed_.pop_back();
    kill(top);
  }
  --busy_;
  if (--batch_depth_ == 0) flush();
  settle();
}

void Graph::dispose_children(Reactor* owner) {
  while (owner->children != nullptr) dispose(owner->children);
}

void Graph::kill(Node* node) {
  if (node->flags & kDead) return;
  if (++node->generation >= 0xfffffff0) node->generation = 1;
  node->flags = static_cast<std::uint16_t>((node->flags & (kReactor | kQueued | kRunning | kChecking)) | kDead);
  if (node->flags & kReactor) cut_deps(static_cast<Reactor*>(node), nullptr, dead_links_);
  for (Link* link = node->subs; link != nullptr;) {
    Link* next = std::exchange(link->next_sub, nullptr);
    link->prev_sub = nullptr;
    link->dep = &tombstone_;
    link = next;
  }
  node->subs = node->subs_tail = nullptr;
  --stats_.nodes;
  graveyard_.push_back(node);
  if (node->flags & kRunning) return;
  const Frame saved{std::exchange(active_, nullptr), std::exchange(running_, nullptr), std::exchange(owner_, &root_)};
  node->type->destroy(node);
  active_ = saved.active;
  running_ = saved.running;
  owner_ = saved.owner;
}

// Recycles what was disposed of once no walk and no queue can stand on it.
void Graph::settle() {
  if (busy_ != 0 || flushing_ || !queue_.empty()) return;
  for (Node* node : graveyard_) {
    node->flags = 0;
    node->next_sibling = free_nodes_[node->size_class];
    free_nodes_[node->size_class] = node;
  }
  graveyard_.clear();
  while (dead_links_ != nullptr) {
    Link* link = std::exchange(dead_links_, dead_links_->next_sub);
    link->next_sub = free_links_;
    free_links_ = link;
  }
}

Graph::~Graph() {
  ++batch_depth_;  // Cleanups may write; nothing starts any more.
  dispose_children(&root_);
}

}  // namespace grove::signals
