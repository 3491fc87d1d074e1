#pragma once

// JetStream: streams that keep messages, publishing that is acknowledged, and
// pull consumers (docs: "JetStream wire API reference", ADR-8, ADR-13, ADR-37).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/network/messaging/clients/nats/nats.hpp"

namespace grove::nats {

enum class Storage : std::uint8_t { file, memory };
enum class Retention : std::uint8_t { limits, interest, work_queue };
enum class Discard : std::uint8_t { old_messages, new_messages };
enum class AckPolicy : std::uint8_t { explicit_ack, all, none };
enum class DeliverPolicy : std::uint8_t { all, last, new_messages, by_start_sequence, last_per_subject };

/// -1 (or 0 where a time) means no limit.
struct StreamConfig {
  std::string name;
  std::vector<std::string> subjects;
  std::string description;
  Storage storage = Storage::file;
  Retention retention = Retention::limits;
  Discard discard = Discard::old_messages;
  int replicas = 1;
  std::int64_t max_messages = -1;
  std::int64_t max_bytes = -1;
  std::int64_t max_message_size = -1;
  std::int64_t max_messages_per_subject = -1;
  std::chrono::nanoseconds max_age{0};
  std::chrono::nanoseconds duplicate_window = std::chrono::minutes(2);  ///< How long message ids are remembered.
  bool allow_rollup = false;  ///< A message with Nats-Rollup may replace those before it.
  bool deny_delete = false;
  bool allow_direct = false;  ///< Replicas may answer gets.
};

struct StreamInfo {
  std::string name;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t consumers = 0;
  std::int64_t max_messages_per_subject = 0;
  std::chrono::nanoseconds max_age{0};
  int replicas = 0;
  std::string leader;  ///< Server name; empty without a cluster.
};

struct ConsumerConfig {
  std::string durable;  ///< Its name; empty: the server makes one up and forgets it after `inactive`.
  std::string filter;   ///< A subject pattern; empty: all.
  DeliverPolicy deliver = DeliverPolicy::all;
  std::uint64_t start_sequence = 0;
  AckPolicy ack = AckPolicy::explicit_ack;
  std::chrono::nanoseconds ack_wait = std::chrono::seconds(30);  ///< Then it is delivered again.
  std::int64_t max_deliver = -1;
  std::int64_t max_ack_pending = 1000;
  std::chrono::nanoseconds inactive{0};
  bool headers_only = false;
  int replicas = 0;  ///< 0: as the stream.
  bool memory = false;
};

struct ConsumerInfo {
  std::string stream;
  std::string name;
  std::uint64_t pending = 0;      ///< Messages not delivered yet.
  std::uint64_t ack_pending = 0;  ///< Delivered, not acknowledged.
  std::uint64_t redelivered = 0;
  std::uint64_t acknowledged = 0;  ///< The stream sequence up to which all is.
};

struct PublishAck {
  std::string stream;
  std::uint64_t sequence = 0;
  bool duplicate = false;  ///< The stream had this message id already.
};

struct JetStreamPublish {
  Headers headers;
  /// Nats-Msg-Id: the stream keeps one message for each within its window, so a
  /// publish whose answer got lost is tried again without doubling it.
  std::string_view id;
  std::string_view expected_stream;
  std::optional<std::uint64_t> expected_last_sequence;
  std::optional<std::uint64_t> expected_last_subject_sequence;  ///< 0: there is none yet.
  std::string_view expected_last_id;
  std::optional<std::chrono::milliseconds> timeout;  ///< Of one attempt.
};

/// What the reply subject of a JetStream message says of it.
struct Delivery {
  std::string_view stream;
  std::string_view consumer;
  std::uint64_t deliveries = 0;  ///< 1 the first time.
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  std::chrono::sys_time<std::chrono::nanoseconds> time;  ///< When it was stored.
  std::uint64_t pending = 0;                             ///< Further messages for this consumer.
};
/// `parse` when the message doesn't come from a consumer. Views into it.
Result<Delivery> delivery(const Message& message);

struct StoredMessage {
  std::string subject;
  std::uint64_t sequence = 0;
  std::string headers;  ///< A raw block for HeaderBlock; may be empty.
  std::string payload;
};

/// Fetches from one consumer. Acknowledge each message through JetStream.
class PullConsumer {
 public:
  /// Up to `batch` messages: those that are there, waiting up to `expires` for
  /// the first and the rest. None at all is an empty vector, not an error.
  /// Survives a reconnect and a new leader. Errors: `not_found` when the
  /// consumer is gone; those of publish.
  Task<Result<std::vector<Message>>> fetch(std::size_t batch,
                                           std::chrono::milliseconds expires = std::chrono::seconds(5));
  /// One message; `timeout` when none comes.
  Task<Result<Message>> next(std::chrono::milliseconds expires = std::chrono::seconds(5));
  const std::string& stream() const noexcept { return stream_; }
  const std::string& name() const noexcept { return name_; }

