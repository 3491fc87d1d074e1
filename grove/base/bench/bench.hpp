#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace grove::bench {

/// A 64-bit checksum of a result, the same in the Rust peers (grove-bench):
/// each word is folded as rotl(h ^ w, 29) * 0x9e3779b97f4a7c15; bytes are read
/// as little-endian words, the last one padded with zeros, then their count.
class Checksum {
 public:
  constexpr void word(std::uint64_t w) noexcept {
    const std::uint64_t x = state_ ^ w;
    state_ = (x << 29 | x >> 35) * 0x9e3779b97f4a7c15;
  }
  void bytes(std::span<const std::byte> data) noexcept;
  void text(std::string_view data) noexcept { bytes(std::as_bytes(std::span(data))); }
  /// The number's bits; -0.0 and 0.0 differ, NaNs must not occur.
  void number(double value) noexcept;
  constexpr std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

struct Parameters {
  std::size_t size;    ///< What it counts is the workload's own (entities, bytes, messages).
  std::uint64_t seed;  ///< For SplitMix64.
};

/// What a workload tells the harness. A workload prepares outside `measure`,
/// does the work inside, and then says how much it was and what came out.
class Meter {
 public:
  template <class Function>
  void measure(Function&& function) {
    const auto start = std::chrono::steady_clock::now();
    function();
    elapsed_ += std::chrono::steady_clock::now() - start;
  }
  /// As `measure`, but counts the CPU time of all threads of this process, user
  /// and system: for work whose pace another process (a server) sets.
  template <class Function>
  void measure_cpu(Function&& function) {
    const auto start = cpu_time();
    function();
    elapsed_ += cpu_time() - start;
  }
  void work(std::uint64_t units) noexcept { work_ += units; }
  Checksum& checksum() noexcept { return checksum_; }
  /// The workload can't run here (a server is missing, say): the reason.
  void fail(std::string reason) { failure_ = std::move(reason); }

 private:
  friend int run(int, char**, std::span<const struct Workload>);
  static std::chrono::nanoseconds cpu_time() noexcept;
  std::chrono::steady_clock::duration elapsed_{};
  std::uint64_t work_ = 0;
  Checksum checksum_;
  std::optional<std::string> failure_;
};

struct Workload {
  std::string_view name;  ///< kebab-case
  std::size_t default_size;
  std::string_view unit;  ///< Of work: "op", "B", "message".
  std::function<void(const Parameters&, Meter&)> run;
  /// "": compared with the row's Rust crate. Otherwise what it is compared with
  /// in the same binary (a baseline), named `<name>`'s workload.
  std::string_view baseline_of = {};
};

/// `int main(int argc, char** argv) { return bench::run(argc, argv, workloads); }`
///
/// --workload NAME --size N --seed N --seconds S   runs NAME again and again for
/// S seconds (at least once; every run must give the same checksum) and prints
/// one line: {"workload","size","seed","runs","work","unit","seconds",
/// "peak_bytes","checksum"}. --list prints one JSON line for each workload.
int run(int argc, char** argv, std::span<const Workload> workloads);

}  // namespace grove::bench
