#include "grove/network/messaging/clients/nats/connection.hpp"

#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstring>

#include "grove/base/json.hpp"
#include "grove/network/messaging/clients/nats/json.hpp"

namespace grove::nats::detail {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kReadSize = std::size_t{64} << 10;
constexpr std::size_t kMostServers = 256;  // A server could name any number.

bool is_address(const std::string& host) {
  boost::system::error_code code;
  asio::ip::make_address(host, code);
  return !code;
}

}  // namespace

Result<Address> parse_address(std::string_view url) {
  const auto wrong = [url](const char* why) {
    return fail(Errc::invalid_argument, "the server address '" + std::string(url) + "' " + why);
  };
  Address address;
  std::string_view rest = url;
  if (const std::size_t at = rest.find("://"); at != std::string_view::npos) {
    const std::string_view scheme = rest.substr(0, at);
    if (scheme != "nats" && scheme != "tls") return wrong("is neither nats:// nor tls://");
    address.tls = scheme == "tls";
    rest.remove_prefix(at + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    if (const std::size_t colon = who.find(':'); colon != std::string_view::npos) {
      address.user = who.substr(0, colon);
      address.password = who.substr(colon + 1);
    } else {
      address.token = who;
    }
  }
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return wrong("has no closing ]");
    address.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  if (address.host.empty()) return wrong("has no host");
  if (rest.empty()) return address;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
  if (rest.front() != ':' || error != std::errc{} || end != rest.data() + rest.size() || port == 0)
    return wrong("has no port between 1 and 65535");
  address.port = std::to_string(port);
  return address;
}

Result<void> Connection::prepare() {
  if (options_.servers.empty()) return fail(Errc::invalid_argument, "connect to NATS: no server is named");
  if (!valid_subject(options_.inbox_prefix))
    return fail(Errc::invalid_argument, "the inbox prefix '" + options_.inbox_prefix + "' is not a subject");
  for (const std::string& url : options_.servers) {
    GROVE_TRY(Address address, parse_address(url));
    servers_.push_back(std::move(address));
  }
  if (!options_.credentials.nkey_seed.empty()) {
    GROVE_TRY(key_, KeyPair::from_seed(options_.credentials.nkey_seed));
  } else if (!options_.credentials.jwt.empty()) {
    return fail(Errc::invalid_argument, "a user JWT needs the seed of its key");
  }
  // Unguessable, for whoever knows an inbox can answer in another's place.
  std::array<unsigned char, 24> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return fail(Errc::internal, "OpenSSL has no random bytes");
  std::uint64_t seed = 0;
  std::memcpy(&seed, bytes.data() + 16, sizeof seed);
  random_ = SplitMix64(seed);
  inbox_ = options_.inbox_prefix + "." + base64_url({reinterpret_cast<const char*>(bytes.data()), 16}) + ".";
  in_ = Decoder(options_.limits);
  for (std::size_t i = servers_.size(); i > 1; --i) std::swap(servers_[i - 1], servers_[random_.below(i)]);
  const bool tls =
      options_.tls.required || std::any_of(servers_.begin(), servers_.end(), [](auto& a) { return a.tls; });
  if (tls) return prepare_tls();
  return {};
}

Result<void> Connection::prepare_tls() {
  if (tls_context_) return {};
  boost::system::error_code code;
  const TlsOptions& o = options_.tls;
  auto& context = tls_context_.emplace(asio::ssl::context::tls_client);
  const auto wrong = [&](const std::string& what) {
    tls_context_.reset();
    return fail(Errc::invalid_argument, "TLS: " + what + ": " + code.message());
  };
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  if (o.ca_file.empty())
    context.set_default_verify_paths(code);
  else
    context.load_verify_file(o.ca_file, code);
  if (code) return wrong("load the CA certificates " + o.ca_file);
  if (!o.certificate_file.empty()) {
    context.use_certificate_chain_file(o.certificate_file, code);
    if (code) return wrong("load the certificate " + o.certificate_file);
  }
  if (!o.key_file.empty()) {
    context.use_private_key_file(o.key_file, asio::ssl::context::pem, code);
    if (code) return wrong("load the key " + o.key_file);
  }
  return {};
}

void Connection::notify(Notice::Kind kind, std::string_view text) {
  constexpr std::string_view kNames[] = {"connected",     "disconnected", "reconnected", "server error",
                                         "slow consumer", "lame duck",    "closed"};
  const bool bad =
      kind == Notice::Kind::server_error || kind == Notice::Kind::slow_consumer || kind == Notice::Kind::disconnected;
  options_.logger.log(bad ? LogLevel::warning : LogLevel::info, kNames[static_cast<std::size_t>(kind)],
                      {{"what", text}});
  if (options_.on_notice) options_.on_notice({kind, text});
}

Task<Result<void>> Connection::open() {
  GROVE_CO_CHECK(prepare());
  co_return co_await connect_any();
}

Task<Result<void>> Connection::connect_any() {
  Error last(Errc::unavailable);
  const std::vector<Address> round = servers_;  // INFO adds to it meanwhile
  for (const Address& address : round) {
    Result<void> connected = co_await with_timeout(options_.connect_timeout, connect_to(address));
    if (connected) {
      connected_ = true;
      pings_out_ = 0;
      co_return connected;
    }
    tls_.reset();
    socket_.reset();
    if (connected.error() == Errc::cancelled) co_return connected;
    // A refusal says more than that another server couldn't be reached.
    if (last.code() != Errc::permission)
      last = std::move(connected).error().with("connect to NATS at " + address.host + ":" + address.port);
  }
  co_return std::unexpected(std::move(last));
}

Task<Result<void>> Connection::connect_to(Address address) {
  std::vector<Tcp::endpoint> endpoints;
  boost::system::error_code code;
  if (const auto ip = asio::ip::make_address(address.host, code); !code) {
    endpoints.emplace_back(ip, static_cast<std::uint16_t>(std::stoi(address.port)));
  } else {
    Tcp::resolver resolver(loop_.io());
    GROVE_CO_TRY(const auto found, co_await resolver.async_resolve(address.host, address.port, resume));
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  Result<void> connected = fail(Errc::unavailable, "the host has no address");
  for (const Tcp::endpoint& endpoint : endpoints) {
    socket_.emplace(loop_.io());
    connected = co_await socket_->async_connect(endpoint, resume);
    if (connected) break;
  }
  GROVE_CO_CHECK(connected);
  socket_->set_option(Tcp::no_delay(true), code);
  socket_->non_blocking(true, code);
  if (code) co_return std::unexpected(error_from(code));
  co_return co_await handshake(std::move(address));
}

Task<Result<void>> Connection::handshake(Address address) {
  in_.reset();
  refused_.reset();
  Frame frame;
  while ((frame = in_.next()).kind == Frame::Kind::need_input) GROVE_CO_CHECK(co_await fill());
  if (frame.kind != Frame::Kind::info) co_return fail(Errc::protocol, "it doesn't greet as a NATS server does");
  const bool want_tls = address.tls || options_.tls.required;
  GROVE_CO_TRY(const std::string nonce, take_info(frame.payload, want_tls));

  if (want_tls || server_.tls_required) {
    if (!server_.tls_required) co_return fail(Errc::permission, "TLS is wanted, and the server has none");
    // What came in the clear must not be taken for what came through TLS.
    if (in_.buffered() != 0) co_return fail(Errc::protocol, "bytes between INFO and TLS");
    GROVE_CO_CHECK(prepare_tls());
    tls_.emplace(*socket_, *tls_context_);
    if (options_.tls.verify) {
      boost::system::error_code code;
      tls_->set_verify_mode(asio::ssl::verify_peer, code);
      tls_->set_verify_callback(asio::ssl::host_name_verification(address.host), code);
      if (code) co_return std::unexpected(error_from(code));
    }
    if (!is_address(address.host)) SSL_set_tlsext_host_name(tls_->native_handle(), address.host.c_str());
    GROVE_CO_CHECK(co_await tls_->async_handshake(asio::ssl::stream_base::client, resume));
  }

  GROVE_CO_TRY(const std::string command, connect_command(address, nonce));
  Encoder hello;
  hello.connect(command);
  hello.ping();
  for (std::string_view rest = hello.buffer().view(); !rest.empty();) {
    GROVE_CO_TRY(const std::size_t n, co_await write_some(rest));
    rest.remove_prefix(n);
  }
  while (true) {
    frame = in_.next();
    switch (frame.kind) {
      case Frame::Kind::pong: co_return Result<void>{};
      case Frame::Kind::error:
        co_return fail(Errc::permission, "the server refuses the connection: " + std::string(frame.payload));
      case Frame::Kind::need_input: GROVE_CO_CHECK(co_await fill()); break;
      case Frame::Kind::info: GROVE_CO_CHECK(take_info(frame.payload, tls_.has_value())); break;
      case Frame::Kind::ok:
      case Frame::Kind::ping: break;
      default: co_return fail(Errc::protocol, "the server doesn't follow the NATS protocol");
    }
  }
}

Result<std::string> Connection::connect_command(const Address& address, const std::string& nonce) const {
  const Credentials& c = options_.credentials;
  const bool own = !c.user.empty() || !c.password.empty() || !c.token.empty();
  JsonWriter json;
  json.begin_object()
      .member("verbose", false)
      .member("pedantic", false)
      .member("lang", "c++")
      .member("version", "1.0.0")
      .member("protocol", 1)
      .member("echo", options_.echo)
      .member("headers", server_.headers)
      .member("no_responders", server_.headers)
      .member("tls_required", tls_.has_value());
  const auto add = [&json](std::string_view key, const std::string& value) {
    if (!value.empty()) json.member(key, value);
  };
  add("name", options_.name);
  add("user", own ? c.user : address.user);
  add("pass", own ? c.password : address.password);
  add("auth_token", own ? c.token : address.token);
  if (key_ && !nonce.empty()) {
    GROVE_TRY(const std::string signature, key_->sign(nonce));
    json.member("sig", base64_url(signature));
    if (c.jwt.empty())
      json.member("nkey", key_->public_key());
    else
      json.member("jwt", c.jwt);
  }
  json.end_object();
  return std::move(json).str();
}

Result<std::string> Connection::take_info(std::string_view text, bool tls) {
  auto parsed = JsonObject::parse(text);
  if (!parsed) return fail(Errc::protocol, "INFO: " + parsed.error().message());
  const JsonObject& info = *parsed;
  server_.id = info.text("/server_id");
  server_.name = info.text("/server_name");
  server_.version = info.text("/version");
  server_.cluster = info.text("/cluster");
  server_.max_payload = info.number("/max_payload");
  if (server_.max_payload == 0) server_.max_payload = std::size_t{1} << 20;  // the server's own default
  server_.client_id = info.number("/client_id");
  server_.headers = info.flag("/headers");
  server_.jetstream = info.flag("/jetstream");
  server_.tls_required = info.flag("/tls_required") || info.flag("/tls_available");
  if (options_.discover) {
    for (const std::string& url : info.texts("/connect_urls")) {
      auto address = parse_address(url);
      if (!address || servers_.size() >= kMostServers) continue;
      address->tls = tls;
      if (std::find(servers_.begin(), servers_.end(), *address) == servers_.end())
        servers_.push_back(std::move(*address));
    }
  }
  if (info.flag("/ldm")) notify(Notice::Kind::lame_duck, server_.name);
  return info.text("/nonce");
}

Task<Result<void>> Connection::fill() {
  const std::span<char> room = in_.prepare(kReadSize);
  Result<std::size_t> n = std::size_t{0};
  if (tls_)
    n = co_await tls_->async_read_some(asio::buffer(room.data(), room.size()), resume);
  else
    n = co_await socket_->async_read_some(asio::buffer(room.data(), room.size()), resume);
  GROVE_CO_CHECK(n);
  in_.commit(*n);
  statistics_.bytes_in += *n;
  co_return Result<void>{};
}

Task<Result<std::size_t>> Connection::write_some(std::string_view bytes) {
  const auto buffer = asio::buffer(bytes.data(), bytes.size());
  Result<std::size_t> n = std::size_t{0};
  if (tls_) {
    n = co_await tls_->async_write_some(buffer, resume);
  } else {
    // The socket nearly always takes it at once; going through the reactor costs
    // a look at all other sockets.
    boost::system::error_code code;
    n = socket_->write_some(buffer, code);
    if (code == asio::error::would_block)
      n = co_await socket_->async_write_some(buffer, resume);
    else if (code)
      n = std::unexpected(error_from(code));
  }
  if (n) statistics_.bytes_out += *n;
  co_return n;
}

Task<void> Connection::run(std::shared_ptr<Connection> self) {
  Connection& c = *self;
  const Context& root = co_await current_context();
  c.stop_.emplace(root.stop);
  const Context context{&c.loop_, &*c.stop_};
  c.notify(Notice::Kind::connected, c.server_.name);
  while (!c.finished_) {
    c.reading_.set();
    const Result<void> served = co_await c.serve().in(context);
    if (!c.finished_) c.lost(c.lost_ ? *c.lost_ : served ? Error(Errc::closed) : served.error());
    c.tls_.reset();
    c.socket_.reset();
    if (c.finished_) break;
    if (c.options_.max_reconnects == 0 || c.stop_->stopped()) {
      c.finish({Errc::closed, c.lost_->message()});
      break;
    }
    const Result<void> again = co_await c.reconnect().in(context);
    if (!again && !c.finished_) c.finish({Errc::closed, again.error().message()});
  }
  c.tls_.reset();
  c.socket_.reset();
}

/// The connection is gone: keeps what wasn't sent, tells everybody who waited for it.
void Connection::lost(const Error& why) {
  lost_ = refused_ ? *refused_ : why;
  connected_ = false;
  Buffer kept;
  Encoder::unsent_publishes(writing_.view(), written_, &kept);
  Encoder::unsent_publishes(out_.buffer().view(), 0, &kept);
  swap(out_.buffer(), kept);
  writing_.clear();
  written_ = 0;
  const Error broke(Errc::unavailable, "the connection to NATS broke: " + lost_->message());
  for (const auto& pong : std::exchange(pongs_, {}))
    if (pong) pong->close(broke);
  for (const auto& [id, answer] : requests_) answer->close(broke);
  if (has_room()) room.set();
  notify(Notice::Kind::disconnected, lost_->message());
}

Task<Result<void>> Connection::reconnect() {
  Error last = *lost_;
  auto wait = options_.reconnect_wait;
  int refusals = 0;
  for (int round = 0; options_.max_reconnects < 0 || round < options_.max_reconnects; ++round) {
    const auto half = std::max<std::int64_t>(wait.count() / 2, 1);
    const auto jitter = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(half)));
    GROVE_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(wait.count() - jitter)));
    wait = std::min(wait * 2, options_.reconnect_wait_max);
    // The one that was lost is not the first that is tried.
    if (servers_.size() > 1) std::rotate(servers_.begin(), servers_.begin() + 1, servers_.end());
    const Result<void> connected = co_await connect_any();
    if (connected) {
      lost_.reset();
      ++statistics_.reconnects;
      resubscribe();
      notify(Notice::Kind::reconnected, server_.name);
      co_return connected;
    }
    last = connected.error();
    if (last.code() == Errc::cancelled) break;
    // Credentials don't get better by being tried again; a moment of a cluster's start-up may.
    if (last.code() == Errc::permission && ++refusals == 3) break;
  }
  co_return std::unexpected(std::move(last));
}

