#include "grove/network/messaging/clients/nats/nats.hpp"

#include <cstring>

#include "grove/network/messaging/clients/nats/connection.hpp"

namespace grove::nats {

Message::Message(const Frame& frame)
    : memory_(std::make_unique_for_overwrite<char[]>(frame.subject.size() + frame.reply.size() + frame.headers.size() +
                                                     frame.payload.size())),
      subject_(static_cast<std::uint32_t>(frame.subject.size())),
      reply_(static_cast<std::uint32_t>(frame.reply.size())),
      headers_(static_cast<std::uint32_t>(frame.headers.size())),
      payload_(static_cast<std::uint32_t>(frame.payload.size())) {
  char* at = memory_.get();
  for (const std::string_view part : {frame.subject, frame.reply, frame.headers, frame.payload}) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
}

Result<Credentials> Credentials::from_creds(std::string_view file) {
  // -----BEGIN NATS USER JWT----- … ------END …, then the same with USER NKEY SEED.
  const auto section = [file](std::string_view title) -> std::string {
    const std::string begin = "BEGIN " + std::string(title);
    std::size_t at = file.find(begin);
    if (at == std::string_view::npos || (at = file.find('\n', at)) == std::string_view::npos) return {};
    std::string_view body = file.substr(at + 1);
    body = body.substr(0, body.find("--"));
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!body.empty() && is_space(body.front())) body.remove_prefix(1);
    while (!body.empty() && is_space(body.back())) body.remove_suffix(1);
    return std::string(body);
  };
  Credentials credentials;
  credentials.jwt = section("NATS USER JWT");
  credentials.nkey_seed = section("USER NKEY SEED");
  if (credentials.jwt.empty() || credentials.nkey_seed.empty())
    return fail(Errc::parse, "a credentials file holds a NATS USER JWT and a USER NKEY SEED");
  GROVE_CHECK(KeyPair::from_seed(credentials.nkey_seed));
  return credentials;
}

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(state_, other.state_);
  return *this;
}
std::optional<Message> Subscription::try_next() {
  auto message = state_->messages.try_pop();
  if (message) state_->taken(message->size());
  return message;
}
void Subscription::unsubscribe() {
  if (connection_) connection_->unsubscribe(*state_);
}
void Subscription::unsubscribe_after(std::uint64_t count) { connection_->unsubscribe_after(*state_, count); }
Task<Result<void>> Subscription::drain() { return connection_->drain_subscription(state_); }

namespace detail {
PublishOperation::PublishOperation(Connection& connection, std::string_view subject, std::span<const std::byte> payload,
                                   const PublishOptions& options) noexcept
    : connection_(connection), subject_(subject), payload_(payload), options_(options), wait_(connection.room.wait()) {}

bool PublishOperation::await_ready() {
  if (!connection_.has_room() && !connection_.finished()) {
    connection_.room.reset();
    return false;
  }
  done_ = connection_.encode(subject_, payload_, options_);
  return true;
}

Result<void> PublishOperation::await_resume() {
  if (done_) return *std::move(done_);
  GROVE_CHECK(wait_.await_resume());
  // Others may have been faster. Going over by one message each is better than
  // to be overtaken for ever.
  return connection_.encode(subject_, payload_, options_);
}
}  // namespace detail

Task<Result<Client>> Client::connect(Options options) {
  const Context& context = co_await current_context();
  auto connection = std::make_shared<detail::Connection>(*context.loop, std::move(options));
  GROVE_CO_CHECK(co_await connection->open());
  connection->start();
  co_return Client(std::move(connection));
}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(connection_, other.connection_);
  return *this;
}
Client::~Client() {
  if (connection_) close();
}

Result<void> Client::try_publish(std::string_view subject, std::span<const std::byte> payload,
                                 const PublishOptions& options) {
  if (!connection_->has_room()) return fail(Errc::limit, "publish: the write buffer is full");
  return connection_->encode(subject, payload, options);
}

Result<Subscription> Client::subscribe(std::string_view pattern, SubscribeOptions options) {
  return connection_->subscribe(pattern, std::move(options));
}
Task<Result<Message>> Client::request(std::string_view subject, std::span<const std::byte> payload,
                                      RequestOptions options) {
  return connection_->request(subject, payload, options);
}
Result<void> Client::respond(const Message& to, std::string_view payload, Headers headers) {
  if (to.reply().empty()) return fail(Errc::invalid_argument, "respond: the message asks for no answer");
  return connection_->encode(to.reply(), as_bytes(payload), {.headers = headers});
}
Task<Result<void>> Client::flush() { return connection_->flush(); }
Task<Result<void>> Client::drain(std::chrono::milliseconds backlog) { return connection_->drain(backlog); }
void Client::close() { connection_->finish({Errc::closed, "the NATS client was closed"}); }
bool Client::connected() const noexcept { return connection_->connected(); }
bool Client::closed() const noexcept { return connection_->finished().has_value(); }
const ServerInfo& Client::server() const noexcept { return connection_->server(); }
const Statistics& Client::statistics() const noexcept { return connection_->statistics(); }
const Options& Client::options() const noexcept { return connection_->options(); }
std::string Client::new_inbox() { return connection_->new_inbox(); }

}  // namespace grove::nats
