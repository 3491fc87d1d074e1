#include "grove/base/bench/bench.hpp"

#include <sys/resource.h>
#include <time.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"

namespace grove::bench {

void Checksum::bytes(std::span<const std::byte> data) noexcept {
  for (std::size_t at = 0; at < data.size(); at += 8) {
    std::uint64_t w = 0;
    std::memcpy(&w, data.data() + at, std::min<std::size_t>(8, data.size() - at));
    word(w);
  }
  word(data.size());
}

void Checksum::number(double value) noexcept { word(std::bit_cast<std::uint64_t>(value)); }

std::chrono::nanoseconds Meter::cpu_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

namespace {

/// VmHWM, as the Rust twin reads it. Not getrusage: its peak is inherited over
/// exec, so a program would answer for the memory of whoever started it.
std::uint64_t peak_bytes() {
  const auto status = read_file("/proc/self/status");
  const std::size_t at = status ? status->find("VmHWM:") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtoull(status->c_str() + at + 6, nullptr, 10) * 1024;
}

template <class T>
bool parse(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc{} && end == text.data() + text.size();
}

int usage(std::string_view problem) {
  std::fprintf(stderr, "%.*s\nusage: --list | --workload NAME [--size N] [--seed N] [--seconds S]\n",
               static_cast<int>(problem.size()), problem.data());
  return 2;
}

}  // namespace

int run(int argc, char** argv, std::span<const Workload> workloads) {
  std::string_view name;
  std::size_t size = 0;
  std::uint64_t seed = 1;
  double seconds = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--list") {
      for (const Workload& w : workloads)
        std::puts(JsonWriter()
                      .begin_object()
                      .member("workload", w.name)
                      .member("size", w.default_size)
                      .member("unit", w.unit)
                      .member("baseline_of", w.baseline_of)
                      .end_object()
                      .str()
                      .c_str());
      return 0;
    }
    if (i + 1 == argc) return usage("no value for " + std::string(option));
    const std::string_view value = argv[++i];
    const bool known = (option == "--workload" && (name = value, true)) ||
                       (option == "--size" && parse(value, &size) && size > 0) ||
                       (option == "--seed" && parse(value, &seed)) ||
                       (option == "--seconds" && parse(value, &seconds) && seconds >= 0);
    if (!known) return usage("cannot take " + std::string(option) + " " + std::string(value));
  }
  for (const Workload& w : workloads) {
    if (w.name != name) continue;
    const Parameters parameters{size != 0 ? size : w.default_size, seed};
    std::uint64_t work = 0;
    std::uint64_t runs = 0;
    std::uint64_t checksum = 0;
    std::chrono::duration<double> elapsed{};
    do {
      Meter meter;
      w.run(parameters, meter);
      if (meter.failure_) {
        std::fprintf(stderr, "%s\n", meter.failure_->c_str());
        return 2;
      }
      if (runs++ > 0 && meter.checksum().value() != checksum) {
        std::fprintf(stderr, "workload %.*s gave two different checksums for one seed\n", static_cast<int>(name.size()),
                     name.data());
        return 1;
      }
      checksum = meter.checksum().value();
      work += meter.work_;
      elapsed += meter.elapsed_;
    } while (elapsed.count() < seconds);
    std::array<char, 17> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(checksum));
    std::puts(JsonWriter()
                  .begin_object()
                  .member("workload", w.name)
                  .member("size", parameters.size)
                  .member("seed", seed)
                  .member("runs", runs)
                  .member("work", work)
                  .member("unit", w.unit)
                  .member("seconds", elapsed.count())
                  .member("peak_bytes", peak_bytes())
                  .member("checksum", hex.data())
                  .end_object()
                  .str()
                  .c_str());
    return 0;
  }
  return usage("no workload is called '" + std::string(name) + "'; --list shows them");
}

}  // namespace grove::bench