void Connection::resubscribe() {
  Encoder fresh;
  for (const auto& [sid, s] : subscriptions_) {
    fresh.subscribe(s->pattern, s->options.queue_group, sid);
    if (s->last != 0) fresh.unsubscribe(sid, s->last - s->received);
  }
  fresh.buffer().append(out_.buffer().view());
  swap(out_.buffer(), fresh.buffer());
  if (has_room()) room.set();
}

Task<Result<void>> Connection::serve() {
  co_return co_await with_scope([this](Scope& scope) -> Task<Result<void>> {
    scope.spawn(write_loop(scope));
    scope.spawn(keep_alive(scope));
    co_return co_await read_loop();
  });
}

Task<Result<void>> Connection::read_loop() {
  while (true) {
    while (true) {
      const Frame frame = in_.next();
      if (frame.kind == Frame::Kind::need_input) break;
      GROVE_CO_CHECK(handle(frame));
      if (!reading_.is_set()) GROVE_CO_CHECK(co_await reading_.wait());
    }
    GROVE_CO_CHECK(co_await fill());
  }
}

Task<void> Connection::write_loop(Scope& scope) {
  while (true) {
    if (out_.buffer().empty()) {
      outgoing_.reset();
      const Result<void> some = co_await outgoing_.wait();
      if (!some) co_return;
    }
    swap(writing_, out_.buffer());
    if (!room.is_set()) room.set();
    while (written_ < writing_.size()) {
      const Result<std::size_t> n = co_await write_some(writing_.view().substr(written_));
      if (!n) {
        if (!lost_) lost_ = n.error();
        scope.cancel();
        co_return;
      }
      written_ += *n;
    }
    writing_.clear();
    written_ = 0;
  }
}

