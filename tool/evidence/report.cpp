#include "tool/evidence/report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

template <class... Values>
std::string print(const char* format, Values... values) {
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

std::string formatted_time(std::int64_t unix_seconds, const char* format) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), format, &parts);
  return text.data();
}

/// Text inside a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '\\') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

/// "g++ (Debian 12.2.0-14) 12.2.0, Linux 6.1 x86_64, <cpu>, 2 cores, 24 GiB"
std::string shown_machine(const Machine& machine) {
  return machine.cpu + ", " + std::to_string(machine.cores) + " cores, " + shown_bytes(machine.memory) + ", " +
         machine.kernel + ", " + machine.compiler;
}

std::string shown_commit(const Run& run) {
  if (run.commit.empty()) return "no commit";
  return run.commit.substr(0, 10) + (run.dirty ? " with changes" : "");
}

}  // namespace

std::string iso_time(std::int64_t unix_seconds) { return formatted_time(unix_seconds, "%Y-%m-%dT%H:%M:%SZ"); }
std::string iso_date(std::int64_t unix_seconds) { return formatted_time(unix_seconds, "%Y-%m-%d"); }

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += byte < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return escaped;
}

std::string shown_ratio(const Ratio& ratio) { return print("%.2f× (%.2f–%.2f)", ratio.ratio, ratio.low, ratio.high); }

std::string shown_bytes(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 0x1p30) return print("%.1f GiB", value / 0x1p30);
  if (value >= 0x1p20) return print("%.1f MiB", value / 0x1p20);
  return print("%.0f KiB", value / 0x1p10);
}

void write_figures(const std::vector<Figure>& figures, JsonWriter* json) {
  json->key("figures").begin_array();
  for (const Figure& figure : figures) {
    if (figure.unit == "gap") continue;
    json->begin_object().member("name", figure.name).member("value", figure.value).member("unit", figure.unit);
    if (!figure.text.empty()) json->member("text", figure.text);
    json->end_object();
  }
  json->end_array().key("gaps").begin_array();
  for (const Figure& figure : figures)
    if (figure.unit == "gap")
      json->begin_object().member("what", figure.name).member("reason", figure.text).end_object();
  json->end_array();
}

std::string evidence_json(const std::vector<Run>& runs) {
  JsonWriter json;
  json.begin_object().key("evidence").begin_array();
  for (const Run& run : runs) {
    json.begin_object().member("id", run.leaf).member("kind", run.kind).member("time", iso_time(run.time));
    json.member("state", run.state).member("reason", run.reason).member("seconds", run.seconds);
    write_figures(run.figures, &json);
    json.key("ratios").begin_array();
    for (const Ratio& r : run.ratios) {
      json.begin_object().member("workload", r.workload).member("peer", r.peer);
      json.member("ratio", r.ratio).member("low", r.low).member("high", r.high).member("pairs", r.pairs);
      json.member("unit", r.unit).member("our_throughput", r.our_throughput);
      json.member("peer_throughput", r.peer_throughput);
      json.member("our_peak_bytes", r.our_peak).member("peer_peak_bytes", r.peer_peak);
      json.member("checksum", r.checksum).end_object();
    }
    json.end_array().member("content_hash", run.content_hash).member("commit", run.commit).member("dirty", run.dirty);
    json.key("machine").begin_object().member("cpu", run.machine.cpu).member("cores", run.machine.cores);
    json.member("memory_bytes", run.machine.memory).member("kernel", run.machine.kernel);
    json.member("compiler", run.machine.compiler).end_object();
    json.key("packages").raw(run.packages).end_object();
  }
  return std::move(json.end_array().end_object()).str();
}

