#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

namespace grove {

/// A handle on a counter in a MetricRegistry. The default one counts nothing
/// and costs one comparison. Thread safe; a handle is a pointer, so copy it.
class Counter {
 public:
  constexpr Counter() noexcept = default;
  explicit Counter(std::atomic<std::uint64_t>& cell) noexcept : cell_(&cell) {}
  void add(std::uint64_t n = 1) const noexcept {
    if (cell_ != nullptr) cell_->fetch_add(n, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t>* cell_ = nullptr;
};

class Gauge {
 public:
  constexpr Gauge() noexcept = default;
  explicit Gauge(std::atomic<std::int64_t>& cell) noexcept : cell_(&cell) {}
  void set(std::int64_t v) const noexcept {
    if (cell_ != nullptr) cell_->store(v, std::memory_order_relaxed);
  }
  void add(std::int64_t n) const noexcept {
    if (cell_ != nullptr) cell_->fetch_add(n, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t>* cell_ = nullptr;
};

/// Counts of unsigned values in power-of-two buckets: bucket i holds values
/// whose bit width is i (0; 1; 2–3; 4–7; …).
struct HistogramCells {
  std::array<std::atomic<std::uint64_t>, 65> buckets{};
  std::atomic<std::uint64_t> sum{0};
};

class Histogram {
 public:
  constexpr Histogram() noexcept = default;
  explicit Histogram(HistogramCells& cells) noexcept : cells_(&cells) {}
  void record(std::uint64_t value) const noexcept {
    if (cells_ == nullptr) return;
    cells_->buckets[static_cast<std::size_t>(std::bit_width(value))].fetch_add(1, std::memory_order_relaxed);
    cells_->sum.fetch_add(value, std::memory_order_relaxed);
  }

 private:
  HistogramCells* cells_ = nullptr;
};

/// Owns the cells; must outlive the handles. Asking for a name again gives the
/// same cell. Names follow Prometheus: snake_case, unit last (`…_bytes_total`).
/// Thread safe.
class MetricRegistry {
 public:
  Counter counter(std::string_view name, std::string_view help = {}) {
    return Counter(cell<std::atomic<std::uint64_t>>(name, help));
  }
  Gauge gauge(std::string_view name, std::string_view help = {}) {
    return Gauge(cell<std::atomic<std::int64_t>>(name, help));
  }
  Histogram histogram(std::string_view name, std::string_view help = {}) {
    return Histogram(cell<HistogramCells>(name, help));
  }
  /// The Prometheus text exposition format, 0.0.4.
  std::string prometheus() const;

 private:
  struct Entry {
    Entry(std::string_view n, std::string_view h) : name(n), help(h) {}
    std::string name;
    std::string help;
    std::variant<std::monostate, std::atomic<std::uint64_t>, std::atomic<std::int64_t>, HistogramCells> value;
  };
  template <class Cell>
  Cell& cell(std::string_view name, std::string_view help) {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : entries_)
      if (entry.name == name)
        if (auto* found = std::get_if<Cell>(&entry.value)) return *found;
    return entries_.emplace_back(name, help).value.template emplace<Cell>();
  }

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // a deque: cells never move
};

}  // namespace grove
