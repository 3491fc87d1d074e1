#include "grove/network/messaging/clients/nats/jetstream.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "grove/base/async/loop.hpp"
#include "grove/base/json.hpp"
#include "grove/network/messaging/clients/nats/json.hpp"
#include "grove/network/messaging/clients/nats/nkey.hpp"

namespace grove::nats {
namespace {

using namespace std::chrono_literals;
using detail::JsonObject;

constexpr const char* kStorage[] = {"file", "memory"};
constexpr const char* kRetention[] = {"limits", "interest", "workqueue"};
constexpr const char* kDiscard[] = {"old", "new"};
constexpr const char* kAck[] = {"explicit", "all", "none"};
constexpr const char* kDeliver[] = {"all", "last", "new", "by_start_sequence", "last_per_subject"};
template <class E>
const char* name_of(const char* const* names, E value) {
  return names[static_cast<std::size_t>(value)];
}

/// A stream's or consumer's name becomes a token of a subject.
Result<void> check_name(std::string_view what, std::string_view name) {
  if (valid_subject(name) && name.find_first_of(".*>/\\") == std::string_view::npos) return {};
  return fail(Errc::invalid_argument, std::string(what) + " '" + std::string(name) + "': not a valid name");
}

/// Codes of the API (server/errors.json) that callers branch on.
Errc code_of(std::uint64_t code, std::uint64_t detail) {
  switch (detail) {
    case 10071:  // wrong last sequence
    case 10070:  // wrong last message id
    case 10060:  // expected stream does not match
      return Errc::conflict;
    case 10058:  // stream name already in use
    case 10013:  // consumer name already in use
    case 10148: return Errc::already_exists;
    default: break;
  }
  switch (code) {
    case 400: return Errc::invalid_argument;
    case 404: return Errc::not_found;
    case 503: return Errc::unavailable;
    default: return Errc::unavailable;
  }
}

Result<JsonObject> parse_reply(const Message& message) {
  auto reply = JsonObject::parse(message.text());
  if (!reply) return fail(Errc::protocol, "JetStream's answer: " + reply.error().message());
  if (reply->has("/error"))
    return fail(code_of(reply->number("/error/code"), reply->number("/error/err_code")),
                "JetStream: " + reply->text("/error/description"));
  return reply;
}

std::string stream_json(const StreamConfig& c) {
  JsonWriter json;
  json.begin_object().member("name", c.name).key("subjects").begin_array();
  for (const std::string& subject : c.subjects) json.value(std::string_view(subject));
  json.end_array()
      .member("storage", name_of(kStorage, c.storage))
      .member("retention", name_of(kRetention, c.retention))
      .member("discard", name_of(kDiscard, c.discard))
      .member("num_replicas", c.replicas)
      .member("max_consumers", -1)
      .member("max_msgs", c.max_messages)
      .member("max_bytes", c.max_bytes)
      .member("max_msg_size", c.max_message_size)
      .member("max_msgs_per_subject", c.max_messages_per_subject)
      .member("max_age", c.max_age.count())
      .member("duplicate_window",
              c.max_age.count() > 0 ? std::min(c.max_age, c.duplicate_window).count() : c.duplicate_window.count())
      .member("allow_rollup_hdrs", c.allow_rollup)
      .member("deny_delete", c.deny_delete)
      .member("allow_direct", c.allow_direct);
  if (!c.description.empty()) json.member("description", c.description);
  return std::move(json.end_object()).str();
}

std::string consumer_json(const std::string& stream, const ConsumerConfig& c) {
  JsonWriter json;
  json.begin_object().member("stream_name", stream).key("config").begin_object();
  if (!c.durable.empty()) json.member("durable_name", c.durable);
  if (!c.filter.empty()) json.member("filter_subject", c.filter);
  json.member("deliver_policy", name_of(kDeliver, c.deliver)).member("ack_policy", name_of(kAck, c.ack));
  if (c.deliver == DeliverPolicy::by_start_sequence) json.member("opt_start_seq", c.start_sequence);
  if (c.ack != AckPolicy::none)
    json.member("ack_wait", c.ack_wait.count()).member("max_ack_pending", c.max_ack_pending);
  json.member("max_deliver", c.max_deliver)
      .member("replay_policy", "instant")
      .member("num_replicas", c.replicas)
      .member("headers_only", c.headers_only)
      .member("mem_storage", c.memory);
  if (c.inactive.count() > 0) json.member("inactive_threshold", c.inactive.count());
  return std::move(json.end_object().end_object()).str();
}

StreamInfo stream_info(const JsonObject& json) {
  return {
      .name = json.text("/config/name"),
      .messages = json.number("/state/messages"),
      .bytes = json.number("/state/bytes"),
      .first_sequence = json.number("/state/first_seq"),
      .last_sequence = json.number("/state/last_seq"),
      .consumers = json.number("/state/consumer_count"),
      .max_messages_per_subject = json.integer("/config/max_msgs_per_subject"),
      .max_age = std::chrono::nanoseconds(json.integer("/config/max_age")),
      .replicas = static_cast<int>(json.integer("/config/num_replicas")),
      .leader = json.text("/cluster/leader"),
  };
}

ConsumerInfo consumer_info(const JsonObject& json) {
  return {
      .stream = json.text("/stream_name"),
      .name = json.text("/name"),
      .pending = json.number("/num_pending"),
      .ack_pending = json.number("/num_ack_pending"),
      .redelivered = json.number("/num_redelivered"),
      .acknowledged = json.number("/ack_floor/stream_seq"),
  };
}

}  // namespace

Result<Delivery> delivery(const Message& message) {
  // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>, or with
  // <domain>.<account hash> after ACK and, maybe, a random token at the end.
  std::array<std::string_view, 12> tokens;
  std::size_t count = 0;
  std::string_view rest = message.reply();
  for (bool more = !rest.empty(); more && count < tokens.size();) {
    const std::size_t dot = rest.find('.');
    tokens[count++] = rest.substr(0, dot);
    more = dot != std::string_view::npos;
    if (more) rest.remove_prefix(dot + 1);
  }
  const std::size_t at = count == 9 ? 2 : 4;
  std::array<std::uint64_t, 5> numbers{};
  bool valid = (count == 9 || count >= 11) && tokens[0] == "$JS" && tokens[1] == "ACK";
  for (std::size_t i = 0; valid && i < numbers.size(); ++i) {
    const std::string_view t = tokens[at + 2 + i];
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), numbers[i]);
    valid = error == std::errc{} && end == t.data() + t.size();
  }
  if (!valid) return fail(Errc::parse, "the message doesn't come from a JetStream consumer");
  return Delivery{
      .stream = tokens[at],
      .consumer = tokens[at + 1],
      .deliveries = numbers[0],
      .stream_sequence = numbers[1],
      .consumer_sequence = numbers[2],
      .time = std::chrono::sys_time<std::chrono::nanoseconds>(
          std::chrono::nanoseconds(static_cast<std::int64_t>(numbers[3]))),
      .pending = numbers[4],
  };
}

