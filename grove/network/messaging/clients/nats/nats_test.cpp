#include "grove/network/messaging/clients/nats/nats.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <string>
#include <vector>

#include "grove/base/async/scope.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/network/messaging/clients/nats/connection.hpp"
#include "grove/network/messaging/clients/nats/jetstream.hpp"
#include "grove/network/messaging/clients/nats/json.hpp"
#include "grove/network/messaging/clients/nats/kv.hpp"
#include "grove/network/messaging/clients/nats/nkey.hpp"

using namespace grove;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;

namespace {

const std::string kInfo = "INFO {\"server_id\":\"S\",\"max_payload\":1000,\"headers\":true}\r\n";

/// The other end of one connection, under the test's control: this is how a
/// server behaves that no real one would.
class Peer {
 public:
  explicit Peer(tcp::socket socket) : socket_(std::move(socket)) {}
  Task<Result<void>> send(std::string text) {
    GROVE_CO_CHECK(co_await boost::asio::async_write(socket_, boost::asio::buffer(text), resume));
    co_return Result<void>{};
  }
  /// Reads until this text has come; gives all before and with it.
  Task<Result<std::string>> until(std::string text) {
    while (true) {
      if (const std::size_t at = input_.find(text); at != std::string::npos) {
        std::string taken = input_.substr(0, at + text.size());
        input_.erase(0, taken.size());
        co_return taken;
      }
      std::string piece(4096, '\0');
      GROVE_CO_TRY(const std::size_t n, co_await socket_.async_read_some(boost::asio::buffer(piece), resume));
      input_.append(piece, 0, n);
    }
  }
  Task<Result<std::string>> greet() {
    GROVE_CO_CHECK(co_await send(kInfo));
    GROVE_CO_TRY(std::string hello, co_await until("PING\r\n"));
    GROVE_CO_CHECK(co_await send("PONG\r\n"));
    co_return hello;
  }