Task<void> Connection::keep_alive(Scope& scope) {
  while (true) {
    const Result<void> slept = co_await sleep_for(options_.ping_interval);
    if (!slept) co_return;
    if (pings_out_ >= options_.max_pings_out) {
      lost_ = Error(Errc::timeout, "the server no longer answers PING");
      scope.cancel();
      co_return;
    }
    ++pings_out_;
    pongs_.emplace_back(nullptr);
    out_.ping();
    wake();
  }
}

Result<void> Connection::handle(const Frame& frame) {
  switch (frame.kind) {
    case Frame::Kind::message: deliver(frame); return {};
    case Frame::Kind::ping:
      out_.pong();
      wake();
      return {};
    case Frame::Kind::pong:
      pings_out_ = 0;
      if (!pongs_.empty()) {
        const auto waiting = std::move(pongs_.front());
        pongs_.pop_front();
        if (waiting) waiting->push(true);
      }
      return {};
    case Frame::Kind::info: GROVE_CHECK(take_info(frame.payload, tls_.has_value())); return {};
    case Frame::Kind::error: take_error(frame.payload); return {};
    case Frame::Kind::ok:
    case Frame::Kind::need_input: return {};
    case Frame::Kind::broken: break;
  }
  return fail(Errc::protocol, "the server sent " + std::string(frame.payload));
}