JetStream::JetStream(Client& client, JetStreamOptions options)
    : client_(&client),
      options_(std::move(options)),
      prefix_(options_.domain.empty() ? "$JS.API." : "$JS." + options_.domain + ".API.") {}

Task<Result<Message>> JetStream::call(std::string subject, std::string body) {
  const std::string full = prefix_ + subject;
  Result<Message> reply = co_await client_->request(full, body, {.timeout = options_.timeout});
  if (!reply && reply.error() == Errc::unavailable && client_->connected())
    co_return fail(Errc::unavailable, "JetStream is not enabled, or has no leader now (" + full + ")");
  co_return reply;
}

Task<Result<StreamInfo>> JetStream::stream_call(std::string subject, std::string body) {
  GROVE_CO_TRY(const Message message, co_await call(std::move(subject), std::move(body)));
  GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
  co_return stream_info(reply);
}

Task<Result<StreamInfo>> JetStream::add_stream(StreamConfig config) {
  GROVE_CO_CHECK(check_name("stream", config.name));
  co_return co_await stream_call("STREAM.CREATE." + config.name, stream_json(config));
}
Task<Result<StreamInfo>> JetStream::update_stream(StreamConfig config) {
  GROVE_CO_CHECK(check_name("stream", config.name));
  co_return co_await stream_call("STREAM.UPDATE." + config.name, stream_json(config));
}
Task<Result<StreamInfo>> JetStream::stream(std::string name) {
  GROVE_CO_CHECK(check_name("stream", name));
  co_return co_await stream_call("STREAM.INFO." + name, "");
}
Task<Result<void>> JetStream::delete_stream(std::string name) {
  GROVE_CO_CHECK(check_name("stream", name));
  GROVE_CO_TRY(const Message message, co_await call("STREAM.DELETE." + name, ""));
  GROVE_CO_CHECK(parse_reply(message));
  co_return Result<void>{};
}
Task<Result<std::uint64_t>> JetStream::purge_stream(std::string name, std::string filter) {
  GROVE_CO_CHECK(check_name("stream", name));
  JsonWriter json;
  json.begin_object();
  if (!filter.empty()) json.member("filter", filter);
  json.end_object();
  GROVE_CO_TRY(const Message message, co_await call("STREAM.PURGE." + name, json.str()));
  GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
  co_return reply.number("/purged");
}
Task<Result<std::vector<std::string>>> JetStream::stream_names() {
  std::vector<std::string> names;
  while (true) {
    const std::string body = "{\"offset\":" + std::to_string(names.size()) + "}";
    GROVE_CO_TRY(const Message message, co_await call("STREAM.NAMES", body));
    GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
    const auto page = reply.texts("/streams");
    names.insert(names.end(), page.begin(), page.end());
    if (page.empty() || names.size() >= reply.number("/total")) co_return names;
  }
}