 private:
  friend class JetStream;
  PullConsumer(Client& client, Subscription inbox, std::string prefix, std::string stream, std::string name)
      : client_(&client),
        inbox_(std::move(inbox)),
        subject_(prefix + "CONSUMER.MSG.NEXT." + stream + "." + name),
        stream_(std::move(stream)),
        name_(std::move(name)) {}
  Task<Result<void>> pull(std::size_t batch, std::chrono::milliseconds expires);

  Client* client_;
  Subscription inbox_;
  std::string subject_;
  std::string stream_;
  std::string name_;
  std::uint64_t request_ = 0;
  std::string reply_;
};

struct JetStreamOptions {
  std::string domain;  ///< A leaf node's JetStream domain; empty: the server's own.
  std::chrono::milliseconds timeout{5000};
  /// How often a publish is tried when there is no leader, or, with an id, no answer.
  int attempts = 10;
  std::chrono::milliseconds retry_wait{100};  ///< Doubles, up to 2 s.
};

/// The view of one account's JetStream. The client must outlive it and what it
/// makes, and must not be moved meanwhile. An error of the server carries its
/// words; 404 is `not_found`, a wrong expectation or an existing name `conflict`
/// or `already_exists`, no JetStream or no leader `unavailable`.
class JetStream {
 public:
  explicit JetStream(Client& client, JetStreamOptions options = {});

  Task<Result<StreamInfo>> add_stream(StreamConfig config);
  Task<Result<StreamInfo>> update_stream(StreamConfig config);
  Task<Result<StreamInfo>> stream(std::string name);
  Task<Result<void>> delete_stream(std::string name);
  /// Removes the messages (of one subject pattern, when it isn't empty): how many.
  Task<Result<std::uint64_t>> purge_stream(std::string name, std::string filter = {});
  Task<Result<std::vector<std::string>>> stream_names();
  Task<Result<StoredMessage>> message(std::string stream, std::uint64_t sequence);
  Task<Result<StoredMessage>> last_message(std::string stream, std::string subject);

  /// Stored by the stream (by a majority of its replicas) when it returns.
  Task<Result<PublishAck>> publish(std::string_view subject, std::span<const std::byte> payload,
                                   JetStreamPublish options = {});
  Task<Result<PublishAck>> publish(std::string_view subject, std::string_view payload, JetStreamPublish options = {}) {
    return publish(subject, as_bytes(payload), options);
  }

  Task<Result<ConsumerInfo>> add_consumer(std::string stream, ConsumerConfig config);
  Task<Result<ConsumerInfo>> consumer(std::string stream, std::string name);
  Task<Result<void>> delete_consumer(std::string stream, std::string name);
  /// For a consumer that exists.
  Result<PullConsumer> pull(std::string stream, std::string consumer);

  /// Done with it. Not confirmed: a lost one makes the message come again.
  Result<void> ack(const Message& message);
  /// Waits until the server has the acknowledgement.
  Task<Result<void>> ack_confirmed(const Message& message);
  /// Deliver again, after `delay`.
  Result<void> nak(const Message& message, std::chrono::nanoseconds delay = std::chrono::nanoseconds{0});
  /// Still working: starts ack_wait anew.
  Result<void> in_progress(const Message& message);
  /// Never deliver again.
  Result<void> terminate(const Message& message);

  Client& client() const noexcept { return *client_; }
  const std::string& prefix() const noexcept { return prefix_; }

 private:
  Task<Result<Message>> call(std::string subject, std::string body);
  Task<Result<StreamInfo>> stream_call(std::string subject, std::string body);
  Task<Result<StoredMessage>> get(std::string stream, std::string body);
  Client* client_;
  JetStreamOptions options_;
  std::string prefix_;  ///< "$JS.API." or "$JS.<domain>.API."
};

}  // namespace grove::nats
