#pragma once

// A NATS client (docs: "NATS Client Protocol"; server 2.x) as coroutines on one
// Loop: publish, subscribe, queue groups, request/reply, headers, reconnect,
// drain. JetStream is in jetstream.hpp, the key-value store in kv.hpp, the wire
// format alone in codec.hpp.
//
//   GROVE_CO_TRY(auto client, co_await nats::Client::connect({}));
//   GROVE_CO_TRY(auto orders, client.subscribe("orders.*"));
//   GROVE_CO_CHECK(co_await client.publish("orders.new", "42"));
//   GROVE_CO_TRY(const nats::Message order, co_await orders.next());
//
// Everything here belongs to the thread of the Loop that it was made in, and
// must go before that Loop does; only a Message may change threads.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/async/event.hpp"
#include "grove/base/async/queue.hpp"
#include "grove/base/error.hpp"
#include "grove/base/log.hpp"
#include "grove/base/text.hpp"
#include "grove/network/messaging/clients/nats/codec.hpp"

namespace grove::nats {

/// A received message: one allocation that owns all its parts. Movable, cheap
/// to move, may be handed to another thread.
class Message {
 public:
  Message() = default;
  /// Copies a frame of kind `message` out of a Decoder's buffer.
  explicit Message(const Frame& frame);

  std::string_view subject() const noexcept { return {memory_.get(), subject_}; }
  /// Where an answer is expected; empty when none is.
  std::string_view reply() const noexcept { return {memory_.get() + subject_, reply_}; }
  HeaderBlock headers() const noexcept { return HeaderBlock({memory_.get() + subject_ + reply_, headers_}); }
  std::string_view text() const noexcept { return {memory_.get() + subject_ + reply_ + headers_, payload_}; }
  std::span<const std::byte> payload() const noexcept { return as_bytes(text()); }
  std::optional<std::string_view> header(std::string_view name) const noexcept { return headers().find(name); }
  /// The server's inline status (503: nobody listens; 100, 404, 408, 409: JetStream), else 0.
  int status() const noexcept { return headers_ == 0 ? 0 : headers().status(); }
  /// Bytes of all parts.
  std::size_t size() const noexcept { return std::size_t{subject_} + reply_ + headers_ + payload_; }

 private:
  std::unique_ptr<char[]> memory_;
  std::uint32_t subject_ = 0;
  std::uint32_t reply_ = 0;
  std::uint32_t headers_ = 0;
  std::uint32_t payload_ = 0;
};

/// How to prove who we are; what is empty isn't sent. A URL's `user:password@`
/// (or `token@`) is used for its server when user, password and token are empty.
struct Credentials {
  std::string user;
  std::string password;
  std::string token;
  std::string nkey_seed;  ///< "SU…": signs the server's nonce; the seed never leaves the process.
  std::string jwt;        ///< A user JWT; needs the seed of its key.