void Connection::take_error(std::string_view text) {
  notify(Notice::Kind::server_error, text);
  // The only errors after which the server keeps the connection. A refused
  // subscription is named: Permissions Violation for Subscription to "x"
  if (text.starts_with("Permissions Violation") || text.starts_with("Invalid Subject") ||
      text.starts_with("Invalid Publish Subject")) {
    if (text.find("Subscription to") == std::string_view::npos) return;
    const std::size_t from = std::min(text.find('"'), text.size() - 1) + 1;
    const std::string_view pattern = text.substr(from, text.find('"', from) - from);
    std::vector<std::uint64_t> refused;
    for (const auto& [sid, s] : subscriptions_)
      if (s->pattern == pattern) refused.push_back(sid);
    for (const std::uint64_t sid : refused)
      leave(sid, {Errc::permission, "subscribe to '" + std::string(pattern) + "': the server refuses it"});
    return;
  }
  refused_ = Error(
      text.starts_with("Authorization") || text.starts_with("User Authentication") ? Errc::permission : Errc::protocol,
      "the server ended the connection: " + std::string(text));
}

void Connection::deliver(const Frame& frame) {
  ++statistics_.messages_in;
  if (frame.sid == replies_sid_) {
    std::uint64_t id = 0;
    const std::string_view digits = frame.subject.substr(std::min(inbox_.size(), frame.subject.size()));
    std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (const auto found = requests_.find(id); found != requests_.end() && found->second->empty())
      found->second->push(Message(frame));
    return;
  }
  const auto found = subscriptions_.find(frame.sid);
  if (found == subscriptions_.end()) return;  // unsubscribed; it was under way
  SubscriptionState& s = *found->second;
  ++s.received;
  const std::size_t size = frame.subject.size() + frame.reply.size() + frame.headers.size() + frame.payload.size();
  bool keep = true;
  if (s.messages.size() >= s.options.max_pending_messages || s.pending_bytes + size > s.options.max_pending_bytes) {
    if (s.options.slow_consumer == SlowConsumer::pause_reading) {
      s.resume_reading = &reading_;
      reading_.reset();
    } else {
      ++s.dropped;
      ++statistics_.dropped;
      if (!s.full) notify(Notice::Kind::slow_consumer, s.pattern);
      keep = s.options.slow_consumer == SlowConsumer::drop_oldest;
      if (keep) {
        if (const auto oldest = s.messages.try_pop())
          s.pending_bytes -= oldest->size();
        else
          keep = false;  // one message alone is over the limit
      }
    }
    s.full = true;
  }
  if (keep && !s.messages.push(Message(frame))) s.pending_bytes += size;
  if (s.last != 0 && s.received >= s.last)
    leave(frame.sid, {Errc::closed, "the subscription has had all its messages"});
}

