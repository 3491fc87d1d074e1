#include <chrono>
#include <cstdlib>
#include <map>

#include "grove/base/async/loop.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/test/proof.hpp"
#include "grove/network/messaging/clients/nats/jetstream.hpp"
#include "grove/network/messaging/clients/nats/kv.hpp"
#include "grove/network/messaging/clients/nats/nats.hpp"
#include "grove/network/messaging/clients/nats/nkey.hpp"

using namespace grove;
using namespace std::chrono_literals;

namespace {

std::size_t scaled(std::size_t count) {
  const char* scale = std::getenv("GROVE_PROOF_SCALE");
  return scale != nullptr ? static_cast<std::size_t>(static_cast<double>(count) * std::atof(scale)) : count;
}

/// A nats-server with these further arguments, or a reported not_run.
std::optional<test::Server> start_server(std::vector<std::string> arguments = {}) {
  if (!proof::need("nats-server", "nats-server")) return std::nullopt;
  std::vector<std::string> command{"nats-server", "-a", "127.0.0.1", "-p", "{port}"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto server = test::Server::start({.command = std::move(command), .ready_text = "Server is ready"});
  REQUIRE_OK(server);
  return std::move(*server);
}

nats::Options options_for(const test::Server& server) {
  nats::Options options;
  options.servers = {"nats://127.0.0.1:" + std::to_string(server.port())};
  options.request_timeout = 5s;
  return options;
}

std::string url_of(const test::Server& server) { return "127.0.0.1:" + std::to_string(server.port()); }

/// Tries something that a cluster may not be ready for yet.
template <class Make>
auto eventually(Make make) -> std::invoke_result_t<Make&> {
  auto result = co_await make();
  for (int i = 0; !result && i < 100; ++i) {
    (void)co_await sleep_for(200ms);
    result = co_await make();
  }
  co_return result;
}

/// Publishes `first`, `first + step`, … below `count`, each under its own id.
Task<void> publish_numbers(nats::JetStream& jetstream, std::string subject, std::size_t first, std::size_t step,
                           std::size_t count, std::size_t* acknowledged) {
  for (std::size_t i = first; i < count; i += step) {
    const std::string text = std::to_string(i);
    nats::JetStreamPublish options;
    options.id = text;
    const Result<nats::PublishAck> ack = co_await jetstream.publish(subject, text, options);
    CHECK_OK(ack);
    if (!ack) co_return;
    ++*acknowledged;
  }
}

/// Takes all that a stream holds, acknowledging each, and counts every payload.
Task<Result<std::map<std::string, int>>> read_all(nats::JetStream& jetstream, std::string stream, std::string durable) {
  std::map<std::string, int> seen;
  const auto make = [&]() -> Task<Result<nats::ConsumerInfo>> {
    nats::ConsumerConfig config;
    config.durable = durable;
    co_return co_await jetstream.add_consumer(stream, config);
  };
  GROVE_CO_CHECK(co_await eventually(make));
  GROVE_CO_TRY(auto consumer, jetstream.pull(stream, durable));
  while (true) {
    GROVE_CO_TRY(const auto batch, co_await consumer.fetch(500, 500ms));
    if (batch.empty()) co_return seen;
    for (const nats::Message& message : batch) {
      ++seen[std::string(message.text())];
      GROVE_CO_CHECK(jetstream.ack(message));
    }
  }
}

/// How many of 0 … count-1 are missing, and how many are there twice.
std::pair<std::size_t, std::size_t> lost_and_doubled(const std::map<std::string, int>& seen, std::size_t count) {
  std::size_t lost = 0;
  std::size_t doubled = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = seen.find(std::to_string(i));
    lost += found == seen.end();
    doubled += found != seen.end() && found->second > 1;
  }
  return {lost, doubled};
}

/// Runs a coroutine that gives Result<void> and requires that it succeeds.
template <class Body>
void run(Body body) {
  Loop loop;
  const Result<void> done = loop.run(with_timeout(240s, body()));
  REQUIRE_OK(done);
}

}  // namespace

