#include <array>
#include <cstring>
#include <string>

#include "grove/base/async/loop.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/bench/bench.hpp"
#include "grove/base/process.hpp"
#include "grove/base/random.hpp"
#include "grove/base/test/server.hpp"
#include "grove/base/text.hpp"
#include "grove/network/messaging/clients/nats/codec.hpp"
#include "grove/network/messaging/clients/nats/nats.hpp"

using namespace grove;

namespace {

constexpr std::size_t kPayload = 128;
constexpr std::string_view kSubject = "bench.subject.1";
// Messages that may be under way, given out in batches. Without such a bound the
// server may cut a subscriber off that falls 64 MB behind.
constexpr std::size_t kWindow = 64'000;
constexpr std::size_t kBatch = 1'000;

std::string payload(std::uint64_t seed) {
  SplitMix64 random(seed);
  std::string data;
  for (std::size_t i = 0; i < kPayload / 8; ++i) {
    const std::uint64_t word = random();
    data.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return data;
}
std::uint64_t first_word(std::string_view data) {
  std::uint64_t word = 0;
  std::memcpy(&word, data.data(), sizeof word);
  return word;
}
std::uint64_t fold(std::uint64_t state, std::uint64_t word) {
  const std::uint64_t x = state ^ word;
  return (x << 29 | x >> 35) * 0x9e3779b97f4a7c15;
}

/// Runs a task that says why it failed.
void run(Loop& loop, bench::Meter& meter, Task<Result<void>> task) {
  const Result<void> done = loop.run(std::move(task));
  if (!done) meter.fail(done.error().message());
}

void publish_subscribe(const bench::Parameters& p, bench::Meter& meter, bool cpu) {
  auto server = test::Server::start({.command = {"nats-server", "-a", "127.0.0.1", "-p", "{port}"}});
  if (!server) return meter.fail(server.error().message());
  Loop loop;
  nats::Options options;
  options.servers = {"127.0.0.1:" + std::to_string(server->port())};
  std::optional<nats::Client> publisher;
  std::optional<nats::Client> subscriber;
  std::optional<nats::Subscription> numbers;
  const auto prepare = [&]() -> Task<Result<void>> {
    GROVE_CO_TRY(publisher, co_await nats::Client::connect(options));
    GROVE_CO_TRY(subscriber, co_await nats::Client::connect(options));
    nats::SubscribeOptions all;
    all.max_pending_messages = 1 << 20;
    all.max_pending_bytes = std::size_t{1} << 30;
    GROVE_CO_TRY(numbers, subscriber->subscribe(kSubject, all));
    co_return co_await subscriber->flush();
  };
  std::uint64_t state = 0;
  std::size_t bytes = 0;
  Queue<bool> room;
  for (std::size_t i = 0; i < kWindow; i += kBatch) room.push(true);
  const auto send = [&]() -> Task<void> {
    std::string data = payload(p.seed);
    for (std::uint64_t i = 0; i < p.size; ++i) {
      if (i % kBatch == 0) (void)co_await room.pop();
      std::memcpy(data.data(), &i, sizeof i);
      const Result<void> sent = co_await publisher->publish(kSubject, data);
      if (!sent) co_return meter.fail(sent.error().message());
    }
    (void)co_await publisher->flush();
  };
  const auto body = [&](Scope& scope) -> Task<Result<void>> {
    scope.spawn(send());
    for (std::size_t i = 1; i <= p.size; ++i) {
      GROVE_CO_TRY(const nats::Message message, co_await numbers->next());
      state = fold(state, first_word(message.text()));
      bytes += message.payload().size();
      if (i % kBatch == 0) room.push(true);
    }
    co_return Result<void>{};
  };
  run(loop, meter, prepare());
  if (!numbers) return;
  const auto work = [&] { run(loop, meter, with_scope(body)); };
  if (cpu)
    meter.measure_cpu(work);
  else
    meter.measure(work);
  meter.checksum().word(state);
  meter.checksum().word(bytes);
  meter.work(p.size);
}

void request_reply(const bench::Parameters& p, bench::Meter& meter) {
  auto server = test::Server::start({.command = {"nats-server", "-a", "127.0.0.1", "-p", "{port}"}});
  if (!server) return meter.fail(server.error().message());
  Loop loop;
  nats::Options options;
  options.servers = {"127.0.0.1:" + std::to_string(server->port())};
  std::optional<nats::Client> asker;
  std::optional<nats::Client> service;
  std::optional<nats::Subscription> questions;
  const auto prepare = [&]() -> Task<Result<void>> {
    GROVE_CO_TRY(asker, co_await nats::Client::connect(options));
    GROVE_CO_TRY(service, co_await nats::Client::connect(options));
    GROVE_CO_TRY(questions, service->subscribe(kSubject));
    co_return co_await service->flush();
  };
  std::uint64_t state = 0;
  const auto answer = [&]() -> Task<void> {
    while (true) {
      const Result<nats::Message> question = co_await questions->next();
      if (!question) co_return;
      (void)service->respond(*question, question->text());
    }
  };
  const auto body = [&](Scope& scope) -> Task<Result<void>> {
    scope.spawn(answer());
    std::string data = payload(p.seed);
    for (std::uint64_t i = 0; i < p.size; ++i) {
      std::memcpy(data.data(), &i, sizeof i);
      GROVE_CO_TRY(const nats::Message reply, co_await asker->request(kSubject, data));
      state = fold(state, first_word(reply.text()));
    }
    scope.cancel();
    co_return Result<void>{};
  };
  run(loop, meter, prepare());
  if (!questions) return;
  meter.measure_cpu([&] { run(loop, meter, with_scope(body)); });
  meter.checksum().word(state);
  meter.work(p.size);
}

constexpr std::size_t kBlock = 10'000;  // messages that stay in the cache, as what a socket gave does
constexpr std::size_t kPiece = 65536;

void decode(const bench::Parameters& p, bench::Meter& meter) {
  std::string data = payload(p.seed);
  std::string wire;
  for (std::uint64_t i = 0; i < kBlock; ++i) {
    std::memcpy(data.data(), &i, sizeof i);
    wire += "MSG " + std::string(kSubject) + " " + std::to_string(i % 7 + 1) + " " + std::to_string(kPayload) + "\r\n";
    wire += data + "\r\n";
  }
  std::uint64_t state = 0;
  meter.measure([&] {
    nats::Decoder decoder;
    for (std::size_t done = 0; done < p.size; done += kBlock)
      for (std::size_t at = 0; at < wire.size(); at += kPiece) {
        decoder.feed(as_bytes(std::string_view(wire).substr(at, kPiece)));
        for (nats::Frame f = decoder.next(); f.kind == nats::Frame::Kind::message; f = decoder.next()) {
          // Owned, as the other side's is: its buffer is shared by reference count.
          const nats::Message message(f);
          state = fold(state, first_word(message.text()));
          state = fold(state, f.sid);
          state = fold(state, message.text().size() + message.subject().size());
        }
      }
  });
  meter.checksum().word(state);
  meter.work(p.size);
}

void encode(const bench::Parameters& p, bench::Meter& meter) {
  const std::string data = payload(p.seed);
  std::string piece(2 * kPiece, '\0');  // where a socket would take the bytes to
  std::uint64_t state = 0;
  std::size_t last = 0;
  meter.measure([&] {
    nats::Encoder encoder;
    const auto drain = [&] {
      last = encoder.buffer().size();
      std::memcpy(piece.data(), encoder.buffer().data(), last);
      encoder.buffer().clear();
      state = fold(fold(state, last), first_word(piece));
    };
    for (std::size_t i = 0; i < p.size; ++i) {
      encoder.publish(kSubject, {}, {}, as_bytes(data));
      if (encoder.buffer().size() >= kPiece) drain();
    }
    drain();
  });
  for (std::size_t at = 0; at + 8 <= last; at += 8) state = fold(state, first_word(std::string_view(piece).substr(at)));
  meter.checksum().word(state);
  meter.work(p.size);
}

}  // namespace

int main(int argc, char** argv) {
  const std::array workloads{
      bench::Workload{"publish-subscribe", 1'000'000, "message",
                      [](const auto& p, auto& m) { publish_subscribe(p, m, false); }},
      bench::Workload{"publish-subscribe-cpu", 1'000'000, "message",
                      [](const auto& p, auto& m) { publish_subscribe(p, m, true); }},
      bench::Workload{"request-reply-cpu", 20'000, "request", request_reply},
      bench::Workload{"decode", 1'000'000, "message", decode},
      bench::Workload{"encode", 1'000'000, "message", encode},
  };
  return bench::run(argc, argv, workloads);
}
