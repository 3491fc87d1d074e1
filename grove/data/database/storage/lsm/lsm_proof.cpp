// RocksDB's own tools over our files, power loss enumerated, kill -9, and
// every byte of every kind of file damaged.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/base/text.hpp"
#include "grove/data/common/crash.hpp"
#include "grove/data/database/storage/lsm/log_file.hpp"
#include "grove/data/database/storage/lsm/lsm.hpp"

using namespace grove;
using namespace grove::lsm;
using data::FaultFs;
using data::FileImage;

namespace {

/// Multiplies the counts; GROVE_PROOF_SCALE, 1 by default.
double scale() {
  const char* text = std::getenv("GROVE_PROOF_SCALE");
  const double value = text != nullptr ? std::atof(text) : 1;
  return value > 0 ? value : 1;
}

std::string run(const std::vector<std::string>& arguments) {
  const auto output = run_process(arguments, {.timeout = std::chrono::seconds(60), .merge_error = true});
  REQUIRE_OK(output);
  CHECK_MESSAGE(output->status == 0, output->out);
  return output->out;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

std::string key_of(std::uint64_t n) {
  std::string text = std::to_string(n);
  return std::string(8 - text.size(), '0') + text;
}

/// How many batches the history of the crash proof consists of, and what batch
/// n writes: two families at once, a counter that says n, keys that are
/// written again and erased.
struct History {
  static constexpr std::uint64_t kKeys = 40;
  static std::vector<FamilySpec> families() {
    FamilyOptions small{.write_buffer_bytes = 64 << 10};
    FamilyOptions counting = small;
    counting.merge = add<std::uint64_t>();
    return {{"rows", small}, {"counts", counting}};
  }
  static std::string value(std::uint64_t n) {
    SplitMix64 random(n);
    std::string text(random.below(1500), ' ');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  }
  static void apply(std::uint64_t n, std::map<std::string, std::string>& rows) {
    rows["counter"] = std::to_string(n);
    rows[key_of(n % kKeys)] = value(n);
    if (n % 3 == 0) rows.erase(key_of(n * 7 % kKeys));
  }
  static Result<void> write(Db& db, const ByteFamily& rows, const ByteFamily& counts, std::uint64_t n,
                            Durability durability) {
    WriteBatch batch;
    batch.put(rows, as_bytes("counter"), as_bytes(std::to_string(n)));
    batch.put(rows, as_bytes(key_of(n % kKeys)), as_bytes(value(n)));
    if (n % 3 == 0) batch.erase(rows, as_bytes(key_of(n * 7 % kKeys)));
    const std::uint64_t one = 1;
    batch.merge(counts, as_bytes("batches"), std::as_bytes(std::span(&one, 1)));
    return db.write(batch, durability);
  }
  /// The state after exactly so many batches, for some number >= acknowledged.
  static Result<std::uint64_t> check(const Db& db, std::uint64_t acknowledged) {
    GROVE_TRY(const auto rows, db.byte_family("rows"));
    GROVE_TRY(const auto counts, db.byte_family("counts"));
    std::map<std::string, std::string> found;
    auto cursor = rows.cursor();
    for (cursor.seek_first(); cursor.valid(); cursor.next())
      found.emplace(as_text(cursor.key()), as_text(cursor.value()));
    GROVE_CHECK(cursor.status());
    std::uint64_t reached = 0;
    if (const auto it = found.find("counter"); it != found.end())
      reached = std::strtoull(it->second.c_str(), nullptr, 10);
    if (reached < acknowledged)
      return fail(Errc::corrupt, "batch " + std::to_string(acknowledged) + " was acknowledged, the database is at " +
                                     std::to_string(reached));
    std::map<std::string, std::string> expected;
    for (std::uint64_t n = 1; n <= reached; ++n) apply(n, expected);
    if (found != expected) return fail(Errc::corrupt, "not the state after batch " + std::to_string(reached));
    GROVE_TRY(const auto counted, counts.get(as_bytes("batches")));
    const std::uint64_t total =
        counted ? data::ValueCodec<std::uint64_t>::decode(counted->bytes()).value_or(0) : std::uint64_t{0};
    if (total != reached)
      return fail(Errc::corrupt, "the families disagree: " + std::to_string(total) + ", " + std::to_string(reached));
    return reached;
  }
};

}  // namespace

TEST_CASE("ldb and sst_dump read our files") {
  if (!proof::need("ldb", "rocksdb-tools") || !proof::need("sst_dump", "rocksdb-tools")) return;
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const std::string path = (directory->path() / "db").string();
  const std::uint64_t count = 20'000;
  const Family<std::string, std::string> words{"words"};
  const Family<std::string, std::string> expiring{
      {"expiring", {.compression = Compression::zstd, .ttl = std::chrono::hours(1)}}};
  std::map<std::string, std::string> model;
  {
    auto db = Db::open(path, {.families = {words, expiring}}).value();
    auto family = db.family(words).value();
    SplitMix64 random(7);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string key = key_of(random.below(count));
      const std::string value = "v" + std::to_string(random.below(1'000'000));
      REQUIRE_OK(family.put(key, value));
      model[key] = value;
      if (i == count / 2) CHECK_OK(family.bytes().flush());
    }
    CHECK_OK(db.family(expiring)->put("session", "token"));
    CHECK_OK(db.family(expiring)->bytes().flush());
    CHECK_OK(db.sync());
    CHECK_OK(db.close());  // half of it lies in the log: ldb replays that too
  }
  const std::string families = run({"ldb", "--db=" + path, "list_column_families"});
  for (const char* name : {"default", "words", "expiring@ttl"}) CHECK(families.find(name) != std::string::npos);

