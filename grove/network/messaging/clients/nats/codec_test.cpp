#include "grove/network/messaging/clients/nats/codec.hpp"

#include <string>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/base/text.hpp"

using namespace grove;
using nats::Decoder;
using nats::Encoder;
using nats::Frame;
using nats::Header;
using nats::HeaderBlock;
using Kind = nats::Frame::Kind;

namespace {

Frame first(Decoder& decoder, std::string_view bytes) {
  decoder.feed(as_bytes(bytes));
  return decoder.next();
}
Kind kind_of(std::string_view bytes, nats::DecoderLimits limits = {}) {
  Decoder decoder(limits);
  return first(decoder, bytes).kind;
}
std::string describe(const Frame& f) {
  return std::to_string(static_cast<int>(f.kind)) + "|" + std::to_string(f.sid) + "|" + std::string(f.subject) + "|" +
         std::string(f.reply) + "|" + std::string(f.headers) + "|" + std::string(f.payload);
}

constexpr std::string_view kSession =
    "INFO {\"server_id\":\"x\"}\r\nPING\r\nMSG a.b 7 5\r\nhello\r\nMSG a 8 _INBOX.q 0\r\n\r\n"
    "HMSG h 9 r.s 21 24\r\nNATS/1.0\r\nName: v\r\n\r\nxyz\r\n+OK\r\n-ERR 'Stale Connection'\r\nPONG\r\n";

}  // namespace

TEST_CASE("each operation is decoded with its parts") {
  Decoder decoder;
  decoder.feed(as_bytes(kSession));
  Frame f = decoder.next();
  CHECK(f.kind == Kind::info);
  CHECK(f.payload == "{\"server_id\":\"x\"}");
  CHECK(decoder.next().kind == Kind::ping);
  f = decoder.next();
  CHECK(f.kind == Kind::message);
  CHECK(f.subject == "a.b");
  CHECK(f.sid == 7);
  CHECK(f.reply.empty());
  CHECK(f.payload == "hello");
  f = decoder.next();
  CHECK(f.reply == "_INBOX.q");
  CHECK(f.payload.empty());
  f = decoder.next();
  CHECK(f.headers == "NATS/1.0\r\nName: v\r\n\r\n");
  CHECK(f.payload == "xyz");
  CHECK(f.reply == "r.s");
  CHECK(decoder.next().kind == Kind::ok);
  f = decoder.next();
  CHECK(f.kind == Kind::error);
  CHECK(f.payload == "Stale Connection");
  CHECK(decoder.next().kind == Kind::pong);
  CHECK(decoder.next().kind == Kind::need_input);
  CHECK(decoder.buffered() == 0);
}

TEST_CASE("a session cut in two at every byte, or into single bytes, gives the same frames") {
  const auto frames = [](std::vector<std::string_view> pieces) {
    Decoder decoder;
    std::string seen;
    for (const std::string_view piece : pieces) {
      decoder.feed(as_bytes(piece));
      for (Frame f = decoder.next(); f.kind != Kind::need_input; f = decoder.next()) {
        REQUIRE(f.kind != Kind::broken);
        seen += describe(f) + "\n";
      }
    }
    return seen;
  };
  const std::string whole = frames({kSession});
  for (std::size_t cut = 0; cut <= kSession.size(); ++cut)
    CHECK(frames({kSession.substr(0, cut), kSession.substr(cut)}) == whole);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < kSession.size(); ++i) bytes.push_back(kSession.substr(i, 1));
  CHECK(frames(bytes) == whole);
}

TEST_CASE("what ends early is no frame, and waits") {
  for (const std::string_view whole :
       {"MSG a.b 7 r 5\r\nhello\r\n", "HMSG h 9 12 15\r\nNATS/1.0\r\n\r\nxyz\r\n", "PING\r\n"})
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Decoder decoder;
      CHECK(first(decoder, whole.substr(0, size)).kind == Kind::need_input);
      CHECK(first(decoder, whole.substr(size)).kind != Kind::need_input);
    }
}

TEST_CASE("operations are case-insensitive, blanks may be several and tabs") {
  Decoder decoder;
  const Frame f = first(decoder, "msg \t a.b\t 7   3\r\nabc\r\npInG\r\n");
  CHECK(f.kind == Kind::message);
  CHECK(f.subject == "a.b");
  CHECK(f.sid == 7);
  CHECK(decoder.next().kind == Kind::ping);
}

