#include "grove/network/messaging/clients/nats/codec.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "grove/base/text.hpp"

namespace grove::nats {
namespace {

constexpr std::string_view kHeaderLine = "NATS/1.0";
constexpr std::size_t kDigits = 20;  // of a 64-bit number

char* put(char* at, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}
char* put(char* at, std::uint64_t number) noexcept { return std::to_chars(at, at + kDigits, number).ptr; }
char* put(char* at, char c) noexcept {
  *at = c;
  return at + 1;
}

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// Cuts the next token off; empty at the end of the line.
std::string_view token(std::string_view* line) noexcept {
  const char* at = line->data();
  const char* const end = at + line->size();
  while (at != end && is_blank(*at)) ++at;
  const char* const start = at;
  while (at != end && !is_blank(*at)) ++at;
  *line = {at, end};
  return {start, at};
}

bool number(std::string_view text, std::uint64_t* value) noexcept {
  if (text.empty() || text.size() > 19) return false;
  std::uint64_t v = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    v = v * 10 + static_cast<std::uint64_t>(c - '0');
  }
  *value = v;
  return true;
}

/// Operations are case-insensitive; `name` is in upper case.
bool is_operation(std::string_view text, std::string_view name) noexcept {
  return text.size() == name.size() && std::equal(text.begin(), text.end(), name.begin(), [](char a, char b) {
           return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 32) : a) == b;
         });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool valid(std::string_view subject, bool wildcards) noexcept {
  bool token_start = true;
  for (std::size_t i = 0; i < subject.size(); ++i) {
    const auto c = static_cast<unsigned char>(subject[i]);
    if (c <= ' ' || c == 0x7f) return false;
    if (c == '.') {
      if (token_start) return false;
      token_start = true;
      continue;
    }
    // A wildcard is one only when it is a whole token.
    const bool whole = token_start && (i + 1 == subject.size() || subject[i + 1] == '.');
    if (whole && (c == '*' || c == '>') && (!wildcards || (c == '>' && i + 1 != subject.size()))) return false;
    token_start = false;
  }
  return !token_start;
}

}  // namespace

bool valid_subject(std::string_view subject) noexcept { return valid(subject, false); }
bool valid_pattern(std::string_view subject) noexcept { return valid(subject, true); }

bool valid_header(const Header& header) noexcept {
  return !header.name.empty() &&
         std::all_of(header.name.begin(), header.name.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; }) &&
         header.value.find_first_of("\r\n") == std::string_view::npos;
}

bool matches(std::string_view pattern, std::string_view subject) noexcept {
  while (true) {
    const std::size_t p = pattern.find('.');
    const std::size_t s = subject.find('.');
    const std::string_view want = pattern.substr(0, p);
    const bool pattern_ends = p == std::string_view::npos;
    const bool subject_ends = s == std::string_view::npos;
    if (want == ">" && pattern_ends) return true;
    if (want != "*" && want != subject.substr(0, s)) return false;
    if (pattern_ends || subject_ends) return pattern_ends && subject_ends;
    pattern.remove_prefix(p + 1);
    subject.remove_prefix(s + 1);
  }
}

std::string_view HeaderBlock::first_line() const noexcept { return block_.substr(0, block_.find("\r\n")); }
std::string_view HeaderBlock::after_first_line() const noexcept {
  return block_.substr(std::min(block_.size(), first_line().size() + 2));
}

int HeaderBlock::status() const noexcept {
  const std::string_view line = first_line();
  if (!line.starts_with(kHeaderLine)) return 0;
  std::string_view rest = line.substr(kHeaderLine.size());
  std::uint64_t value = 0;
  const std::string_view digits = token(&rest);
  return digits.size() == 3 && number(digits, &value) ? static_cast<int>(value) : 0;
}

std::string_view HeaderBlock::description() const noexcept {
  if (status() == 0) return {};
  std::string_view rest = first_line().substr(kHeaderLine.size());
  token(&rest);
  return trim(rest);
}

