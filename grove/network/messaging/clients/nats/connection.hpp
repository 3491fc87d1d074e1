#pragma once

// Internal: what stands behind Client and Subscription.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "grove/base/async/loop.hpp"
#include "grove/base/async/scope.hpp"
#include "grove/base/random.hpp"
#include "grove/network/messaging/clients/nats/nats.hpp"
#include "grove/network/messaging/clients/nats/nkey.hpp"

namespace grove::nats::detail {

struct Address {
  std::string host;
  std::string port = "4222";
  std::string user;
  std::string password;
  std::string token;
  bool tls = false;
  friend bool operator==(const Address& a, const Address& b) { return a.host == b.host && a.port == b.port; }
};
Result<Address> parse_address(std::string_view url);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

  /// Checks the options; then tries each server once.
  Task<Result<void>> open();
  /// Goes on in the background until `finish`.
  void start() { loop_.spawn(run(shared_from_this())); }
  /// Closes for good: at once for everybody who waits; the socket follows.
  void finish(Error why);

  Result<Subscription> subscribe(std::string_view pattern, SubscribeOptions options);
  void unsubscribe(SubscriptionState& subscription);
  void unsubscribe_after(SubscriptionState& subscription, std::uint64_t count);
  Task<Result<void>> drain_subscription(std::shared_ptr<SubscriptionState> subscription);
  Task<Result<Message>> request(std::string_view subject, std::span<const std::byte> payload, RequestOptions options);
  Task<Result<void>> flush();
  Task<Result<void>> drain(std::chrono::milliseconds backlog);
  std::string new_inbox();

  /// Encodes; an error when it may not be sent at all.
  Result<void> encode(std::string_view subject, std::span<const std::byte> payload, const PublishOptions& options);
  bool has_room() const noexcept {
    return out_.buffer().size() < (connected_ ? options_.write_buffer : options_.reconnect_buffer);
  }

  Event room;  ///< Set while a publish needn't wait.
  bool connected() const noexcept { return connected_; }
  const std::optional<Error>& finished() const noexcept { return finished_; }
  const ServerInfo& server() const noexcept { return server_; }
  const Statistics& statistics() const noexcept { return statistics_; }
  const Options& options() const noexcept { return options_; }

 private:
  using Tcp = boost::asio::ip::tcp;

  Result<void> prepare();
  Result<void> prepare_tls();
  static Task<void> run(std::shared_ptr<Connection> self);
  Task<Result<void>> connect_any();
  Task<Result<void>> connect_to(Address address);
  Task<Result<void>> handshake(Address address);
  Result<std::string> connect_command(const Address& address, const std::string& nonce) const;
  Task<Result<void>> reconnect();
  Task<Result<void>> serve();
  Task<Result<void>> read_loop();
  Task<void> write_loop(Scope& scope);
  Task<void> keep_alive(Scope& scope);
  Task<Result<void>> fill();
  Task<Result<std::size_t>> write_some(std::string_view bytes);

  Result<void> handle(const Frame& frame);
  Result<std::string> take_info(std::string_view json, bool tls);
  void deliver(const Frame& frame);
  void take_error(std::string_view text);
  void lost(const Error& why);
  void resubscribe();
  void notify(Notice::Kind kind, std::string_view text);
  void wake() {
    if (!outgoing_.is_set()) outgoing_.set();
  }
  std::shared_ptr<SubscriptionState> add_subscription(std::string_view pattern, SubscribeOptions options);
  void leave(std::uint64_t sid, Error why);

  Loop& loop_;
  Options options_;
  std::optional<KeyPair> key_;
  std::vector<Address> servers_;
  SplitMix64 random_{0};
  std::string inbox_;  ///< "_INBOX.<random>."
  std::uint64_t inboxes_ = 0;

  std::optional<StopSource> stop_;
  std::optional<Tcp::socket> socket_;
  std::optional<boost::asio::ssl::context> tls_context_;
  std::optional<boost::asio::ssl::stream<Tcp::socket&>> tls_;

  Decoder in_;
  Encoder out_;     ///< While there is no connection it holds publishes only.
  Buffer writing_;  ///< Being sent; starts with a whole frame.
  std::size_t written_ = 0;
  Event outgoing_;
  Event reading_;

  std::unordered_map<std::uint64_t, std::shared_ptr<SubscriptionState>> subscriptions_;
  std::uint64_t next_sid_ = 1;
  std::uint64_t replies_sid_ = 0;  ///< The one subscription that all requests share; 0: none yet.
  std::unordered_map<std::uint64_t, Queue<Message>*> requests_;
  std::uint64_t next_request_ = 1;
  std::deque<std::shared_ptr<Queue<bool>>> pongs_;  ///< Who waits for each PING; null: nobody.
  int pings_out_ = 0;

  bool connected_ = false;
  std::optional<Error> lost_;     ///< Why the present connection ends, when a child found out.
  std::optional<Error> refused_;  ///< The server's last fatal -ERR.
  std::optional<Error> finished_;
  ServerInfo server_;
  Statistics statistics_;
};

}  // namespace grove::nats::detail