 private:
  tcp::socket socket_;
  std::string input_;
};

class Listener {
 public:
  explicit Listener(Loop& loop) : acceptor_(loop.io(), {boost::asio::ip::address_v4::loopback(), 0}) {}
  nats::Options options() const {
    nats::Options options;
    options.servers = {"nats://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port())};
    options.reconnect_wait = 5ms;
    options.connect_timeout = 500ms;
    options.request_timeout = 500ms;
    return options;
  }
  Task<Result<Peer>> accept() {
    GROVE_CO_TRY(tcp::socket socket, co_await acceptor_.async_accept(resume));
    co_return Peer(std::move(socket));
  }

 private:
  tcp::acceptor acceptor_;
};

using Script = std::function<Task<Result<void>>(Listener&)>;
using Use = std::function<Task<Result<void>>(nats::Options)>;

/// Runs both ends; gives the client's result and requires that the server's script went through.
Result<void> play(Script script, Use use) {
  Loop loop;
  Listener listener(loop);
  const nats::Options options = listener.options();
  Result<void> served;
  const auto body = [&](Scope& scope) -> Task<Result<void>> {
    scope.spawn(
        [](Script& s, Listener& l, Result<void>& out) -> Task<void> { out = co_await s(l); }(script, listener, served));
    const Result<void> used = co_await use(options);
    scope.cancel();
    co_return used;
  };
  return loop.run(with_timeout(20s, with_scope(body)));
}
Use connect_only() {
  return [](nats::Options options) -> Task<Result<void>> {
    GROVE_CO_CHECK(co_await nats::Client::connect(std::move(options)));
    co_return Result<void>{};
  };
}
Script answer(std::string text) {
  return [text](Listener& listener) -> Task<Result<void>> {
    GROVE_CO_TRY(Peer peer, co_await listener.accept());
    GROVE_CO_CHECK(co_await peer.send(text));
    (void)co_await peer.until("never");
    co_return Result<void>{};
  };
}
/// Greets, waits for `wanted`, says `text`, and stays.
Script after(std::string wanted, std::string text) {
  return [wanted, text](Listener& listener) -> Task<Result<void>> {
    GROVE_CO_TRY(Peer peer, co_await listener.accept());
    GROVE_CO_CHECK(co_await peer.greet());
    GROVE_CO_CHECK(co_await peer.until(wanted));
    GROVE_CO_CHECK(co_await peer.send(text));
    (void)co_await peer.until("never");
    co_return Result<void>{};
  };
}

}  // namespace

TEST_CASE("addresses: scheme, user, token, port, IPv6; nonsense is refused") {
  const auto full = nats::detail::parse_address("tls://ann:p:w@example.org:4333");
  REQUIRE_OK(full);
  CHECK(full->tls);
  CHECK(full->user == "ann");
  CHECK(full->password == "p:w");
  CHECK(full->host == "example.org");
  CHECK(full->port == "4333");
  CHECK(nats::detail::parse_address("tok@host")->token == "tok");
  CHECK(nats::detail::parse_address("host")->port == "4222");
  CHECK(nats::detail::parse_address("[::1]:99")->host == "::1");
  for (const char* bad : {"", "http://x", "nats://", "h:0", "h:65536", "h:x", "[::1", "h:1x", ":1"})
    CHECK_FAILS(nats::detail::parse_address(bad), Errc::invalid_argument);
}

TEST_CASE("nkeys: the published example, round trips, signatures, and every mistyped character") {
  const auto published = nats::KeyPair::from_seed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY");
  REQUIRE_OK(published);  // from the documentation of NATS
  CHECK(published->public_key() == "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
  const auto pair = nats::KeyPair::generate();
  REQUIRE_OK(pair);
  CHECK(pair->seed().starts_with("SU"));
  CHECK(pair->seed().size() == 58);
  CHECK(pair->public_key().starts_with("U"));
  CHECK(pair->public_key().size() == 56);
  const auto again = nats::KeyPair::from_seed(pair->seed());
  REQUIRE_OK(again);
  CHECK(again->public_key() == pair->public_key());
  CHECK(again->seed() == pair->seed());
  const auto signature = pair->sign("nonce");
  REQUIRE_OK(signature);
  CHECK(signature->size() == 64);
  CHECK(nats::verify(pair->public_key(), "nonce", *signature) == true);
  CHECK(nats::verify(pair->public_key(), "other", *signature) == false);
  const std::string seed = pair->seed();
  for (std::size_t i = 0; i < seed.size(); ++i) {
    std::string wrong = seed;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    CHECK_FALSE(nats::KeyPair::from_seed(wrong));
    CHECK_FALSE(nats::KeyPair::from_seed(seed.substr(0, i)));
  }
  CHECK_FALSE(nats::KeyPair::from_seed(pair->public_key()));
  CHECK_FALSE(nats::KeyPair::from_seed(std::string(10'000, 'A')));
}

TEST_CASE("base64: both directions, and text that is not base64") {
  CHECK(nats::base64_url("\xff\xfe\xfd") == "__79");
  CHECK(nats::base64_url("a") == "YQ");
  CHECK(nats::from_base64("YWJj") == "abc");
  CHECK(nats::from_base64("YQ==") == "a");
  CHECK(nats::from_base64("") == "");
  CHECK_FALSE(nats::from_base64("Y"));
  CHECK_FALSE(nats::from_base64("Y!=="));
}

TEST_CASE("a credentials file gives its JWT and seed") {
  const auto pair = nats::KeyPair::generate();
  const std::string file =
      "-----BEGIN NATS USER JWT-----\r\neyJ0.abc-def\r\n------END NATS USER JWT------\n\nIMPORTANT\n\n"
      "-----BEGIN USER NKEY SEED-----\n" +
      pair->seed() + "\n------END USER NKEY SEED------\n";
  const auto credentials = nats::Credentials::from_creds(file);
  REQUIRE_OK(credentials);
  CHECK(credentials->nkey_seed == pair->seed());
  CHECK(credentials->jwt == "eyJ0.abc-def");
  for (std::size_t size = 0; size < file.size() - 40; size += 7)
    CHECK_FALSE(nats::Credentials::from_creds(file.substr(0, size)));
}

TEST_CASE("what a server says in JSON is bounded in depth and read leniently") {
  using nats::detail::JsonObject;
  CHECK_FAILS(JsonObject::parse("[1]"), Errc::parse);
  CHECK_FAILS(JsonObject::parse("{\"a\":"), Errc::parse);
  CHECK_FAILS(JsonObject::parse("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"), Errc::parse);
  const auto json = JsonObject::parse(R"({"a":{"b":"x"},"n":7,"t":true,"l":["p",1,"q"]})");
  REQUIRE_OK(json);
  CHECK(json->text("/a/b") == "x");
  CHECK(json->number("/n") == 7);
  CHECK(json->number("/a") == 0);
  CHECK(json->flag("/t"));
  CHECK(json->texts("/l") == std::vector<std::string>{"p", "q"});
  CHECK_FALSE(json->has("/missing"));
}

TEST_CASE("CONNECT says who we are, and quotes it") {
  std::string hello;
  const auto script = [&](Listener& listener) -> Task<Result<void>> {
    GROVE_CO_TRY(Peer peer, co_await listener.accept());
    GROVE_CO_TRY(hello, co_await peer.greet());
    co_return Result<void>{};
  };
  const auto use = [](nats::Options options) -> Task<Result<void>> {
    options.name = "my \"app\"\r\nPUB x 0";
    options.credentials.user = "u";
    options.credentials.password = "p";
    co_return co_await connect_only()(std::move(options));
  };
  CHECK_OK(play(script, use));
  CHECK(hello.starts_with("CONNECT {"));
  CHECK(hello.find(R"("name":"my \"app\"\u)") != std::string::npos);
  CHECK(hello.find("\nPUB") == std::string::npos);
  CHECK(hello.find(R"("user":"u","pass":"p")") != std::string::npos);
}

TEST_CASE("a server that isn't one, or that refuses, gives the right error") {
  CHECK_FAILS(play(answer("HTTP/1.1 400 Bad Request\r\n"), connect_only()), Errc::protocol);
  CHECK_FAILS(play(answer("PING\r\n"), connect_only()), Errc::protocol);
  CHECK_FAILS(play(answer("INFO {\r\n"), connect_only()), Errc::protocol);
  CHECK_FAILS(play(answer(std::string(100'000, 'x')), connect_only()), Errc::protocol);
  CHECK_FAILS(play(answer(kInfo + "-ERR 'Authorization Violation'\r\n"), connect_only()), Errc::permission);
  CHECK_FAILS(play(answer(kInfo + "MSG a 1 1\r\nx\r\n"), connect_only()), Errc::protocol);
  CHECK_FAILS(play(answer(kInfo), connect_only()), Errc::timeout);
  CHECK_FAILS(play(answer(""), connect_only()), Errc::timeout);
  const Script hang_up = [](Listener& listener) -> Task<Result<void>> {
    GROVE_CO_CHECK(co_await listener.accept());
    co_return Result<void>{};
  };
  CHECK_FALSE(play(hang_up, connect_only()));
  // Injected before TLS: must not be taken for what comes through it.
  CHECK_FAILS(play(answer("INFO {\"tls_required\":true}\r\nPONG\r\n"), connect_only()), Errc::protocol);
}

TEST_CASE("a greeting cut off at every byte ends in a clean error") {
  for (std::size_t size = 0; size < kInfo.size(); size += 3) {
    const Script cut = [size](Listener& listener) -> Task<Result<void>> {
      GROVE_CO_TRY(Peer peer, co_await listener.accept());
      co_return co_await peer.send(kInfo.substr(0, size));
    };
    CHECK_FALSE(play(cut, connect_only()));
  }
}

TEST_CASE("arguments that make no sense are refused before anything is sent") {
  const auto use = [](nats::Options options) -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
    const auto injected = co_await client.publish("a\r\nPUB b 0\r\n", "x");
    CHECK_FAILS(injected, Errc::invalid_argument);
    const nats::Header bad{"A", "x\r\nB: y"};
    const nats::PublishOptions with_bad{.headers = {&bad, 1}};
    const auto header = co_await client.publish("a", "x", with_bad);
    CHECK_FAILS(header, Errc::invalid_argument);
    const std::string large(1001, 'x');
    const auto too_large = co_await client.publish("a", large);
    CHECK_FAILS(too_large, Errc::limit);
    CHECK_FAILS(client.subscribe("a..b"), Errc::invalid_argument);
    nats::SubscribeOptions group;
    group.queue_group = "q q";
    CHECK_FAILS(client.subscribe("a", group), Errc::invalid_argument);
    CHECK_FAILS(client.respond(nats::Message(), "x"), Errc::invalid_argument);
    CHECK(client.statistics().messages_out == 0);
    nats::JetStream jetstream(client);
    const auto stream = co_await jetstream.stream("a.b");
    CHECK_FAILS(stream, Errc::invalid_argument);
    const auto bucket = co_await nats::KeyValue::open(jetstream, "a b");
    CHECK_FAILS(bucket, Errc::invalid_argument);
    co_return Result<void>{};
  };
  CHECK_OK(play(after("never", ""), use));
  Loop loop;
  CHECK_FAILS(loop.run(nats::Client::connect({.servers = {"ftp://x"}})), Errc::invalid_argument);
  CHECK_FAILS(loop.run(nats::Client::connect({.servers = {}})), Errc::invalid_argument);
  CHECK_FAILS(loop.run(nats::Client::connect({.credentials = {.nkey_seed = "SUX"}})), Errc::parse);
  CHECK_FAILS(loop.run(nats::Client::connect({.credentials = {.jwt = "x"}})), Errc::invalid_argument);
}

TEST_CASE("the server's PING is answered, and a silent server is left") {
  CHECK_OK(play(
      [](Listener& listener) -> Task<Result<void>> {
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        GROVE_CO_CHECK(co_await peer.send("PING\r\n"));
        GROVE_CO_CHECK(co_await peer.until("PONG\r\n"));
        GROVE_CO_CHECK(co_await peer.until("PING\r\n"));  // the client's own, never answered
        GROVE_CO_TRY(Peer second, co_await listener.accept());
        GROVE_CO_CHECK(co_await second.greet());
        (void)co_await second.until("never");
        co_return Result<void>{};
      },
      [](nats::Options options) -> Task<Result<void>> {
        options.ping_interval = 20ms;
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        while (client.statistics().reconnects == 0) GROVE_CO_CHECK(co_await sleep_for(1ms));
        co_return Result<void>{};
      }));
}

TEST_CASE("after a break: subscriptions come back first, then what wasn't sent, nothing cut or doubled") {
  std::string second_saw;
  int reconnected = 0;
  CHECK_OK(play(
      [&](Listener& listener) -> Task<Result<void>> {
        {
          GROVE_CO_TRY(Peer peer, co_await listener.accept());
          GROVE_CO_CHECK(co_await peer.greet());
          GROVE_CO_CHECK(co_await peer.until("PUB before 1\r\nx\r\n"));
        }
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        GROVE_CO_TRY(second_saw, co_await peer.until("PUB last 0\r\n\r\n"));
        GROVE_CO_CHECK(co_await peer.send("MSG a.x 1 2\r\nhi\r\n"));
        (void)co_await peer.until("never");
        co_return Result<void>{};
      },
      [&](nats::Options options) -> Task<Result<void>> {
        bool down = false;
        options.on_notice = [&](const nats::Notice& n) {
          down = down || n.kind == nats::Notice::Kind::disconnected;
          reconnected += n.kind == nats::Notice::Kind::reconnected;
        };
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        GROVE_CO_TRY(auto a, client.subscribe("a.*"));
        GROVE_CO_TRY(auto gone, client.subscribe("gone"));
        gone.unsubscribe();
        a.unsubscribe_after(5);
        GROVE_CO_CHECK(co_await client.publish("before", "x"));
        while (!down) GROVE_CO_CHECK(co_await sleep_for(1ms));
        GROVE_CO_CHECK(co_await client.publish("during", "y"));
        GROVE_CO_CHECK(co_await client.publish("last", ""));
        GROVE_CO_TRY(const auto m, co_await a.next());
        CHECK(m.text() == "hi");
        co_return Result<void>{};
      }));
  CHECK(second_saw == "SUB a.* 1\r\nUNSUB 1 5\r\nPUB during 1\r\ny\r\nPUB last 0\r\n\r\n");
  CHECK(reconnected == 1);
}

TEST_CASE("a connection that breaks fails what waits for it, and gives up as told") {
  CHECK_OK(play(
      [](Listener& listener) -> Task<Result<void>> {
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        GROVE_CO_CHECK(co_await peer.until("PUB ask"));
        co_return Result<void>{};
      },
      [](nats::Options options) -> Task<Result<void>> {
        options.max_reconnects = 0;
        options.request_timeout = 10s;
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        GROVE_CO_TRY(auto a, client.subscribe("a"));
        const auto answer = co_await client.request("ask", "");
        CHECK_FAILS(answer, Errc::unavailable);
        const auto next = co_await a.next();
        CHECK_FAILS(next, Errc::closed);
        CHECK(client.closed());
        const auto publish = co_await client.publish("a", "x");
        CHECK_FAILS(publish, Errc::closed);
        const auto flush = co_await client.flush();
        CHECK_FAILS(flush, Errc::closed);
        CHECK_FAILS(client.subscribe("b"), Errc::closed);
        co_return Result<void>{};
      }));
}

TEST_CASE("a request times out, takes the first answer only, and knows that nobody listens") {
  CHECK_OK(play(
      [](Listener& listener) -> Task<Result<void>> {
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        GROVE_CO_CHECK(co_await peer.until("PUB slow "));
        GROVE_CO_CHECK(co_await peer.until("PUB twice "));
        GROVE_CO_TRY(const std::string line, co_await peer.until(" 1\r\n"));
        const std::string inbox = line.substr(0, line.size() - 4);
        GROVE_CO_CHECK(co_await peer.send("MSG " + inbox + " 1 3\r\none\r\nMSG " + inbox + " 1 3\r\ntwo\r\n"));
        GROVE_CO_CHECK(co_await peer.until("PUB none "));
        GROVE_CO_TRY(const std::string last, co_await peer.until(" 1\r\n"));
        const std::string other = last.substr(0, last.size() - 4);
        GROVE_CO_CHECK(co_await peer.send("MSG _INBOX.forged.999 1 1\r\nx\r\nMSG x 1 1\r\nx\r\n"));
        GROVE_CO_CHECK(co_await peer.send("HMSG " + other + " 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"));
        (void)co_await peer.until("never");
        co_return Result<void>{};
      },
      [](nats::Options options) -> Task<Result<void>> {
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        nats::RequestOptions quick;
        quick.timeout = 20ms;
        const auto slow = co_await client.request("slow", "x", quick);
        CHECK_FAILS(slow, Errc::timeout);
        GROVE_CO_TRY(const auto twice, co_await client.request("twice", "x"));
        CHECK(twice.text() == "one");
        const auto none = co_await client.request("none", "x");
        CHECK_FAILS(none, Errc::unavailable);
        co_return Result<void>{};
      }));
}

TEST_CASE("slow consumers: drop the newest, drop the oldest, or hold the reader back") {
  std::string flood;
  for (int i = 0; i < 100; ++i) {
    const std::string n = std::to_string(i);
    flood += "MSG s 1 " + std::to_string(n.size()) + "\r\n" + n + "\r\n";
  }
  flood += "PING\r\n";
  for (const auto policy :
       {nats::SlowConsumer::drop_newest, nats::SlowConsumer::drop_oldest, nats::SlowConsumer::pause_reading}) {
    std::vector<int> got;
    int warned = 0;
    const bool lossless = policy == nats::SlowConsumer::pause_reading;
    CHECK_OK(play(
        [&](Listener& listener) -> Task<Result<void>> {
          GROVE_CO_TRY(Peer peer, co_await listener.accept());
          GROVE_CO_CHECK(co_await peer.greet());
          GROVE_CO_CHECK(co_await peer.until("SUB s 1\r\n"));
          GROVE_CO_CHECK(co_await peer.send(flood));
          (void)co_await peer.until("never");
          co_return Result<void>{};
        },
        [&](nats::Options options) -> Task<Result<void>> {
          options.on_notice = [&](const nats::Notice& n) { warned += n.kind == nats::Notice::Kind::slow_consumer; };
          GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
          nats::SubscribeOptions small;
          small.max_pending_messages = 10;
          small.slow_consumer = policy;
          GROVE_CO_TRY(auto s, client.subscribe("s", small));
          while (s.received() < (lossless ? 10U : 100U)) GROVE_CO_CHECK(co_await sleep_for(1ms));
          GROVE_CO_CHECK(co_await sleep_for(5ms));
          CHECK(s.pending() <= 11);
          for (std::size_t left = lossless ? 100 : s.pending(); left > 0; --left) {
            GROVE_CO_TRY(const auto m, co_await s.next());
            got.push_back(std::stoi(std::string(m.text())));
          }
          CHECK(s.dropped() == (lossless ? 0 : 90));
          co_return Result<void>{};
        }));
    CHECK(got.size() == (lossless ? 100 : 10));
    CHECK(std::is_sorted(got.begin(), got.end()));
    CHECK(got.front() == (policy == nats::SlowConsumer::drop_oldest ? 90 : 0));
    CHECK(warned == (lossless ? 0 : 1));
  }
}

TEST_CASE("a refused subscription is told to its owner; other errors end the connection") {
  CHECK_OK(play(after("SUB secret 1\r\n", "-ERR 'Permissions Violation for Subscription to \"secret\"'\r\n"),
                [](nats::Options options) -> Task<Result<void>> {
                  GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
                  GROVE_CO_TRY(auto secret, client.subscribe("secret"));
                  const auto next = co_await secret.next();
                  CHECK_FAILS(next, Errc::permission);
                  CHECK(client.connected());
                  co_return Result<void>{};
                }));
  for (const std::string bad : {"garbage\r\n", "MSG s 1 99999999999\r\n", "MSG s 1 1\r\nxyz\r\n"}) {
    std::string why;
    CHECK_OK(play(after("SUB s 1\r\n", bad), [&](nats::Options options) -> Task<Result<void>> {
      options.max_reconnects = 0;
      options.on_notice = [&](const nats::Notice& n) {
        if (n.kind == nats::Notice::Kind::closed) why = n.text;
      };
      GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
      GROVE_CO_TRY(auto s, client.subscribe("s"));
      const auto next = co_await s.next();
      CHECK_FAILS(next, Errc::closed);
      co_return Result<void>{};
    }));
    CHECK_MESSAGE(why.starts_with("the server sent a"), why);
  }
}

TEST_CASE("hostile -ERR texts do no harm") {
  for (const std::string text :
       {"", "'", "''", "Permissions Violation for Subscription to", "Permissions Violation for Subscription to \"",
        "Permissions Violation for Subscription to \"\"\"\""})
    CHECK_OK(play(after("SUB s 1\r\n", "-ERR " + text + "\r\nMSG s 1 0\r\n\r\n"),
                  [](nats::Options options) -> Task<Result<void>> {
                    GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
                    GROVE_CO_TRY(auto s, client.subscribe("s"));
                    GROVE_CO_CHECK(co_await s.next());
                    co_return Result<void>{};
                  }));
}

TEST_CASE("drain: what had been sent is delivered, then next says closed") {
  CHECK_OK(play(
      [](Listener& listener) -> Task<Result<void>> {
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        GROVE_CO_CHECK(co_await peer.until("UNSUB 1\r\nPING\r\n"));
        GROVE_CO_CHECK(co_await peer.send("MSG s 1 1\r\na\r\nMSG s 1 1\r\nb\r\nPONG\r\n"));
        GROVE_CO_CHECK(co_await peer.until("PUB done 0\r\n\r\nPING\r\n"));
        GROVE_CO_CHECK(co_await peer.send("PONG\r\n"));
        (void)co_await peer.until("never");
        co_return Result<void>{};
      },
      [](nats::Options options) -> Task<Result<void>> {
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        GROVE_CO_TRY(auto s, client.subscribe("s"));
        std::string got;
        GROVE_CO_CHECK(co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
          scope.spawn([](nats::Client& c, nats::Subscription& in, std::string& out) -> Task<void> {
            while (out.size() < 2) {
              const auto m = co_await in.next();
              if (!m) co_return;
              out += m->text();
              if (out.size() == 2) (void)co_await c.publish("done", "");
              (void)co_await sleep_for(2ms);
            }
            const auto end = co_await in.next();
            CHECK_FAILS(end, Errc::closed);
          }(client, s, got));
          co_return co_await client.drain();
        }));
        CHECK(got == "ab");
        CHECK(client.closed());
        co_return Result<void>{};
      }));
}

TEST_CASE("publish waits while the buffer is full, try_publish doesn't, and a stop ends the wait") {
  CHECK_OK(play(
      [](Listener& listener) -> Task<Result<void>> {
        GROVE_CO_TRY(Peer peer, co_await listener.accept());
        GROVE_CO_CHECK(co_await peer.greet());
        (void)co_await sleep_for(1h);  // reads nothing
        co_return Result<void>{};
      },
      [](nats::Options options) -> Task<Result<void>> {
        options.write_buffer = 10'000;
        GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(options)));
        const std::string text(1000, 'x');
        const auto flood = [&]() -> Task<Result<void>> {
          while (true) GROVE_CO_CHECK(co_await client.publish("s", text));
        };
        const auto flooded = co_await with_timeout(100ms, flood());
        CHECK_FAILS(flooded, Errc::timeout);
        CHECK_FAILS(client.try_publish("s", as_bytes(text)), Errc::limit);
        co_return Result<void>{};
      }));
}

TEST_CASE("a client, its subscriptions and its requests may go in any order, also inside a callback") {
  CHECK_OK(play(after("never", ""), [](nats::Options options) -> Task<Result<void>> {
    std::optional<nats::Subscription> survivor;
    {
      GROVE_CO_TRY(auto client, co_await nats::Client::connect(options));
      GROVE_CO_TRY(survivor, client.subscribe("a"));
      GROVE_CO_TRY(auto moved, client.subscribe("b"));
      survivor = std::move(moved);
      CHECK(survivor->pattern() == "b");
    }
    const auto next = co_await survivor->next();
    CHECK_FAILS(next, Errc::closed);
    co_return Result<void>{};
  }));
  // The loop goes while the client still runs and tasks wait.
  Loop loop;
  Listener listener(loop);
  std::optional<nats::Client> client;
  const auto body = [&](Scope& scope) -> Task<Result<void>> {
    scope.spawn([](Listener& l) -> Task<void> {
      auto peer = co_await l.accept();
      if (peer) (void)co_await peer->greet();
    }(listener));
    GROVE_CO_TRY(client, co_await nats::Client::connect(listener.options()));
    co_return Result<void>{};
  };
  REQUIRE_OK(loop.run(with_scope(body)));
  loop.spawn([](nats::Client& c) -> Task<void> { (void)co_await c.request("x", "y"); }(*client));
}

TEST_CASE("delivery facts are read from both forms of the reply subject; others are refused") {
  const auto message = [](std::string_view reply) {
    nats::Frame frame;
    frame.subject = "s";
    frame.reply = reply;
    return nats::Message(frame);
  };
  const auto old_form = message("$JS.ACK.ORDERS.worker.2.33.44.1700000000000000005.6");
  const auto d = nats::delivery(old_form);
  REQUIRE_OK(d);
  CHECK(d->stream == "ORDERS");
  CHECK(d->consumer == "worker");
  CHECK(d->deliveries == 2);
  CHECK(d->stream_sequence == 33);
  CHECK(d->consumer_sequence == 44);
  CHECK(d->time.time_since_epoch().count() == 1700000000000000005);
  CHECK(d->pending == 6);
  const auto new_form = message("$JS.ACK.hub.ACCHASH.ORDERS.worker.1.2.3.4.5.tok");
  const auto n = nats::delivery(new_form);
  REQUIRE_OK(n);
  CHECK(n->stream == "ORDERS");
  CHECK(n->pending == 5);
  for (const char* bad : {"", "a", "$JS.ACK.S.C.1.2.3.4", "$JS.ACK.S.C.1.2.3.4.x", "$JS.NAK.S.C.1.2.3.4.5",
                          "$JS.ACK.S.C.1.2.3.4.5.6", "$JS.ACK.S.C.1.2.3.99999999999999999999999.5"})
    CHECK_FAILS(nats::delivery(message(bad)), Errc::parse);
}
