#include "grove/data/database/storage/lsm/lsm.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/data/common/crash.hpp"
#include "grove/data/database/storage/lsm/log_file.hpp"

using namespace grove;
using namespace grove::lsm;
using namespace std::chrono_literals;
using data::FaultFs;
using data::FileImage;

static_assert(data::OrderedKv<ByteFamily>);

namespace {

const Family<std::uint64_t, std::string> kUsers{"users"};
const Family<std::string, std::int64_t> kCounts{{"counts", {.merge = add<std::int64_t>()}}};
const Family<std::string, std::string_view> kViews{"views"};

struct Fixture {
  TempDir directory = TempDir::make("grove-lsm").value();
  std::filesystem::path path = directory.path() / "db";
};

/// The lines of a family, oldest key first.
std::vector<std::pair<std::string, std::string>> all(const ByteFamily& family, const ReadOptions& options = {}) {
  std::vector<std::pair<std::string, std::string>> entries;
  auto cursor = family.cursor(options);
  for (cursor.seek_first(); cursor.valid(); cursor.next())
    entries.emplace_back(as_text(cursor.key()), as_text(cursor.value()));
  CHECK_OK(cursor.status());
  return entries;
}

/// A database in memory with one family, ready for damage.
struct InMemory {
  FaultFs files;
  Result<Db> open(Options options = {}) {
    options.files = &files;
    return Db::open("/db", std::move(options));
  }
  std::string name_of(std::string_view suffix) {
    const auto names = files.list("/db").value();
    for (const auto& name : names)
      if (name.ends_with(suffix) || name.starts_with(suffix)) return "/db/" + name;
    return {};
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is put is got, also after closing and opening") {
  {
    auto db = Db::open(path, {.families = {kUsers, kCounts}});
    REQUIRE_OK(db);
    auto users = db->family(kUsers);
    REQUIRE_OK(users);
    CHECK_OK(users->put(7, "Ada"));
    CHECK_OK(users->put(8, "Bob", Durability::synced));
    CHECK(users->get(7).value() == "Ada");
    CHECK(users->get(9).value() == std::nullopt);
    CHECK_OK(users->erase(8));
    CHECK(users->get(8).value() == std::nullopt);
    CHECK_OK(db->close());
    CHECK_OK(db->close());
  }
  auto db = Db::open(path, {.families = {kUsers}});
  REQUIRE_OK(db);
  CHECK(db->family(kUsers)->get(7).value() == "Ada");
  CHECK(db->family_names() == std::vector<std::string>{"counts", "default", "users"});
  CHECK_FAILS(db->byte_family("nobody"), Errc::not_found);
}

TEST_CASE_FIXTURE(Fixture, "a view is read where it lies and outlives what happens to its key") {
  auto db = Db::open(path, {.families = {kViews}}).value();
  auto views = db.family(kViews).value();
  const std::string large(100'000, 'x');
  CHECK_OK(views.put("k", large));
  CHECK_OK(views.bytes().flush());
  auto pinned = views.get("k").value();
  REQUIRE(pinned.has_value());
  CHECK_OK(views.erase("k"));
  CHECK_OK(views.bytes().compact());
  CHECK(pinned->text() == large);
  Pinned again;
  CHECK_FALSE(views.get("k", again).value());
  CHECK(again.bytes().empty());
}

TEST_CASE_FIXTURE(Fixture, "keys are walked in their type's order, between bounds, both ways") {
  const Family<std::int32_t, std::uint32_t> numbers{"numbers"};
  auto db = Db::open(path, {.families = {numbers}}).value();
  auto family = db.family(numbers).value();
  for (const int key : {5, -3, 0, 1000, -70000}) CHECK_OK(family.put(key, static_cast<std::uint32_t>(key + 70000)));
  const auto keys = [&](const Range<std::int32_t>& range) {
    std::vector<int> found;
    auto scan = family.scan(range);
    while (scan.next()) {
      found.push_back(scan.key());
      CHECK(scan.value() == static_cast<std::uint32_t>(scan.key() + 70000));
    }
    CHECK_OK(scan.status());
    return found;
  };
  CHECK(keys({}) == std::vector<int>{-70000, -3, 0, 5, 1000});
  CHECK(keys({.reverse = true}) == std::vector<int>{1000, 5, 0, -3, -70000});
  CHECK(keys({.from = -3, .to = 5}) == std::vector<int>{-3, 0});
  CHECK(keys({.from = -3, .to = 5, .reverse = true}) == std::vector<int>{0, -3});
  CHECK(keys({.from = 6, .to = 6}).empty());
  CHECK_OK(family.erase_range(-3, 6));
  CHECK(keys({}) == std::vector<int>{-70000, 1000});
}

TEST_CASE_FIXTURE(Fixture, "an entry of another type is an error, not a wrong value") {
  const Family<std::uint32_t, std::uint32_t> other{"users"};
  auto db = Db::open(path, {.families = {kUsers}}).value();
  CHECK_OK(db.family(kUsers)->put(1, "not four bytes"));
  auto wrong = db.family(other).value();
  auto scan = wrong.scan();
  CHECK_FALSE(scan.next());
  CHECK_FALSE(scan.next());
  CHECK_FAILS(scan.status(), Errc::corrupt);
  CHECK_OK(wrong.bytes().put(as_bytes(std::string_view("\0\0\0\1", 4)), as_bytes("xyz")));
  CHECK_FAILS(wrong.get(1), Errc::corrupt);
}

TEST_CASE_FIXTURE(Fixture, "a batch takes effect as one, over several families") {
  auto db = Db::open(path, {.families = {kUsers, kCounts}}).value();
  auto users = db.family(kUsers).value();
  auto counts = db.family(kCounts).value();
  WriteBatch batch;
  batch.put(users, 1, "Ada");
  batch.merge(counts, "users", 1);
  CHECK(users.get(1).value() == std::nullopt);
  CHECK(batch.count() == 2);
  CHECK_OK(db.write(batch, Durability::synced));
  CHECK(batch.count() == 2);  // a batch can be written again
  CHECK_OK(db.write(batch));
  CHECK(users.get(1).value() == "Ada");
  CHECK(counts.get("users").value() == 2);
  batch.clear();
  batch.erase(users, 1);
  CHECK_OK(db.write(batch));
  CHECK(users.get(1).value() == std::nullopt);
}

TEST_CASE_FIXTURE(Fixture, "merges fold, over flushes and with a function of one's own") {
  const Family<std::string, std::string> longest{
      {"longest", {.merge = merge_with<std::string>("longest", [](std::string a, std::string b) {
                     return a.size() >= b.size() ? a : b;
                   })}}};
  auto db = Db::open(path, {.families = {kCounts, longest}}).value();
  auto counts = db.family(kCounts).value();
  auto words = db.family(longest).value();
  for (int i = 1; i <= 100; ++i) {
    CHECK_OK(counts.merge("n", i));
    CHECK_OK(words.merge("w", std::string(static_cast<std::size_t>(i * 7 % 50), 'a')));
    if (i % 30 == 0) CHECK_OK(counts.bytes().flush());
  }
  CHECK(counts.get("n").value() == 5050);
  CHECK_OK(counts.bytes().compact());
  CHECK(counts.get("n").value() == 5050);
  CHECK(words.get("w").value()->size() == 49);
  CHECK_OK(counts.bytes().put(as_bytes("bad"), as_bytes("123")));
  CHECK_OK(counts.merge("bad", 1));
  CHECK_FAILS(counts.get("bad"), Errc::corrupt);
}

TEST_CASE_FIXTURE(Fixture, "a snapshot sees its moment, in gets and in scans") {
  auto db = Db::open(path, {.families = {kUsers}}).value();
  auto users = db.family(kUsers).value();
  CHECK_OK(users.put(1, "before"));
  const Snapshot snapshot = db.snapshot();
  CHECK_OK(users.put(1, "after"));
  CHECK_OK(users.put(2, "new"));
  CHECK_OK(users.bytes().flush());
  CHECK_OK(users.bytes().compact());
  const ReadOptions then{.snapshot = &snapshot};
  CHECK(users.get(1, then).value() == "before");
  CHECK(users.get(2, then).value() == std::nullopt);
  CHECK(all(users.bytes(), then).size() == 1);
  CHECK(users.get(1).value() == "after");
  auto scan = users.scan({}, then);
  CHECK_OK(users.erase(1));
  REQUIRE(scan.next());
  CHECK(scan.value() == "before");
}

TEST_CASE_FIXTURE(Fixture, "entries expire for readers at once, and on disk with compaction") {
  const Family<std::string, std::string> sessions{{"sessions", {.ttl = 10s}}};
  auto now = std::chrono::system_clock::time_point(1'000'000s);
  Options options{.families = {sessions}};
  options.clock = [&now] { return now; };
  {
    auto db = Db::open(path, options).value();
    auto family = db.family(sessions).value();
    CHECK_OK(family.put("a", "1"));
    CHECK_OK(family.put_for("b", "2", 60s));
    CHECK_FAILS(family.put_for("c", "3", 0s), Errc::invalid_argument);
    CHECK(family.get("a").value() == "1");
    now += 10s;
    CHECK(family.get("a").value() == std::nullopt);
    CHECK(all(family.bytes()) == std::vector<std::pair<std::string, std::string>>{{"b", "2"}});
    auto cursor = family.bytes().cursor();
    cursor.seek_last();
    REQUIRE(cursor.valid());
    cursor.prev();
    CHECK_FALSE(cursor.valid());
    CHECK_OK(cursor.status());
    CHECK_OK(family.bytes().flush());
    CHECK_OK(family.bytes().compact());
    CHECK(family.bytes().approximate_count() == 1);
  }
  SUBCASE("it is remembered that the family has a ttl") {
    CHECK_FAILS(Db::open(path, {.families = {Family<std::string, std::string>{"sessions"}}}), Errc::invalid_argument);
    options.families.clear();
    auto db = Db::open(path, options).value();
    CHECK(as_text(db.byte_family("sessions")->get(as_bytes("b")).value()->bytes()) == "2");
    now += 50s;
    CHECK_FALSE(db.byte_family("sessions")->get(as_bytes("b")).value().has_value());
    CHECK_OK(db.byte_family("sessions")->put(as_bytes("c"), as_bytes("stays")));
    now += 24h * 365;
    CHECK(db.byte_family("sessions")->get(as_bytes("c")).value().has_value());
  }
  SUBCASE("a family without a ttl cannot get one") {
    CHECK_OK(Db::open(path, {.families = {kUsers}}));
    FamilySpec changed = kUsers;
    changed.options.ttl = 1s;
    CHECK_FAILS(Db::open(path, {.families = {changed}}), Errc::invalid_argument);
  }
}

TEST_CASE_FIXTURE(Fixture, "merging into an expired entry starts anew") {
  const Family<std::string, std::int64_t> hits{{"hits", {.merge = add<std::int64_t>(), .ttl = 10s}}};
  auto now = std::chrono::system_clock::time_point(1'000'000s);
  Options options{.families = {hits}};
  options.clock = [&now] { return now; };
  auto db = Db::open(path, options).value();
  auto family = db.family(hits).value();
  CHECK_OK(family.merge("a", 1));
  CHECK_OK(family.merge("a", 2));
  CHECK(family.get("a").value() == 3);
  CHECK_OK(family.bytes().compact());
  now += 20s;
  CHECK(family.get("a").value() == std::nullopt);
  CHECK_OK(family.merge("a", 5));
  CHECK(family.get("a").value() == 5);
}

TEST_CASE_FIXTURE(Fixture, "a checkpoint is a database of its own") {
  auto db = Db::open(path, {.families = {kUsers}}).value();
  auto users = db.family(kUsers).value();
  CHECK_OK(users.put(1, "in"));
  const auto copy = directory.path() / "copy";
  CHECK_OK(db.checkpoint(copy));
  CHECK_FALSE(db.checkpoint(copy).has_value());
  CHECK_OK(users.put(1, "out"));
  auto other = Db::open(copy, {.families = {kUsers}}).value();
  CHECK(other.family(kUsers)->get(1).value() == "in");
  CHECK_OK(other.verify());
}

TEST_CASE_FIXTURE(Fixture, "sorted files are taken in whole; unsorted or foreign ones are refused") {
  const Family<std::string, std::string> sessions{{"sessions", {.ttl = 1h}}};
  auto db = Db::open(path, {.families = {kUsers, sessions}}).value();
  auto users = db.family(kUsers).value();
  CHECK_OK(users.put(5, "old"));
  const auto file = directory.path() / "bulk.sst";
  auto bulk = BulkFile::create(users.bytes(), file).value();
  for (std::uint64_t i = 0; i < 1000; ++i) CHECK_OK(bulk.put(users, i, "bulk " + std::to_string(i)));
  CHECK_FALSE(bulk.put(users, 3, "back").has_value());
  CHECK(bulk.finish().value() > 1000);
  CHECK_OK(users.bytes().ingest({file}));
  CHECK(users.get(5).value() == "bulk 5");
  CHECK(all(users.bytes()).size() == 1000);
  CHECK_OK(users.put(5, "newer"));
  CHECK(users.get(5).value() == "newer");
  auto expiring = BulkFile::create(db.family(sessions)->bytes(), directory.path() / "s.sst").value();
  CHECK_OK(expiring.put(as_bytes("s"), as_bytes("v")));
  CHECK_OK(expiring.finish());
  CHECK_OK(db.family(sessions)->bytes().ingest({directory.path() / "s.sst"}, true));
  CHECK(db.family(sessions)->get("s").value() == "v");
  CHECK_OK(write_file(directory.path() / "junk.sst", std::string(500, 'j')));
  CHECK_FAILS(users.bytes().ingest({directory.path() / "junk.sst"}), Errc::corrupt);
}

TEST_CASE_FIXTURE(Fixture, "what makes no sense is refused with its reason") {
  CHECK_FAILS(Db::open(path, {.create = false}), Errc::not_found);
  CHECK_FAILS(Db::open(path, {.families = {{""}}}), Errc::invalid_argument);
  CHECK_FAILS(Db::open(path, {.families = {{"a@ttl"}}}), Errc::invalid_argument);
  CHECK_FAILS(Db::open(path, {.families = {kUsers, kUsers}}), Errc::invalid_argument);
  CHECK_FAILS(Db::open(path, {.families = {{"default", {.ttl = 1s}}}}), Errc::invalid_argument);
  CHECK_OK(write_file(directory.path() / "file", "x"));
  CHECK_FALSE(Db::open(directory.path() / "file").has_value());
  auto db = Db::open(path, {.families = {kUsers}});
  REQUIRE_OK(db);
  CHECK_FAILS(Db::open(path), Errc::unavailable);
  CHECK_FAILS(db->family(kUsers)->bytes().put_for(as_bytes("k"), as_bytes("v"), 1s), Errc::invalid_argument);
  CHECK_FAILS(db->family(kUsers)->merge(1, "x"), Errc::invalid_argument);
  CHECK_OK(db->drop_family("users"));
  CHECK_FAILS(db->drop_family("users"), Errc::not_found);
  CHECK(db->family_names() == std::vector<std::string>{"default"});
}

TEST_CASE_FIXTURE(Fixture, "readers open beside the writer and write nothing") {
  auto db = Db::open(path, {.families = {kUsers}}).value();
  CHECK_OK(db.family(kUsers)->put(1, "x", Durability::synced));
  auto reader = Db::open(path, {.families = {kUsers}, .read_only = true}).value();
  CHECK(reader.family(kUsers)->get(1).value() == "x");
  CHECK_FALSE(reader.family(kUsers)->put(2, "y").has_value());
  CHECK_FAILS(Db::open(path, {.families = {kCounts}, .read_only = true}), Errc::not_found);
}

TEST_CASE_FIXTURE(Fixture, "destroy leaves nothing to open") {
  CHECK_OK(Db::open(path, {.families = {kUsers}}));
  CHECK_OK(destroy(path));
  CHECK_FAILS(Db::open(path, {.create = false}), Errc::not_found);
}

TEST_CASE("random operations agree with a map, over flushes, compactions and restarts") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    InMemory disk;
    SplitMix64 random(seed);
    std::map<std::string, std::string> model;
    Options options{.families = {{"f", {.write_buffer_bytes = 64 << 10}}}};
    std::optional<Db> db = disk.open(options).value();
    auto family = db->byte_family("f").value();
    const auto key = [&] { return std::string(random.below(3), 'p') + std::to_string(random.below(300)); };
    for (int i = 0; i < 4000; ++i) {
      const std::string k = key();
      const std::string v(random.below(200), static_cast<char>('a' + random.below(26)));
      switch (random.below(20)) {
        default:
          CHECK_OK(family.put(as_bytes(k), as_bytes(v), random.below(2) ? Durability::synced : Durability::buffered));
          model[k] = v;
          break;
        case 0:
        case 1:
        case 2:
          CHECK_OK(family.erase(as_bytes(k)));
          model.erase(k);
          break;
        case 3: {
          const std::string to = key();
          if (k < to) {
            CHECK_OK(family.erase_range(as_bytes(k), as_bytes(to)));
            model.erase(model.lower_bound(k), model.lower_bound(to));
          }
          break;
        }
        case 4: {
          const std::string other = key();
          const std::array<data::KvChange, 2> changes{{{as_bytes(k), as_bytes(v)}, {as_bytes(other), std::nullopt}}};
          CHECK_OK(family.write(changes));
          model[k] = v;
          model.erase(other);
          break;
        }
        case 5: {
          const auto got = family.get(as_bytes(k)).value();
          const auto it = model.find(k);
          REQUIRE(got.has_value() == (it != model.end()));
          if (got) CHECK(got->text() == it->second);
          break;
        }
        case 6: {
          auto cursor = family.cursor();
          cursor.seek(as_bytes(k));
          auto it = model.lower_bound(k);
          for (int steps = 0; steps < 5 && it != model.end(); ++steps, ++it, cursor.next()) {
            REQUIRE(cursor.valid());
            CHECK(as_text(cursor.key()) == it->first);
          }
          if (it == model.end()) CHECK_FALSE(cursor.valid());
          cursor.seek_back(as_bytes(k));
          it = model.upper_bound(k);
          CHECK(cursor.valid() == (it != model.begin()));
          if (cursor.valid()) CHECK(as_text(cursor.key()) == std::prev(it)->first);
          break;
        }
        case 7:
          if (random.below(10) == 0) CHECK_OK(family.flush());
          if (random.below(40) == 0) CHECK_OK(family.compact());
          if (random.below(20) == 0) {
            db.reset();
            db = disk.open(options).value();
            family = db->byte_family("f").value();
          }
          break;
      }
    }
    const auto entries = all(family);
    CHECK(std::map<std::string, std::string>(entries.begin(), entries.end()) == model);
    CHECK_OK(db->verify());
  }
}

TEST_CASE("writers on several threads lose nothing") {
  InMemory disk;
  {
    auto db = disk.open({.families = {kCounts}}).value();
    auto counts = db.family(kCounts).value();
    std::vector<std::thread> threads;
    std::atomic<int> failures{0};
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const auto durability = i % 10 == 0 ? Durability::synced : Durability::buffered;
          failures += !counts.merge("n", 1, durability);
          failures += !counts.put(std::to_string(t) + "." + std::to_string(i), i);
        }
      });
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(counts.get("n").value() == 800);
  }
  auto db = disk.open({.families = {kCounts}});
  REQUIRE_OK(db);
  CHECK(db->family(kCounts)->get("n").value() == 800);
  CHECK(all(db->family(kCounts)->bytes()).size() == 801);
}