TEST_CASE("publish and subscribe: every message arrives once, in order") {
  auto server = start_server();
  if (!server) return;
  const std::size_t count = scaled(1'000'000);
  std::size_t in_order = 0;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto publisher, co_await nats::Client::connect(options_for(*server)));
    GROVE_CO_TRY(auto subscriber, co_await nats::Client::connect(options_for(*server)));
    GROVE_CO_TRY(auto numbers, subscriber.subscribe("proof.*.numbers"));
    GROVE_CO_CHECK(co_await subscriber.flush());
    co_return co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
      scope.spawn([](nats::Client& client, std::size_t n) -> Task<void> {
        for (std::size_t i = 0; i < n; ++i) {
          const std::string text = std::to_string(i);
          const Result<void> sent = co_await client.publish("proof.a.numbers", text);
          REQUIRE_OK(sent);
        }
      }(publisher, count));
      for (std::size_t i = 0; i < count; ++i) {
        GROVE_CO_TRY(const nats::Message m, co_await numbers.next());
        in_order += m.text() == std::to_string(i) && m.subject() == "proof.a.numbers";
      }
      co_return Result<void>{};
    });
  });
  proof::figure("messages-in-order", static_cast<double>(in_order), "messages");
  CHECK(in_order == count);
}

TEST_CASE("queue groups share the messages, and everybody else gets them all") {
  auto server = start_server();
  if (!server) return;
  const std::size_t count = scaled(30'000);
  std::vector<std::size_t> shares(3);
  std::size_t all = 0;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    GROVE_CO_TRY(auto everything, client.subscribe("work.>"));
    std::vector<nats::Subscription> members;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      nats::SubscribeOptions options;
      options.queue_group = "workers";
      GROVE_CO_TRY(auto member, client.subscribe("work.*", options));
      members.push_back(std::move(member));
    }
    for (std::size_t i = 0; i < count; ++i) GROVE_CO_CHECK(co_await client.publish("work.item", "x"));
    GROVE_CO_CHECK(co_await client.flush());
    for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = members[i].received();
    all = everything.received();
    co_return Result<void>{};
  });
  const std::size_t together = shares[0] + shares[1] + shares[2];
  proof::figure("queue-group-deliveries", static_cast<double>(together), "messages");
  CHECK(together == count);
  CHECK(all == count);
  for (const std::size_t share : shares) CHECK(share > count / 10);
}

TEST_CASE("request and reply with headers; nobody there is known at once") {
  auto server = start_server();
  if (!server) return;
  const std::size_t count = scaled(5'000);
  std::size_t right = 0;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto asker, co_await nats::Client::connect(options_for(*server)));
    GROVE_CO_TRY(auto service, co_await nats::Client::connect(options_for(*server)));
    GROVE_CO_TRY(auto questions, service.subscribe("double"));
    GROVE_CO_CHECK(co_await service.flush());
    co_return co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
      scope.spawn([](nats::Client& client, nats::Subscription& in) -> Task<void> {
        while (true) {
          const Result<nats::Message> m = co_await in.next();
          if (!m) co_return;
          const std::string answer = std::to_string(2 * std::stoul(std::string(m->text())));
          const nats::Header back{"Echo", m->header("Trace").value_or("none")};
          CHECK_OK(client.respond(*m, answer, {&back, 1}));
        }
      }(service, questions));
      for (std::size_t i = 0; i < count; ++i) {
        const std::string text = std::to_string(i);
        const nats::Header trace{"Trace", text};
        nats::RequestOptions options;
        options.headers = {&trace, 1};
        GROVE_CO_TRY(const auto answer, co_await asker.request("double", text, options));
        right += answer.text() == std::to_string(2 * i) && answer.header("Echo") == text;
      }
      const auto start = std::chrono::steady_clock::now();
      const auto nobody = co_await asker.request("nobody.home", "?");
      CHECK_FAILS(nobody, Errc::unavailable);
      CHECK(std::chrono::steady_clock::now() - start < 2s);
      questions.unsubscribe();
      co_return Result<void>{};
    });
  });
  proof::figure("requests-answered", static_cast<double>(right), "requests");
  CHECK(right == count);
}