std::string evidence_markdown(const Map& map, const std::vector<Run>& runs) {
  std::vector<std::string> machines;
  const auto machine_number = [&](const Run& run) {
    const std::string shown = shown_machine(run.machine);
    auto number = std::ranges::find(machines, shown) - machines.begin();
    if (number == std::ssize(machines)) machines.push_back(shown);
    return "M" + std::to_string(number + 1);
  };
  // Newest first, so the first that is met is the one that counts.
  const auto find = [&](std::string_view leaf, std::string_view kind) -> const Run* {
    const auto at = std::ranges::find_if(runs, [&](const Run& r) { return r.leaf == leaf && r.kind == kind; });
    return at == runs.end() ? nullptr : &*at;
  };

  std::size_t built = 0;
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t not_run = 0;
  std::size_t measured = 0;
  std::string body;
  for (const Tree& tree : map.trees) {
    std::string proofs;
    std::string ratios;
    std::string gaps;
    for (const Leaf& leaf : map.leaves) {
      if (!leaf.id.starts_with(tree.id + "/")) continue;
      built += leaf.built;
      if (const Run* run = find(leaf.id, "prove")) {
        passed += run->state == "passed";
        failed += run->state == "failed";
        not_run += run->state == "not-run";
        std::string figures = run->reason;
        for (const Figure& figure : run->figures) {
          if (figure.unit == "gap")
            gaps += "- `" + leaf.id + "`: " + cell(figure.name + ": " + figure.text) + "\n";
          else
            figures += (figures.empty() ? "" : ", ") + figure.name + " " + shown_value(figure);
        }
        proofs += "| `" + leaf.id + "` | " + run->state + " | " + iso_date(run->time) + " | " + machine_number(*run) +
                  " | " + shown_commit(*run) + " | " + cell(figures) + " |\n";
      }
      if (const Run* run = find(leaf.id, "bench")) {
        measured += !run->ratios.empty();
        for (const Ratio& r : run->ratios)
          ratios += "| `" + leaf.id + "` | " + cell(r.workload) + " | " + cell(r.peer) + " | " + shown_ratio(r) +
                    " | " + human_number(r.our_throughput) + " " + cell(r.unit) + "/s | " +
                    human_number(r.peer_throughput) + " " + cell(r.unit) + "/s | " + shown_bytes(r.our_peak) + " | " +
                    shown_bytes(r.peer_peak) + " | " + std::to_string(r.pairs) + " | " + iso_date(run->time) + " | " +
                    machine_number(*run) + " |\n";
        if (run->state != "passed")
          ratios += "| `" + leaf.id + "` | " + run->state + ": " + cell(run->reason) + " | | | | | | | | " +
                    iso_date(run->time) + " | " + machine_number(*run) + " |\n";
      }
    }
    if (proofs.empty() && ratios.empty()) continue;
    body += "\n## " + tree.title.en + "\n";
    if (!proofs.empty())
      body += "\n| leaf | state | date | machine | commit | figures |\n|---|---|---|---|---|---|\n" + proofs;
    if (!gaps.empty()) body += "\nWhat these machines can't show:\n\n" + gaps;
    if (!ratios.empty())
      body +=
          "\n| leaf | workload | peer | ratio (95 %) | Grove | peer | Grove's peak | peer's peak | pairs | date | "
          "machine |\n|---|---|---|---|---|---|---|---|---|---|---|\n" +
          ratios;
  }

  std::string text =
      "# Evidence\n\nWritten by `grove evidence --write docs/evidence.md` from the evidence database: the newest proof "
      "and the newest measurement of each leaf, failures included. `grove prove` and `grove bench` make new ones. A "
      "ratio is the peer's time over Grove's for the same work, the median over alternating pairs: above 1, Grove is "
      "ahead.\n\n";
  text += std::to_string(map.leaves.size()) + " leaves, " + std::to_string(built) + " built; " +
          std::to_string(passed) + " proven, " + std::to_string(failed) + " failed, " + std::to_string(not_run) +
          " not run, " + std::to_string(measured) + " measured.\n";
  if (!machines.empty()) text += "\n";
  for (std::size_t i = 0; i < machines.size(); ++i) text += "- M" + std::to_string(i + 1) + ": " + machines[i] + "\n";
  return text + body;
}

}  // namespace grove::tool
