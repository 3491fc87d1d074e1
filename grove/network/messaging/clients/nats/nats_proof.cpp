#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>

#include "grove/base/async/loop.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/test/proof.hpp"
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
  const std::size_t count = scaled(200'000);
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