TEST_CASE("the server takes our user, token and nkey credentials, and refuses wrong ones") {
  const auto key = nats::KeyPair::generate();
  const auto stranger = nats::KeyPair::generate();
  REQUIRE_OK(key);
  REQUIRE_OK(stranger);
  auto directory = TempDir::make("nats-proof");
  REQUIRE_OK(directory);
  const auto config = directory->path() / "users.conf";
  REQUIRE_OK(
      write_file(config, "authorization { users = [ {user: ann, password: \"p w\"}, {nkey: " + key->public_key() +
                             ", permissions: {publish: \"allowed.>\", subscribe: [\"allowed.>\", \"_INBOX.>\"]}} ] }"));
  auto server = start_server({"-c", config.string()});
  auto token_server = start_server({"--auth", "s3cret"});
  if (!server || !token_server) return;
  std::size_t passed = 0;
  std::size_t total = 0;
  const auto attempt = [&](const test::Server& at, nats::Credentials credentials, bool good) {
    Loop loop;
    nats::Options options = options_for(at);
    options.credentials = std::move(credentials);
    const auto client = loop.run(nats::Client::connect(std::move(options)));
    const bool as_expected = good ? client.has_value() : !client && client.error() == Errc::permission;
    CHECK_MESSAGE(as_expected, test::why(client));
    ++total;
    passed += as_expected;
  };
  attempt(*server, {.user = "ann", .password = "p w"}, true);
  attempt(*server, {.user = "ann", .password = "wrong"}, false);
  attempt(*server, {}, false);
  attempt(*server, {.nkey_seed = key->seed()}, true);
  attempt(*server, {.nkey_seed = stranger->seed()}, false);
  attempt(*token_server, {.token = "s3cret"}, true);
  attempt(*token_server, {.token = "other"}, false);
  proof::conformance(passed, total, "authentication");

  // What it may not do is said, and the connection stays.
  run([&]() -> Task<Result<void>> {
    std::vector<std::string> errors;
    nats::Options options = options_for(*server);
    options.credentials.nkey_seed = key->seed();
    options.on_notice = [&errors](const nats::Notice& n) {
      if (n.kind == nats::Notice::Kind::server_error) errors.emplace_back(n.text);
    };
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options));
    GROVE_CO_TRY(auto refused, client.subscribe("secret.>"));
    const auto next = co_await refused.next();
    CHECK_FAILS(next, Errc::permission);
    GROVE_CO_CHECK(co_await client.publish("secret.x", "y"));
    GROVE_CO_CHECK(co_await client.flush());
    CHECK(errors.size() == 2);
    GROVE_CO_TRY(auto allowed, client.subscribe("allowed.>"));
    GROVE_CO_CHECK(co_await client.publish("allowed.x", "y"));
    GROVE_CO_CHECK(co_await allowed.next());
    co_return Result<void>{};
  });
}