TEST_CASE("a full or failing disk is an error; what was acknowledged stays") {
  for (std::uint64_t at = 0; at < 60; at += 3) {
    InMemory disk;
    std::uint64_t acknowledged = 0;
    {
      auto db = disk.open({.families = {kUsers}});
      REQUIRE_OK(db);
      disk.files.fail_after(at, at % 2 == 0 ? Errc::no_space : Errc::io);
      auto users = db->family(kUsers).value();
      for (std::uint64_t i = 0; i < 100; ++i) {
        const auto done = users.put(i, "value", Durability::synced);
        if (!done) break;
        acknowledged = i + 1;
      }
      CHECK(acknowledged < 100);
    }
    disk.files.set_fault({});
    auto db = disk.open({.families = {kUsers}});
    REQUIRE_OK(db);
    for (std::uint64_t i = 0; i < acknowledged; ++i) CHECK(db->family(kUsers)->get(i).value() == "value");
  }
}

TEST_CASE("no crash loses what was acknowledged, and every crash leaves a prefix") {
  InMemory disk;
  {
    auto db = disk.open({.families = {{"f", {.write_buffer_bytes = 64 << 10}}}});
    REQUIRE_OK(db);
    auto family = db->byte_family("f").value();
    for (std::uint64_t i = 1; i <= 60; ++i) {
      const std::string number = std::to_string(1000 + i);
      const bool sync = i % 3 == 0;
      CHECK_OK(family.put(as_bytes(number), as_bytes(std::string(600, 'v')),
                          sync ? Durability::synced : Durability::buffered));
      if (sync) disk.files.mark(i);
      if (i % 25 == 0) CHECK_OK(family.flush());
    }
  }
  const data::CrashOptions options{.random_states = 1, .max_points = 120};
  const auto count = data::for_each_crash(disk.files, options, [](data::Crash&& crash) -> Result<void> {
    FaultFs files(std::move(crash.image));
    Options open{.families = {{"f"}}};
    open.files = &files;
    GROVE_TRY(auto db, Db::open("/db", open));
    GROVE_TRY(auto family, db.byte_family("f"));
    const auto entries = all(family);
    if (entries.size() < crash.mark) return fail(Errc::corrupt, "lost: " + std::to_string(entries.size()));
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (entries[i].first != std::to_string(1001 + i)) return fail(Errc::corrupt, "a hole at " + std::to_string(i));
    return {};
  });
  REQUIRE_OK(count);
  CHECK(count->states > 200);
}

