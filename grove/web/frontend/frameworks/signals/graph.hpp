// grove: freestanding but for the heap
#pragma once

// The dependency graph behind signals.hpp. Users of signals need only that
// header; this one is for those who build something else on the graph.
//
// Push-pull propagation as in alien-signals (J. Yang) after Reactively's
// colouring (M. Miller): a write pushes "dirty" to its direct readers and
// "pending" below them; a read or an effect pulls, recomputing only what has
// a dependency that did change. All walks are loops over explicit stacks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace grove::signals {

/// Why a read or a write could not be served.
enum class Fault : std::uint8_t {
  none,
  disposed,       ///< The signal, memo or its scope is gone.
  cycle,          ///< A memo needs its own value.
  too_deep,       ///< Memos nested deeper than GraphOptions::max_depth within one another's first run.
  write_in_memo,  ///< A memo must not write: it runs when it is read, an unknown number of times.
  runaway,        ///< An effect kept starting itself (or others that start it) in one flush.
  duplicate_key,  ///< Two items of a list have one key (view.hpp); one is not shown.
};

constexpr const char* fault_name(Fault fault) noexcept {
  switch (fault) {
    case Fault::none: return "none";
    case Fault::disposed: return "disposed";
    case Fault::cycle: return "cycle";
    case Fault::too_deep: return "nested too deep";
    case Fault::write_in_memo: return "write inside a memo";
    case Fault::runaway: return "effects that start each other without end";
    case Fault::duplicate_key: return "duplicate key";
  }
  return "unknown fault";
}

struct GraphOptions {
  /// Bodies of memos on the stack at a time. Chains built in order (each memo
  /// after those that it reads) may be of any length all the same.
  std::uint32_t max_depth = 256;
  /// Runs of one effect within one flush.
  std::uint32_t max_reruns = 100;
};

struct GraphStats {
  std::uint64_t memo_runs = 0;
  std::uint64_t effect_runs = 0;
  std::size_t nodes = 0;  ///< Alive now.
  std::size_t edges = 0;  ///< Alive now.
};

class Graph;

namespace detail {

struct Node;
struct Reactor;

/// An edge, in two lists: what `sub` reads (in order) and who reads `dep`.
struct Link {
  Node* dep;
  Reactor* sub;
  Link* next_dep;
  Link* prev_sub;
  Link* next_sub;
  std::uint64_t version;  ///< The run of `sub` that last read `dep`.
};

enum Flag : std::uint16_t {
  kMutable = 1,   ///< Has a value that may change: a signal or a memo.
  kEffect = 2,    ///
  kRunning = 4,   ///< Its body is on the stack.
  kChecking = 8,  ///< Its dependencies are being looked at.
  kDirty = 16,    ///< Must recompute.
  kPending = 32,  ///< May have to recompute.
  kQueued = 64,   ///< An effect that waits for the flush.
  kFresh = 128,   ///< A memo that never ran.
  kForced = 256,  ///< A signal that changed in place.
  kDead = 512,    ///< Disposed of; its slot isn't free yet.
  kMemo = 1024,   ///
  kScope = 2048,  ///< Owns nodes, reads nothing.
  kReactor = kEffect | kMemo | kScope,
};

struct NodeType {
  bool (*update)(Node*);   ///< Signals commit, memos and effects run their bodies; whether the value changed.
  void (*destroy)(Node*);  ///< Ends the payload; the header stays, so that old handles can be told.
};

struct Node {
  Link* subs = nullptr;
  Link* subs_tail = nullptr;
  Node* next_sibling = nullptr;
  Node** place = nullptr;  ///< What points to this node in its owner's list.
  Graph* graph = nullptr;
  const NodeType* type = nullptr;
  std::uint32_t generation = 1;
  std::uint16_t flags = 0;
  Fault fault = Fault::none;
  std::uint8_t size_class = 0;
};

/// A node that reads others and owns what is created while it runs.
struct Reactor : Node {
  Link* deps = nullptr;
  Link* deps_tail = nullptr;
  Node* children = nullptr;
  Reactor* effect = nullptr;  ///< The nearest effect around it.
  std::uint64_t version = 0;  ///< Of its last run.
  std::uint64_t flush = 0;    ///< Effects: the flush of `reruns`.
  std::uint32_t reruns = 0;
};

/// What a handle that was never bound points to; no handle has its generation.
inline constinit const Node kNowhere{.generation = 0xffffffff};

/// What a read gives that can't be served.
template <class T>
const T& nothing() {
  static const T value{};
  return value;
}

/// Whether T has ==, down to the elements: the standard's containers and pairs
/// declare one whatever they hold.
template <class T>
consteval bool comparable() {
  if constexpr (requires {
                  typename T::first_type;
                  typename T::second_type;
                }) {
    if (!comparable<typename T::first_type>() || !comparable<typename T::second_type>()) return false;
  } else if constexpr (requires { typename T::value_type; }) {
    if (!comparable<typename T::value_type>()) return false;
  }
  return requires(const T& value) { value == value; };
}

template <class T>
bool changed(const T& before, const T& after) {
  if constexpr (comparable<T>()) {
    return !(before == after);
  } else {
    return true;
  }
}

}  // namespace detail

