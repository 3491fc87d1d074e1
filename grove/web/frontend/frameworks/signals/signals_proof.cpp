#include <sstream>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/web/common/document.hpp"
#include "grove/web/frontend/frameworks/signals/page/krausest.hpp"
#include "grove/web/frontend/frameworks/signals/signals.hpp"

using namespace grove;
using namespace grove::signals;

namespace {

using Word = std::uint32_t;
using Program = std::vector<Word>;

constexpr std::string_view kAlien = "3.2.1";
constexpr std::string_view kPreact = "1.14.5";
constexpr std::string_view kPlaywright = "1.65.1";

/// A random graph and what happens to it, as numbers: counts of signals, memos
/// and effects; values of the signals; for each memo and effect its kind and
/// what it reads; then steps. peer/differential.mjs reads the same.
Program make_program(SplitMix64& random) {
  const auto below = [&](std::size_t bound) { return static_cast<Word>(random.below(bound)); };
  const Word signals = 1 + below(6);
  const Word memos = below(25);
  const Word effects = 1 + below(6);
  Program program{signals, memos, effects};
  for (Word i = 0; i < signals; ++i) program.push_back(below(40));
  const auto reads = [&](Word known) {
    const Word count = 1 + below(4);
    program.push_back(count);
    for (Word i = 0; i < count; ++i) program.push_back(below(known));
  };
  for (Word i = 0; i < memos; ++i) {
    program.push_back(below(4));
    reads(signals + i);
  }
  const bool nested = below(4) == 0;
  for (Word i = 0; i < effects; ++i) {
    program.push_back(nested ? below(5) : below(4));
    reads(signals + memos);
  }
  const Word steps = 10 + below(30);
  program.push_back(steps);
  for (Word i = 0; i < steps; ++i) {
    const auto write = [&] {
      program.push_back(below(signals));
      program.push_back(below(40));
    };
    switch (below(10)) {
      case 0: {
        const Word count = below(6);
        program.push_back(1);
        program.push_back(count);
        for (Word k = 0; k < count; ++k) write();
        break;
      }
      case 1:
        program.push_back(2);
        program.push_back(below(signals + memos));
        break;
      case 2:
        program.push_back(below(4) == 0 ? 3u : 2u);
        program.push_back(below(program.back() == 3 ? effects : signals + memos));
        break;
      default: program.push_back(0); write();
    }
  }
  return program;
}

/// A signal or a memo.
using Any = std::function<Word()>;

Word compute(Word kind, const std::vector<Any>& deps) {
  const auto sum = [&] {
    Word total = 0;
    for (const Any& dep : deps) total += dep();
    return total;
  };
  switch (kind) {
    case 1: return sum() & 1;
    case 2: return (deps[0]() & 1) != 0 ? deps[1 % deps.size()]() : deps.back()();
    case 3: return sum() >> 4;
    default: return sum();
  }
}

struct Outcome {
  std::string line;  ///< As differential.mjs prints it.
  Word runs = 0;
};

Outcome run_program(const Program& program) {
  std::size_t at = 0;
  const auto next = [&] { return program[at++]; };
  const Word signals = next();
  const Word memos = next();
  const Word effects = next();
  Graph graph;
  std::vector<Signal<Word>> sources;
  std::vector<Any> nodes;
  for (Word i = 0; i < signals; ++i) {
    sources.push_back(signal(graph, Word{next()}));
    nodes.emplace_back(sources.back());
  }
  const auto list = [&] {
    std::vector<Any> deps(next());
    for (Any& dep : deps) dep = nodes[next()];
    return deps;
  };
  for (Word i = 0; i < memos; ++i) {
    const Word kind = next();
    nodes.emplace_back(memo(graph, [kind, deps = list()] { return compute(kind, deps); }));
  }
  std::vector<Word> runs(effects * 2);
  std::vector<Word> last(effects * 2);
  std::vector<Effect> stops;
  for (Word i = 0; i < effects; ++i) {
    const Word kind = next();
    stops.push_back(effect(graph, [&, i, kind, deps = list()] {
      ++runs[i];
      if (kind != 4) {
        last[i] = compute(kind, deps);
        return;
      }
      last[i] = deps[0]();
      effect(graph, [&, i] {
        ++runs[effects + i];
        last[effects + i] = compute(0, deps);
      });
    }));
  }
  Word values = 0;
  Word counts = 0;
  const auto fold = [](Word& hash, Word value) { hash = (hash ^ value) * 0x9e3779b1u + 0x7f4a7c15u; };
  const auto record = [&] {
    for (const Word value : last) fold(values, value);
    for (const Word count : runs) fold(counts, count);
  };
  record();
  for (Word steps = next(); steps > 0; --steps) {
    switch (next()) {
      case 0: {
        const Word s = next();
        sources[s].set(next());
        break;
      }
      case 1:
        graph.batch([&] {
          for (Word k = next(); k > 0; --k) {
            const Word s = next();
            sources[s].set(next());
          }
        });
        break;
      case 2: fold(values, nodes[next()]()); break;
      default: stops[next()].dispose(); break;
    }
    record();
  }
  Outcome outcome;
  for (const Word count : runs) outcome.runs += count;
  outcome.line = std::to_string(values) + ' ' + std::to_string(counts) + ' ' + std::to_string(outcome.runs);
  CHECK(!graph.take_fault());
  return outcome;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("random graphs give the values and runs of alien-signals, and the values of @preact/signals-core") {
  if (!proof::need("node", "nodejs")) return;
  const auto alien = proof::npm_package("alien-signals", kAlien);
  const auto preact = proof::npm_package("@preact/signals-core", kPreact);
  if (!alien || !preact) return;
  const char* scale = std::getenv("GROVE_PROOF_SCALE");
  const int count = 5000 * (scale != nullptr ? std::max(1, std::atoi(scale)) : 1);

  SplitMix64 random(20);
  std::vector<Outcome> ours;
  ProcessOptions options;
  options.timeout = std::chrono::minutes(10);
  for (int i = 0; i < count; ++i) {
    const Program program = make_program(random);
    ours.push_back(run_program(program));
    for (const Word word : program) options.input += std::to_string(word) + ' ';
    options.input.back() = '\n';
  }
  const auto theirs = run_process(
      {"node", std::string(GROVE_SOURCE_DIR) + "/peer/differential.mjs", alien->string(), preact->string()}, options);
  REQUIRE_OK(theirs);
  REQUIRE_MESSAGE(theirs->status == 0, theirs->err);
  const auto lines = lines_of(theirs->out);
  REQUIRE(lines.size() == ours.size() * 2);
  std::uint64_t alien_same = 0;
  std::uint64_t preact_same = 0;
  std::uint64_t preact_runs = 0;
  std::uint64_t preact_total = 0;
  std::uint64_t runs = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    runs += ours[i].runs;
    alien_same += lines[2 * i] == ours[i].line;
    const std::string& preact_line = lines[2 * i + 1];
    if (preact_line.starts_with("-")) continue;  // Its effects own no effects.
    ++preact_total;
    preact_runs += preact_line == ours[i].line;
    preact_same += preact_line.substr(0, preact_line.find(' ')) == ours[i].line.substr(0, ours[i].line.find(' '));
  }
  proof::conformance(alien_same, ours.size(), "alien-signals-values-and-runs");
  proof::conformance(preact_same, preact_total, "preact-signals-values");
  proof::figure("preact-signals-same-runs", static_cast<double>(preact_runs), "graphs");
  proof::figure("effect-runs-compared", static_cast<double>(runs), "runs");
  CHECK(alien_same == ours.size());
  CHECK(preact_same == preact_total);
}

TEST_CASE("in Chromium each operation on the table leaves the expected document and touches nothing else") {
  if (!proof::need("node", "nodejs") || !proof::need("chromium", "chromium")) return;
  const auto playwright = proof::npm_package("playwright-core", kPlaywright);
  if (!playwright) return;
  const auto folder = TempDir::make("signals");
  REQUIRE_OK(folder);
  ProcessOptions options;
  options.timeout = std::chrono::minutes(3);
  const auto run = run_process({"node", std::string(GROVE_SOURCE_DIR) + "/page/browser.mjs", playwright->string(),
                                find_program("chromium")->string(), GROVE_KRAUSEST_MODULE, folder->path().string()},
                               options);
  REQUIRE_OK(run);
  REQUIRE_MESSAGE(run->status == 0, run->err);
  std::uint64_t passed = 0;
  std::uint64_t total = 0;
  for (const std::string& line : lines_of(run->out)) {
    std::istringstream in(line);
    std::string kind;
    std::string name;
    in >> kind >> name;
    if (kind == "check") {
      std::string good;
      in >> good;
      ++total;
      passed += good == "true";
      CHECK_MESSAGE(good == "true", name);
    } else if (kind == "figure") {
      double value = 0;
      std::string unit;
      in >> value >> unit;
      proof::figure(name, value, unit);
    }
  }
  CHECK(total == 15);
  proof::gap("leptos in the browser", "needs the Rust toolchain for WebAssembly and wasm-bindgen");
  proof::conformance(passed, total, "krausest-in-chromium");

  // The same page natively, on a document in memory: the same HTML after each operation.
  Graph graph;
  web::Ops ops;
  Ui ui(graph, ops);
  web::Document document;
  krausest::Table table(ui);
  ui.mount([&](Ui&) { return table.view(); });
  std::uint64_t same = 0;
  int step = 0;
  const auto compare = [&] {
    REQUIRE_OK(document.apply(ops));
    ops.clear();
    const auto html = read_file(folder->path() / (std::to_string(step) + ".html"));
    REQUIRE_OK(html);
    CHECK_MESSAGE(*html == document.html(), step);
    same += *html == document.html();
    ++step;
  };
  const auto apply = [&](const web::DomNode* node) {
    REQUIRE(node != nullptr);
    const auto handler = web::Document::handler(*node, "click");
    REQUIRE(handler.has_value());
    ui.dispatch(*handler, {});
    REQUIRE_OK(document.apply(ops));
    ops.clear();
  };
  const auto press = [&](std::string_view id) { apply(document.find("id", id)); };
  const auto row = [&](std::size_t place, std::size_t cell) {
    apply(document.find("id", "tbody")->children[place]->children[cell]->children[0].get());
  };
  compare();
  press("run"), compare();
  press("run"), compare();
  press("update"), compare();
  row(4, 1), row(6, 1), compare();
  press("swaprows"), compare();
  row(3, 2), compare();
  press("add"), compare();
  press("clear"), compare();
  press("runlots"), compare();
  proof::conformance(same, static_cast<std::uint64_t>(step), "html-native-equals-chromium");
}

TEST_CASE("in WebAssembly the bench's graphs give alien-signals' results") {
  if (!proof::need("node", "nodejs")) return;
  const auto alien = proof::npm_package("alien-signals", kAlien);
  if (!alien) return;
  ProcessOptions options;
  options.timeout = std::chrono::minutes(3);
  const auto run = run_process(
      {"node", std::string(GROVE_SOURCE_DIR) + "/peer/alien.mjs", alien->string(), GROVE_BENCH_MODULE}, options);
  REQUIRE_OK(run);
  REQUIRE_MESSAGE(run->status == 0, run->err);
  std::uint64_t same = 0;
  std::uint64_t total = 0;
  for (const std::string& line : lines_of(run->out)) {
    std::istringstream in(line);
    std::string name;
    double theirs = 0;
    double ours = 0;
    std::string equal;
    in >> name >> theirs >> ours >> equal;
    ++total;
    same += equal == "true";
    CHECK_MESSAGE(equal == "true", name);
    proof::figure("wasm-speed-to-alien-signals-" + name, theirs / ours, "ratio");
  }
  CHECK(total == 10);
  proof::conformance(same, total, "wasm-results");
}