TEST_CASE("TLS: the server's certificate is checked, and ours by it") {
  if (!proof::need("openssl", "openssl") || !proof::need("nats-server", "nats-server")) return;
  auto made = TempDir::make("nats-proof");
  REQUIRE_OK(made);
  const std::string dir = made->path().string();
  const auto openssl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    ProcessOptions options;
    options.directory = dir;
    const auto done = run_process(arguments, options);
    REQUIRE_OK(done);
    REQUIRE_MESSAGE(done->status == 0, done->err);
  };
  openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
           "-out", "ca.pem", "-subj", "/CN=proof CA", "-days", "2"});
  for (const std::string name : {"server", "client"}) {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out",
             name + ".csr", "-subj", "/CN=" + name});
    REQUIRE_OK(write_file(made->path() / (name + ".ext"), "subjectAltName=DNS:localhost\n"));
    openssl({"x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
             "-extfile", name + ".ext", "-out", name + ".pem"});
  }
  auto server = start_server({"--tls", "--tlscert", dir + "/server.pem", "--tlskey", dir + "/server.key", "--tlsverify",
                              "--tlscacert", dir + "/ca.pem"});
  if (!server) return;
  const auto connect = [&](const std::string& host, const std::string& ca, bool with_certificate) {
    Loop loop;
    nats::Options options;
    options.servers = {"tls://" + host + ":" + std::to_string(server->port())};
    options.tls.ca_file = ca;
    if (with_certificate) {
      options.tls.certificate_file = dir + "/client.pem";
      options.tls.key_file = dir + "/client.key";
    }
    return loop.run([](nats::Options o) -> Task<Result<std::uint64_t>> {
      GROVE_CO_TRY(auto client, co_await nats::Client::connect(std::move(o)));
      GROVE_CO_TRY(auto echo, client.subscribe("tls.echo"));
      std::string big(100'000, 'x');
      for (int i = 0; i < 50; ++i) GROVE_CO_CHECK(co_await client.publish("tls.echo", big));
      for (int i = 0; i < 50; ++i) {
        GROVE_CO_TRY(const auto m, co_await echo.next());
        if (m.text() != big) co_return fail(Errc::corrupt, "changed on the way");
      }
      co_return client.statistics().bytes_in;
    }(std::move(options)));
  };
  const auto good = connect("localhost", dir + "/ca.pem", true);
  REQUIRE_OK(good);
  proof::figure("tls-bytes-echoed", static_cast<double>(*good), "B");
  CHECK_FALSE(connect("localhost", dir + "/ca.pem", false));
  CHECK_FAILS(connect("localhost", "", true), Errc::protocol);               // an unknown CA
  CHECK_FAILS(connect("127.0.0.1", dir + "/ca.pem", true), Errc::protocol);  // another name than the certificate's
  // Asking a server without TLS for TLS must not fall back to clear text.
  auto clear = start_server();
  if (!clear) return;
  Loop loop;
  CHECK_FAILS(loop.run(nats::Client::connect({.servers = {"tls://" + url_of(*clear)}})), Errc::permission);
}

TEST_CASE("core: subscriptions and buffered messages survive a kill -9 of the server") {
  auto server = start_server();
  if (!server) return;
  run([&]() -> Task<Result<void>> {
    int lost = 0;
    nats::Options options = options_for(*server);
    options.on_notice = [&lost](const nats::Notice& n) { lost += n.kind == nats::Notice::Kind::disconnected; };
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options));
    GROVE_CO_TRY(auto numbers, client.subscribe("numbers"));
    GROVE_CO_CHECK(co_await client.flush());
    server->kill();
    while (lost == 0) (void)co_await sleep_for(1ms);
    const std::size_t count = scaled(10'000);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string text = std::to_string(i);
      GROVE_CO_CHECK(co_await client.publish("numbers", text));
    }
    const auto flush_now = co_await client.flush();
    CHECK_FAILS(flush_now, Errc::unavailable);
    GROVE_CO_CHECK(server->restart());
    std::size_t in_order = 0;
    for (std::size_t i = 0; i < count; ++i) {
      GROVE_CO_TRY(const auto m, co_await numbers.next());
      in_order += m.text() == std::to_string(i);
    }
    proof::figure("buffered-while-down-delivered", static_cast<double>(in_order), "messages");
    CHECK(in_order == count);
    CHECK(client.statistics().reconnects == 1);
    co_return Result<void>{};
  });
}