/// The owner of all nodes. Neither copied nor moved; one thread at a time.
/// Everything made from it is gone with it, so it outlives the last use of any
/// handle. Functions given to it must not throw (the process would end).
class Graph {
 public:
  explicit Graph(GraphOptions options = {}) : options_(options) {
    root_.graph = this;
    tombstone_.graph = this;
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  /// Writes inside `function` start effects once, after the outermost batch.
  /// Effects' bodies are batches of their own.
  template <class Function>
  decltype(auto) batch(Function&& function) {
    struct Guard {
      Graph& graph;
      explicit Guard(Graph& g) : graph(g) { ++graph.batch_depth_; }
      ~Guard() {
        if (--graph.batch_depth_ == 0) graph.flush();
      }
    } guard(*this);
    return std::forward<Function>(function)();
  }

  /// Reads inside `function` make no dependencies.
  template <class Function>
  decltype(auto) untrack(Function&& function) {
    struct Guard {
      Graph& graph;
      detail::Reactor* saved;
      explicit Guard(Graph& g) : graph(g), saved(std::exchange(g.active_, nullptr)) {}
      ~Guard() { graph.active_ = saved; }
    } guard(*this);
    return std::forward<Function>(function)();
  }

  /// The first fault that an effect, or a read outside everything, met since
  /// the last call.
  std::optional<Fault> take_fault() noexcept {
    const Fault fault = std::exchange(fault_, Fault::none);
    return fault == Fault::none ? std::nullopt : std::optional(fault);
  }

  const GraphStats& stats() const noexcept { return stats_; }

  // For the handles below and other code over the graph.

  template <class N, class... Arguments>
  N* create(Arguments&&... arguments) {
    static_assert(alignof(N) <= 16, "over-aligned values go behind a pointer");
    std::uint32_t generation = 1;
    std::uint8_t size_class = 0;
    void* slot = allocate(sizeof(N), generation, size_class);
    N* node = new (slot) N(std::forward<Arguments>(arguments)...);
    node->generation = generation;
    node->size_class = size_class;
    node->graph = this;
    node->place = &owner_->children;
    node->next_sibling = owner_->children;
    if (node->next_sibling != nullptr) node->next_sibling->place = &node->next_sibling;
    owner_->children = node;
    ++stats_.nodes;
    return node;
  }

  /// `sub` is what runs now.
  void track(detail::Node* dep) {
    if (detail::Reactor* sub = active_) {
      detail::Link* last = sub->deps_tail;
      if (last != nullptr && last->dep == dep) return;
      detail::Link* next = last != nullptr ? last->next_dep : sub->deps;
      if (next != nullptr && next->dep == dep) {
        next->version = sub->version;
        sub->deps_tail = next;
        return;
      }
      add_link(dep, sub, last, next);
    }
  }

  /// Brings a memo up to date before it is read: `cycle` or `too_deep` when that can't be.
  Fault resolve(detail::Reactor* memo);
  /// A signal that was written is about to be read.
  void commit(detail::Node* signal) {
    if (signal->type->update(signal)) invalidate_direct(signal->subs);
  }
  /// A signal has a new value: tells its readers, and starts effects unless a batch is open.
  void written(detail::Node* signal) {
    if (signal->subs == nullptr) return;
    propagate(signal->subs);
    if (batch_depth_ == 0) flush();
  }
  /// Whether a write is allowed now; if not, what runs has a fault.
  bool may_write() noexcept {
    if (memo_depth_ == 0) return true;
    poison(Fault::write_in_memo);
    return false;
  }
  /// What runs now (or the graph, when nothing does) has a fault.
  void poison(Fault fault) noexcept {
    if (running_ != nullptr) {
      if (running_->fault == Fault::none) running_->fault = fault;
    } else if (fault_ == Fault::none) {
      fault_ = fault;
    }
  }
  void register_memo(detail::Reactor* memo);
  /// The first run of an effect.
  void start(detail::Reactor* effect);
  /// Disposes of a node and of all that it owns, newest first.
  void dispose(detail::Node* node);

  /// Runs `body` untracked; what it creates belongs to `scope`.
  template <class Body>
  decltype(auto) run_owned(detail::Reactor* scope, Body&& body) {
    struct Guard {
      Graph& graph;
      detail::Reactor* scope;
      Frame saved;
      Guard(Graph& g, detail::Reactor* s) : graph(g), scope(s), saved{g.active_, g.running_, g.owner_} {
        graph.active_ = nullptr;
        graph.owner_ = scope;
        ++graph.busy_;
        ++graph.batch_depth_;
      }
      ~Guard() { graph.leave_scope(scope, saved); }
    } guard(*this, scope);
    return std::forward<Body>(body)();
  }

  /// Runs the body of a node that nothing starts but this: untracked, as a
  /// batch. The node may be disposed of meanwhile.
  void call(detail::Reactor* node);

  /// What runs now goes before what `scope` will hold, as if it were around it.
  void put_before(detail::Reactor* scope) noexcept { scope->effect = running_; }

  /// The nearest effect around what is created now.
  detail::Reactor* enclosing_effect() const noexcept {
    return owner_->flags & detail::kEffect ? owner_ : owner_->effect;
  }

 private:
  struct Frame {
    detail::Reactor* active;
    detail::Reactor* running;
    detail::Reactor* owner;
  };
  static constexpr std::size_t kSmall = 1024;       ///< Slots up to here come in steps of 16 bytes.
  static constexpr std::size_t kChunk = 32 * 1024;  ///< Bytes.
  static constexpr std::size_t kClasses = kSmall / 16 + 1 + 32;

  Frame enter(detail::Reactor* node);
  void leave(detail::Reactor* node, const Frame& saved);
  void leave_scope(detail::Reactor* scope, const Frame& saved);
  void* allocate(std::size_t size, std::uint32_t& generation, std::uint8_t& size_class);
  void* bump(std::size_t size);
  void add_link(detail::Node* dep, detail::Reactor* sub, detail::Link* last, detail::Link* next);
  void cut_deps(detail::Reactor* sub, detail::Link* last, detail::Link*& bin);
  void propagate(detail::Link* link);
  void invalidate_direct(detail::Link* link);
  void notify(detail::Reactor* effect);
  bool check(detail::Reactor* sub);
  bool refresh(detail::Node* node);
  bool run_memo(detail::Reactor* memo);
  void run_effect(detail::Reactor* effect);
  void flush();
  void warm_up(detail::Reactor* until);
  void dispose_children(detail::Reactor* owner);
  void detach(detail::Node* node);
  void kill(detail::Node* node);
  void settle();

  GraphOptions options_;
  detail::Reactor* active_ = nullptr;   ///< Whose reads are tracked.
  detail::Reactor* running_ = nullptr;  ///< Whose body is innermost, tracked or not.
  detail::Reactor root_;
  detail::Reactor* owner_ = &root_;
  detail::Node tombstone_;  ///< What edges to disposed nodes lead to.
  std::uint64_t runs_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint32_t batch_depth_ = 0;
  std::uint32_t memo_depth_ = 0;  ///< Bodies of memos on the stack.
  std::uint32_t pull_depth_ = 0;  ///< Reads that recompute on the stack.
  std::uint32_t busy_ = 0;        ///< Walks on the stack that hold links or nodes.
  bool flushing_ = false;
  bool warming_ = false;
  Fault fault_ = Fault::none;
  GraphStats stats_;

  std::vector<detail::Reactor*> queue_;  ///< Effects, outer ones first.
  std::size_t queue_head_ = 0;
  std::vector<detail::Link*> pushes_;  ///< Stack of `propagate`.
  std::vector<detail::Link*> checks_;  ///< Stack of `check`; nested walks share it.
  struct FreshMemo {
    detail::Reactor* memo;
    std::uint32_t generation;
  };
  std::vector<FreshMemo> fresh_;  ///< Memos that never ran, in order of creation, and some that did.
  std::size_t fresh_limit_ = 1024;
  std::vector<detail::Node*> doomed_;  ///< Stack of `dispose`; nested ones share it.
  std::vector<detail::Node*> graveyard_;
  detail::Link* dead_links_ = nullptr;  ///< Through next_sub; freed when nothing walks.
  detail::Link* free_links_ = nullptr;
  detail::Node* free_nodes_[kClasses] = {};
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* bump_ = nullptr;
  std::size_t bump_left_ = 0;
};

}  // namespace grove::signals
