// Against the CCTV age test kit, Debian's age, age-encryption (npm) and the
// crate age (through peer/), both ways.

#include <cstdlib>
#include <filesystem>
#include <map>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/base/text.hpp"
#include "grove/security/crypto/key-management/crypto.hpp"
#include "grove/security/crypto/key-management/key_management.hpp"

namespace {

using namespace grove;
using namespace grove::key_management;
namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes)
    for (const int shift : {4, 0}) text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> shift & 15];
  return text;
}

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  SplitMix64 random(seed);
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

fs::path put(const fs::path& path, std::span<const std::byte> content) {
  REQUIRE_OK(write_file(path, as_text(content)));
  return path;
}
fs::path put(const fs::path& path, std::string_view content) { return put(path, as_bytes(content)); }

/// Runs a program to its end; whether it succeeded.
bool ran(const std::vector<std::string>& arguments, const std::string& input = {},
         std::vector<std::pair<std::string, std::string>> environment = {}) {
  ProcessOptions options;
  options.input = input;
  options.environment = std::move(environment);
  options.timeout = std::chrono::minutes(2);
  const auto output = run_process(arguments, options);
  if (output && output->status != 0) MESSAGE(arguments.front() << ": " << output->err);
  return output && output->status == 0;
}

bool same(const fs::path& path, std::span<const std::byte> expected) {
  const auto content = read_file(path);
  return content && std::ranges::equal(as_bytes(*content), expected);
}

struct Vector {
  std::map<std::string, std::string> fields;  ///< The last one of each name.
  std::vector<Identity> identities;
  Bytes file;
};

Vector load(const fs::path& path) {
  Vector vector;
  const auto text = read_file(path);
  REQUIRE_OK(text);
  std::string_view rest = *text;
  while (!rest.starts_with('\n')) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    const std::size_t colon = line.find(": ");
    REQUIRE(colon != std::string_view::npos);
    const std::string_view name = line.substr(0, colon), value = line.substr(colon + 2);
    vector.fields[std::string(name)] = value;
    if (name == "passphrase") vector.identities.push_back(Identity::passphrase(value));
    if (name == "identity") {
      auto identity = Identity::parse(value);
      REQUIRE_OK(identity);
      vector.identities.push_back(*identity);
    }
  }
  const auto body = as_bytes(rest.substr(1));
  vector.file.assign(body.begin(), body.end());
  // Vectors about parsing alone name no key.
  if (vector.identities.empty()) vector.identities.push_back(Identity::generate());
  return vector;
}

/// The kit's word for what went wrong.
std::string outcome(const Result<void>& result) {
  if (result) return "success";
  const Error& error = result.error();
  if (error.message().starts_with("armor:")) return "armor failure";
  if (error.code() == Errc::permission) return "HMAC failure";
  if (error.code() == Errc::not_found) return "no match";
  if (error.code() == Errc::corrupt) return "payload failure";
  return "header failure";
}