  std::uint64_t agreed = 0;
  for (const auto& line : lines(run({"ldb", "--db=" + path, "--column_family=words", "scan"}))) {
    const std::size_t colon = line.find(" : ");
    if (colon == std::string::npos) continue;
    const auto it = model.find(line.substr(0, colon));
    agreed += it != model.end() && it->second == line.substr(colon + 3);
  }
  CHECK(agreed == model.size());
  proof::figure("ldb-scan-agrees", static_cast<double>(agreed), "entries");
  CHECK(run({"ldb", "--db=" + path, "checkconsistency"}).find("OK") != std::string::npos);
  CHECK(run({"ldb", "--db=" + path, "manifest_dump"}).find("words") != std::string::npos);
  std::uint64_t tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != ".sst") continue;
    ++tables;
    const std::string out = run({"sst_dump", "--file=" + entry.path().string(), "--command=verify"});
    CHECK_MESSAGE(out.find("The file is ok") != std::string::npos, out);
    run({"sst_dump", "--file=" + entry.path().string(), "--command=check", "--verify_checksum"});
  }
  CHECK(tables >= 2);
  proof::figure("sst-dump-verified", static_cast<double>(tables), "tables");

  // And the other way: ldb writes, we read.
  run({"ldb", "--db=" + path, "--column_family=words", "put", "from-ldb", "hello"});
  auto db = Db::open(path, {.families = {words, expiring}});
  REQUIRE_OK(db);
  CHECK(db->family(words)->get("from-ldb").value() == "hello");
  CHECK(db->family(expiring)->get("session").value() == "token");
  CHECK_OK(db->verify());
}

TEST_CASE("power loss at any moment: opens, loses nothing synced, keeps a prefix") {
  for (const bool always_synced : {false, true}) {
    FaultFs files;
    Options options{.families = History::families()};
    options.files = &files;
    {
      auto db = Db::open("/db", options);
      REQUIRE_OK(db);
      auto rows = db->byte_family("rows").value();
      auto counts = db->byte_family("counts").value();
      for (std::uint64_t n = 1; n <= 250; ++n) {
        const bool sync = always_synced || n % 5 == 0;
        REQUIRE_OK(History::write(*db, rows, counts, n, sync ? Durability::synced : Durability::buffered));
        if (sync) files.mark(n);
        if (n % 40 == 0) REQUIRE_OK(n % 80 == 0 ? counts.flush() : rows.flush());
        if (n % 100 == 0) REQUIRE_OK(rows.compact());
      }
    }
    const data::CrashOptions crashes{
        .seed = always_synced ? 2U : 1U, .random_states = 4, .max_points = static_cast<std::uint64_t>(1000 * scale())};
    std::uint64_t beyond = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto count = data::for_each_crash(files, crashes, [&](data::Crash&& crash) -> Result<void> {
      FaultFs disk(std::move(crash.image));
      Options after = options;
      after.files = &disk;
      GROVE_TRY(auto db, Db::open("/db", after));
      GROVE_TRY(const std::uint64_t reached, History::check(db, crash.mark));
      beyond += reached > crash.mark;
      // It is a database that goes on, not only one that can be read.
      GROVE_TRY(auto rows, db.byte_family("rows"));
      GROVE_TRY(auto counts, db.byte_family("counts"));
      GROVE_CHECK(History::write(db, rows, counts, reached + 1, Durability::synced));
      return db.close();
    });
    REQUIRE_OK(count);
    CHECK(beyond > 0);
    const std::string name = always_synced ? "-every-write-synced" : "-every-fifth-synced";
    proof::figure("crash-states" + name, static_cast<double>(count->states), "states");
    proof::figure("crash-points" + name, static_cast<double>(count->points), "points");
    proof::figure("crash-seconds" + name,
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), "s");
  }
}

// Not a case of its own: what "kill -9" below starts in a process of its own.
TEST_CASE("the writer that is killed" * doctest::skip()) {
  const char* path = std::getenv("GROVE_LSM_WRITER");
  REQUIRE(path != nullptr);
  auto db = Db::open(path, {.families = History::families()});
  REQUIRE_OK(db);
  auto rows = db->byte_family("rows").value();
  auto counts = db->byte_family("counts").value();
  const auto at = History::check(*db, 0);
  REQUIRE_OK(at);
  for (std::uint64_t n = *at + 1;; ++n) {
    // A process that dies loses no buffered write either: the kernel has it.
    REQUIRE_OK(History::write(*db, rows, counts, n, n % 50 == 0 ? Durability::synced : Durability::buffered));
    REQUIRE(::write(3, &n, sizeof(n)) == sizeof(n));
  }
}

