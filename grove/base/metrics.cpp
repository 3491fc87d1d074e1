#include "grove/base/metrics.hpp"

namespace grove {

std::string MetricRegistry::prometheus() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const Entry& entry : entries_) {
    const auto head = [&](std::string_view type) {
      if (!entry.help.empty()) out += "# HELP " + entry.name + " " + entry.help + "\n";
      out += "# TYPE " + entry.name + " ";
      out += type;
      out += '\n';
    };
    if (const auto* counter = std::get_if<std::atomic<std::uint64_t>>(&entry.value)) {
      head("counter");
      out += entry.name + " " + std::to_string(counter->load(std::memory_order_relaxed)) + "\n";
    } else if (const auto* gauge = std::get_if<std::atomic<std::int64_t>>(&entry.value)) {
      head("gauge");
      out += entry.name + " " + std::to_string(gauge->load(std::memory_order_relaxed)) + "\n";
    } else if (const auto* cells = std::get_if<HistogramCells>(&entry.value)) {
      head("histogram");
      std::uint64_t total = 0;
      for (std::size_t i = 0; i < 64; ++i) {
        const std::uint64_t count = cells->buckets[i].load(std::memory_order_relaxed);
        if (count == 0) continue;
        total += count;
        out += entry.name + "_bucket{le=\"" + std::to_string((std::uint64_t{1} << i) - 1) + "\"} " +
               std::to_string(total) + "\n";
      }
      total += cells->buckets[64].load(std::memory_order_relaxed);
      out += entry.name + "_bucket{le=\"+Inf\"} " + std::to_string(total) + "\n";
      out += entry.name + "_sum " + std::to_string(cells->sum.load(std::memory_order_relaxed)) + "\n";
      out += entry.name + "_count " + std::to_string(total) + "\n";
    }
  }
  return out;
}

}  // namespace grove