TEST_CASE("JetStream: ids are stored once, expectations hold, unacknowledged messages come again") {
  auto server = start_server({"-js", "-sd", "{dir}"});
  if (!server) return;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    nats::JetStream jetstream(client);
    nats::StreamConfig config{.name = "ORDERS"};
    config.subjects.push_back("orders.>");
    GROVE_CO_CHECK(co_await jetstream.add_stream(config));
    const auto missing = co_await jetstream.stream("NOTHING");
    CHECK_FAILS(missing, Errc::not_found);

    nats::JetStreamPublish once;
    once.id = "a";
    GROVE_CO_TRY(const auto first, co_await jetstream.publish("orders.1", "one", once));
    GROVE_CO_TRY(const auto again, co_await jetstream.publish("orders.1", "one", once));
    CHECK(first.sequence == 1);
    CHECK_FALSE(first.duplicate);
    CHECK(again.sequence == 1);
    CHECK(again.duplicate);
    nats::JetStreamPublish expecting;
    expecting.expected_last_sequence = 7;
    const auto wrong = co_await jetstream.publish("orders.2", "two", expecting);
    CHECK_FAILS(wrong, Errc::conflict);
    expecting.expected_last_sequence = 1;
    GROVE_CO_CHECK(co_await jetstream.publish("orders.2", "two", expecting));

    nats::ConsumerConfig durable;
    durable.durable = "worker";
    durable.ack_wait = 300ms;
    GROVE_CO_CHECK(co_await jetstream.add_consumer("ORDERS", durable));
    GROVE_CO_TRY(auto consumer, jetstream.pull("ORDERS", "worker"));
    GROVE_CO_TRY(auto batch, co_await consumer.fetch(10, 100ms));
    REQUIRE(batch.size() == 2);
    const auto info = nats::delivery(batch[1]);
    REQUIRE_OK(info);
    CHECK(info->stream == "ORDERS");
    CHECK(info->consumer == "worker");
    CHECK(info->stream_sequence == 2);
    CHECK(info->deliveries == 1);
    GROVE_CO_CHECK(co_await jetstream.ack_confirmed(batch[0]));
    GROVE_CO_CHECK(jetstream.nak(batch[1]));
    GROVE_CO_TRY(auto second, co_await consumer.next());
    CHECK(nats::delivery(second)->deliveries == 2);
    GROVE_CO_TRY(auto third, co_await consumer.next());  // after ack_wait
    CHECK(nats::delivery(third)->deliveries == 3);
    GROVE_CO_CHECK(jetstream.terminate(third));
    const auto none = co_await consumer.next(100ms);
    CHECK_FAILS(none, Errc::timeout);
    GROVE_CO_TRY(const auto left, co_await jetstream.consumer("ORDERS", "worker"));
    CHECK(left.ack_pending == 0);
    CHECK(left.pending == 0);
    GROVE_CO_TRY(const auto stored, co_await jetstream.message("ORDERS", 1));
    CHECK(stored.payload == "one");
    CHECK(nats::HeaderBlock(stored.headers).find("Nats-Msg-Id") == "a");
    GROVE_CO_CHECK(co_await jetstream.delete_consumer("ORDERS", "worker"));
    const auto gone = co_await consumer.next(300ms);
    CHECK_FALSE(gone);
    GROVE_CO_TRY(const auto purged, co_await jetstream.purge_stream("ORDERS"));
    CHECK(purged == 2);
    co_return co_await jetstream.delete_stream("ORDERS");
  });
}

TEST_CASE("JetStream: nothing acknowledged is lost, nothing is doubled, when the server is killed") {
  auto server = start_server({"-js", "-sd", "{dir}"});
  if (!server) return;
  const std::size_t count = scaled(20'000);
  std::size_t acknowledged = 0;
  std::map<std::string, int> seen;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    nats::JetStreamOptions patient;
    patient.timeout = 2s;
    patient.attempts = 20;
    nats::JetStream jetstream(client, patient);
    nats::StreamConfig config{.name = "N"};
    config.subjects.push_back("n");
    GROVE_CO_CHECK(co_await jetstream.add_stream(config));
    GROVE_CO_CHECK(co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
      for (std::size_t i = 0; i < 32; ++i) scope.spawn(publish_numbers(jetstream, "n", i, 32, count, &acknowledged));
      for (int kill = 1; kill <= 3; ++kill) {
        while (acknowledged < count * static_cast<std::size_t>(kill) / 4) (void)co_await sleep_for(1ms);
        server->kill();
        GROVE_CO_CHECK(server->restart());
      }
      co_return Result<void>{};
    }));
    CHECK(client.statistics().reconnects == 3);
    GROVE_CO_TRY(seen, co_await read_all(jetstream, "N", "reader"));
    co_return Result<void>{};
  });
  const auto [lost, doubled] = lost_and_doubled(seen, count);
  proof::figure("kill-9-acknowledged", static_cast<double>(acknowledged), "messages");
  proof::figure("kill-9-lost", static_cast<double>(lost), "messages");
  proof::figure("kill-9-doubled", static_cast<double>(doubled), "messages");
  CHECK(acknowledged == count);
  CHECK(lost == 0);
  CHECK(doubled == 0);
}

