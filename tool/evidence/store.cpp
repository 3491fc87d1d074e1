#include "tool/evidence/store.hpp"

#include <sqlite3.h>

#include <cstdlib>
#include <utility>

namespace grove::tool {
namespace {

/// "GROV": tells our file from any other SQLite database.
constexpr int kApplicationId = 0x47524f56;
constexpr int kBusyMilliseconds = 10'000;

/// kMigrations[n] leads from user_version n to n + 1. Only ever appended to.
constexpr const char* kMigrations[] = {
    R"(CREATE TABLE runs (
         id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('prove', 'bench')),
         leaf TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('passed', 'failed', 'not-run')),
         reason TEXT NOT NULL, seconds REAL NOT NULL, content_hash TEXT NOT NULL, commit_id TEXT NOT NULL,
         dirty INTEGER NOT NULL, compiler TEXT NOT NULL, kernel TEXT NOT NULL, cpu TEXT NOT NULL,
         cores INTEGER NOT NULL, memory INTEGER NOT NULL, packages TEXT NOT NULL);
       CREATE INDEX runs_of_leaf ON runs (leaf, kind, id);
       CREATE TABLE figures (
         run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
         name TEXT NOT NULL, value REAL NOT NULL, unit TEXT NOT NULL, text TEXT NOT NULL);
       CREATE INDEX figures_of_run ON figures (run);
       CREATE TABLE ratios (
         run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
         workload TEXT NOT NULL, peer TEXT NOT NULL, ratio REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
         pairs INTEGER NOT NULL, unit TEXT NOT NULL, our_throughput REAL NOT NULL, peer_throughput REAL NOT NULL,
         our_peak INTEGER NOT NULL, peer_peak INTEGER NOT NULL, checksum TEXT NOT NULL);
       CREATE INDEX ratios_of_run ON ratios (run);)",
};
constexpr int kSchema = static_cast<int>(std::size(kMigrations));

std::unexpected<Error> fail_sqlite(sqlite3* database, const std::filesystem::path& file) {
  const std::string where = file.string();
  const char* why = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fail(Errc::corrupt, "the evidence in " + where + " can't be read (" + why + "); move it away (mv " +
                                     where + " " + where + ".broken) and prove again, or name another file in " +
                                     "GROVE_EVIDENCE");
    case SQLITE_BUSY:
      return fail(Errc::unavailable, where + ": another process is writing evidence for too long; try again");
    case SQLITE_FULL: return fail(Errc::no_space, "write " + where + ": " + why);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return fail(Errc::permission,
                  "open " + where + ": " + why + "; name a file that you can write in GROVE_EVIDENCE");
    default: return fail(Errc::io, where + ": " + why);
  }
}

/// A prepared statement. Parameters are bound and columns read in order.
class Statement {
 public:
  Statement(sqlite3* database, const std::filesystem::path& file, std::string_view sql)
      : database_(database), file_(file) {
    prepared_ = sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr) == SQLITE_OK;
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(handle_); }

  /// Text must outlive the statement.
  Statement& bind(std::string_view text) {
    if (prepared_) sqlite3_bind_text(handle_, ++parameter_, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& bind(double number) {
    if (prepared_) sqlite3_bind_double(handle_, ++parameter_, number);
    return *this;
  }
  Statement& bind(std::int64_t number) {
    if (prepared_) sqlite3_bind_int64(handle_, ++parameter_, number);
    return *this;
  }
  Statement& bind(int number) { return bind(std::int64_t{number}); }

  /// True: a row is there to read.
  Result<bool> step() {
    if (!prepared_) return fail_sqlite(database_, file_);
    column_ = 0;
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return fail_sqlite(database_, file_);
  }
  Result<void> done() {
    GROVE_CHECK(step());
    return {};
  }

  std::string text() {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column_));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column_++));
    return data == nullptr ? std::string() : std::string(data, size);
  }
  double real() { return sqlite3_column_double(handle_, column_++); }
  std::int64_t integer() { return sqlite3_column_int64(handle_, column_++); }

 private:
  sqlite3* database_;
  const std::filesystem::path& file_;
  sqlite3_stmt* handle_ = nullptr;
  bool prepared_ = false;
  int parameter_ = 0;
  int column_ = 0;
};

