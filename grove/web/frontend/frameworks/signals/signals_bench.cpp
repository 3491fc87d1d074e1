#include "grove/base/bench/bench.hpp"
#include "grove/web/frontend/frameworks/signals/workloads.hpp"

using namespace grove;
namespace work = grove::signals::workloads;

namespace {

template <class Function>
bench::Workload workload(std::string_view name, std::size_t size, std::string_view unit, Function function) {
  return {name, size, unit, [function](const bench::Parameters& parameters, bench::Meter& meter) {
            function(
                parameters.size, parameters.seed, [&](auto&& body) { meter.measure(body); },
                [&](std::uint32_t word) { meter.checksum().word(word); });
            meter.work(parameters.size);
          }};
}

#define GROVE_WORKLOAD(function) [](auto... arguments) { work::function(arguments...); }

}  // namespace

int main(int argc, char** argv) {
  const bench::Workload workloads[] = {
      workload("deep", 20'000, "write", GROVE_WORKLOAD(deep)),
      workload("broad", 10'000, "write", GROVE_WORKLOAD(broad)),
      workload("diamond", 100'000, "write", GROVE_WORKLOAD(diamond)),
      workload("triangle", 50'000, "write", GROVE_WORKLOAD(triangle)),
      workload("mux", 5'000, "write", GROVE_WORKLOAD(mux)),
      workload("dynamic", 50'000, "write", GROVE_WORKLOAD(dynamic)),
      workload("layers", 200, "write", GROVE_WORKLOAD(layers)),
      workload("effects", 1'000, "write", GROVE_WORKLOAD(effects)),
      workload("create-signals", 1'000'000, "signal", GROVE_WORKLOAD(create_signals)),
      workload("create-memos", 1'000'000, "memo", GROVE_WORKLOAD(create_memos)),
  };
  return bench::run(argc, argv, workloads);
}
