#include "grove/network/messaging/clients/nats/kv.hpp"

#include <algorithm>

namespace grove::nats {
namespace {

using namespace std::chrono_literals;
using Operation = KeyValueEntry::Operation;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
Result<void> check_bucket(const std::string& bucket) {
  if (!bucket.empty() && std::all_of(bucket.begin(), bucket.end(), is_name)) return {};
  return fail(Errc::invalid_argument, "bucket '" + bucket + "': a name holds letters, digits, - and _");
}
Result<void> check_key(const std::string& key) {
  if (valid_subject(key) &&
      std::all_of(key.begin(), key.end(), [](char c) { return is_name(c) || c == '/' || c == '=' || c == '.'; }))
    return {};
  return fail(Errc::invalid_argument, "key '" + key + "': letters, digits and -/_=. only, no dot at an end");
}

Operation operation_of(const HeaderBlock& headers) {
  const auto value = headers.find("KV-Operation").value_or("");
  return value == "DEL" ? Operation::remove : value == "PURGE" ? Operation::purge : Operation::put;
}

Result<KeyValueEntry> entry_of(const Message& message, std::size_t skip) {
  GROVE_TRY(const Delivery from, delivery(message));
  return KeyValueEntry{
      .key = std::string(message.subject().substr(std::min(skip, message.subject().size()))),
      .value = std::string(message.text()),
      .revision = from.stream_sequence,
      .operation = operation_of(message.headers()),
      .pending = from.pending,
  };
}

}  // namespace

Task<Result<KeyValue>> KeyValue::create(JetStream& jetstream, KeyValueConfig config) {
  GROVE_CO_CHECK(check_bucket(config.bucket));
  if (config.history < 1 || config.history > 64)
    co_return fail(Errc::invalid_argument, "bucket '" + config.bucket + "': history is between 1 and 64");
  StreamConfig stream{
      .name = "KV_" + config.bucket,
      .description = config.description,
      .storage = config.storage,
      .discard = Discard::new_messages,
      .replicas = config.replicas,
      .max_bytes = config.max_bytes,
      .max_message_size = config.max_value_size,
      .max_messages_per_subject = config.history,
      .max_age = config.ttl,
      .allow_rollup = true,
      .deny_delete = true,
      .allow_direct = true,
  };
  stream.subjects.push_back("$KV." + config.bucket + ".>");
  GROVE_CO_CHECK(co_await jetstream.add_stream(std::move(stream)));
  co_return KeyValue(jetstream, std::move(config.bucket));
}

Task<Result<KeyValue>> KeyValue::open(JetStream& jetstream, std::string bucket) {
  GROVE_CO_CHECK(check_bucket(bucket));
  GROVE_CO_TRY(const StreamInfo info, co_await jetstream.stream("KV_" + bucket));
  if (info.max_messages_per_subject < 1)
    co_return fail(Errc::not_found, "stream 'KV_" + bucket + "' is not a key-value bucket");
  co_return KeyValue(jetstream, std::move(bucket));
}

Task<Result<void>> KeyValue::destroy(JetStream& jetstream, std::string bucket) {
  GROVE_CO_CHECK(check_bucket(bucket));
  co_return co_await jetstream.delete_stream("KV_" + bucket);
}

Task<Result<KeyValueEntry>> KeyValue::get(std::string key) {
  GROVE_CO_CHECK(check_key(key));
  auto found = co_await jetstream_->last_message(stream_, subject_ + key);
  if (!found && found.error() == Errc::not_found)
    co_return fail(Errc::not_found, "bucket '" + bucket_ + "' has no key '" + key + "'");
  GROVE_CO_CHECK(found);
  KeyValueEntry entry{.key = key, .value = std::move(found->payload), .revision = found->sequence};
  entry.operation = operation_of(HeaderBlock(found->headers));
  if (entry.operation != Operation::put)
    co_return fail(Errc::not_found, "key '" + key + "' of bucket '" + bucket_ + "' was removed");
  co_return entry;
}

Task<Result<KeyValueEntry>> KeyValue::get(std::string key, std::uint64_t revision) {
  GROVE_CO_CHECK(check_key(key));
  GROVE_CO_TRY(StoredMessage found, co_await jetstream_->message(stream_, revision));
  if (found.subject != subject_ + key)
    co_return fail(Errc::not_found, "revision " + std::to_string(revision) + " is not one of key '" + key + "'");
  KeyValueEntry entry{.key = key, .value = std::move(found.payload), .revision = found.sequence};
  entry.operation = operation_of(HeaderBlock(found.headers));
  co_return entry;
}

Task<Result<std::uint64_t>> KeyValue::store(std::string key, std::string value, std::optional<std::uint64_t> revision) {
  GROVE_CO_CHECK(check_key(key));
  const std::string subject = subject_ + key;
  JetStreamPublish options;
  options.expected_last_subject_sequence = revision;
  GROVE_CO_TRY(const PublishAck ack, co_await jetstream_->publish(subject, value, options));
  co_return ack.sequence;
}
Task<Result<std::uint64_t>> KeyValue::put(std::string key, std::string value) {
  co_return co_await store(std::move(key), std::move(value), std::nullopt);
}
Task<Result<std::uint64_t>> KeyValue::update(std::string key, std::string value, std::uint64_t revision) {
  co_return co_await store(std::move(key), std::move(value), revision);
}

Task<Result<std::uint64_t>> KeyValue::create_key(std::string key, std::string value) {
  Result<std::uint64_t> created = co_await store(key, value, 0);
  if (created || created.error() != Errc::conflict) co_return created;
  // A removed key has a last message, too: its marker.
  auto last = co_await jetstream_->last_message(stream_, subject_ + key);
  if (last && operation_of(HeaderBlock(last->headers)) != Operation::put) {
    created = co_await store(key, value, last->sequence);
    if (created || created.error() != Errc::conflict) co_return created;
  }
  co_return fail(Errc::already_exists, "bucket '" + bucket_ + "' has the key '" + key + "' already");
}

Task<Result<void>> KeyValue::mark(std::string key, std::vector<Header> headers) {
  GROVE_CO_CHECK(check_key(key));
  const std::string subject = subject_ + key;
  JetStreamPublish options;
  options.headers = headers;
  GROVE_CO_CHECK(co_await jetstream_->publish(subject, std::string_view(), options));
  co_return Result<void>{};
}
Task<Result<void>> KeyValue::remove(std::string key) {
  std::vector<Header> headers(1, {"KV-Operation", "DEL"});
  co_return co_await mark(std::move(key), std::move(headers));
}
Task<Result<void>> KeyValue::purge(std::string key) {
  std::vector<Header> headers(1, {"KV-Operation", "PURGE"});
  headers.push_back({"Nats-Rollup", "sub"});
  co_return co_await mark(std::move(key), std::move(headers));
}

Task<Result<PullConsumer>> KeyValue::consume(std::string key, DeliverPolicy deliver, bool headers_only) {
  ConsumerConfig config;
  config.filter = subject_ + key;
  config.deliver = deliver;
  config.ack = AckPolicy::none;
  config.inactive = 5min;
  config.headers_only = headers_only;
  config.memory = true;
  config.replicas = 1;
  GROVE_CO_TRY(const ConsumerInfo info, co_await jetstream_->add_consumer(stream_, std::move(config)));
  co_return jetstream_->pull(stream_, info.name);
}

Task<Result<std::vector<KeyValueEntry>>> KeyValue::read(std::string key, DeliverPolicy deliver, bool headers_only) {
  GROVE_CO_TRY(PullConsumer consumer, co_await consume(std::move(key), deliver, headers_only));
  std::vector<KeyValueEntry> entries;
  GROVE_CO_TRY(const ConsumerInfo info, co_await jetstream_->consumer(stream_, consumer.name()));
  for (bool more = info.pending != 0; more;) {
    GROVE_CO_TRY(const std::vector<Message> batch, co_await consumer.fetch(std::min<std::size_t>(info.pending, 256)));
    if (batch.empty()) co_return fail(Errc::timeout, "bucket '" + bucket_ + "' stopped in the middle of a list");
    for (const Message& message : batch) {
      GROVE_CO_TRY(KeyValueEntry entry, entry_of(message, subject_.size()));
      more = entry.pending != 0;
      entries.push_back(std::move(entry));
    }
  }
  (void)co_await jetstream_->delete_consumer(stream_, consumer.name());  // it would go by itself in a while
  co_return entries;
}

Task<Result<std::vector<std::string>>> KeyValue::keys() {
  GROVE_CO_TRY(auto entries, co_await read(">", DeliverPolicy::last_per_subject, true));
  std::vector<std::string> keys;
  for (KeyValueEntry& entry : entries)
    if (entry.operation == Operation::put) keys.push_back(std::move(entry.key));
  std::sort(keys.begin(), keys.end());
  co_return keys;
}

Task<Result<std::vector<KeyValueEntry>>> KeyValue::history(std::string key) {
  GROVE_CO_CHECK(check_key(key));
  co_return co_await read(std::move(key), DeliverPolicy::all, false);
}

Task<Result<Watcher>> KeyValue::watch(std::string key) {
  if (!valid_pattern(key)) co_return fail(Errc::invalid_argument, "watch '" + key + "': not a valid pattern");
  GROVE_CO_TRY(PullConsumer consumer, co_await consume(std::move(key), DeliverPolicy::last_per_subject, false));
  co_return Watcher(std::move(consumer), subject_.size());
}

Task<Result<KeyValueEntry>> Watcher::next(std::chrono::milliseconds timeout) {
  if (at_ == batch_.size()) {
    at_ = 0;
    batch_.clear();
    // The first one alone may have to be waited for; what it says is pending is there.
    GROVE_CO_TRY(Message first, co_await consumer_.next(timeout));
    GROVE_CO_TRY(const Delivery from, delivery(first));
    batch_.push_back(std::move(first));
    if (from.pending != 0) {
      GROVE_CO_TRY(auto more, co_await consumer_.fetch(std::min<std::size_t>(from.pending, 256), 250ms));
      for (Message& message : more) batch_.push_back(std::move(message));
    }
  }
  co_return entry_of(batch_[at_++], skip_);
}

}  // namespace grove::nats
