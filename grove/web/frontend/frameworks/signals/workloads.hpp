// grove: freestanding but for the heap
#pragma once

// The bench's workloads, shared by the native bench, the WebAssembly module and
// the proof; peer/src/main.rs and peer/alien.mjs do the same work. The shapes
// (deep, broad, diamond, triangle, mux, dynamic) are those that signal
// libraries are usually compared by. Values are 32-bit and wrap.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/web/frontend/frameworks/signals/signals.hpp"

namespace grove::signals::workloads {

/// A graph that is built once, then stepped: `step(i)` writes and gives what it read.
using Word = std::uint32_t;

inline constexpr Word kStride = 0x9e3779b9;

/// Drives `step` over `size` writes, inside `measure(body)`; every result goes to `word`.
template <class Measure, class Sink, class Step>
void drive(std::size_t size, Measure&& measure, Sink&& word, Step&& step) {
  std::vector<Word> seen(size);
  measure([&] {
    for (std::size_t i = 0; i < size; ++i) seen[i] = step(static_cast<Word>(i + 1));
  });
  for (const Word value : seen) word(value);
}

template <class Measure, class Sink>
void deep(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  auto last = memo(graph, [=] { return head() + 1; });
  for (int i = 1; i < 50; ++i) last = memo(graph, [=] { return last() + 1; });
  drive(size, measure, word, [&](Word i) {
    head.set(i * kStride);
    return last.peek();
  });
}

template <class Measure, class Sink>
void broad(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  std::vector<Memo<Word>> ends;
  for (Word i = 0; i < 50; ++i) {
    auto first = memo(graph, [=] { return head() + i; });
    ends.push_back(memo(graph, [=] { return first() + 1; }));
  }
  drive(size, measure, word, [&](Word i) {
    head.set(i * kStride);
    Word sum = 0;
    for (const auto& end : ends) sum += end.peek();
    return sum;
  });
}

template <class Measure, class Sink>
void diamond(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  std::vector<Memo<Word>> sides;
  for (Word i = 0; i < 5; ++i) sides.push_back(memo(graph, [=] { return head() + i; }));
  auto sum = memo(graph, [=] {
    Word total = 0;
    for (const auto& side : sides) total += side();
    return total;
  });
  drive(size, measure, word, [&](Word i) {
    head.set(i * kStride);
    return sum.peek();
  });
}

template <class Measure, class Sink>
void triangle(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  std::vector<Memo<Word>> chain{memo(graph, [=] { return head() + 1; })};
  for (int i = 1; i < 10; ++i) chain.push_back(memo(graph, [last = chain.back()] { return last() + 1; }));
  auto sum = memo(graph, [=] {
    Word total = head();
    for (const auto& link : chain) total += link();
    return total;
  });
  drive(size, measure, word, [&](Word i) {
    head.set(i * kStride);
    return sum.peek();
  });
}

/// 100 signals joined in one list and taken apart again: one write changes one end.
template <class Measure, class Sink>
void mux(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  std::vector<Signal<Word>> heads;
  for (Word i = 0; i < 100; ++i) heads.push_back(signal(graph, Word{0}));
  auto joined = memo(graph, [=] {
    std::vector<Word> all;
    all.reserve(heads.size());
    for (const auto& head : heads) all.push_back(head());
    return all;
  });
  std::vector<Memo<Word>> ends;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    auto split = memo(graph, [=] { return joined()[i]; });
    ends.push_back(memo(graph, [=] { return split() + 1; }));
  }
  drive(size, measure, word, [&](Word i) {
    heads[i % 100].set(i * kStride);
    Word sum = 0;
    for (const auto& end : ends) sum += end.peek();
    return sum;
  });
}

/// What is read changes with each write.
template <class Measure, class Sink>
void dynamic(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  auto twice = memo(graph, [=] { return head() * 2; });
  auto inverse = memo(graph, [=] { return ~head(); });
  auto sum = memo(graph, [=] {
    Word total = 0;
    for (Word i = 0; i < 20; ++i) total += head() % 2 != 0 ? twice() : inverse();
    return total;
  });
  drive(size, measure, word, [&](Word i) {
    head.set(i);
    return sum.peek();
  });
}

/// 10 layers of 1 000 memos that each read three of the layer before, at random.
template <class Measure, class Sink>
void layers(std::size_t size, std::uint64_t seed, Measure&& measure, Sink&& word) {
  SplitMix64 random(seed);
  Graph graph;
  constexpr std::size_t kWidth = 1000;
  std::vector<Signal<Word>> heads;
  for (Word i = 0; i < kWidth; ++i) heads.push_back(signal(graph, i));
  std::vector<Memo<Word>> layer;
  for (int depth = 0; depth < 10; ++depth) {
    std::vector<Memo<Word>> next;
    for (std::size_t i = 0; i < kWidth; ++i) {
      const auto a = static_cast<std::size_t>(random.below(kWidth));
      const auto b = static_cast<std::size_t>(random.below(kWidth));
      const auto c = static_cast<std::size_t>(random.below(kWidth));
      if (depth == 0) {
        next.push_back(memo(graph, [x = heads[a], y = heads[b], z = heads[c]] { return x() + y() * 3 + z(); }));
      } else {
        next.push_back(memo(graph, [x = layer[a], y = layer[b], z = layer[c]] { return x() + y() * 3 + z(); }));
      }
    }
    layer = std::move(next);
  }
  for (const auto& end : layer) (void)end.peek();
  drive(size, measure, word, [&](Word i) {
    heads[i * 7 % kWidth].set(i * kStride);
    Word sum = 0;
    for (std::size_t k = 0; k < kWidth; k += 100) sum += layer[k].peek();
    return sum;
  });
}

/// One signal, 1 000 effects.
template <class Measure, class Sink>
void effects(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Graph graph;
  auto head = signal(graph, Word{0});
  Word total = 0;
  for (Word i = 0; i < 1000; ++i) effect(graph, [=, &total] { total += head() ^ i; });
  drive(size, measure, word, [&](Word i) {
    head.set(i * kStride);
    return total;
  });
}

/// `size` signals, made and disposed of.
template <class Measure, class Sink>
void create_signals(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Word sum = 0;
  measure([&] {
    Graph graph;
    std::vector<Signal<Word>> all;
    all.reserve(size);
    for (std::size_t i = 0; i < size; ++i) all.push_back(signal(graph, static_cast<Word>(i) * kStride));
    for (const auto& one : all) sum += one.peek();
  });
  word(sum);
}

/// `size` memos over one signal, made, read once and disposed of.
template <class Measure, class Sink>
void create_memos(std::size_t size, std::uint64_t, Measure&& measure, Sink&& word) {
  Word sum = 0;
  measure([&] {
    Graph graph;
    auto head = signal(graph, Word{7});
    std::vector<Memo<Word>> all;
    all.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
      all.push_back(memo(graph, [=] { return head() + static_cast<Word>(i) * kStride; }));
    }
    for (const auto& one : all) sum += one.peek();
  });
  word(sum);
}

}  // namespace grove::signals::workloads