TEST_CASE("damage in a log is told from a crash by what later records promise") {
  InMemory disk;
  std::string log;
  {
    auto db = disk.open({.families = {kUsers}});
    REQUIRE_OK(db);
    auto users = db->family(kUsers).value();
    for (std::uint64_t i = 0; i < 50; ++i)
      CHECK_OK(users.put(i, "value " + std::to_string(i), i < 30 ? Durability::synced : Durability::buffered));
    log = disk.name_of(".log");
    SUBCASE("after a clean end, any byte of it is missed") { CHECK_OK(db->close()); }
    SUBCASE("and without one, any byte that was synced") {}
    // Without a clean end: the process is gone, its files are what they are.
    if (disk.files.stat(log)->size > 0) {
      const FileImage image = disk.files.image();
      const auto content = data::read_all(*FaultFs(image).open(log, data::OpenMode::read).value()).value();
      std::uint64_t synced_bytes = 0;
      std::uint64_t last_record = 0;
      LogReader reader(content);
      for (std::uint64_t n = 0; const auto entry = reader.next(); ++n) {
        last_record = std::get<LogRecord>(*entry).offset;
        if (n == 30) synced_bytes = last_record;
      }
      for (std::uint64_t at = 0; at < content.size(); at += 7) {
        FaultFs files(image);
        CHECK_OK(files.damage(log, at, std::byte{0x10}));
        Options options{.families = {kUsers}};
        options.files = &files;
        const auto opened = Db::open("/db", options);
        if (at < synced_bytes) {
          REQUIRE_FALSE(opened.has_value());
          CHECK(opened.error() == Errc::corrupt);
          CHECK(opened.error().message().find(log) != std::string::npos);
          CHECK(opened.error().message().find("offset") != std::string::npos);
          if (at % 5 == 0) {
            options.accept_damaged_log = true;
            CHECK_OK(Db::open("/db", options));
          }
        } else {
          CHECK((opened.has_value() || opened.error() == Errc::corrupt));
        }
      }
    }
  }
}