Task<Result<StoredMessage>> JetStream::get(std::string stream, std::string body) {
  GROVE_CO_CHECK(check_name("stream", stream));
  GROVE_CO_TRY(const Message message, co_await call("STREAM.MSG.GET." + stream, std::move(body)));
  GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
  StoredMessage stored{.subject = reply.text("/message/subject"), .sequence = reply.number("/message/seq")};
  GROVE_CO_TRY(stored.headers, from_base64(reply.text("/message/hdrs")));
  GROVE_CO_TRY(stored.payload, from_base64(reply.text("/message/data")));
  co_return stored;
}
Task<Result<StoredMessage>> JetStream::message(std::string stream, std::uint64_t sequence) {
  co_return co_await get(std::move(stream), "{\"seq\":" + std::to_string(sequence) + "}");
}
Task<Result<StoredMessage>> JetStream::last_message(std::string stream, std::string subject) {
  co_return co_await get(std::move(stream),
                         JsonWriter().begin_object().member("last_by_subj", subject).end_object().str());
}

Task<Result<PublishAck>> JetStream::publish(std::string_view subject, std::span<const std::byte> payload,
                                            JetStreamPublish options) {
  std::vector<Header> headers(options.headers.begin(), options.headers.end());
  std::string sequence;
  std::string subject_sequence;
  const auto add = [&headers](std::string_view name, std::string_view value) {
    if (!value.empty()) headers.push_back({name, value});
  };
  if (options.expected_last_sequence) sequence = std::to_string(*options.expected_last_sequence);
  if (options.expected_last_subject_sequence)
    subject_sequence = std::to_string(*options.expected_last_subject_sequence);
  add("Nats-Msg-Id", options.id);
  add("Nats-Expected-Stream", options.expected_stream);
  add("Nats-Expected-Last-Sequence", sequence);
  add("Nats-Expected-Last-Subject-Sequence", subject_sequence);
  add("Nats-Expected-Last-Msg-Id", options.expected_last_id);
  const RequestOptions request{.headers = headers, .timeout = options.timeout.value_or(options_.timeout)};

  auto wait = options_.retry_wait;
  for (int attempt = 1;; ++attempt) {
    const Result<Message> answer = co_await client_->request(subject, payload, request);
    std::optional<Error> error;
    bool again = false;
    if (answer) {
      Result<JsonObject> reply = parse_reply(*answer);
      if (reply) {
        if (reply->text("/stream").empty())
          co_return fail(Errc::protocol, "publish to '" + std::string(subject) + "': the answer is no stream's");
        co_return PublishAck{reply->text("/stream"), reply->number("/seq"), reply->flag("/duplicate")};
      }
      error = reply.error();
      // Refused, so not stored: safe to try again. A garbled answer may hide either.
      again = error->code() == Errc::unavailable || (error->code() == Errc::protocol && !options.id.empty());
    } else {
      error = answer.error();
      // Nobody listens: not stored. No answer: it may be, but an id makes a second copy impossible.
      again = error->message().ends_with(detail::kNobodyListens) ||
              (!options.id.empty() && (error->code() == Errc::unavailable || error->code() == Errc::timeout));
    }
    if (!again || attempt >= options_.attempts) co_return std::unexpected(std::move(*error));
    GROVE_CO_CHECK(co_await sleep_for(wait));
    wait = std::min<std::chrono::milliseconds>(2 * wait, 2s);
  }
}

