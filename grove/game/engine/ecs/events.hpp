#pragma once

#include <algorithm>

#include "grove/base/bytes.hpp"
#include "grove/game/engine/ecs/world.hpp"

namespace grove::ecs {

/// Events of one type, kept for two calls of World::update_events, so that a
/// reader that runs once a frame sees each of them once, whether it runs before
/// or after the writer. A resource; used through EventWriter and EventReader.
template <class T>
class EventQueue {
 public:
  void send(T event) { now_.push_back(std::move(event)); }
  void update() {
    first_ += before_.size();
    before_.swap(now_);
    now_.clear();
  }
  std::size_t size() const noexcept { return before_.size() + now_.size(); }

  /// A reader of its own, that has seen nothing of what is here.
  std::size_t add_reader() {
    read_.push_back(first_);
    return read_.size() - 1;
  }
  bool has_reader(std::size_t reader) const noexcept { return reader < read_.size(); }
  /// f(const T&) for each event that this reader hasn't seen. Different readers
  /// may read at the same time; f must not send to this queue.
  template <class F>
  void read(std::size_t reader, F&& f) {
    auto& next = read_[reader];
    std::size_t at = next > first_ ? static_cast<std::size_t>(next - first_) : 0;
    for (; at < before_.size(); ++at) f(std::as_const(before_[at]));
    for (; at < size(); ++at) f(std::as_const(now_[at - before_.size()]));
    next = first_ + size();
  }

 private:
  friend struct detail::ResourceOpsOf<EventQueue<T>>;

  std::uint64_t first_ = 0;  ///< The number of before_[0], counted from the first event ever.
  std::vector<T> before_, now_;
  std::vector<std::uint64_t> read_;  ///< By reader: the number of the next event to read.
};

namespace detail {
template <class T>
struct ResourceOpsOf<EventQueue<T>> {
  using Queue = EventQueue<T>;
  struct Header {
    std::uint64_t first, before, now, readers;
  };
  static bool save(const void* at, game::StateBlob& blob) {
    const auto& queue = *static_cast<const Queue*>(at);
    game::append(blob, Header{queue.first_, queue.before_.size(), queue.now_.size(), queue.read_.size()});
    game::append(blob, queue.before_.data(), queue.before_.size() * sizeof(T));
    game::append(blob, queue.now_.data(), queue.now_.size() * sizeof(T));
    game::append(blob, queue.read_.data(), queue.read_.size() * sizeof(std::uint64_t));
    return true;
  }
  static bool check(std::span<const std::byte> bytes) {
    Header header;
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::size_t left = bytes.size() - sizeof header;
    for (const auto& [count, size] :
         {std::pair{header.before, sizeof(T)}, {header.now, sizeof(T)}, {header.readers, sizeof(std::uint64_t)}}) {
      if (count > left / size) return false;
      left -= static_cast<std::size_t>(count) * size;
    }
    return left == 0;
  }
  static void load(void* at, std::span<const std::byte> bytes) {
    auto& queue = *static_cast<Queue*>(at);
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes = bytes.subspan(sizeof header);
    queue.first_ = header.first;
    const auto fill = [&]<class V>(std::vector<V>& values, std::uint64_t count) {
      // No default constructor is asked of T: its bytes are all there is to it.
      values.clear();
      values.reserve(count);
      for (; count > 0; --count, bytes = bytes.subspan(sizeof(V))) {
        alignas(V) std::byte value[sizeof(V)];
        std::memcpy(value, bytes.data(), sizeof(V));
        values.push_back(*std::launder(reinterpret_cast<V*>(value)));
      }
    };
    fill(queue.before_, header.before);
    fill(queue.now_, header.now);
    // Readers that came after the snapshot have nothing left to read.
    const std::size_t readers = queue.read_.size();
    fill(queue.read_, header.readers);
    if (queue.read_.size() < readers) queue.read_.resize(readers, queue.first_ + queue.size());
  }
  static constexpr ResourceOps kOps = [] {
    ResourceOps ops{nullptr, nullptr, nullptr, nullptr, [](void* at) { static_cast<Queue*>(at)->update(); }};
    if constexpr (std::is_trivially_copyable_v<T>) {
      ops.save = save;
      ops.check = check;
      ops.load = load;
      ops.reset = [](void* at) {
        auto& queue = *static_cast<Queue*>(at);
        queue.first_ = 0;
        queue.before_.clear();
        queue.now_.clear();
        std::fill(queue.read_.begin(), queue.read_.end(), 0);
      };
    }
    return ops;
  }();
};
}  // namespace detail

/// The queue of a type, made on first use.
template <class T>
EventQueue<T>& events(World& world) {
  if (auto* queue = world.resource<EventQueue<T>>()) return *queue;
  return world.set_resource(EventQueue<T>());
}

}  // namespace grove::ecs
