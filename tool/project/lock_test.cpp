#include "tool/project/lock.hpp"

#include "grove/base/test/test.hpp"
#include "tool/project/hash.hpp"

using namespace grove;
using namespace grove::tool;

namespace {

Lock sample() {
  Lock lock{.project = "shop", .grove_version = "0.1.0", .grove_commit = "abc"};
  lock.leaves.push_back({.id = "base", .version = "v0", .files = {{"grove/base/x.hpp", sha256_hex("x")}}});
  lock.leaves.push_back({.id = "data/lsm",
                         .version = "v1",
                         .chosen = true,
                         .files = {{"a b\"\\", sha256_hex("1")}, {"src/lsm.cpp", sha256_hex("2")}}});
  return lock;
}

}  // namespace

TEST_CASE("SHA-256 agrees with FIPS 180-4's examples") {
  CHECK_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("a lock reads back what was written") {
  const auto read = Lock::parse(sample().to_toml());
  REQUIRE_OK(read);
  CHECK_EQ(read->to_toml(), sample().to_toml());
  CHECK_EQ(read->chosen(), std::vector<std::string>{"data/lsm"});
  CHECK_EQ(read->files().size(), 3);
}

TEST_CASE("a lock that was cut off or tampered with is refused with its line") {
  const std::string text = sample().to_toml();
  const auto with = [&](std::string_view old, std::string_view replacement) {
    std::string changed = text;
    changed.replace(changed.find(old), old.size(), replacement);
    return Lock::parse(changed);
  };
  for (const auto& lock :
       {with("src/lsm.cpp", "../lsm.cpp"), with("src/lsm.cpp", "/etc/passwd"), with("src/lsm.cpp", "src//x"),
        with(sha256_hex("2"), "zz"), with("project", "projekt"), with("chosen = true", "chosen = 1"),
        with("[leaf.files]", "[leaf.filez]"), with("id = \"base\"", "id = 3")}) {
    CHECK_FAILS(lock, Errc::corrupt);
    if (!lock) CHECK(lock.error().message().starts_with("grove.lock:"));
  }
  CHECK_FAILS(with("lock = 1", "lock = 2"), Errc::unsupported);
  for (std::size_t size = 0; size < text.size(); ++size) (void)Lock::parse(text.substr(0, size));  // never crashes
}

TEST_CASE("pristine texts read back, and damage anywhere is noticed") {
  Pristine pristine;
  for (const std::string& text : {std::string("line\n"), std::string(), std::string("\0\xff bin", 6)})
    pristine.emplace(sha256_hex(text), text);
  const std::string packed = pack({pristine.begin(), pristine.end()});
  const auto read = unpack(packed);
  REQUIRE_OK(read);
  CHECK(*read == pristine);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    CHECK(!unpack(damaged));
  }
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const auto part = unpack(packed.substr(0, size));
    if (part) CHECK(part->size() < pristine.size());  // cut off between two texts
  }
}
