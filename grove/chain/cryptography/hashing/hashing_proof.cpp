#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/base/text.hpp"
#include "grove/chain/cryptography/hashing/hashing.hpp"

using namespace grove;
using namespace grove::hashing;

namespace {

constexpr Isa kBlake3Isas[] = {Isa::portable, Isa::sse41, Isa::avx2, Isa::avx512, Isa::automatic};
constexpr Isa kSha256Isas[] = {Isa::portable, Isa::sha_ni, Isa::automatic};
constexpr std::size_t kLongest = 8193;

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 56);
  return bytes;
}

std::vector<std::byte> unhex(std::string_view text) {
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
    bytes[i] = static_cast<std::byte>(value);
  }
  return bytes;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

struct Score {
  std::uint64_t passed = 0, total = 0;
  void add(bool ok) { passed += ok, ++total; }
  void report(std::string_view suite) const {
    proof::conformance(passed, total, suite);
    CHECK(total > 0);
    CHECK(passed == total);
  }
};

// A hash as text to text, however it is made.
using Hash = std::function<std::string(std::span<const std::byte>)>;

template <class H>
Hash openssl() {
  return [](std::span<const std::byte> data) {
    const auto digest = H::hash(data);
    return digest ? hex(*digest) : digest.error().message();
  };
}

/// NIST's response files: Len, Msg, MD; or Seed and 100 times MD.
class Vectors {
 public:
  static std::optional<Vectors> find() {
    const std::filesystem::path folder = "/usr/lib/python3/dist-packages/cryptography_vectors/hashes";
    if (std::filesystem::exists(folder)) return Vectors(folder);
    proof::not_run("NIST's vectors", "install python3-cryptography-vectors");
    return std::nullopt;
  }

  void messages(const std::string& file, const Hash& hash, Score& score) const {
    std::uint64_t length = 0;
    std::vector<std::byte> message;
    each(file, [&](std::string_view key, std::string_view value) {
      if (key == "Len") std::from_chars(value.data(), value.data() + value.size(), length);
      if (key == "Msg") message = unhex(value);
      if (key == "MD") score.add(hash(std::span(message).first(static_cast<std::size_t>(length / 8))) == value);
    });
  }

  /// 100,000 hashes, each of the `window` before it.
  void monte_carlo(const std::string& file, std::size_t window, const Hash& hash, Score& score) const {
    std::vector<std::byte> seed;
    each(file, [&](std::string_view key, std::string_view value) {
      if (key == "Seed") seed = unhex(value);
      if (key != "MD") return;
      std::vector<std::byte> message;
      for (std::size_t i = 0; i < window; ++i) message.insert(message.end(), seed.begin(), seed.end());
      for (int i = 0; i < 1000; ++i) {
        const auto next = unhex(hash(message));
        message.erase(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(seed.size()));
        message.insert(message.end(), next.begin(), next.end());
      }
      seed.assign(message.end() - static_cast<std::ptrdiff_t>(seed.size()), message.end());
      score.add(hex(seed) == value);
    });
  }

 private:
  explicit Vectors(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void each(const std::string& file, const std::function<void(std::string_view, std::string_view)>& use) const {
    const auto text = read_file(folder_ / file);
    REQUIRE_OK(text);
    for (const std::string_view line : lines_of(*text))
      if (const std::size_t at = line.find(" = "); at != std::string_view::npos)
        use(line.substr(0, at), line.substr(at + 3));
  }
  std::filesystem::path folder_;
};

/// Files of every length from 0 to 8,193, the beginnings of one random stream.
struct Files {
  std::vector<std::byte> data = random_bytes(kLongest, 2026);
  TempDir directory;

  static Result<Files> write() {
    GROVE_TRY(TempDir directory, TempDir::make("hashing"));
    Files files{.directory = std::move(directory)};
    for (std::size_t size = 0; size <= kLongest; ++size) {
      std::FILE* const file = std::fopen((files.directory.path() / std::to_string(size)).c_str(), "wb");
      if (!file) return fail_errno("write a file to hash");
      const bool ok = std::fwrite(files.data.data(), 1, size, file) == size;
      if (std::fclose(file) != 0 || !ok) return fail_errno("write a file to hash");
    }
    return files;
  }