  /// The content of a `.creds` file: a decorated JWT and seed.
  static Result<Credentials> from_creds(std::string_view file);
};

struct TlsOptions {
  bool required = false;         ///< Refuse a server without TLS. A `tls://` URL says the same.
  bool verify = true;            ///< Check the certificate against `ca_file` (or the system's) and the host name.
  std::string ca_file;           ///< PEM.
  std::string certificate_file;  ///< PEM, for a server that verifies clients.
  std::string key_file;          ///< PEM.
};

/// Something that happened to the connection. Views are valid during the call.
struct Notice {
  enum class Kind : std::uint8_t {
    connected,      ///< The first time; `text`: the server's name.
    disconnected,   ///< `text`: why.
    reconnected,    ///< All subscriptions are back; what was buffered follows.
    server_error,   ///< -ERR; `text`: what it says.
    slow_consumer,  ///< A subscription began to drop messages; `text`: its pattern.
    lame_duck,      ///< The server is going to stop; the client moves when it does.
    closed,         ///< For good; `text`: why.
  };
  Kind kind;
  std::string_view text;
};

struct Options {
  /// `nats://` or `tls://` [user:password@ or token@] host [:4222], tried in random order.
  std::vector<std::string> servers{"nats://127.0.0.1:4222"};
  std::string name;  ///< Shown in the server's monitoring.
  Credentials credentials;
  TlsOptions tls;
  std::chrono::milliseconds connect_timeout{2000};  ///< Of one attempt, handshake included.
  std::chrono::milliseconds request_timeout{5000};  ///< Unless a request says otherwise.
  std::chrono::milliseconds ping_interval{120'000};
  int max_pings_out = 2;    ///< So many unanswered PINGs make the connection dead.
  int max_reconnects = -1;  ///< Rounds over all servers before giving up; -1: never. 0: don't reconnect.
  /// The pause before a round: doubles from the first to the second, minus up to half at random.
  std::chrono::milliseconds reconnect_wait{50};
  std::chrono::milliseconds reconnect_wait_max{5000};
  bool discover = true;  ///< Use the cluster's other servers, as INFO names them.
  bool echo = true;      ///< Get one's own messages, too.
  /// Bytes that may wait to be sent before `publish` waits; while connected and while not.
  std::size_t write_buffer = std::size_t{256} << 10;
  std::size_t reconnect_buffer = std::size_t{8} << 20;
  std::string inbox_prefix = "_INBOX";
  DecoderLimits limits;
  std::function<void(const Notice&)> on_notice;  ///< Called on the loop; must not throw.
  Logger logger;
};

struct PublishOptions {
  std::string_view reply;
  Headers headers;
};

struct RequestOptions {
  Headers headers;
  std::optional<std::chrono::milliseconds> timeout;
};

/// What happens to a message for a subscription whose owner doesn't keep up.
enum class SlowConsumer : std::uint8_t {
  drop_newest,  ///< As other NATS clients do.
  drop_oldest,
  /// Stop reading the connection until half is taken: nothing is lost here, but
  /// all subscriptions and replies wait with it, and the server may cut us off.
  pause_reading,
};

struct SubscribeOptions {
  std::string queue_group;  ///< Each message goes to one member of the group.
  std::size_t max_pending_messages = 512 * 1024;
  std::size_t max_pending_bytes = std::size_t{64} << 20;
  SlowConsumer slow_consumer = SlowConsumer::drop_newest;
};

struct ServerInfo {
  std::string id;
  std::string name;
  std::string version;
  std::string cluster;
  std::size_t max_payload = 0;
  std::uint64_t client_id = 0;
  bool headers = false;
  bool jetstream = false;
  bool tls_required = false;
};

struct Statistics {
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;   ///< From the socket.
  std::uint64_t bytes_out = 0;  ///< To the socket.
  std::uint64_t dropped = 0;    ///< By slow consumers.
  std::uint64_t reconnects = 0;
};

namespace detail {
class Connection;
inline constexpr std::string_view kNobodyListens = "nobody listens there";

struct SubscriptionState {
  std::uint64_t sid = 0;
  std::string pattern;
  SubscribeOptions options;
  Queue<Message> messages;
  std::size_t pending_bytes = 0;
  std::uint64_t received = 0;
  std::uint64_t dropped = 0;
  std::uint64_t last = 0;  ///< The message after which it ends; 0: none.
  bool full = false;
  Event* resume_reading = nullptr;  ///< Set while this one holds the reader back.

  bool over_half() const noexcept {
    return messages.size() > options.max_pending_messages / 2 || pending_bytes > options.max_pending_bytes / 2;
  }
  void taken(std::size_t bytes) {
    pending_bytes -= bytes;
    if (!full || over_half()) return;
    full = false;
    if (resume_reading != nullptr) std::exchange(resume_reading, nullptr)->set();
  }
};
}  // namespace detail

/// A stream of messages. Its end unsubscribes; what it still held is dropped.
/// Several tasks may wait in `next`; each message goes to one of them.
class Subscription {
  class Next;

 public:
  Subscription(Subscription&&) noexcept = default;
  Subscription& operator=(Subscription&& other) noexcept;
  ~Subscription() { unsubscribe(); }

  /// `Result<Message> m = co_await subscription.next();` Errors: `closed` after
  /// unsubscribe, drain, or the client's end, and once the backlog is taken;
  /// `permission` when the server refuses the subscription; `cancelled`.
  auto next() noexcept { return Next(*state_); }
  /// A message that is here already.
  std::optional<Message> try_next();

  /// Stops the flow now; messages that have arrived can still be taken.
  void unsubscribe();
  /// Ends it after `count` messages in all (those received already count).
  void unsubscribe_after(std::uint64_t count);
  /// Stops the flow and waits until all that the server sent before is here;
  /// `next` gives those, then `closed`.
  Task<Result<void>> drain();

  const std::string& pattern() const noexcept { return state_->pattern; }
  std::size_t pending() const noexcept { return state_->messages.size(); }
  std::uint64_t received() const noexcept { return state_->received; }
  std::uint64_t dropped() const noexcept { return state_->dropped; }

