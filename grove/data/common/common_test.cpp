#include <algorithm>
#include <limits>
#include <set>

#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/data/common/crash.hpp"
#include "grove/data/common/crc32c.hpp"
#include "grove/data/common/key.hpp"

using namespace grove;
using namespace grove::data;

namespace {

std::string text_of(FileSystem& files, std::string_view path) {
  const auto file = files.open(path, OpenMode::read);
  if (!file) return "(none)";
  const auto bytes = read_all(**file);
  return bytes ? std::string(as_text(*bytes)) : "(unreadable)";
}

/// The same behaviour is asked of both file systems.
void check_contract(FileSystem& files, const std::string& root) {
  const std::string a = root + "/a";
  const std::string b = root + "/b";
  CHECK_FAILS(files.open(a, OpenMode::read), Errc::not_found);
  CHECK_FAILS(files.open(root + "/none/a", OpenMode::update), Errc::not_found);
  auto file = files.open(a, OpenMode::update);
  REQUIRE_OK(file);
  CHECK_OK((*file)->write(4, as_bytes("tail")));
  CHECK_OK((*file)->write(0, as_bytes("he")));
  CHECK(text_of(files, a) == std::string("he\0\0tail", 8));
  std::array<std::byte, 16> buffer{};
  CHECK((*file)->read(6, buffer).value() == 2);
  CHECK((*file)->read(100, buffer).value() == 0);
  CHECK_OK((*file)->truncate(2));
  CHECK((*file)->size().value() == 2);
  CHECK_OK((*file)->sync());
  CHECK_OK(files.rename(a, b));
  CHECK_OK((*file)->write(2, as_bytes("y")));  // the open file follows its inode
  CHECK(text_of(files, b) == "hey");
  CHECK_OK(files.link(b, a));
  CHECK_OK(files.remove(b));
  CHECK(text_of(files, a) == "hey");
  CHECK_OK(files.make_directory(root + "/d"));
  CHECK_OK(files.make_directory(root + "/d"));
  CHECK(files.stat(root + "/d").value().directory);
  CHECK_OK(files.open(root + "/d/x", OpenMode::replace));
  CHECK_FALSE(files.remove(root + "/d").has_value());
  CHECK(files.list(root).value() == std::vector<std::string>{"a", "d"});
  CHECK_OK(files.remove(root + "/d/x"));
  CHECK_OK(files.remove(root + "/d"));
  CHECK_OK(files.sync_directory(root));
  CHECK(files.open(a, OpenMode::replace).value()->size().value() == 0);
  CHECK_FAILS(files.remove(root + "/none"), Errc::not_found);
  auto reader = files.open(a, OpenMode::read);
  REQUIRE_OK(reader);
  CHECK_FALSE((*reader)->write(0, as_bytes("x")).has_value());
}

std::string key(const auto& value) {
  std::string scratch;
  return std::string(as_text(encode_key(value, scratch)));
}

template <class T>
void check_order_and_round_trip(std::vector<T> values) {
  for (const T& a : values) {
    const auto back = decode_key<T>(as_bytes(key(a)));
    REQUIRE_OK(back);
    CHECK(*back == a);
    for (const T& b : values) CHECK((a < b) == (key(a) < key(b)));
  }
}

}  // namespace

TEST_CASE("the operating system's files keep the contract") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  check_contract(os_files(), directory->path().string());
}

TEST_CASE("files in memory keep the same contract") {
  FaultFs files;
  CHECK_OK(files.make_directory("/db"));
  check_contract(files, "/db");
  CHECK(FaultFs::normalise("//a/./b///c/") == "/a/b/c");
  CHECK(FaultFs::normalise("a/b/") == "a/b");
}

TEST_CASE("an injected fault changes nothing and ends when told to") {
  FaultFs files;
  auto file = files.open("/f", OpenMode::update);
  REQUIRE_OK(file);
  CHECK_OK((*file)->write(0, as_bytes("one")));
  files.fail_after(1, Errc::no_space);
  CHECK_OK((*file)->write(0, as_bytes("two")));
  CHECK_FAILS((*file)->write(0, as_bytes("six")), Errc::no_space);
  CHECK_FAILS(files.open("/g", OpenMode::update), Errc::no_space);
  CHECK(text_of(files, "/f") == "two");
  files.set_fault({});
  CHECK_OK((*file)->write(0, as_bytes("six")));
  CHECK_OK(files.damage("/f", 1, std::byte{0x20}));
  CHECK(text_of(files, "/f") == "sIx");
  CHECK_FAILS(files.damage("/f", 3, std::byte{1}), Errc::invalid_argument);
}

