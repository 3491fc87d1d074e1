// Bytes as calls on a graph: nodes are made, written, read and disposed of in any
// order and from inside one another. Checked: no crash, effects show what a plain
// recomputation gives, and nothing is left at the end.

#include <cstdlib>
#include <vector>

#include "grove/web/frontend/frameworks/signals/signals.hpp"

using namespace grove::signals;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::size_t at = 0;
  std::size_t budget = 2000;  // Bodies that run.
  const auto next = [&]() -> unsigned { return at < size ? data[at++] : 0u; };
  Graph graph({.max_depth = 40, .max_reruns = 10});
  std::vector<Signal<unsigned>> signals;
  std::vector<Memo<unsigned>> memos;
  std::vector<Effect> effects;
  std::vector<Scope> scopes{scope(graph)};
  const auto pick = [](auto& list, unsigned byte) { return list[byte % list.size()]; };
  const auto read = [&](unsigned byte) -> unsigned {
    if (byte < 128 && !signals.empty()) return pick(signals, byte)();
    return memos.empty() ? 0u : pick(memos, byte)();
  };
  // What a body does is fixed by three bytes of its own.
  struct Body {
    unsigned a, b, act;
  };
  const auto run = [&](const Body& body) -> unsigned {
    if (budget == 0) return 0;
    --budget;
    unsigned value = read(body.a);
    if (value % 3 != 0) value += read(body.b);
    switch (body.act) {
      case 1:
        if (!signals.empty()) (void)pick(signals, body.b).set(value & 63);
        break;
      case 2: pick(scopes, body.b).dispose(); break;
      case 3:
        if (!memos.empty()) pick(memos, body.a).dispose();
        break;
      case 4:
        if (!effects.empty()) pick(effects, body.a).dispose();
        break;
      case 5: effect(graph, [&read, b = body.b] { (void)read(b); }); break;
      default: break;
    }
    return value & 255;
  };
  for (int steps = 0; at < size && steps < 300; ++steps) {
    const unsigned op = next() % 8;
    const auto body = [&] { return Body{next(), next(), next() % 24}; };
    pick(scopes, next()).run([&] {
      switch (op) {
        case 0: signals.push_back(signal(graph, next())); break;
        case 1: memos.push_back(memo(graph, [&run, b = body()] { return run(b); })); break;
        case 2: effects.push_back(effect(graph, [&run, b = body()] { (void)run(b); })); break;
        case 3: scopes.push_back(scope(graph)); break;
        case 4: (void)read(next()); break;
        case 5: pick(scopes, next()).dispose(); break;
        default:
          for (int i = 0; i < 2 && !signals.empty(); ++i) (void)pick(signals, next()).set(next() & 63);
      }
    });
    if (op == 5) scopes.push_back(scope(graph));
  }
  // A pure observer over all that is alive agrees with reading it.
  budget = 0;
  unsigned seen = 0;
  const auto total = [&] {
    unsigned sum = 0;
    for (const auto& one : signals) sum += one.try_get().value_or(0);
    return sum;
  };
  effect(graph, [&] { seen = total(); });
  for (const auto& one : signals) {
    (void)one.set(one.peek() + 1);
    if (seen != total()) std::abort();
  }
  for (const auto& one : effects) one.dispose();
  for (const auto& one : scopes) one.dispose();
  return 0;
}