  /// What b3sum prints for each of them.
  Result<std::vector<std::string>> b3sum(const std::vector<std::string>& options, const std::string& input) const {
    std::vector<std::string> digests;
    for (std::size_t from = 0; from <= kLongest; from += 2048) {
      std::vector<std::string> command = {"b3sum", "--no-names", "--num-threads", "1"};
      command.insert(command.end(), options.begin(), options.end());
      for (std::size_t size = from; size < from + 2048 && size <= kLongest; ++size)
        command.push_back(std::to_string(size));
      GROVE_TRY(const ProcessOutput run, run_process(command, {.input = input, .directory = directory.path()}));
      if (run.status != 0) return fail(Errc::internal, "b3sum: " + run.err);
      for (const std::string_view line : lines_of(run.out)) digests.emplace_back(line);
    }
    return digests;
  }
};

}  // namespace

TEST_CASE("NIST's vectors: SHA-256 with every instruction set, SHA-512 and SHA-3") {
  const auto vectors = Vectors::find();
  if (!vectors) return;
  Score sha256_score;
  for (const Isa isa : kSha256Isas) {
    const Hash hash = [isa](std::span<const std::byte> data) { return hex(Sha256::hash(data, isa)); };
    vectors->messages("SHA2/SHA256ShortMsg.rsp", hash, sha256_score);
    vectors->messages("SHA2/SHA256LongMsg.rsp", hash, sha256_score);
    vectors->monte_carlo("SHA2/SHA256Monte.rsp", 3, hash, sha256_score);
  }
  sha256_score.report("cavp-sha256");

  Score sha2_score;
  const auto sha2 = [&](const std::string& name, const Hash& hash) {
    vectors->messages("SHA2/" + name + "ShortMsg.rsp", hash, sha2_score);
    vectors->messages("SHA2/" + name + "LongMsg.rsp", hash, sha2_score);
    vectors->monte_carlo("SHA2/" + name + "Monte.rsp", 3, hash, sha2_score);
  };
  sha2("SHA384", openssl<Sha384>());
  sha2("SHA512", openssl<Sha512>());
  sha2_score.report("cavp-sha512");

  Score sponge_score, sha3_score;
  const auto sha3 = [&](const std::string& name, const Hash& own, const Hash& theirs) {
    for (const auto& [hash, score] : {std::pair(own, &sponge_score), std::pair(theirs, &sha3_score)}) {
      vectors->messages("SHA3/" + name + "ShortMsg.rsp", hash, *score);
      vectors->messages("SHA3/" + name + "LongMsg.rsp", hash, *score);
      vectors->monte_carlo("SHA3/" + name + "Monte.rsp", 1, hash, *score);
    }
  };
  const auto sponge = []<class S>(S*) -> Hash {
    return [](std::span<const std::byte> data) { return hex(S::hash(data)); };
  };
  sha3("SHA3_256", sponge(static_cast<Sponge<136, 6, 32>*>(nullptr)), openssl<Sha3_256>());
  sha3("SHA3_384", sponge(static_cast<Sponge<104, 6, 48>*>(nullptr)), openssl<Sha3_384>());
  sha3("SHA3_512", sponge(static_cast<Sponge<72, 6, 64>*>(nullptr)), openssl<Sha3_512>());
  sponge_score.report("cavp-sha3-by-own-keccak");
  sha3_score.report("cavp-sha3");
}

TEST_CASE("the authors' vectors: RIPEMD-160 and BLAKE2b") {
  const auto vectors = Vectors::find();
  if (!vectors) return;
  Score ripemd, blake2;
  vectors->messages("ripemd160/ripevectors.txt", openssl<Ripemd160>(), ripemd);
  vectors->messages(
      "blake2/blake2b.txt",
      [](std::span<const std::byte> data) {
        const auto digest = blake2b<64>(data);
        return digest ? hex(*digest) : digest.error().message();
      },
      blake2);
  ripemd.report("ripemd160");
  blake2.report("blake2b");
}