TEST_CASE("damage to tables, MANIFEST and CURRENT names the file and the offset") {
  InMemory disk;
  {
    auto db = disk.open({.families = {kUsers}}).value();
    auto users = db.family(kUsers).value();
    for (std::uint64_t i = 0; i < 500; ++i) CHECK_OK(users.put(i, std::string(100, 'v')));
    CHECK_OK(users.bytes().flush());
  }
  const FileImage image = disk.files.image();
  const auto opened = [&](const std::string& name, std::uint64_t offset, auto&& then) {
    FaultFs files(image);
    CHECK_OK(files.damage(name, offset, std::byte{0xff}));
    Options options{.families = {kUsers}};
    options.files = &files;
    then(Db::open("/db", options));
  };
  const std::string table = disk.name_of(".sst");
  opened(table, 300, [&](Result<Db> db) {  // a data block: found when it is read
    REQUIRE_OK(db);
    const auto got = db->family(kUsers)->get(1);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error() == Errc::corrupt);
    CHECK(got.error().message().find(table + " offset 0") != std::string::npos);
    const auto verified = db->verify();
    REQUIRE_FALSE(verified.has_value());
    CHECK(verified.error().message().find(table) != std::string::npos);
    auto scan = db->family(kUsers)->scan();
    while (scan.next()) {
    }
    CHECK_FAILS(scan.status(), Errc::corrupt);
  });
  opened(table, disk.files.stat(table)->size - 4, [&](Result<Db> db) {  // the footer
    REQUIRE_FALSE(db.has_value());
    CHECK(db.error().message().find(table) != std::string::npos);
  });
  const std::string manifest = disk.name_of("MANIFEST-");
  for (std::uint64_t at = 0; at < disk.files.stat(manifest)->size; at += 11)
    opened(manifest, at, [&](const Result<Db>& db) {
      CAPTURE(at);
      REQUIRE_FALSE(db.has_value());
      CHECK(db.error() == Errc::corrupt);
      CHECK(db.error().message().find(manifest) != std::string::npos);
      CHECK(db.error().message().find("offset") != std::string::npos);
    });
  opened("/db/CURRENT", 3, [&](const Result<Db>& db) {
    REQUIRE_FALSE(db.has_value());
    CHECK(db.error().message().find("/db/CURRENT") != std::string::npos);
  });
  FaultFs files(image);
  CHECK_OK(files.remove("/db/CURRENT"));
  Options options{.files = &files};
  CHECK_FAILS(Db::open("/db", options), Errc::corrupt);
}