void Connection::leave(std::uint64_t sid, Error why) {
  const auto found = subscriptions_.find(sid);
  if (found == subscriptions_.end()) return;
  const auto s = std::move(found->second);
  subscriptions_.erase(found);
  if (s->resume_reading != nullptr) std::exchange(s->resume_reading, nullptr)->set();
  s->messages.close(std::move(why));
}

void Connection::finish(Error why) {
  if (finished_) return;
  finished_ = std::move(why);
  connected_ = false;
  for (const auto& pong : std::exchange(pongs_, {}))
    if (pong) pong->close(*finished_);
  for (const auto& [id, answer] : requests_) answer->close(*finished_);
  while (!subscriptions_.empty()) leave(subscriptions_.begin()->first, *finished_);
  room.set();
  reading_.set();
  notify(Notice::Kind::closed, finished_->message());
  if (stop_) stop_->request_stop();
}

Result<Subscription> Connection::subscribe(std::string_view pattern, SubscribeOptions options) {
  if (finished_) return std::unexpected(*finished_);
  if (!valid_pattern(pattern))
    return fail(Errc::invalid_argument, "subscribe to '" + std::string(pattern) + "': not a valid subject");
  if (!options.queue_group.empty() && !valid_subject(options.queue_group))
    return fail(Errc::invalid_argument, "queue group '" + options.queue_group + "': not a valid name");
  return Subscription(shared_from_this(), add_subscription(pattern, std::move(options)));
}

