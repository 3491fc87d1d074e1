#include "grove/base/example.hpp"
#include "grove/base/async/loop.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/test/server.hpp"
#include "grove/network/messaging/clients/nats/nats.hpp"

namespace grove::nats {
namespace {

/// A thermometer publishes, a kitchen listens, and a converter answers questions.
Task<Result<void>> kitchen(Options options, std::ostream& out) {
  GROVE_CO_TRY(auto client, co_await Client::connect(std::move(options)));
  GROVE_CO_TRY(auto readings, client.subscribe("home.*.celsius"));
  GROVE_CO_TRY(auto questions, client.subscribe("convert.fahrenheit"));
  co_return co_await with_scope([&](Scope& scope) -> Task<Result<void>> {
    scope.spawn([](Client& c, Subscription& in) -> Task<void> {
      while (auto question = co_await in.next())
        (void)c.respond(*question, std::to_string(std::stoi(std::string(question->text())) * 9 / 5 + 32));
    }(client, questions));
    for (int celsius = 18; celsius <= 24; celsius += 3)
      GROVE_CO_CHECK(co_await client.publish("home.oven.celsius", std::to_string(celsius)));
    for (int i = 0; i < 3; ++i) {
      GROVE_CO_TRY(const Message reading, co_await readings.next());
      GROVE_CO_TRY(const Message answer, co_await client.request("convert.fahrenheit", reading.text()));
      out << reading.subject() << ": " << reading.text() << " °C = " << answer.text() << " °F\n";
    }
    co_return co_await client.drain();
  });
}

}  // namespace

/// The argument is a server's address; without one a server is started for the moment.
Result<void> example(const ExampleContext& context) {
  Options options{.name = "kitchen"};
  std::optional<test::Server> own;
  if (!context.arguments.empty()) {
    options.servers = {context.arguments.front()};
  } else {
    auto server = test::Server::start({.command = {"nats-server", "-a", "127.0.0.1", "-p", "{port}"}});
    if (!server) return std::unexpected(std::move(server).error().with("apt-get install nats-server"));
    options.servers = {"nats://127.0.0.1:" + std::to_string(server->port())};
    own.emplace(std::move(*server));
  }
  Loop loop;
  return loop.run(kitchen(std::move(options), context.out));
}

}  // namespace grove::nats