Result<void> execute(sqlite3* database, const std::filesystem::path& file, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail_sqlite(database, file);
  return {};
}

Result<std::int64_t> pragma(sqlite3* database, const std::filesystem::path& file, std::string_view sql) {
  Statement statement(database, file, sql);
  GROVE_TRY(const bool row, statement.step());
  return row ? statement.integer() : 0;
}

/// Rolls back unless committed.
class Transaction {
 public:
  static Result<Transaction> begin(sqlite3* database, const std::filesystem::path& file) {
    GROVE_CHECK(execute(database, file, "BEGIN IMMEDIATE"));
    return Transaction(database);
  }
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction() {
    if (database_ != nullptr) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Result<void> commit(const std::filesystem::path& file) {
    GROVE_CHECK(execute(database_, file, "COMMIT"));
    database_ = nullptr;
    return {};
  }

 private:
  explicit Transaction(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

/// `leaf` is the id or lies below it: whole segments only, so "data/c" is no prefix of "data/cache".
constexpr std::string_view kLeafMatches = "(leaf = ? OR substr(leaf, 1, length(?) + 1) = ? || '/')";

}  // namespace

void Store::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

std::filesystem::path Store::default_path() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value != nullptr ? value : "");
  };
  if (auto file = variable("GROVE_EVIDENCE"); !file.empty()) return file;
  auto state = variable("XDG_STATE_HOME");
  if (!state.is_absolute()) state = variable("HOME") / ".local/state";  // the XDG specification: relative is ignored
  return state / "grove/evidence.sqlite";
}

Result<Store> Store::open(Access access, const std::filesystem::path& file) {
  std::error_code error;
  if (access == Access::read && !std::filesystem::exists(file, error)) return Store(file, nullptr);
  int flags = SQLITE_OPEN_READWRITE;  // of a file that we may only read, SQLite makes a read-only connection itself
  if (access == Access::write) {
    flags |= SQLITE_OPEN_CREATE;
    if (const auto folder = file.parent_path(); !folder.empty()) std::filesystem::create_directories(folder, error);
    if (error)
      return fail(Errc::permission, "make the folder of " + file.string() + ": " + error.message() +
                                        "; name a file that you can write in GROVE_EVIDENCE");
  }
  sqlite3* database = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &database, flags, nullptr);
  Store store(file, database);
  if (opened != SQLITE_OK) return fail_sqlite(database, file);
  sqlite3_extended_result_codes(database, 0);
  sqlite3_busy_timeout(database, kBusyMilliseconds);

  // In one transaction: another process may be making the schema right now.
  GROVE_CHECK(execute(database, file, "BEGIN"));
  GROVE_TRY(const auto version, pragma(database, file, "PRAGMA user_version"));
  GROVE_TRY(const auto application, pragma(database, file, "PRAGMA application_id"));
  GROVE_TRY(const auto objects, pragma(database, file, "SELECT count(*) FROM sqlite_schema"));
  GROVE_CHECK(execute(database, file, "COMMIT"));
  if (version > kSchema)
    return fail(Errc::unsupported, "the evidence in " + file.string() + " was written by a newer Grove (schema " +
                                       std::to_string(version) + ", this one knows " + std::to_string(kSchema) +
                                       "); update Grove, or name another file in GROVE_EVIDENCE");
  if (application != kApplicationId && objects != 0)
    return fail(Errc::corrupt, file.string() +
                                   " is a SQLite database, but not Grove's; name another file in "
                                   "GROVE_EVIDENCE");
  if (access == Access::write && version < kSchema) GROVE_CHECK(store.prepare_schema());
  if (access == Access::write) GROVE_CHECK(execute(database, file, "PRAGMA foreign_keys = ON"));
  // Reading an older schema: every column that a reader names exists since the first.
  if (access == Access::read && version == 0) return Store(file, nullptr);
  return store;
}