std::shared_ptr<SubscriptionState> Connection::add_subscription(std::string_view pattern, SubscribeOptions options) {
  auto state = std::make_shared<SubscriptionState>();
  state->sid = next_sid_++;
  state->pattern = pattern;
  state->options = std::move(options);
  subscriptions_.emplace(state->sid, state);
  if (connected_) {
    out_.subscribe(state->pattern, state->options.queue_group, state->sid);
    wake();
  }
  return state;
}

void Connection::unsubscribe(SubscriptionState& s) {
  if (!subscriptions_.contains(s.sid)) return;
  if (connected_) {
    out_.unsubscribe(s.sid);
    wake();
  }
  leave(s.sid, {Errc::closed, "unsubscribed"});
}

void Connection::unsubscribe_after(SubscriptionState& s, std::uint64_t count) {
  if (count <= s.received) return unsubscribe(s);
  s.last = count;
  if (!connected_ || !subscriptions_.contains(s.sid)) return;
  out_.unsubscribe(s.sid, count);
  wake();
}

Task<Result<void>> Connection::drain_subscription(std::shared_ptr<SubscriptionState> s) {
  if (!subscriptions_.contains(s->sid)) co_return Result<void>{};
  if (connected_) out_.unsubscribe(s->sid);
  Result<void> flushed = co_await flush();
  leave(s->sid, {Errc::closed, "drained"});
  co_return flushed;
}

