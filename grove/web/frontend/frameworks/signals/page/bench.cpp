// The workloads as a WebAssembly module: the bench by signals_proof.cpp and bench.mjs.

#include "grove/web/frontend/frameworks/signals/workloads.hpp"

namespace {

namespace work = grove::signals::workloads;
std::vector<std::uint32_t> words;

extern "C" {
__attribute__((import_module("host"), import_name("start"))) void host_start();
__attribute__((import_module("host"), import_name("stop"))) void host_stop();
}

}  // namespace

extern "C" {

/// Runs a workload; the host's clock is started and stopped around what is
/// measured. Gives the number of result words.
__attribute__((export_name("run"))) std::size_t run(int which, std::size_t size, std::uint32_t seed);
std::size_t run(int which, std::size_t size, std::uint32_t seed) {
  words.clear();
  const auto measure = [](auto&& body) {
    host_start();
    body();
    host_stop();
  };
  const auto sink = [](std::uint32_t word) { words.push_back(word); };
  switch (which) {
    case 0: work::deep(size, seed, measure, sink); break;
    case 1: work::broad(size, seed, measure, sink); break;
    case 2: work::diamond(size, seed, measure, sink); break;
    case 3: work::triangle(size, seed, measure, sink); break;
    case 4: work::mux(size, seed, measure, sink); break;
    case 5: work::dynamic(size, seed, measure, sink); break;
    case 6: work::layers(size, seed, measure, sink); break;
    case 7: work::effects(size, seed, measure, sink); break;
    case 8: work::create_signals(size, seed, measure, sink); break;
    case 9: work::create_memos(size, seed, measure, sink); break;
    default: break;
  }
  return words.size();
}

__attribute__((export_name("words"))) const std::uint32_t* result();
const std::uint32_t* result() { return words.data(); }
}