TEST_CASE("an image gives the same files again") {
  FaultFs files;
  CHECK_OK(files.make_directory("/d"));
  CHECK_OK(files.open("/d/f", OpenMode::update).value()->write(0, as_bytes("text")));
  FaultFs copy(files.image());
  CHECK(text_of(copy, "/d/f") == "text");
  CHECK(copy.journal().empty());
  CHECK_OK(copy.open("/d/g", OpenMode::update));  // inode numbers go on after the image's
  CHECK(text_of(copy, "/d/f") == "text");
}

TEST_CASE("a crash takes what was not synced, in every combination") {
  FaultFs files;
  auto file = files.open("/f", OpenMode::update);
  CHECK_OK((*file)->write(0, as_bytes("A")));
  CHECK_OK((*file)->sync());
  CHECK_OK(files.sync_directory("/"));
  files.mark(1);
  CHECK_OK((*file)->write(0, as_bytes("B")));
  CHECK_OK((*file)->write(1, as_bytes("C")));
  std::set<std::string> before, after;
  const auto count = for_each_crash(files, {.random_states = 30}, [&](Crash&& crash) -> Result<void> {
    FaultFs disk(std::move(crash.image));
    (crash.mark == 0 ? before : after).insert(text_of(disk, "/f"));
    return {};
  });
  REQUIRE_OK(count);
  CHECK(count->points == files.journal().size() + 1);
  CHECK(before == std::set<std::string>{"(none)", "", "A"});
  CHECK(after == std::set<std::string>{"A", "B", "AC", "BC"});
}

TEST_CASE("a synced file without a synced name is lost, and a name comes in the order it was made") {
  FaultFs files;
  for (const char* name : {"/a", "/b"}) {
    auto file = files.open(name, OpenMode::update);
    CHECK_OK((*file)->write(0, as_bytes("x")));
    CHECK_OK((*file)->sync());
  }
  bool lost = false;
  const auto count = for_each_crash(files, {.random_states = 20}, [&](Crash&& crash) -> Result<void> {
    FaultFs disk(std::move(crash.image));
    const bool a = text_of(disk, "/a") != "(none)";
    const bool b = text_of(disk, "/b") != "(none)";
    if (b && !a) return fail(Errc::internal, "b without a");
    lost = lost || (!a && crash.point == files.journal().size());
    return {};
  });
  CHECK_OK(count);
  CHECK(lost);
}

TEST_CASE("a large write tears at sectors") {
  FaultFs files;
  CHECK_OK(files.open("/f", OpenMode::update).value()->sync());
  CHECK_OK(files.sync_directory("/"));
  CHECK_OK(files.open("/f", OpenMode::update).value()->write(256, as_bytes(std::string(1024, 'x'))));
  std::set<std::string> seen;
  CHECK_OK(for_each_crash(files, {.random_states = 200}, [&](Crash&& crash) -> Result<void> {
    FaultFs disk(std::move(crash.image));
    const std::string text = text_of(disk, "/f");
    for (std::size_t at = 256; at < text.size();) {
      const std::size_t end = std::min(text.size(), (at / 512 + 1) * 512);
      if (std::set<char>(text.begin() + static_cast<std::ptrdiff_t>(at),
                         text.begin() + static_cast<std::ptrdiff_t>(end))
              .size() > 1)
        return fail(Errc::internal, "a sector is half written");
      at = end;
    }
    seen.insert(text);
    return {};
  }));
  CHECK(seen.size() == 9);  // 2^3 subsets of three sectors, and the file's absence
}