TEST_CASE("what isn't NATS is broken, and stays so") {
  for (const std::string_view bad :
       {"HELLO\r\n", "\r\n", "\n", "PING\n", "MSG\r\n", "MSG a\r\n", "MSG a 1\r\n", "MSG a 1 r 5 6\r\n",
        "MSG a x 5\r\n", "MSG a 1 -5\r\n", "MSG a 1 5x\r\n", "MSG a 1 99999999999999999999\r\n", "MSG a 1 2\r\nabcd",
        "MSG a 1 2\r\nab\n\n", "HMSG a 1 5\r\n", "HMSG a 1 6 5\r\n", "HMSG a 1 4 4\r\nNOPE\r\n",
        "HMSG a 1 0 2\r\nab\r\n", "HTTP/1.1 200 OK\r\n"}) {
    Decoder decoder;
    CHECK_MESSAGE(first(decoder, bad).kind == Kind::broken, bad);
    CHECK(first(decoder, "PING\r\n").kind == Kind::broken);
    decoder.reset();
    CHECK(first(decoder, "PING\r\n").kind == Kind::ping);
  }
}

TEST_CASE("lines and messages over their limits are refused before their bytes arrive") {
  const nats::DecoderLimits limits{.line = 64, .message = 100};
  CHECK(kind_of("MSG a 1 101\r\n", limits) == Kind::broken);
  CHECK(kind_of("MSG a 1 100\r\n", limits) == Kind::need_input);
  CHECK(kind_of(std::string(65, 'A'), limits) == Kind::broken);
  CHECK(kind_of(std::string(64, 'A'), limits) == Kind::need_input);
  CHECK(kind_of("INFO " + std::string(70, ' ') + "\r\n", limits) == Kind::broken);
  // A claim alone costs no memory: this only asks for more input.
  CHECK(kind_of("MSG a 1 67108864\r\n") == Kind::need_input);
}

TEST_CASE("header blocks: status, description, fields, and lines that make no sense") {
  const HeaderBlock none("NATS/1.0\r\n\r\n");
  CHECK(none.status() == 0);
  CHECK(none.description().empty());
  CHECK(none.fields().empty());
  const HeaderBlock status("NATS/1.0 503 No Responders \r\n\r\n");
  CHECK(status.status() == 503);
  CHECK(status.description() == "No Responders");
  CHECK(HeaderBlock("NATS/1.0 404\r\n\r\n").status() == 404);
  CHECK(HeaderBlock("NATS/1.0 4x4\r\n\r\n").status() == 0);
  CHECK(HeaderBlock("NATS/1.0").status() == 0);
  CHECK(HeaderBlock("").fields().empty());
  const HeaderBlock fields("NATS/1.0\r\nA: 1\r\nno colon\r\n: no name\r\nA:2\r\nEmpty:\r\nB:  x: y \r\nTail");
  CHECK(fields.fields().size() == 4);
  CHECK(fields.find("A") == "1");
  CHECK(fields.find("B") == "x: y");
  CHECK(fields.find("Empty") == "");
  CHECK_FALSE(fields.find("a"));
  CHECK_FALSE(fields.find("Tail"));
}

TEST_CASE("commands are encoded as the protocol says") {
  Encoder e;
  e.publish("a.b", {}, {}, as_bytes("hi"));
  e.publish("a", "r", {}, {});
  const Header headers[] = {{"K", "v"}, {"Long-Name", ""}};
  e.publish("h", "r", headers, as_bytes("x"));
  e.subscribe("s.>", {}, 1);
  e.subscribe("s.*", "q", 22);
  e.unsubscribe(1);
  e.unsubscribe(22, 5);
  e.connect("{}");
  e.ping();
  e.pong();
  CHECK(e.buffer().view() ==
        "PUB a.b 2\r\nhi\r\nPUB a r 0\r\n\r\n"
        "HPUB h r 31 32\r\nNATS/1.0\r\nK: v\r\nLong-Name: \r\n\r\nx\r\n"
        "SUB s.> 1\r\nSUB s.* q 22\r\nUNSUB 1\r\nUNSUB 22 5\r\nCONNECT {}\r\nPING\r\nPONG\r\n");
}

TEST_CASE("after a break, exactly the publishes that were not handed over whole are kept") {
  Encoder e;
  std::vector<std::pair<std::size_t, std::string>> publishes;  // where each ends, and its bytes
  const auto publish = [&](std::string_view subject, nats::Headers headers, std::string_view payload) {
    const std::size_t start = e.buffer().size();
    e.publish(subject, {}, headers, as_bytes(payload));
    publishes.emplace_back(e.buffer().size(), std::string(e.buffer().view().substr(start)));
  };
  e.subscribe("x", {}, 1);
  publish("a", {}, "one\r\nPUB b 3\r\n");  // a payload that looks like a command
  e.ping();
  const Header header{"H", "v"};
  publish("b", {&header, 1}, "two");
  e.unsubscribe(1);
  publish("c", {}, "");
  e.pong();
  const std::string sent(e.buffer().view());
  for (std::size_t written = 0; written <= sent.size(); ++written) {
    std::string expected;
    for (const auto& [end, bytes] : publishes)
      if (end > written) expected += bytes;
    nats::Buffer kept;
    Encoder::unsent_publishes(sent, written, &kept);
    CHECK(kept.view() == expected);
  }
}