Result<void> Store::prepare_schema() {
  sqlite3* database = database_.get();
  GROVE_CHECK(execute(database, file_, "PRAGMA journal_mode = WAL"));
  GROVE_TRY(auto transaction, Transaction::begin(database, file_));
  // Another process may have been faster between our look and our lock.
  GROVE_TRY(auto version, pragma(database, file_, "PRAGMA user_version"));
  for (; version < kSchema; ++version) GROVE_CHECK(execute(database, file_, kMigrations[version]));
  const std::string finish = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                             "; PRAGMA user_version = " + std::to_string(kSchema);
  GROVE_CHECK(execute(database, file_, finish.c_str()));
  return transaction.commit(file_);
}

Result<std::int64_t> Store::add(const Run& run) {
  sqlite3* database = database_.get();
  GROVE_TRY(auto transaction, Transaction::begin(database, file_));
  Statement insert(database, file_,
                   "INSERT INTO runs (time, kind, leaf, state, reason, seconds, content_hash, commit_id, dirty, "
                   "compiler, kernel, cpu, cores, memory, packages) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  insert.bind(run.time).bind(run.kind).bind(run.leaf).bind(run.state).bind(run.reason).bind(run.seconds);
  insert.bind(run.content_hash).bind(run.commit).bind(int{run.dirty}).bind(run.machine.compiler);
  insert.bind(run.machine.kernel).bind(run.machine.cpu).bind(run.machine.cores).bind(run.machine.memory);
  insert.bind(run.packages.empty() ? std::string_view("{}") : std::string_view(run.packages));
  GROVE_CHECK(insert.done());
  const std::int64_t id = sqlite3_last_insert_rowid(database);
  for (const Figure& f : run.figures) {
    Statement figure(database, file_, "INSERT INTO figures (run, name, value, unit, text) VALUES (?,?,?,?,?)");
    GROVE_CHECK(figure.bind(id).bind(f.name).bind(f.value).bind(f.unit).bind(f.text).done());
  }
  for (const Ratio& r : run.ratios) {
    Statement ratio(database, file_,
                    "INSERT INTO ratios (run, workload, peer, ratio, low, high, pairs, unit, our_throughput, "
                    "peer_throughput, our_peak, peer_peak, checksum) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");
    ratio.bind(id).bind(r.workload).bind(r.peer).bind(r.ratio).bind(r.low).bind(r.high).bind(r.pairs).bind(r.unit);
    ratio.bind(r.our_throughput).bind(r.peer_throughput).bind(r.our_peak).bind(r.peer_peak).bind(r.checksum);
    GROVE_CHECK(ratio.done());
  }
  GROVE_CHECK(transaction.commit(file_));
  return id;
}

Result<std::vector<Summary>> Store::summaries(std::string_view leaf) const {
  std::vector<Summary> all;
  if (database_ == nullptr) return all;
  const std::string where = leaf.empty() ? "" : " WHERE leaf = ?";
  // The newest prove run, and the newest bench run that compared something; a row for each ratio of the latter.
  Statement rows(database_.get(), file_,
                 "SELECT l.leaf, coalesce(p.state, ''), coalesce(p.reason, ''), coalesce(p.time, 0), "
                 "coalesce(b.time, 0), r.workload, r.peer, r.ratio, r.low, r.high FROM "
                 "(SELECT DISTINCT leaf FROM runs" +
                     where +
                     ") l LEFT JOIN runs p ON p.id = (SELECT max(id) FROM runs WHERE leaf = l.leaf AND kind = 'prove') "
                     "LEFT JOIN runs b ON b.id = (SELECT max(id) FROM runs WHERE leaf = l.leaf AND kind = 'bench' "
                     "AND EXISTS (SELECT 1 FROM ratios WHERE run = runs.id)) "
                     "LEFT JOIN ratios r ON r.run = b.id ORDER BY l.leaf, r.ratio DESC");
  if (!leaf.empty()) rows.bind(leaf);
  while (true) {
    GROVE_TRY(const bool row, rows.step());
    if (!row) return all;
    Summary next{rows.text(), rows.text(), rows.text(), rows.integer(), rows.integer(), {}};
    if (all.empty() || all.back().leaf != next.leaf) all.push_back(std::move(next));
    Ratio ratio{rows.text(), rows.text(), rows.real(), rows.real(), rows.real()};
    if (!ratio.workload.empty()) all.back().ratios.push_back(std::move(ratio));
  }
}

Result<std::optional<Summary>> Store::latest(std::string_view leaf) const {
  GROVE_TRY(auto found, summaries(leaf));
  if (leaf.empty() || found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::vector<Summary>> Store::latest_all() const { return summaries({}); }

Result<std::vector<Run>> Store::runs(const RunFilter& filter) const {
  std::vector<Run> all;
  if (database_ == nullptr) return all;
  std::string sql =
      "SELECT id, time, kind, leaf, state, reason, seconds, content_hash, commit_id, dirty, compiler, kernel, cpu, "
      "cores, memory, packages FROM (SELECT *, row_number() OVER (PARTITION BY leaf, kind ORDER BY id DESC) AS age "
      "FROM runs WHERE (? = '' OR kind = ?)";
  for (std::size_t i = 0; i < filter.leaves.size(); ++i)
    sql += (i == 0 ? " AND (" : " OR ") + std::string(kLeafMatches);
  if (!filter.leaves.empty()) sql += ")";
  sql += ") WHERE ? = 0 OR age <= ? ORDER BY id DESC";
  Statement rows(database_.get(), file_, sql);
  rows.bind(filter.kind).bind(filter.kind);
  for (const std::string& leaf : filter.leaves) rows.bind(leaf).bind(leaf).bind(leaf);
  rows.bind(filter.last).bind(filter.last);
  while (true) {
    GROVE_TRY(const bool row, rows.step());
    if (!row) break;
    Run run;
    run.id = rows.integer();
    run.time = rows.integer();
    run.kind = rows.text();
    run.leaf = rows.text();
    run.state = rows.text();
    run.reason = rows.text();
    run.seconds = rows.real();
    run.content_hash = rows.text();
    run.commit = rows.text();
    run.dirty = rows.integer() != 0;
    run.machine.compiler = rows.text();
    run.machine.kernel = rows.text();
    run.machine.cpu = rows.text();
    run.machine.cores = static_cast<int>(rows.integer());
    run.machine.memory = rows.integer();
    run.packages = rows.text();
    all.push_back(std::move(run));
  }
  for (Run& run : all) {
    Statement figures(database_.get(), file_,
                      "SELECT name, value, unit, text FROM figures WHERE run = ? ORDER BY rowid");
    figures.bind(run.id);
    while (true) {
      GROVE_TRY(const bool row, figures.step());
      if (!row) break;
      run.figures.push_back({figures.text(), figures.real(), figures.text(), figures.text()});
    }
    Statement ratios(database_.get(), file_,
                     "SELECT workload, peer, ratio, low, high, pairs, unit, our_throughput, peer_throughput, our_peak, "
                     "peer_peak, checksum FROM ratios WHERE run = ? ORDER BY rowid");
    ratios.bind(run.id);
    while (true) {
      GROVE_TRY(const bool row, ratios.step());
      if (!row) break;
      run.ratios.push_back({ratios.text(), ratios.text(), ratios.real(), ratios.real(), ratios.real(),
                            static_cast<int>(ratios.integer()), ratios.text(), ratios.real(), ratios.real(),
                            ratios.integer(), ratios.integer(), ratios.text()});
    }
  }
  return all;
}

Result<std::optional<Run>> Store::last(std::string_view kind, std::string_view leaf) const {
  GROVE_TRY(auto found, runs({{std::string(leaf)}, std::string(kind), 1}));
  for (Run& run : found)
    if (run.leaf == leaf) return std::move(run);
  return std::nullopt;
}

}  // namespace grove::tool
