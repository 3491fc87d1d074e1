#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

struct sqlite3;

namespace grove::tool {

/// A line that a proof printed. A conformance count has `text` "117/120" and
/// `value` 117; a gap has `unit` "gap" and its reason in `text`.
struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::string text;
};

/// One workload against one peer. `ratio` is the median over the pairs of
/// (peer's time for a unit of work) / (ours): above 1, Grove is ahead.
struct Ratio {
  std::string workload;
  std::string peer;
  double ratio = 0;
  double low = 0;  ///< The 95 % interval of the median.
  double high = 0;
  int pairs = 0;
  std::string unit;            ///< Of work: "op", "B".
  double our_throughput = 0;   ///< Median, units a second.
  double peer_throughput = 0;  ///< Median, units a second.
  std::int64_t our_peak = 0;   ///< Bytes, median over the runs.
  std::int64_t peer_peak = 0;
  std::string checksum;
};

/// Where it ran.
struct Machine {
  std::string compiler;  ///< "g++ 12.2.0"
  std::string kernel;    ///< "Linux 6.1.0-27-amd64 x86_64"
  std::string cpu;
  int cores = 0;
  std::int64_t memory = 0;  ///< Bytes.
};

/// One run of one leaf: what `prove` or `bench` left behind.
struct Run {
  std::int64_t id = 0;    ///< Given by the store.
  std::int64_t time = 0;  ///< Unix seconds, when it began.
  std::string kind;       ///< "prove" or "bench"
  std::string leaf;
  std::string state;  ///< "passed", "failed", "not-run"
  std::string reason;
  double seconds = 0;
  std::string content_hash;  ///< Of all that the result depends on (content_hash.hpp).
  std::string commit;        ///< Empty outside a git repository.
  bool dirty = false;        ///< What it depends on differed from the commit.
  Machine machine;
  std::string packages;  ///< JSON object: Debian package → version.
  std::vector<Figure> figures;
  std::vector<Ratio> ratios;
};

/// What the map shows of a leaf: its last proof and its last measurement.
struct Summary {
  std::string leaf;
  std::string state;  ///< Of the last `prove` run; empty: none yet.
  std::string reason;
  std::int64_t proved = 0;    ///< Unix seconds; 0: never.
  std::int64_t measured = 0;  ///< Of the last `bench` run that compared something; 0: never.
  std::vector<Ratio> ratios;  ///< Of that run, best first: name, peer, ratio, low, high only.

  const Ratio* best() const { return ratios.empty() ? nullptr : &ratios.front(); }
};

struct RunFilter {
  std::vector<std::string> leaves;  ///< Ids or prefixes (whole segments); empty: all.
  std::string kind;                 ///< Empty: both.
  int last = 0;                     ///< At most so many for each leaf and kind, the newest; 0: all.
};

/// Evidence in one SQLite file. Several processes may write at once (WAL, busy
/// timeout); one Store belongs to one thread.
class Store {
 public:
  enum class Access : unsigned char {
    read,  ///< Reads; a file that doesn't exist yet reads as empty and isn't created.
    write
  };

  /// GROVE_EVIDENCE, else $XDG_STATE_HOME/grove/evidence.sqlite, else ~/.local/state/….
  static std::filesystem::path default_path();

  /// `corrupt` when the file is damaged or no evidence database, `unsupported`
  /// when a newer Grove wrote it; the message says what to do.
  static Result<Store> open(Access access, const std::filesystem::path& file = default_path());

  /// Stores a run with its figures and ratios, or nothing; returns its id.
  Result<std::int64_t> add(const Run& run);

  /// Of one leaf; nothing when it has no evidence.
  Result<std::optional<Summary>> latest(std::string_view leaf) const;
  /// Of every leaf that has evidence, sorted by leaf.
  Result<std::vector<Summary>> latest_all() const;

  /// Newest first.
  Result<std::vector<Run>> runs(const RunFilter& filter) const;
  /// The newest run of that kind with its figures and ratios.
  Result<std::optional<Run>> last(std::string_view kind, std::string_view leaf) const;

  const std::filesystem::path& file() const { return file_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Store(std::filesystem::path file, sqlite3* database) : file_(std::move(file)), database_(database) {}
  Result<void> prepare_schema();
  Result<std::vector<Summary>> summaries(std::string_view leaf) const;

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> database_;  ///< Null: nothing is there to read.
};

}  // namespace grove::tool
