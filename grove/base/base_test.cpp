#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <string>
#include <thread>

#include "grove/base/bench/bench.hpp"
#include "grove/base/bytes.hpp"
#include "grove/base/json.hpp"
#include "grove/base/log.hpp"
#include "grove/base/metrics.hpp"
#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/server.hpp"
#include "grove/base/test/test.hpp"
#include "grove/base/text.hpp"

using namespace grove;
using namespace std::chrono_literals;

namespace {

Result<int> positive(int n) {
  if (n <= 0) return fail(Errc::invalid_argument, std::to_string(n) + " is not positive");
  return n;
}
Result<int> doubled(int n) {
  GROVE_TRY(const int value, positive(n));
  return value * 2;
}
Result<void> checked(int n) {
  GROVE_CHECK(positive(n));
  return {};
}
Result<std::uint16_t> from_freestanding(ByteReader reader) {
  GROVE_TRY(const std::uint16_t value, reader.u16be());
  return value;
}

bool alive(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST_CASE("GROVE_TRY gives the value, or returns the error") {
  CHECK(doubled(4) == 8);
  CHECK(doubled(-1).error().message() == "-1 is not positive");
  CHECK_OK(checked(1));
  CHECK_FAILS(checked(0), Errc::invalid_argument);
}

TEST_CASE("an error says what was being done, in front") {
  const Error error = Error(Errc::io, "disk on fire").with("save the index");
  CHECK(error.message() == "save the index: disk on fire");
  CHECK(Error::from_errno("open x", ENOENT).code() == Errc::not_found);
}

TEST_CASE("a freestanding error code becomes an Error on its way out") {
  const std::array<std::byte, 1> one{};
  CHECK_FAILS(from_freestanding(ByteReader(one)), Errc::truncated);
}

TEST_CASE("reader and writer agree at every width, and stop at the end") {
  std::array<std::byte, 40> buffer{};
  ByteWriter writer(buffer);
  REQUIRE(writer.u8(1));
  REQUIRE(writer.u16be(0x0203));
  REQUIRE(writer.u32le(0x04050607));
  REQUIRE(writer.u64be(0x08090a0b0c0d0e0f));
  REQUIRE(writer.varint(300));
  REQUIRE(writer.varint(std::numeric_limits<std::uint64_t>::max()));
  ByteReader reader(writer.written());
  CHECK(reader.u8() == 1);
  CHECK(reader.u16be() == 0x0203);
  CHECK(reader.u32le() == 0x04050607u);
  CHECK(reader.u64be() == 0x08090a0b0c0d0e0fu);
  CHECK(reader.varint() == 300u);
  CHECK(reader.varint() == std::numeric_limits<std::uint64_t>::max());
  CHECK(reader.empty());
  CHECK_FAILS(reader.u8(), Errc::truncated);
  CHECK(writer.remaining() == buffer.size() - writer.position());
}

TEST_CASE("a failed read leaves the cursor where it was") {
  const auto bytes = as_bytes("\x80\x80");
  ByteReader reader(bytes);
  CHECK_FAILS(reader.varint(), Errc::truncated);
  CHECK_FAILS(reader.u32be(), Errc::truncated);
  CHECK(reader.position() == 0);
}

TEST_CASE("a varint of more than 64 bits is refused") {
  CHECK_FAILS(ByteReader(as_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")).varint(), Errc::parse);
  CHECK(ByteReader(as_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")).varint() ==
        std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("a writer that is full writes nothing") {
  std::array<std::byte, 3> buffer{};
  ByteWriter writer(buffer);
  CHECK_FAILS(writer.u32be(1), Errc::limit);
  CHECK(writer.position() == 0);
}

TEST_CASE("JSON nests, escapes, and repairs invalid UTF-8") {
  JsonWriter json;
  json.begin_object().member("a", 1).key("b").begin_array().value("x\"\n\x01").value(true).null().end_array();
  json.member("c", 0.5).member("d", "\xff\xe4\xbd\xa0").member("e", std::numeric_limits<double>::infinity());
  json.end_object();
  CHECK(json.str() ==
        "{\"a\":1,\"b\":[\"x\\\"\\n\\u0001\",true,null],\"c\":0.5,\"d\":\"\xef\xbf\xbd\xe4\xbd\xa0\",\"e\":null}");
}

TEST_CASE("a logger that is off formats nothing, one that is on writes a line of JSON") {
  struct Sink : LogSink {
    int count = 0;
    void write(LogLevel, std::string_view, std::span<const LogField>) noexcept override { ++count; }
  } sink;
  Logger().error("lost");
  const Logger logger(sink, LogLevel::warning);
  logger.info("below");
  logger.warning("above", {{"n", std::int64_t{1}}});
  CHECK(sink.count == 1);

  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  JsonLogSink lines(ends[1]);
  Logger(lines).info("hello", {{"who", std::string_view("world")}, {"ok", true}});
  std::array<char, 256> buffer{};
  const auto n = ::read(ends[0], buffer.data(), buffer.size());
  const std::string line(buffer.data(), static_cast<std::size_t>(n));
  CHECK(line.find(R"("level":"info","message":"hello","who":"world","ok":true})"
                  "\n") != std::string::npos);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("metrics count from several threads and print as Prometheus text") {
  Counter().add();
  MetricRegistry registry;
  const Counter counter = registry.counter("requests_total", "Requests.");
  const Histogram histogram = registry.histogram("size_bytes");
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) registry.counter("requests_total").add();
  });
  for (int i = 0; i < 1000; ++i) counter.add();
  other.join();
  registry.gauge("open").set(-3);
  histogram.record(0);
  histogram.record(5);
  CHECK(registry.prometheus() ==
        "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total 2000\n"
        "# TYPE size_bytes histogram\nsize_bytes_bucket{le=\"0\"} 1\nsize_bytes_bucket{le=\"7\"} 2\n"
        "size_bytes_bucket{le=\"+Inf\"} 2\nsize_bytes_sum 5\nsize_bytes_count 2\n"
        "# TYPE open gauge\nopen -3\n");
}

TEST_CASE("a process gets its input and gives back output and status") {
  const auto cat = run_process({"sh", "-c", "cat; echo err >&2; exit 3"}, {.input = std::string(300'000, 'x')});
  REQUIRE_OK(cat);
  CHECK(cat->status == 3);
  CHECK(cat->out.size() == 300'000);
  CHECK(cat->err == "err\n");
}

TEST_CASE("a program that doesn't exist, hangs, or floods is a clear error") {
  CHECK_FAILS(run_process({"no-such-program-here"}), Errc::not_found);
  CHECK_FAILS(run_process({"sleep", "100"}, {.timeout = 20ms}), Errc::timeout);
  CHECK_FAILS(run_process({"yes"}, {.output_limit = 1000}), Errc::limit);
  CHECK_FAILS(run_process({}), Errc::invalid_argument);
}

TEST_CASE("a program that stops reading early is no error") {
  const auto head = run_process({"true"}, {.input = std::string(1 << 20, 'x')});
  REQUIRE_OK(head);
  CHECK(head->status == 0);
}

TEST_CASE("lines are reported as they come") {
  std::string seen;
  const auto run = run_process({"printf", "a\\nb\\nrest"}, {.on_line = [&](std::string_view l) { seen += l; }});
  REQUIRE_OK(run);
  CHECK(seen == "ab");
}

TEST_CASE("a file is replaced whole, and a temporary folder goes away") {
  std::filesystem::path path;
  {
    auto directory = TempDir::make();
    REQUIRE_OK(directory);
    path = directory->path();
    REQUIRE_OK(write_file(path / "f", "one"));
    REQUIRE_OK(write_file(path / "f", "two"));
    CHECK(read_file(path / "f") == "two");
    CHECK_FAILS(read_file(path / "f", 2), Errc::limit);
    CHECK_FAILS(read_file(path / "none"), Errc::not_found);
    CHECK_FAILS(write_file(path / "no" / "f", "x"), Errc::not_found);
    CHECK(std::distance(std::filesystem::directory_iterator(path), {}) == 1);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a server starts on its own port and stops") {
  auto server = test::Server::start({.command = {"python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"}});
  if (!server && server.error() == Errc::not_found) return;  // base itself needs no python3
  REQUIRE_OK(server);
  const pid_t first = server->pid();
  CHECK(alive(first));
  server->kill();
  CHECK_FALSE(alive(first));
  REQUIRE_OK(server->restart());
  CHECK(server->pid() != first);
  const auto directory = server->directory();
  server->stop();
  CHECK(std::filesystem::exists(directory));
}

TEST_CASE("a server that ends at once is reported with what it said") {
  const auto server = test::Server::start({.command = {"sh", "-c", "echo bad option; exit 1"}});
  CHECK_FAILS(server, Errc::unavailable);
  CHECK(server.error().message().find("bad option") != std::string::npos);
}

TEST_CASE("a test that crashes leaves neither its server nor its folder behind") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto server = test::Server::start({.command = {"sh", "-c", "echo ready; sleep 1000"}, .ready_text = "ready"});
    if (!server) ::_exit(1);
    const std::string line = std::to_string(server->pid()) + " " + server->directory().string();
    [[maybe_unused]] const auto n = ::write(ends[1], line.data(), line.size());
    ::kill(::getpid(), SIGKILL);
  }
  ::close(ends[1]);
  std::array<char, 512> buffer{};
  const auto n = ::read(ends[0], buffer.data(), buffer.size() - 1);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  REQUIRE(n > 0);
  const std::string line = buffer.data();
  const pid_t server = std::stoi(line);
  const std::filesystem::path directory = line.substr(line.find(' ') + 1);
  for (int i = 0; i < 500 && (alive(server) || std::filesystem::exists(directory)); ++i)
    std::this_thread::sleep_for(10ms);
  CHECK_FALSE(std::filesystem::exists(directory));
  // It may be a zombie of init's for a moment; a zombie has no command line.
  CHECK(read_file("/proc/" + std::to_string(server) + "/cmdline").value_or("").empty());
}

TEST_CASE("the checksum depends on order, length and every bit") {
  const auto of = [](std::string_view text) {
    bench::Checksum sum;
    sum.text(text);
    return sum.value();
  };
  CHECK(of("abcdefghi") != of("abcdefghj"));
  CHECK(of("a") != of(std::string_view("a\0", 2)));
  CHECK(of("") != bench::Checksum().value());
}

TEST_CASE("a code point is decoded, and a byte that starts none comes as itself") {
  CHECK(first_code_point("a").value == U'a');
  CHECK(first_code_point("\xe8\xb0\x83\xe5\xba\xa6").value == U'调');
  CHECK(first_code_point("\xe8\xb0\x83").size == 3);
  CHECK(first_code_point("\xf0\x9f\x8c\xb3").value == U'🌳');
  CHECK(first_code_point("\xe8\xb0").size == 1);
  CHECK(first_code_point("\xff").value == 0xff);
}

TEST_CASE("SplitMix64 gives the published sequence") {
  SplitMix64 random(1234567);
  CHECK(random() == 6457827717110365317u);
  CHECK(random() == 3203168211198807973u);
}