Task<Result<void>> Connection::flush() {
  if (finished_) co_return std::unexpected(*finished_);
  if (!connected_) co_return fail(Errc::unavailable, "flush: not connected to NATS now");
  const auto pong = std::make_shared<Queue<bool>>();
  pongs_.push_back(pong);
  out_.ping();
  wake();
  GROVE_CO_CHECK(co_await pong->pop());
  co_return Result<void>{};
}

Task<Result<void>> Connection::drain(std::chrono::milliseconds backlog) {
  if (finished_) co_return std::unexpected(*finished_);
  std::vector<std::shared_ptr<SubscriptionState>> draining;
  for (const auto& [sid, s] : subscriptions_) {
    if (sid == replies_sid_) continue;
    if (connected_) out_.unsubscribe(sid);
    draining.push_back(s);
  }
  Result<void> result = co_await flush();
  for (const auto& s : draining) leave(s->sid, {Errc::closed, "drained"});
  // Whoever works on the backlog may still publish answers.
  const auto deadline = std::chrono::steady_clock::now() + backlog;
  for (const auto& s : draining)
    while (result && !finished_ && s.use_count() > 1 && !s->messages.empty() &&
           std::chrono::steady_clock::now() < deadline)
      result = co_await sleep_for(1ms);
  if (result) result = co_await flush();
  finish({Errc::closed, "drained"});
  co_return result;
}

std::string Connection::new_inbox() { return inbox_ + "i" + std::to_string(++inboxes_); }

Task<Result<Message>> Connection::request(std::string_view subject, std::span<const std::byte> payload,
                                          RequestOptions options) {
  if (finished_) co_return std::unexpected(*finished_);
  if (replies_sid_ == 0) replies_sid_ = add_subscription(inbox_ + "*", {})->sid;
  struct Entry {
    Connection& connection;
    std::uint64_t id;
    Queue<Message> answer;
    ~Entry() { connection.requests_.erase(id); }
  };
  Entry entry{*this, next_request_++, {}};
  requests_.emplace(entry.id, &entry.answer);
  const std::string reply = inbox_ + std::to_string(entry.id);
  const PublishOptions with_reply{.reply = reply, .headers = options.headers};
  const auto exchange = [&]() -> Task<Result<Message>> {
    PublishOperation publish(*this, subject, payload, with_reply);
    GROVE_CO_CHECK(co_await publish);
    co_return co_await entry.answer.pop();
  };
  Result<Message> answer = co_await with_timeout(options.timeout.value_or(options_.request_timeout), exchange());
  if (!answer) co_return std::unexpected(std::move(answer).error().with("request on '" + std::string(subject) + "'"));
  if (answer->status() == 503 && answer->text().empty())
    co_return fail(Errc::unavailable, "request on '" + std::string(subject) + "': " + std::string(kNobodyListens));
  co_return answer;
}

Result<void> Connection::encode(std::string_view subject, std::span<const std::byte> payload,
                                const PublishOptions& options) {
  if (finished_) return std::unexpected(*finished_);
  const auto wrong = [subject](Errc code, const std::string& why) {
    return fail(code, "publish to '" + std::string(subject) + "': " + why);
  };
  if (!valid_subject(subject)) return wrong(Errc::invalid_argument, "not a valid subject");
  if (!options.reply.empty() && !valid_subject(options.reply))
    return wrong(Errc::invalid_argument, "the reply subject '" + std::string(options.reply) + "' is not valid");
  std::size_t size = payload.size();
  if (!options.headers.empty()) {
    if (!server_.headers) return wrong(Errc::unsupported, "the server knows no headers");
    for (const Header& h : options.headers) {
      if (!valid_header(h))
        return wrong(Errc::invalid_argument, "the header '" + std::string(h.name) + "' is not valid");
      size += h.name.size() + h.value.size() + 4;
    }
    size += 12;
  }
  if (size > server_.max_payload)
    return wrong(Errc::limit,
                 std::to_string(size) + " bytes; the server takes at most " + std::to_string(server_.max_payload));
  out_.publish(subject, options.reply, options.headers, payload);
  ++statistics_.messages_out;
  wake();
  return {};
}

}  // namespace grove::nats::detail
