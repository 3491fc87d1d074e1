#pragma once

// The key-value store on JetStream (ADR-8): a bucket is a stream "KV_<bucket>"
// that keeps the last values of each subject "$KV.<bucket>.<key>".

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/network/messaging/clients/nats/jetstream.hpp"

namespace grove::nats {

struct KeyValueConfig {
  std::string bucket;  ///< Letters, digits, `-` and `_`.
  std::string description;
  std::int64_t history = 1;  ///< Values kept of each key, 1 to 64.
  std::chrono::nanoseconds ttl{0};
  std::int64_t max_value_size = -1;
  std::int64_t max_bytes = -1;
  Storage storage = Storage::file;
  int replicas = 1;
};

struct KeyValueEntry {
  enum class Operation : std::uint8_t { put, remove, purge };
  std::string key;
  std::string value;
  std::uint64_t revision = 0;  ///< The bucket's, not the key's: it grows with each change.
  Operation operation = Operation::put;
  std::uint64_t pending = 0;  ///< From a Watcher: how many changes follow at once.
};

/// The changes of the keys that a pattern matches: first the present value of
/// each (removed ones, too), then every change as it comes, in order.
class Watcher {
 public:
  /// `timeout` when nothing changes in time.
  Task<Result<KeyValueEntry>> next(std::chrono::milliseconds timeout = std::chrono::seconds(5));

 private:
  friend class KeyValue;
  Watcher(PullConsumer consumer, std::size_t skip) : consumer_(std::move(consumer)), skip_(skip) {}
  PullConsumer consumer_;
  std::size_t skip_;  ///< Length of "$KV.<bucket>."
  std::vector<Message> batch_;
  std::size_t at_ = 0;
};

/// A bucket. Keys: letters, digits and `-/_=.`, not starting or ending with a
/// dot. The JetStream must outlive it. Beside each call's own errors:
/// `invalid_argument` for a key, and those of JetStream.
class KeyValue {
 public:
  static Task<Result<KeyValue>> create(JetStream& jetstream, KeyValueConfig config);
  /// `not_found` when there is no such bucket.
  static Task<Result<KeyValue>> open(JetStream& jetstream, std::string bucket);
  static Task<Result<void>> destroy(JetStream& jetstream, std::string bucket);

  /// Its present value; `not_found` when it was never set or is removed.
  Task<Result<KeyValueEntry>> get(std::string key);
  /// An old value, while history holds it.
  Task<Result<KeyValueEntry>> get(std::string key, std::uint64_t revision);
  /// Gives the new revision.
  Task<Result<std::uint64_t>> put(std::string key, std::string value);
  /// Only if the key has no value now; otherwise `already_exists`.
  Task<Result<std::uint64_t>> create_key(std::string key, std::string value);
  /// Only if the key's last revision is this one; otherwise `conflict`.
  Task<Result<std::uint64_t>> update(std::string key, std::string value, std::uint64_t revision);
  /// Keeps the history, with a marker at its end.
  Task<Result<void>> remove(std::string key);
  /// Drops the history, too.
  Task<Result<void>> purge(std::string key);
  /// All keys with a value, sorted.
  Task<Result<std::vector<std::string>>> keys();
  /// The kept values of a key, oldest first.
  Task<Result<std::vector<KeyValueEntry>>> history(std::string key);
  /// `key` may hold wildcards; ">" is the whole bucket.
  Task<Result<Watcher>> watch(std::string key = ">");

  const std::string& bucket() const noexcept { return bucket_; }

 private:
  KeyValue(JetStream& jetstream, std::string bucket)
      : jetstream_(&jetstream),
        bucket_(std::move(bucket)),
        stream_("KV_" + bucket_),
        subject_("$KV." + bucket_ + ".") {}
  Task<Result<std::uint64_t>> store(std::string key, std::string value, std::optional<std::uint64_t> revision);
  Task<Result<void>> mark(std::string key, std::vector<Header> headers);
  /// Reads all that is there for a pattern now.
  Task<Result<std::vector<KeyValueEntry>>> read(std::string key, DeliverPolicy deliver, bool headers_only);
  Task<Result<PullConsumer>> consume(std::string key, DeliverPolicy deliver, bool headers_only);

  JetStream* jetstream_;
  std::string bucket_;
  std::string stream_;
  std::string subject_;
};

}  // namespace grove::nats