Task<Result<ConsumerInfo>> JetStream::add_consumer(std::string stream, ConsumerConfig config) {
  GROVE_CO_CHECK(check_name("stream", stream));
  if (!config.durable.empty()) GROVE_CO_CHECK(check_name("consumer", config.durable));
  const std::string subject =
      config.durable.empty() ? "CONSUMER.CREATE." + stream : "CONSUMER.DURABLE.CREATE." + stream + "." + config.durable;
  GROVE_CO_TRY(const Message message, co_await call(subject, consumer_json(stream, config)));
  GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
  co_return consumer_info(reply);
}
Task<Result<ConsumerInfo>> JetStream::consumer(std::string stream, std::string name) {
  GROVE_CO_CHECK(check_name("stream", stream));
  GROVE_CO_CHECK(check_name("consumer", name));
  GROVE_CO_TRY(const Message message, co_await call("CONSUMER.INFO." + stream + "." + name, ""));
  GROVE_CO_TRY(const JsonObject reply, parse_reply(message));
  co_return consumer_info(reply);
}
Task<Result<void>> JetStream::delete_consumer(std::string stream, std::string name) {
  GROVE_CO_CHECK(check_name("stream", stream));
  GROVE_CO_CHECK(check_name("consumer", name));
  GROVE_CO_TRY(const Message message, co_await call("CONSUMER.DELETE." + stream + "." + name, ""));
  GROVE_CO_CHECK(parse_reply(message));
  co_return Result<void>{};
}
Result<PullConsumer> JetStream::pull(std::string stream, std::string consumer) {
  GROVE_CHECK(check_name("stream", stream));
  GROVE_CHECK(check_name("consumer", consumer));
  GROVE_TRY(Subscription inbox, client_->subscribe(client_->new_inbox() + ".*"));
  return PullConsumer(*client_, std::move(inbox), prefix_, std::move(stream), std::move(consumer));
}

Result<void> JetStream::ack(const Message& message) { return client_->respond(message, "+ACK"); }
Task<Result<void>> JetStream::ack_confirmed(const Message& message) {
  if (message.reply().empty()) co_return fail(Errc::invalid_argument, "acknowledge: the message asks for no answer");
  GROVE_CO_CHECK(co_await client_->request(message.reply(), "+ACK", {.timeout = options_.timeout}));
  co_return Result<void>{};
}
Result<void> JetStream::nak(const Message& message, std::chrono::nanoseconds delay) {
  if (delay.count() <= 0) return client_->respond(message, "-NAK");
  return client_->respond(message, "-NAK {\"delay\":" + std::to_string(delay.count()) + "}");
}
Result<void> JetStream::in_progress(const Message& message) { return client_->respond(message, "+WPI"); }
Result<void> JetStream::terminate(const Message& message) { return client_->respond(message, "+TERM"); }