TEST_CASE("JetStream with three replicas: the leader is killed, nothing is lost or doubled") {
  if (!proof::need("nats-server", "nats-server")) return;
  std::vector<std::uint16_t> routes;
  for (int i = 0; i < 3; ++i) routes.push_back(test::free_port().value());
  std::string all;
  for (const std::uint16_t port : routes)
    all += (all.empty() ? "" : ",") + ("nats://127.0.0.1:" + std::to_string(port));
  std::vector<test::Server> cluster;
  for (std::size_t i = 0; i < 3; ++i) {
    auto node = start_server({"-js", "-sd", "{dir}", "-n", "node" + std::to_string(i), "--cluster_name", "grove",
                              "--cluster", "nats://127.0.0.1:" + std::to_string(routes[i]), "--routes", all});
    REQUIRE(node);
    cluster.push_back(std::move(*node));
  }
  const std::size_t count = scaled(10'000);
  std::size_t acknowledged = 0;
  std::map<std::string, int> seen;
  std::string killed;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(cluster[0])));
    nats::JetStreamOptions patient;
    patient.timeout = 2s;
    patient.attempts = 40;
    nats::JetStream jetstream(client, patient);
    const auto add = [&]() -> Task<Result<nats::StreamInfo>> {
      nats::StreamConfig config{.name = "R"};
      config.subjects.push_back("r");
      config.replicas = 3;
      co_return co_await jetstream.add_stream(config);
    };
    GROVE_CO_TRY(const auto info, co_await eventually(add));
    CHECK(info.replicas == 3);
    GROVE_CO_CHECK(co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
      for (std::size_t i = 0; i < 32; ++i) scope.spawn(publish_numbers(jetstream, "r", i, 32, count, &acknowledged));
      while (acknowledged < count / 3) (void)co_await sleep_for(1ms);
      GROVE_CO_TRY(const auto now, co_await jetstream.stream("R"));
      killed = now.leader;
      for (std::size_t i = 0; i < 3; ++i)
        if (killed == "node" + std::to_string(i)) cluster[i].kill();
      co_return Result<void>{};
    }));
    GROVE_CO_TRY(seen, co_await read_all(jetstream, "R", "reader"));
    co_return Result<void>{};
  });
  CHECK(killed.starts_with("node"));
  const auto [lost, doubled] = lost_and_doubled(seen, count);
  proof::figure("leader-killed-acknowledged", static_cast<double>(acknowledged), "messages");
  proof::figure("leader-killed-lost", static_cast<double>(lost), "messages");
  proof::figure("leader-killed-doubled", static_cast<double>(doubled), "messages");
  CHECK(acknowledged == count);
  CHECK(lost == 0);
  CHECK(doubled == 0);
}