TEST_CASE("the log reader says where a log is unreadable and goes on behind it") {
  InMemory disk;
  std::vector<std::byte> log;
  {
    auto db = disk.open({.families = {kUsers}}).value();
    auto users = db.family(kUsers).value();
    for (std::uint64_t i = 0; i < 20; ++i) CHECK_OK(users.put(i, std::string(i * 1000, 'x')));
    log = data::read_all(*disk.files.open(disk.name_of(".log"), data::OpenMode::read).value()).value();
  }
  std::vector<std::uint64_t> offsets;
  LogReader reader(log);
  while (const auto entry = reader.next()) {
    REQUIRE(std::holds_alternative<LogRecord>(*entry));
    const auto& record = std::get<LogRecord>(*entry);
    offsets.push_back(record.offset);
    CHECK(read_logged_batch(record.payload)->sequence == offsets.size());
  }
  REQUIRE(offsets.size() == 20);
  for (std::size_t size = 0; size < log.size(); size += 487) {  // cut off anywhere
    LogReader cut(data::Bytes(log).first(size));
    std::size_t records = 0;
    while (const auto entry = cut.next()) {
      if (std::holds_alternative<LogRecord>(*entry))
        ++records;
      else
        CHECK(std::get<LogDamage>(*entry).at_end);
    }
    CHECK(records <= offsets.size());
    if (records < offsets.size()) CHECK(size < (records + 1 < offsets.size() ? offsets[records + 1] : log.size()));
  }
  SplitMix64 random(5);
  for (int i = 0; i < 200; ++i) {  // one flipped bit anywhere: one record, at its offset
    auto bad = log;
    const std::size_t at = random.below(bad.size());
    bad[at] ^= static_cast<std::byte>(1 << random.below(8));
    LogReader damaged(bad);
    std::size_t records = 0;
    std::vector<LogDamage> found;
    while (const auto entry = damaged.next()) {
      if (const auto* damage = std::get_if<LogDamage>(&*entry))
        found.push_back(*damage);
      else
        ++records;
    }
    if (found.empty()) {  // it was padding at a block's end
      CHECK(records == 20);
      continue;
    }
    CHECK(records == 19);
    CHECK(found.front().offset <= at);
    CHECK(std::ranges::find(offsets, found.front().offset) != offsets.end());
  }
}

TEST_CASE("a promise comes back from a log and junk is none") {
  CHECK(decode_promise(encode_promise(0x123456789abcdefULL)) == 0x123456789abcdefULL);
  CHECK_FALSE(decode_promise("grove:1short").has_value());
  CHECK_FALSE(decode_promise(encode_promise(1) + "x").has_value());
  CHECK_FALSE(decode_promise("").has_value());
  CHECK_FALSE(read_logged_batch(as_bytes("short")).has_value());
}