TEST_CASE("subjects and headers that could inject a command are refused") {
  for (const std::string_view good : {"a", "a.b.c", "$JS.API.x", "_INBOX.1", "a*b", "x>", "a.b>c", "ä.ö"})
    CHECK_MESSAGE(nats::valid_subject(good), good);
  const std::string_view with_zero("a\0b", 3);
  CHECK_FALSE(nats::valid_subject(with_zero));
  for (const std::string_view bad :
       {"", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB x 0\r\n", "*", "a.*", ">", "a.>"})
    CHECK_MESSAGE(!nats::valid_subject(bad), bad);
  for (const std::string_view good : {"*", ">", "a.*", "a.*.b", "a.>", "*.>"})
    CHECK_MESSAGE(nats::valid_pattern(good), good);
  for (const std::string_view bad : {"", ">.a", "a.>.b", "a..>", "a .>"}) CHECK_MESSAGE(!nats::valid_pattern(bad), bad);
  CHECK(nats::valid_header({"Nats-Msg-Id", "a: b"}));
  for (const Header& bad :
       {Header{"", "x"}, Header{"a b", "x"}, Header{"a:b", "x"}, Header{"a", "x\r\nB: y"}, Header{"a\n", "x"}})
    CHECK_FALSE(nats::valid_header(bad));
}

TEST_CASE("patterns match as the server matches them") {
  CHECK(nats::matches("a.b", "a.b"));
  CHECK(nats::matches("a.*", "a.b"));
  CHECK(nats::matches("*.b", "a.b"));
  CHECK(nats::matches(">", "a.b.c"));
  CHECK(nats::matches("a.>", "a.b.c"));
  CHECK_FALSE(nats::matches("a.>", "a"));
  CHECK_FALSE(nats::matches("a.*", "a.b.c"));
  CHECK_FALSE(nats::matches("a.*.c", "a.b"));
  CHECK_FALSE(nats::matches("a.b", "a.c"));
}

TEST_CASE("a buffer agrees with a string under random operations") {
  SplitMix64 random(11);
  nats::Buffer buffer;
  std::string model;
  for (int i = 0; i < 20'000; ++i) {
    if (random.below(2) == 0) {
      const std::string text(random.below(300), static_cast<char>('a' + random.below(26)));
      buffer.append(text);
      model += text;
    } else {
      const std::size_t count = random.below(model.size() + 1);
      buffer.consume(count);
      model.erase(0, count);
    }
    REQUIRE(buffer.view() == model);
  }
}

TEST_CASE("random messages cut at random places come out as they went in") {
  SplitMix64 random(5);
  std::string wire;
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string subject = "s." + std::to_string(random.below(1000));
    const std::string reply = random.below(2) == 0 ? "" : "r." + std::to_string(random.below(9));
    std::string payload(random.below(i % 100 == 0 ? 20'000 : 60), '\0');
    for (char& c : payload) c = static_cast<char>(random());
    std::string headers = random.below(3) == 0 ? "NATS/1.0\r\nK: " + std::to_string(i) + "\r\n\r\n" : "";
    const std::uint64_t sid = random() >> 4;
    wire += (headers.empty() ? "MSG " : "HMSG ") + subject + " " + std::to_string(sid) + " " + reply + " ";
    if (!headers.empty()) wire += std::to_string(headers.size()) + " ";
    wire += std::to_string(headers.size() + payload.size()) + "\r\n" + headers + payload + "\r\n";
    expected.push_back("1|" + std::to_string(sid) + "|" + subject + "|" + reply + "|" + headers + "|" + payload);
  }
  Decoder decoder;
  std::size_t at = 0;
  std::size_t seen = 0;
  while (at < wire.size()) {
    const std::size_t piece = std::min<std::size_t>(wire.size() - at, 1 + random.below(3000));
    const std::span<char> room = decoder.prepare(piece);
    wire.copy(room.data(), piece, at);
    decoder.commit(piece);
    at += piece;
    for (Frame f = decoder.next(); f.kind != Kind::need_input && seen < expected.size(); f = decoder.next())
      REQUIRE(describe(f) == expected[seen++]);
  }
  CHECK(seen == expected.size());
}