TEST_CASE("key-value bucket: revisions, conditional writes, history, watch") {
  auto server = start_server({"-js", "-sd", "{dir}"});
  if (!server) return;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    nats::JetStream jetstream(client);
    const auto early = co_await nats::KeyValue::open(jetstream, "lamps");
    CHECK_FAILS(early, Errc::not_found);
    nats::KeyValueConfig config{.bucket = "lamps"};
    config.history = 5;
    GROVE_CO_TRY(auto lamps, co_await nats::KeyValue::create(jetstream, config));
    const auto unset = co_await lamps.get("hall");
    CHECK_FAILS(unset, Errc::not_found);
    GROVE_CO_TRY(const auto first, co_await lamps.put("hall", "on"));
    GROVE_CO_TRY(const auto hall, co_await lamps.get("hall"));
    CHECK(hall.value == "on");
    CHECK(hall.revision == first);
    const auto taken = co_await lamps.create_key("hall", "x");
    CHECK_FAILS(taken, Errc::already_exists);
    GROVE_CO_TRY(const auto second, co_await lamps.update("hall", "off", first));
    const auto stale = co_await lamps.update("hall", "dim", first);
    CHECK_FAILS(stale, Errc::conflict);
    GROVE_CO_TRY(const auto old, co_await lamps.get("hall", first));
    CHECK(old.value == "on");
    GROVE_CO_TRY(auto watcher, co_await lamps.watch(">"));
    GROVE_CO_TRY(const auto present, co_await watcher.next());
    CHECK(present.value == "off");
    CHECK(present.revision == second);
    GROVE_CO_CHECK(co_await lamps.put("stairs.up", "on"));
    GROVE_CO_TRY(const auto change, co_await watcher.next());
    CHECK(change.key == "stairs.up");
    GROVE_CO_CHECK(co_await lamps.remove("hall"));
    GROVE_CO_TRY(const auto removal, co_await watcher.next());
    CHECK(removal.operation == nats::KeyValueEntry::Operation::remove);
    const auto removed = co_await lamps.get("hall");
    CHECK_FAILS(removed, Errc::not_found);
    GROVE_CO_TRY(const auto keys, co_await lamps.keys());
    CHECK(keys == std::vector<std::string>{"stairs.up"});
    GROVE_CO_TRY(const auto history, co_await lamps.history("hall"));
    CHECK(history.size() == 3);
    GROVE_CO_CHECK(co_await lamps.create_key("hall", "again"));
    GROVE_CO_CHECK(co_await lamps.purge("hall"));
    GROVE_CO_TRY(const auto after, co_await lamps.history("hall"));
    CHECK(after.size() == 1);
    co_return co_await nats::KeyValue::destroy(jetstream, "lamps");
  });
}

TEST_CASE("a message as large as the server allows goes through; a larger one is refused before it is sent") {
  auto server = start_server();
  if (!server) return;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    const std::string large(client.server().max_payload, 'x');
    GROVE_CO_TRY(auto echo, client.subscribe("large"));
    GROVE_CO_CHECK(co_await client.publish("large", large));
    GROVE_CO_TRY(const auto m, co_await echo.next());
    CHECK(m.text() == large);
    const std::string larger = large + "x";
    const auto refused = co_await client.publish("large", larger);
    CHECK_FAILS(refused, Errc::limit);
    co_return co_await client.flush();
  });
}