TEST_CASE("BLAKE3 equals b3sum: every length, mode and instruction set, random splits") {
  if (!proof::need("b3sum", "b3sum")) return;
  const auto files = Files::write();
  REQUIRE_OK(files);
  const std::string key = "0123456789abcdefGHIJKLMNOPQRSTUV", context = "grove hashing proof 2026-01-01";
  Blake3::Key key_bytes;
  std::ranges::copy(as_bytes(key), key_bytes.begin());

  struct Mode {
    const char* name;
    std::vector<std::string> options;
    std::string input;
    std::function<Blake3(Isa)> hasher;
  };
  const Mode modes[] = {
      {"b3sum-hash", {}, "", [](Isa isa) { return Blake3(isa); }},
      {"b3sum-keyed", {"--keyed"}, key, [&](Isa isa) { return Blake3::keyed(key_bytes, isa); }},
      {"b3sum-derive", {"--derive-key", context}, "", [&](Isa isa) { return Blake3::derive(context, isa); }},
  };
  std::vector<std::string> plain;
  for (const Mode& mode : modes) {
    auto options = mode.options;
    options.insert(options.end(), {"--length", "331"});  // five blocks of output and a part
    const auto theirs = files->b3sum(options, mode.input);
    REQUIRE_OK(theirs);
    REQUIRE(theirs->size() == kLongest + 1);
    Score score;
    for (const Isa isa : kBlake3Isas) {
      if (!supported(isa)) continue;
      for (std::size_t size = 0; size <= kLongest; ++size) {
        const auto message = std::span(files->data).first(size);
        Blake3 hasher = mode.hasher(isa);
        hasher.update(message);
        std::array<std::byte, 331> output;
        hasher.xof(output);
        bool ok = hex(output) == (*theirs)[size] && std::ranges::equal(hasher.finish(), std::span(output).first(32));
        if (&mode == modes) ok = ok && std::ranges::equal(Blake3::hash(message, 1, isa), std::span(output).first(32));
        score.add(ok);
      }
    }
    score.report(mode.name);
    if (&mode == modes) plain = *theirs;
  }

  const char* const scale = std::getenv("GROVE_PROOF_SCALE");
  const auto runs = static_cast<std::uint64_t>(100'000 * (scale ? std::max(std::atof(scale), 0.01) : 1.0));
  SplitMix64 random(11);
  Score splits;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const std::size_t size = random.below(kLongest + 1);
    auto left = std::span(files->data).first(size);
    Blake3 hasher(kBlake3Isas[run % std::size(kBlake3Isas)]);
    const std::uint64_t largest = std::uint64_t{1} << (4 + random.below(10));
    while (!left.empty()) {
      const std::size_t some = std::min<std::size_t>(left.size(), 1 + random.below(largest));
      hasher.update(left.first(some));
      left = left.subspan(some);
    }
    splits.add(plain[size].starts_with(hex(hasher.finish())));
  }
  splits.report("b3sum-random-splits");
}

TEST_CASE("files hash as with b3sum, by any number of threads") {
  if (!proof::need("b3sum", "b3sum")) return;
  auto directory = TempDir::make("hashing");
  REQUIRE_OK(directory);
  const auto data = random_bytes((std::size_t{33} << 20) + 12345, 3);
  const auto path = directory->path() / "large";
  Score score;
  for (const std::size_t size : {std::size_t{1} << 20, std::size_t{2} << 20, (std::size_t{2} << 20) + 1,
                                 (std::size_t{7} << 20) - 1, std::size_t{32} << 20, data.size()}) {
    REQUIRE_OK(write_file(path, as_text(std::span(data).first(size))));
    const auto theirs = run_process({"b3sum", "--no-names", path.string()});
    REQUIRE_OK(theirs);
    for (const unsigned threads : {1u, 2u, 3u, 8u}) {
      const auto digest = hash_file(path, threads);
      REQUIRE_OK(digest);
      score.add(theirs->out == hex(*digest) + "\n");
      score.add(Blake3::hash(std::span(data).first(size), threads) == *digest);
    }
  }
  score.report("b3sum-files-by-threads");
}