bool HeaderBlock::next(std::string_view* rest, Header* header) noexcept {
  while (!rest->empty()) {
    const std::size_t end = std::min(rest->find("\r\n"), rest->size());
    const std::string_view line = rest->substr(0, end);
    rest->remove_prefix(std::min(rest->size(), end + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    *header = {line.substr(0, colon), trim(line.substr(colon + 1))};
    return true;
  }
  return false;
}

std::optional<std::string_view> HeaderBlock::find(std::string_view name) const noexcept {
  Header header;
  for (std::string_view rest = after_first_line(); next(&rest, &header);)
    if (header.name == name) return header.value;
  return std::nullopt;
}

std::vector<Header> HeaderBlock::fields() const {
  std::vector<Header> all;
  Header header;
  for (std::string_view rest = after_first_line(); next(&rest, &header);) all.push_back(header);
  return all;
}

void Buffer::grow(std::size_t count) {
  const std::size_t used = size();
  // Half empty: moving to the front is enough, and is paid for by what was consumed.
  if (begin_ >= used && capacity_ - used >= count) {
    if (used != 0) std::memmove(memory_.get(), data(), used);
  } else {
    const std::size_t capacity = std::max({std::size_t{4096}, 2 * capacity_, used + count});
    auto memory = std::make_unique_for_overwrite<char[]>(capacity);
    if (used != 0) std::memcpy(memory.get(), data(), used);
    memory_ = std::move(memory);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = used;
}

void Buffer::append(std::string_view text) {
  put(room(text.size()), text);
  commit(text.size());
}

void Decoder::feed(std::span<const std::byte> bytes) { buffer_.append(as_text(bytes)); }

void Decoder::reset() noexcept {
  buffer_.clear();
  scanned_ = needed_ = 0;
  why_broken_ = {};
}

Frame Decoder::broken(std::string_view why) noexcept {
  why_broken_ = why;
  return {.kind = Frame::Kind::broken, .payload = why};
}

Frame Decoder::next() {
  if (!why_broken_.empty()) return broken(why_broken_);
  const std::size_t size = buffer_.size();
  if (size == 0 || size < needed_) return {};
  const char* const data = buffer_.data();
  const auto* const newline = static_cast<const char*>(std::memchr(data + scanned_, '\n', size - scanned_));
  if (newline == nullptr) {
    if (size > limits_.line) return broken("a control line over the limit");
    scanned_ = size;
    return {};
  }
  const auto line_size = static_cast<std::size_t>(newline - data) + 1;
  if (line_size > limits_.line) return broken("a control line over the limit");
  scanned_ = line_size - 1;  // found again at once should the message be incomplete
  if (line_size < 2 || newline[-1] != '\r') return broken("a control line that does not end in CR LF");
  std::string_view line(data, line_size - 2);

  if (line.starts_with("MSG ")) return message(line.substr(4), false, line_size);
  if (line.starts_with("HMSG ")) return message(line.substr(5), true, line_size);

  const std::string_view operation = token(&line);
  if (is_operation(operation, "MSG")) return message(line, false, line_size);
  if (is_operation(operation, "HMSG")) return message(line, true, line_size);
  Frame frame;
  frame.payload = trim(line);
  if (is_operation(operation, "PING"))
    frame.kind = Frame::Kind::ping;
  else if (is_operation(operation, "PONG"))
    frame.kind = Frame::Kind::pong;
  else if (is_operation(operation, "+OK"))
    frame.kind = Frame::Kind::ok;
  else if (is_operation(operation, "INFO"))
    frame.kind = Frame::Kind::info;
  else if (is_operation(operation, "-ERR")) {
    frame.kind = Frame::Kind::error;
    if (frame.payload.size() >= 2 && frame.payload.front() == '\'' && frame.payload.back() == '\'')
      frame.payload = frame.payload.substr(1, frame.payload.size() - 2);
  } else
    return broken("an operation that NATS doesn't have");
  buffer_.consume(line_size);
  scanned_ = 0;
  return frame;
}

Frame Decoder::message(std::string_view arguments, bool with_headers, std::size_t line_size) {
  Frame frame{.kind = Frame::Kind::message};
  frame.subject = token(&arguments);
  const std::string_view sid = token(&arguments);
  std::string_view tokens[3];
  std::size_t count = 0;
  for (std::string_view next = token(&arguments); !next.empty(); next = token(&arguments)) {
    if (count == 3) return broken("a message with too many arguments");
    tokens[count++] = next;
  }
  const std::size_t numbers = with_headers ? 2 : 1;
  if (count < numbers || count > numbers + 1) return broken("a message with a wrong number of arguments");
  if (count > numbers) frame.reply = tokens[0];
  std::uint64_t total = 0;
  std::uint64_t header_size = 0;
  if (!number(sid, &frame.sid) || !number(tokens[count - 1], &total) ||
      (with_headers && !number(tokens[count - 2], &header_size)))
    return broken("a message whose sizes are not numbers");
  if (header_size > total) return broken("a message whose headers are longer than itself");
  if (total > limits_.message) return broken("a message over the limit");

  const std::size_t frame_size = line_size + static_cast<std::size_t>(total) + 2;
  if (buffer_.size() < frame_size) {
    needed_ = frame_size;
    return {};
  }
  const char* const body = buffer_.data() + line_size;
  if (body[total] != '\r' || body[total + 1] != '\n') return broken("a payload that does not end in CR LF");
  frame.headers = {body, static_cast<std::size_t>(header_size)};
  if (with_headers && !frame.headers.starts_with(kHeaderLine)) return broken("a header block of an unknown version");
  frame.payload = {body + header_size, static_cast<std::size_t>(total - header_size)};
  buffer_.consume(frame_size);
  scanned_ = needed_ = 0;
  return frame;
}

void Encoder::publish(std::string_view subject, std::string_view reply, Headers headers,
                      std::span<const std::byte> payload) {
  std::size_t header_size = 0;
  if (!headers.empty()) {
    header_size = kHeaderLine.size() + 4;
    for (const Header& h : headers) header_size += h.name.size() + h.value.size() + 4;
  }
  const std::size_t total = header_size + payload.size();
  char* const start = buffer_.room(subject.size() + reply.size() + 2 * kDigits + total + 16);
  char* at = put(put(start, headers.empty() ? std::string_view("PUB ") : std::string_view("HPUB ")), subject);
  at = put(at, ' ');
  if (!reply.empty()) at = put(put(at, reply), ' ');
  if (!headers.empty()) at = put(put(at, std::uint64_t{header_size}), ' ');
  at = put(put(at, std::uint64_t{total}), std::string_view("\r\n"));
  if (!headers.empty()) {
    at = put(put(at, kHeaderLine), std::string_view("\r\n"));
    for (const Header& h : headers)
      at = put(put(put(put(at, h.name), std::string_view(": ")), h.value), std::string_view("\r\n"));
    at = put(at, std::string_view("\r\n"));
  }
  at = put(put(at, as_text(payload)), std::string_view("\r\n"));
  buffer_.commit(static_cast<std::size_t>(at - start));
}

void Encoder::subscribe(std::string_view subject, std::string_view queue, std::uint64_t sid) {
  char* const start = buffer_.room(subject.size() + queue.size() + kDigits + 16);
  char* at = put(put(put(start, std::string_view("SUB ")), subject), ' ');
  if (!queue.empty()) at = put(put(at, queue), ' ');
  at = put(put(at, sid), std::string_view("\r\n"));
  buffer_.commit(static_cast<std::size_t>(at - start));
}

void Encoder::unsubscribe(std::uint64_t sid, std::uint64_t after) {
  char* const start = buffer_.room(2 * kDigits + 16);
  char* at = put(put(start, std::string_view("UNSUB ")), sid);
  if (after != 0) at = put(put(at, ' '), after);
  at = put(at, std::string_view("\r\n"));
  buffer_.commit(static_cast<std::size_t>(at - start));
}

void Encoder::connect(std::string_view json) {
  buffer_.append("CONNECT ");
  buffer_.append(json);
  buffer_.append("\r\n");
}

void Encoder::unsent_publishes(std::string_view sent, std::size_t written, Buffer* out) {
  for (std::size_t at = 0; at < sent.size();) {
    const std::string_view rest = sent.substr(at);
    const std::size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos) return;
    std::size_t frame_size = line_end + 2;
    const bool publish = rest.starts_with("PUB ") || rest.starts_with("HPUB ");
    if (publish) {
      const std::string_view line = rest.substr(0, line_end);
      std::uint64_t total = 0;
      number(line.substr(line.rfind(' ') + 1), &total);
      frame_size += static_cast<std::size_t>(total) + 2;
      if (at + frame_size > written) out->append(rest.substr(0, frame_size));
    }
    at += frame_size;
  }
}

}  // namespace grove::nats