TEST_CASE("@nats-io's own client for Node.js and ours understand each other") {
  if (!proof::need("node", "nodejs")) return;
  const auto package = proof::npm_package("@nats-io/transport-node", "3.4.0");
  const auto jetstream_package = proof::npm_package("@nats-io/jetstream", "3.4.0");
  const auto kv_package = proof::npm_package("@nats-io/kv", "3.4.0");
  auto server = start_server({"-js", "-sd", "{dir}"});
  if (!package || !jetstream_package || !kv_package || !server) return;
  // Node answers requests, reads and writes the stream and the bucket, and says what it saw.
  const std::string script = R"(
const load = (name, folder) => require(require.resolve(name, { paths: [folder] }));
const { connect, headers } = load('@nats-io/transport-node', process.argv[2]);
const { jetstream } = load('@nats-io/jetstream', process.argv[3]);
const { Kvm } = load('@nats-io/kv', process.argv[4]);
(async () => {
  const nc = await connect({ servers: process.argv[5] });
  nc.subscribe('node.echo', { callback: (e, m) => {
    const h = headers(); h.set('Seen', m.headers ? m.headers.get('Trace') : 'none'); m.respond(m.data, { headers: h });
  }});
  const js = jetstream(nc);
  const ask = nc.subscribe('node.work');
  await nc.flush();
  console.log('ready');
  for await (const m of ask) {
    const consumer = await js.consumers.get('MIXED', 'node');
    const got = [];
    const batch = await consumer.fetch({ max_messages: 1000, expires: 2000 });
    for await (const item of batch) { got.push(item.string()); item.ack(); if (got.length === 1000) break; }
    for (let i = 0; i < 1000; i++) await js.publish('mixed.node', 'node-' + i, { msgID: 'node-' + i });
    const kv = await new Kvm(nc).open('shared');
    const seen = (await kv.get('from.grove')).string();
    await kv.put('from.node', 'hello ' + seen);
    m.respond(JSON.stringify({ count: got.length, first: got[0], last: got[got.length - 1] }));
    await nc.drain();
    break;
  }
})().catch((e) => { console.error(e); process.exit(1); });
)";
  auto directory = TempDir::make("nats-proof");
  REQUIRE_OK(directory);
  REQUIRE_OK(write_file(directory->path() / "peer.cjs", script));
  std::size_t echoed = 0;
  std::size_t from_node = 0;
  std::string node_saw;
  run([&]() -> Task<Result<void>> {
    GROVE_CO_TRY(auto client, co_await nats::Client::connect(options_for(*server)));
    nats::JetStream jetstream(client);
    nats::StreamConfig config{.name = "MIXED"};
    config.subjects.push_back("mixed.*");
    GROVE_CO_CHECK(co_await jetstream.add_stream(config));
    nats::ConsumerConfig durable;
    durable.durable = "node";
    durable.filter = "mixed.grove";
    GROVE_CO_CHECK(co_await jetstream.add_consumer("MIXED", durable));
    durable.durable = "grove";
    durable.filter = "mixed.node";
    GROVE_CO_CHECK(co_await jetstream.add_consumer("MIXED", durable));
    nats::KeyValueConfig shared_config{.bucket = "shared"};
    GROVE_CO_TRY(auto shared, co_await nats::KeyValue::create(jetstream, shared_config));
    GROVE_CO_CHECK(co_await shared.put("from.grove", "grove"));
    for (int i = 0; i < 1000; ++i) {
      const std::string text = "grove-" + std::to_string(i);
      GROVE_CO_CHECK(co_await jetstream.publish("mixed.grove", text));
    }
    auto node = test::Server::start({.command = {"node", (directory->path() / "peer.cjs").string(), package->string(),
                                                 jetstream_package->string(), kv_package->string(), url_of(*server)},
                                     .ready_text = "ready"});
    GROVE_CO_CHECK(node);
    for (int i = 0; i < 1000; ++i) {
      const std::string text = "echo " + std::to_string(i);
      const nats::Header trace{"Trace", text};
      nats::RequestOptions options;
      options.headers = {&trace, 1};
      GROVE_CO_TRY(const auto answer, co_await client.request("node.echo", text, options));
      echoed += answer.text() == text && answer.header("Seen") == text;
    }
    nats::RequestOptions slow;
    slow.timeout = 30s;
    GROVE_CO_TRY(const auto report, co_await client.request("node.work", "go", slow));
    node_saw = report.text();
    GROVE_CO_TRY(auto consumer, jetstream.pull("MIXED", "grove"));
    GROVE_CO_TRY(const auto batch, co_await consumer.fetch(1000));
    for (std::size_t i = 0; i < batch.size(); ++i) from_node += batch[i].text() == "node-" + std::to_string(i);
    GROVE_CO_TRY(const auto hello, co_await shared.get("from.node"));
    CHECK(hello.value == "hello grove");
    co_return Result<void>{};
  });
  proof::figure("node-echoes", static_cast<double>(echoed), "requests");
  proof::figure("node-to-grove", static_cast<double>(from_node), "messages");
  CHECK(echoed == 1000);
  CHECK(from_node == 1000);
  CHECK(node_saw == R"({"count":1000,"first":"grove-0","last":"grove-999"})");
}