TEST_CASE("Keccak, BLAKE3 and others equal @noble/hashes") {
  const auto package = proof::npm_package("@noble/hashes", "1.8.0");
  if (!package || !proof::need("node", "nodejs")) return;
  constexpr std::size_t kMost = 1500;
  const auto data = random_bytes(kMost, 4);
  const std::string script = R"(
    const load = (name) => require(process.argv[1] + '/' + name + '.js');
    const {keccak_256, keccak_512} = load('sha3'), {blake3} = load('blake3'), {ripemd160} = load('legacy');
    const {sha256} = load('sha2'), {blake2b} = load('blake2b');
    const data = require('fs').readFileSync(0), out = [];
    for (let size = 0; size <= data.length; ++size) {
      const message = data.subarray(0, size);
      const double = sha256(sha256(message));
      for (const digest of [keccak_256(message), keccak_512(message), blake3(message, {dkLen: 100}), double,
                            ripemd160(sha256(message)), blake2b(message, {dkLen: 20, key: data.subarray(0, 9)})])
        out.push(Buffer.from(digest).toString('hex'));
    }
    process.stdout.write(out.join('\n'));)";
  const auto run = run_process({"node", "-e", script, package->string()}, {.input = std::string(as_text(data))});
  REQUIRE_OK(run);
  REQUIRE_MESSAGE(run->status == 0, run->err);
  const auto lines = lines_of(run->out);
  REQUIRE(lines.size() == 6 * (kMost + 1));
  Score keccak, others;
  for (std::size_t size = 0; size <= kMost; ++size) {
    const auto message = std::span(data).first(size);
    const auto* const line = &lines[6 * size];
    keccak.add(hex(keccak256(message)) == line[0]);
    keccak.add(hex(Keccak512::hash(message)) == line[1]);
    std::array<std::byte, 100> output;
    Blake3 hasher;
    hasher.update(message);
    hasher.xof(output);
    others.add(hex(output) == line[2]);
    others.add(hex(sha256d(message)) == line[3]);
    const auto short_hash = hash160(message);
    others.add(short_hash && hex(*short_hash) == line[4]);
    const auto blake2 = blake2b<20>(message, std::span(data).first(9));
    others.add(blake2 && hex(*blake2) == line[5]);
  }
  keccak.report("noble-keccak");
  others.report("noble-others");
}

TEST_CASE("64-byte messages by lanes equal messages by themselves with every instruction set") {
  constexpr std::size_t kCount = 20'011;
  const auto data = random_bytes(64 * kCount, 5);
  std::vector<Digest<32>> once(kCount), twice(kCount), blake(kCount), out(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto message = std::span(data).subspan(64 * i, 64);
    once[i] = Sha256::hash(message, Isa::portable);
    twice[i] = Sha256::hash(once[i], Isa::portable);
    blake[i] = Blake3::hash(message, 1, Isa::portable);
  }
  Score score;
  const auto count = [&](const std::vector<Digest<32>>& expected) {
    for (std::size_t i = 0; i < kCount; ++i) score.add(out[i] == expected[i]);
  };
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::sha_ni, Isa::automatic}) {
    if (!supported(isa)) continue;
    sha256_64(data, out, isa), count(once);
    sha256d_64(data, out, isa), count(twice);
  }
  for (const Isa isa : kBlake3Isas)
    if (supported(isa)) Blake3::hash_64(data, out, isa), count(blake);
  score.report("lanes");

  constexpr std::pair<Isa, const char*> kNamed[] = {
      {Isa::sse41, "SSE4.1"}, {Isa::avx2, "AVX2"}, {Isa::avx512, "AVX-512"}, {Isa::sha_ni, "SHA-NI"}};
  for (const auto& [isa, name] : kNamed)
    if (!supported(isa)) proof::gap(name, "compiled, not run: this CPU doesn't have it");
}