TEST_CASE("the replace-by-rename idiom holds, and forgetting a sync is caught") {
  for (const bool careful : {true, false}) {
    FaultFs files;
    const auto put = [&](std::string_view text) {
      auto file = files.open("/new", OpenMode::replace);
      CHECK_OK((*file)->write(0, as_bytes(text)));
      if (careful) CHECK_OK((*file)->sync());
      CHECK_OK(files.rename("/new", "/conf"));
      CHECK_OK(files.sync_directory("/"));
    };
    put("first");
    files.mark(1);
    put("other");
    const auto count = for_each_crash(files, {}, [&](Crash&& crash) -> Result<void> {
      FaultFs disk(std::move(crash.image));
      const std::string text = text_of(disk, "/conf");
      if (crash.mark >= 1 && text != "first" && text != "other") return fail(Errc::corrupt, "conf is '" + text + "'");
      return {};
    });
    CHECK(count.has_value() == careful);
    if (!careful) CHECK(count.error().message().find("after op") != std::string::npos);
  }
}

TEST_CASE("points are thinned out on long journals, syncs first") {
  FaultFs files;
  auto file = files.open("/f", OpenMode::update);
  for (int i = 0; i < 5000; ++i) CHECK_OK((*file)->write(static_cast<std::uint64_t>(i), as_bytes("x")));
  CHECK_OK((*file)->sync());
  files.mark(7);
  std::uint64_t marked = 0;
  const auto count = for_each_crash(files, {.random_states = 0, .max_points = 40}, [&](Crash&& crash) -> Result<void> {
    marked += crash.mark == 7;
    return {};
  });
  REQUIRE_OK(count);
  CHECK(count->points <= 40);
  CHECK(marked > 0);
}

TEST_CASE("CRC-32C gives RFC 3720's values, with the instruction and without") {
  const std::string zeros(32, '\0');
  const std::string ones(32, '\xff');
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  CHECK(crc32c(as_bytes(zeros)) == 0x8a9136aaU);
  CHECK(crc32c(as_bytes(ones)) == 0x62a8ab43U);
  CHECK(crc32c(as_bytes(rising)) == 0x46dd794eU);
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283U);
  SplitMix64 random(3);
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += static_cast<char>(random());
    CHECK(crc32c(as_bytes(text)) == crc32c_portable(as_bytes(text)));
    const std::size_t cut = random.below(text.size());
    const std::string_view view = text;
    CHECK(crc32c(as_bytes(view.substr(cut)), crc32c(as_bytes(view.substr(0, cut)))) == crc32c(as_bytes(text)));
  }
}

TEST_CASE("keys sort as their type sorts and come back") {
  check_order_and_round_trip<std::int64_t>(
      {std::numeric_limits<std::int64_t>::min(), -256, -1, 0, 1, 255, 256, std::numeric_limits<std::int64_t>::max()});
  check_order_and_round_trip<std::int8_t>({-128, -1, 0, 127});
  check_order_and_round_trip<std::uint32_t>({0, 1, 255, 256, 0xffffffffU});
  check_order_and_round_trip<double>({-std::numeric_limits<double>::infinity(), -2.5, -1e-300, 0.0, 1e-300, 2.5,
                                      std::numeric_limits<double>::infinity()});
  check_order_and_round_trip<float>({-1.5F, 0.0F, 3.0F});
  check_order_and_round_trip<bool>({false, true});
  using namespace std::string_literals;
  check_order_and_round_trip<std::string>({""s, "\0"s, "\0\0"s, "a"s, "a\0"s, "a\0b"s, "ab"s, "\xff"s});
  std::vector<std::tuple<std::string, std::int32_t, std::string>> tuples;
  for (const auto& s : {""s, "\0"s, "\0\xff"s, "a"s, "a\0"s, "ab"s})
    for (const int n : {-1, 0, 7})
      for (const auto& t : {""s, "z"s}) tuples.emplace_back(s, n, t);
  check_order_and_round_trip(tuples);
}

TEST_CASE("bytes that are no key are refused at every length") {
  using Key = std::tuple<std::string, std::uint32_t, bool>;
  const std::string good = key(Key{"ab", 7, true});
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_FALSE(decode_key<Key>(as_bytes(good.substr(0, n))).has_value());
  CHECK_FAILS(decode_key<Key>(as_bytes(good + "x")), Errc::parse);
  CHECK_FAILS(decode_key<bool>(as_bytes("\x02")), Errc::parse);
  CHECK_FAILS((ValueCodec<std::uint64_t>::decode(as_bytes("1234567"))), Errc::truncated);
  CHECK_FAILS((ValueCodec<std::uint64_t>::decode(as_bytes("123456789"))), Errc::parse);
}