TEST_CASE("kill -9 in the middle of writing loses nothing acknowledged") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const std::string path = (directory->path() / "db").string();
  const int rounds = static_cast<int>(30 * scale());
  std::uint64_t acknowledged = 0;
  std::uint64_t killed = 0;
  for (int round = 0; round < rounds; ++round) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const std::string variable = "GROVE_LSM_WRITER=" + path;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::dup2(ends[1], 3) != 3) ::_exit(6);
      if (ends[1] == 3) ::fcntl(3, F_SETFD, 0);
      std::array<const char*, 4> arguments{"writer", "--no-skip", "--test-case=the writer that is killed", nullptr};
      std::array<const char*, 2> environment{variable.c_str(), nullptr};
      ::execve("/proc/self/exe", const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
      ::_exit(7);
    }
    ::close(ends[1]);
    SplitMix64 random(static_cast<std::uint64_t>(round));
    const std::uint64_t until = acknowledged + 1 + random.below(150);
    std::uint64_t n = 0;
    while (::read(ends[0], &n, sizeof(n)) == sizeof(n)) {
      acknowledged = n;
      if (n >= until) ::kill(child, SIGKILL);
    }
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    killed += WIFSIGNALED(status);
    auto db = Db::open(path, {.families = History::families()});
    REQUIRE_OK(db);
    const auto reached = History::check(*db, acknowledged);
    REQUIRE_OK(reached);
    acknowledged = *reached;
  }
  proof::figure("kill-9", static_cast<double>(killed), "runs");
  proof::figure("kill-9-batches", static_cast<double>(acknowledged), "batches");
}

TEST_CASE("damage to a file is an error that names the file and the offset") {
  FaultFs files;
  Options options{.families = {{"rows", {.compression = Compression::none}}}};
  options.files = &files;
  std::map<std::string, std::string> model;
  {
    auto db = Db::open("/db", options).value();
    auto rows = db.byte_family("rows").value();
    for (std::uint64_t n = 0; n < 300; ++n) {
      const std::string key = key_of(n);
      model[key] = History::value(n).substr(0, 60);
      REQUIRE_OK(rows.put(as_bytes(key), as_bytes(model[key]), n % 7 == 0 ? Durability::synced : Durability::buffered));
      if (n == 150) REQUIRE_OK(rows.flush());
    }
    REQUIRE_OK(db.close());
  }
  const FileImage image = files.image();
  for (const char* kind : {".sst", "MANIFEST-", ".log"}) {
    const std::uint64_t step = scale() >= 10 || kind[0] == 'M' ? 1 : 37;  // a MANIFEST is short: every byte
    std::uint64_t damaged = 0, named = 0, offset = 0, harmless = 0, silent = 0;
    const auto names = files.list("/db").value();
    for (const auto& name : names) {
      if (!name.ends_with(kind) && !name.starts_with(kind)) continue;
      const std::string path = "/db/" + name;
      for (std::uint64_t at = 0; at < files.stat(path)->size; at += step) {
        FaultFs disk(image);
        REQUIRE_OK(disk.damage(path, at, std::byte{0x55}));
        Options after = options;
        after.files = &disk;
        ++damaged;
        std::optional<Error> error;
        std::map<std::string, std::string> found;
        if (auto db = Db::open("/db", after); !db) {
          error = db.error();
        } else {
          auto rows = db->byte_family("rows").value();
          auto cursor = rows.cursor();
          for (cursor.seek_first(); cursor.valid(); cursor.next())
            found.emplace(as_text(cursor.key()), as_text(cursor.value()));
          if (const auto status = cursor.status(); !status) error = status.error();
          if (!error)
            if (const auto status = db->verify(); !status) error = status.error();
        }
        if (error) {
          CHECK(*error == Errc::corrupt);
          named += error->message().find(name) != std::string::npos;
          offset += error->message().find("offset") != std::string::npos;
          if (error->message().find(name) == std::string::npos) MESSAGE(path << " at " << at << ": " << *error);
        } else if (found == model) {
          ++harmless;  // padding, or bytes that nothing reads
        } else {
          ++silent;
          MESSAGE(path << " at " << at << ": silently " << found.size() << " of " << model.size() << " entries");
        }
      }
    }
    const std::string what = kind[0] == '.' ? std::string(kind).substr(1) : "manifest";
    CHECK(damaged > 0);
    CHECK(silent == 0);
    CHECK(named + harmless == damaged);
    proof::figure("damaged-" + what, static_cast<double>(damaged), "files");
    proof::figure("damaged-" + what + "-named", static_cast<double>(named), "errors");
    proof::figure("damaged-" + what + "-with-offset", static_cast<double>(offset), "errors");
    proof::figure("damaged-" + what + "-harmless", static_cast<double>(harmless), "files");
  }
}

TEST_CASE("the last synced write has no later witness") {
  proof::gap("damage to the last synced record before a power loss",
             "it looks as a torn write does; a clean close, or any later record, ends the doubt");
}