Task<Result<void>> PullConsumer::pull(std::size_t batch, std::chrono::milliseconds expires) {
  std::string_view pattern = inbox_.pattern();
  pattern.remove_suffix(1);  // the *
  reply_ = std::string(pattern) + std::to_string(++request_);
  JsonWriter json;
  json.begin_object().member("batch", batch).member("expires", std::chrono::nanoseconds(expires).count());
  // The server wants the beat to be less than half of the whole.
  if (expires >= 1s) json.member("idle_heartbeat", std::chrono::nanoseconds(expires).count() / 4);
  json.end_object();
  const PublishOptions options{.reply = reply_};
  co_return co_await client_->publish(subject_, json.str(), options);
}

Task<Result<std::vector<Message>>> PullConsumer::fetch(std::size_t batch, std::chrono::milliseconds expires) {
  using Clock = std::chrono::steady_clock;
  std::vector<Message> messages;
  if (batch == 0) co_return messages;
  const auto take = [this]() -> Task<Result<Message>> { co_return co_await inbox_.next(); };
  const std::string_view prefix = std::string_view(inbox_.pattern()).substr(0, inbox_.pattern().size() - 1);
  const auto deadline = Clock::now() + expires;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= 0ms || messages.size() == batch) co_return messages;
    GROVE_CO_CHECK(co_await pull(batch - messages.size(), left));
    // Two missed beats mean that nobody works on the request any more (a new
    // leader, another connection): it is made again.
    const auto silence = left >= 1s ? left / 2 : left + 250ms;
    const std::uint64_t reconnects = client_->statistics().reconnects;
    while (messages.size() < batch) {
      std::optional<Message> ready = inbox_.try_next();
      Result<Message> next = fail(Errc::timeout, {});
      if (ready)
        next = std::move(*ready);
      else
        next = co_await with_timeout(std::min<std::chrono::milliseconds>(silence, 5s), take());
      if (!next) {
        if (next.error() != Errc::timeout) co_return std::unexpected(std::move(next).error());
        if (client_->statistics().reconnects != reconnects || left >= 1s) break;
        co_return messages;
      }
      if (!next->subject().starts_with(prefix)) {
        messages.push_back(std::move(*next));  // also one that an earlier request had asked for
        continue;
      }
      if (next->subject() != reply_) continue;  // an earlier request's end
      const int status = next->status();
      if (status == 100) continue;  // a beat
      if (status == 404 || status == 408) {
        if (messages.empty() && Clock::now() + 5ms < deadline) break;
        co_return messages;
      }
      const std::string why(next->headers().description());
      if (status == 503) {
        GROVE_CO_CHECK(co_await sleep_for(100ms));  // no leader now
        break;
      }
      if (why.find("Consumer Deleted") != std::string::npos)
        co_return fail(Errc::not_found, "consumer '" + name_ + "' of stream '" + stream_ + "' is gone");
      if (why.find("Leadership Change") != std::string::npos || why.find("Server Shutdown") != std::string::npos) {
        GROVE_CO_CHECK(co_await sleep_for(50ms));
        break;
      }
      if (!messages.empty()) co_return messages;
      co_return fail(status == 409 ? Errc::limit : Errc::invalid_argument,
                     "fetch from '" + name_ + "': " + std::to_string(status) + " " + why);
    }
  }
}

Task<Result<Message>> PullConsumer::next(std::chrono::milliseconds expires) {
  GROVE_CO_TRY(std::vector<Message> one, co_await fetch(1, expires));
  if (one.empty()) co_return fail(Errc::timeout, "no message for consumer '" + name_ + "' in time");
  co_return std::move(one.front());
}

}  // namespace grove::nats