 private:
  friend class detail::Connection;
  class Next {
   public:
    explicit Next(detail::SubscriptionState& state) noexcept : state_(state), pop_(state.messages.pop()) {}
    bool await_ready() noexcept {
      stored_ = !state_.messages.empty();
      return pop_.await_ready();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      return pop_.await_suspend(caller);
    }
    Result<Message> await_resume() {
      Result<Message> message = pop_.await_resume();
      if (stored_ && message) state_.taken(message->size());
      return message;
    }

   private:
    detail::SubscriptionState& state_;
    decltype(std::declval<Queue<Message>&>().pop()) pop_;
    bool stored_ = false;
  };

  Subscription(std::shared_ptr<detail::Connection> connection, std::shared_ptr<detail::SubscriptionState> state)
      : connection_(std::move(connection)), state_(std::move(state)) {}
  std::shared_ptr<detail::Connection> connection_;
  std::shared_ptr<detail::SubscriptionState> state_;
};

namespace detail {
/// What `publish` gives: it encodes when there is room, else waits for it.
class PublishOperation {
 public:
  PublishOperation(Connection& connection, std::string_view subject, std::span<const std::byte> payload,
                   const PublishOptions& options) noexcept;
  bool await_ready();
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return wait_.await_suspend(caller);
  }
  Result<void> await_resume();

 private:
  Connection& connection_;
  std::string_view subject_;
  std::span<const std::byte> payload_;
  PublishOptions options_;
  std::optional<Result<void>> done_;
  decltype(std::declval<Event&>().wait()) wait_;
};
}  // namespace detail

/// A connection that keeps itself alive in the background of its Loop. Its end
/// closes it at once; `drain` first if what was published must be out.
class Client {
 public:
  /// Tries each server once. Errors: `invalid_argument` (a URL, a seed),
  /// `permission` (refused credentials), `protocol`, `timeout`, `unavailable`.
  static Task<Result<Client>> connect(Options options);
  Client(Client&&) noexcept = default;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  /// `Result<void> r = co_await client.publish("a.b", "text");` Puts the message
  /// into the write buffer, waiting while that is full. Core NATS delivers at
  /// most once: what the operating system took when a connection broke may be
  /// lost; what it hadn't taken is sent after the reconnect, and never twice.
  /// The views must live until it is done. Errors: `invalid_argument`, `limit`
  /// (longer than the server's max_payload), `unsupported` (headers), `closed`.
  detail::PublishOperation publish(std::string_view subject, std::span<const std::byte> payload,
                                   const PublishOptions& options = {}) {
    return {*connection_, subject, payload, options};
  }
  detail::PublishOperation publish(std::string_view subject, std::string_view payload,
                                   const PublishOptions& options = {}) {
    return {*connection_, subject, as_bytes(payload), options};
  }
  /// Without waiting: `limit` when the buffer is full.
  Result<void> try_publish(std::string_view subject, std::span<const std::byte> payload,
                           const PublishOptions& options = {});

  /// Takes effect at the server before anything published later. Survives reconnects.
  Result<Subscription> subscribe(std::string_view pattern, SubscribeOptions options = {});

  /// Publishes with a private reply subject and waits for the first answer. The
  /// arguments must live until it is done. Errors: those of publish; `timeout`;
  /// `unavailable` at once when nobody listens, or when the connection broke
  /// (whether the request was handled is then unknown).
  Task<Result<Message>> request(std::string_view subject, std::span<const std::byte> payload,
                                RequestOptions options = {});
  Task<Result<Message>> request(std::string_view subject, std::string_view payload, RequestOptions options = {}) {
    return request(subject, as_bytes(payload), options);
  }
  /// `invalid_argument` when the message asks for no answer.
  Result<void> respond(const Message& to, std::string_view payload, Headers headers = {});

  /// Waits until the server has handled all that was published before.
  Task<Result<void>> flush();
  /// Drains every subscription, gives their owners up to `backlog` to take what
  /// has arrived, flushes (also what they answered before they waited for
  /// anything else), and closes.
  Task<Result<void>> drain(std::chrono::milliseconds backlog = std::chrono::seconds(30));
  /// Closes now. Everything that waits gets `closed`.
  void close();

  bool connected() const noexcept;
  bool closed() const noexcept;
  /// Of the server last connected to.
  const ServerInfo& server() const noexcept;
  const Statistics& statistics() const noexcept;
  const Options& options() const noexcept;
  /// A unique subject to get answers on.
  std::string new_inbox();

 private:
  explicit Client(std::shared_ptr<detail::Connection> connection) noexcept : connection_(std::move(connection)) {}
  std::shared_ptr<detail::Connection> connection_;
};

}  // namespace grove::nats