/// By read() with a buffer of that size, or read_all() when it is 0.
Result<void> decrypt(const Vector& vector, std::size_t buffer, unsigned threads, Bytes& released) {
  const bool armored = vector.fields.contains("armored");
  GROVE_TRY(const auto decryptor,
            Decryptor::make(vector.identities, {.armor = armored ? Armor::required : Armor::none, .threads = threads}));
  MemorySource source(vector.file);
  GROVE_TRY(auto stream, decryptor.start(source));
  if (buffer == 0) {
    VectorSink sink(released);
    return stream.read_all(sink);
  }
  Bytes part(buffer);
  while (true) {
    GROVE_TRY(const std::size_t count, stream.read(part));
    if (count == 0) return {};
    released.insert(released.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

TEST_CASE("the CCTV age test kit") {
  const auto kit = proof::npm_package("cctv-age", "0.2.0");
  if (!kit || !proof::need("node", "nodejs")) return;
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const auto script = put(directory->path() / "unpack.mjs", R"(
    import fs from 'node:fs'; import zlib from 'node:zlib'; import url from 'node:url';
    const kit = await import(url.pathToFileURL(process.argv[2] + '/index.js'));
    for (const [name, bytes] of Object.entries(kit.default ?? kit)) {
      let file = Buffer.from(bytes);
      const end = file.indexOf('\n\n') + 2;
      if (file.subarray(0, end).includes('compressed: zlib'))
        file = Buffer.concat([file.subarray(0, end), zlib.inflateSync(file.subarray(end))]);
      fs.writeFileSync(process.argv[3] + '/' + name, file);
    })");
  const auto folder = directory->path() / "kit";
  fs::create_directory(folder);
  REQUIRE(ran({"node", script.string(), kit->string(), folder.string()}));

  std::uint64_t passed = 0, total = 0, hybrid = 0, hybrid_passed = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    const Vector vector = load(entry.path());
    bool good = true;
    // scrypt takes seconds; how it is read doesn't depend on it.
    const bool slow = vector.fields.contains("passphrase");
    for (const auto& [buffer, threads] : {std::pair{std::size_t{0}, 1u}, {1000, 1u}, {200'000, 3u}, {0, 2u}}) {
      Bytes released;
      const auto result = decrypt(vector, buffer, threads, released);
      CHECK_MESSAGE(outcome(result) == vector.fields.at("expect"), test::why(result));
      good = good && outcome(result) == vector.fields.at("expect");
      // What was given out, to the end or before the failure.
      if (const auto payload = vector.fields.find("payload"); payload != vector.fields.end()) {
        CHECK(hex(crypto::sha256(released)) == payload->second);
        good = good && hex(crypto::sha256(released)) == payload->second;
      }
      if (slow) break;
    }
    passed += good ? 1 : 0;
    ++total;
    if (name.find("hybrid") != std::string::npos) {
      hybrid_passed += good ? 1 : 0;
      ++hybrid;
    }
  }
  CHECK(total == 143);
  proof::conformance(passed, total, "cctv-age");
  proof::figure("post-quantum-vectors-passed", static_cast<double>(hybrid_passed), "cases");
  proof::figure("post-quantum-vectors", static_cast<double>(hybrid), "cases");
}

/// A program that seals and opens age files.
struct Tool {
  std::string name;
  /// `armor` files are written as text.
  std::function<bool(const fs::path& recipients, const fs::path& in, const fs::path& out, bool armor)> encrypt;
  std::function<bool(const fs::path& identities, const fs::path& in, const fs::path& out)> decrypt;
};

/// Seals with one and opens with the other, both ways, over sizes around the
/// border of a chunk, armour, and numbers of recipients.
void interoperate(const Tool& tool, const std::function<Identity()>& generate, std::size_t largest) {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path& at = directory->path();
  std::uint64_t opened = 0, read = 0, files = 0;
  const auto exchange = [&](std::size_t size, bool armor, std::size_t recipients) {
    CAPTURE(size);
    CAPTURE(armor);
    CAPTURE(recipients);
    std::vector<Identity> identities;
    std::vector<Recipient> keys;
    std::string lines;
    for (std::size_t i = 0; i < recipients; ++i) {
      identities.push_back(generate());
      keys.push_back(*identities.back().recipient());
      lines += keys.back().text() + "\n";
    }
    // Any one of them opens the file: here the last one.
    const auto plain = random_bytes(size, size + recipients);
    const auto plain_file = put(at / "plain", plain);
    const auto recipients_file = put(at / "recipients", lines);
    const auto identity_file = put(at / "identity", identities.back().text()->text());
    const auto ours = Encryptor::make(keys, {.armor = armor, .threads = size > 1'000'000 ? 2u : 1u})->seal(plain);
    REQUIRE_OK(ours);
    ++files;
    const bool they_open =
        tool.decrypt(identity_file, put(at / "ours.age", *ours), at / "theirs") && same(at / "theirs", plain);
    CHECK(they_open);
    opened += they_open ? 1 : 0;
    const bool they_seal = tool.encrypt(recipients_file, plain_file, at / "theirs.age", armor);
    CHECK(they_seal);
    const auto theirs = read_file(at / "theirs.age");
    REQUIRE_OK(theirs);
    const auto back = Decryptor::make({identities.back()})->open(as_bytes(*theirs));
    CHECK_OK(back);
    const bool we_read = back && *back == plain;
    CHECK(we_read);
    read += we_read ? 1 : 0;
  };
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kChunkSize - 1, kChunkSize, kChunkSize + 1, 3 * kChunkSize})
    for (const bool armor : {false, true}) exchange(size, armor, 1);
  for (const std::size_t recipients : {2uz, 5uz, 20uz}) exchange(1000, recipients == 5, recipients);
  exchange(largest, false, 1);
  exchange(largest / 10, true, 3);
  proof::figure(tool.name + "-opens-ours", static_cast<double>(opened), "files");
  proof::figure("we-open-" + tool.name, static_cast<double>(read), "files");
  CHECK(opened == files);
  CHECK(read == files);
}

constexpr std::size_t kLarge = 100'000'000;

Tool age_tool() {
  return {"age",
          [](const fs::path& recipients, const fs::path& in, const fs::path& out, bool armor) {
            std::vector<std::string> command{"age", "-R", recipients.string(), "-o", out.string()};
            if (armor) command.insert(command.begin() + 1, "-a");
            command.push_back(in.string());
            fs::remove(out);
            return ran(command);
          },
          [](const fs::path& identities, const fs::path& in, const fs::path& out) {
            put(out, "");  // age leaves the file alone when there is no plaintext
            return ran({"age", "-d", "-i", identities.string(), "-o", out.string(), in.string()});
          }};
}

TEST_CASE("files go both ways with Debian's age") {
  if (!proof::need("age", "age")) return;
  interoperate(age_tool(), Identity::generate, kLarge);
}

/// The peer is a small rage over the crate age; it is built where cargo is.
std::optional<std::string> crate_tool() {
  static const auto built = []() -> std::optional<std::string> {
    std::string cargo = "cargo";
    if (!find_program(cargo)) {
      const char* home = std::getenv("HOME");
      cargo = (home != nullptr ? std::string(home) : "") + "/.cargo/bin/cargo";
      if (!fs::exists(cargo)) {
        proof::not_run("crate age",
                       "cargo is missing: install Rust (rustup), or Debian's cargo where it is new enough");
        return std::nullopt;
      }
    }
    const fs::path target = fs::current_path() / "peer";
    ProcessOptions options;
    options.directory = fs::path(GROVE_SOURCE_DIR) / "peer";
    options.merge_error = true;
    options.timeout = std::chrono::minutes(15);
    const auto output =
        run_process({cargo, "build", "--release", "--locked", "--target-dir", target.string()}, options);
    if (!output || output->status != 0) {
      proof::not_run("crate age",
                     "cargo could not build it: " + (output ? output->out.substr(0, 300) : output.error().message()));
      return std::nullopt;
    }
    return (target / "release" / "peer").string();
  }();
  return built;
}

Tool crate(const std::string& program) {
  return {"rage",
          [=](const fs::path& recipients, const fs::path& in, const fs::path& out, bool armor) {
            std::vector<std::string> command{program, "--encrypt", recipients.string(), in.string(), out.string()};
            if (armor) command.emplace_back("--armor");
            return ran(command);
          },
          [=](const fs::path& identities, const fs::path& in, const fs::path& out) {
            return ran({program, "--decrypt", identities.string(), in.string(), out.string()});
          }};
}

TEST_CASE("files go both ways with the crate age, which is rage's") {
  const auto program = crate_tool();
  if (!program) return;
  interoperate(crate(*program), Identity::generate, kLarge);
}

TEST_CASE("files go both ways with age-encryption of npm, classic and post-quantum") {
  const auto package = proof::npm_package("age-encryption", "0.3.1");
  if (!package || !proof::need("node", "nodejs")) return;
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const auto script = put(directory->path() / "tool.mjs", R"(
    import fs from 'node:fs'; import url from 'node:url';
    const [, , folder, mode, keys, input, output, armor] = process.argv;
    const age = await import(url.pathToFileURL(folder + '/dist/index.js'));
    const lines = fs.readFileSync(keys, 'utf8').split('\n').filter(line => line);
    if (mode === 'encrypt') {
      const encrypter = new age.Encrypter();
      for (const line of lines) encrypter.addRecipient(line);
      const file = await encrypter.encrypt(new Uint8Array(fs.readFileSync(input)));
      fs.writeFileSync(output, armor ? age.armor.encode(file) : file);
    } else {
      const decrypter = new age.Decrypter();
      for (const line of lines) decrypter.addIdentity(line);
      let file = new Uint8Array(fs.readFileSync(input));
      if (file[0] === 45) file = age.armor.decode(fs.readFileSync(input, 'utf8'));
      fs.writeFileSync(output, await decrypter.decrypt(file));
    })");
  const auto run = [&](const char* mode, const fs::path& keys, const fs::path& in, const fs::path& out, bool armor) {
    return ran(
        {"node", script.string(), package->string(), mode, keys.string(), in.string(), out.string(), armor ? "a" : ""});
  };
  Tool tool{"typage",
            [&](const auto& keys, const auto& in, const auto& out, bool armor) {
              return run("encrypt", keys, in, out, armor);
            },
            [&](const auto& keys, const auto& in, const auto& out) { return run("decrypt", keys, in, out, false); }};
  // JavaScript's ciphers are slow: a tenth of what the others get.
  interoperate(tool, Identity::generate, kLarge / 10);
  tool.name = "typage-post-quantum";
  interoperate(tool, Identity::generate_hybrid, kLarge / 100);
}

TEST_CASE("SSH keys go both ways with Debian's age and the crate age") {
  if (!proof::need("age", "age") || !proof::need("ssh-keygen", "openssh-client")) return;
  std::vector<Tool> tools{age_tool()};
  if (const auto program = crate_tool()) tools.push_back(crate(*program));
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path& at = directory->path();
  const auto plain = random_bytes(100'000, 7);
  put(at / "plain", plain);
  std::uint64_t exchanged = 0;
  const std::vector<std::vector<std::string>> kinds = {{"-t", "ed25519"},
                                                       {"-t", "rsa", "-b", "2048"},
                                                       {"-t", "rsa", "-b", "4096"},
                                                       {"-t", "rsa", "-b", "3072", "-m", "PEM"}};
  for (const auto& kind : kinds) {
    const std::string key = (at / "key").string();
    fs::remove(key);
    fs::remove(key + ".pub");
    std::vector<std::string> command{"ssh-keygen", "-q", "-N", "", "-f", key};
    command.insert(command.end(), kind.begin(), kind.end());
    REQUIRE(ran(command));
    const auto identity = Identity::parse(*read_file(key));
    REQUIRE_OK(identity);
    const auto recipient = Recipient::parse(*read_file(key + ".pub"));
    REQUIRE_OK(recipient);
    CHECK(identity->recipient()->text() == recipient->text());
    for (const Tool& tool : tools) {
      CAPTURE(tool.name);
      CAPTURE(kind[1]);
      put(at / "ours.age", *Encryptor::make({*recipient})->seal(plain));
      const bool they_open = tool.decrypt(key, at / "ours.age", at / "theirs") && same(at / "theirs", plain);
      CHECK(they_open);
      REQUIRE(tool.encrypt(key + ".pub", at / "plain", at / "theirs.age", false));
      const auto back = Decryptor::make({*identity})->open(as_bytes(*read_file(at / "theirs.age")));
      CHECK_OK(back);
      exchanged += they_open && back && *back == plain ? 1 : 0;
    }
  }
  proof::figure("ssh-both-ways", static_cast<double>(exchanged), "pairs");
  CHECK(exchanged == kinds.size() * tools.size());
}

TEST_CASE("passphrases go both ways with the crate age") {
  const auto program = crate_tool();
  if (!program) return;
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const fs::path& at = directory->path();
  const auto plain = random_bytes(100'000, 9);
  const auto in = put(at / "plain", plain);
  const std::string word = "correct horse battery staple";
  const auto ours = Encryptor::make({*Recipient::passphrase(word, 12)})->seal(plain);
  REQUIRE_OK(ours);
  const bool they_open =
      ran({*program, "--decrypt-passphrase", word, put(at / "ours.age", *ours).string(), (at / "theirs").string()}) &&
      same(at / "theirs", plain);
  CHECK(they_open);
  REQUIRE(ran({*program, "--encrypt-passphrase", word, in.string(), (at / "theirs.age").string()}));
  const auto back = Decryptor::make({Identity::passphrase(word)})->open(as_bytes(*read_file(at / "theirs.age")));
  REQUIRE_OK(back);
  CHECK(*back == plain);
  proof::figure("passphrase-both-ways", they_open && *back == plain ? 1 : 0, "pairs");
}

TEST_CASE("no plaintext leaves before its chunk verifies, whatever byte of a file is changed") {
  const Identity identity = Identity::generate();
  const auto plain = random_bytes(3 * kChunkSize + 100, 11);
  const auto file = Encryptor::make({*identity.recipient()})->seal(plain);
  REQUIRE_OK(file);
  const std::size_t payload = file->size() - plain.size() - 4 * 16;
  std::uint64_t changed = 0;
  SplitMix64 random(3);
  for (std::size_t i = 0; i < 600; ++i) {
    Bytes bad = *file;
    const std::size_t place = i < payload ? i : payload + random.below(bad.size() - payload);
    bad[place] ^= static_cast<std::byte>(1 + random.below(255));
    MemorySource source(bad);
    const auto decryptor =
        Decryptor::make({identity}, {.armor = Armor::none, .threads = 1 + static_cast<unsigned>(i % 2)});
    auto stream = decryptor->start(source);
    Bytes released;
    VectorSink sink(released);
    const bool refused = !stream || !stream->read_all(sink);
    CHECK(refused);
    // Whole chunks before the changed one, and nothing else.
    const std::size_t expected = place < payload ? 0 : (place - payload) / (kChunkSize + 16) * kChunkSize;
    CHECK(released.size() == expected);
    CHECK(std::equal(released.begin(), released.end(), plain.begin()));
    changed += refused ? 1 : 0;
  }
  proof::figure("changed-files-refused", static_cast<double>(changed), "files");
}

TEST_CASE("a work factor above the bound is refused at once") {
  const auto file = Encryptor::make({*Recipient::passphrase("word", 10)})->seal(random_bytes(10, 1));
  REQUIRE_OK(file);
  std::string text(as_text(*file));
  for (const char* factor : {"23", "30", "63", "64", "99999999999999999999"}) {
    std::string hostile = text;
    hostile.replace(hostile.find(" 10\n"), 4, " " + std::string(factor) + "\n");
    const auto start = std::chrono::steady_clock::now();
    CHECK_FAILS(Decryptor::make({Identity::passphrase("word")})->open(as_bytes(hostile)), Errc::limit);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500));
  }
}

}  // namespace
