#include "grove/security/crypto/key-management/format.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "grove/security/crypto/key-management/crypto.hpp"

namespace grove::key_management {
namespace {

constexpr std::string_view kVersionStart = "age-encryption.org/";
constexpr std::string_view kVersion = "age-encryption.org/v1\n";
constexpr std::size_t kColumns = 64;
constexpr std::size_t kLineBytes = kColumns / 4 * 3;

std::unexpected<Error> bad(std::string_view what) { return fail(Errc::parse, "header: " + std::string(what)); }
std::unexpected<Error> bad_armor(std::string_view what) { return fail(Errc::parse, "armor: " + std::string(what)); }

bool valid_argument(std::string_view argument) {
  return !argument.empty() && std::ranges::all_of(argument, [](char c) { return c > 32 && c < 127; });
}

}  // namespace

Result<Header> Header::parse(std::span<const std::byte> input) {
  const std::string_view text = as_text(input.first(std::min(input.size(), kMaxSize)));
  std::size_t at = 0;
  // The next line without its end, or nothing when it isn't complete.
  const auto next_line = [&]() -> std::optional<std::string_view> {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    return line;
  };
  const auto more = [&]() -> std::unexpected<Error> {
    if (text.size() == kMaxSize) return fail(Errc::limit, "header: longer than 8 MiB");
    return fail(Errc::truncated, "header: the input ends inside it");
  };

  if (!text.starts_with(kVersion)) {
    if (kVersion.starts_with(text)) return more();
    if (text.starts_with(kVersionStart))
      return fail(Errc::unsupported, "header: a version of the format other than v1");
    return bad("this is no age file");
  }
  at = kVersion.size();

  Header header;
  while (true) {
    // A wrong start is told at once, however long the line may get.
    const std::string_view rest = text.substr(at);
    if (rest.size() < 3) {
      if (!std::string_view("-> ").starts_with(rest) && !std::string_view("---").starts_with(rest))
        return bad("a line starts neither a stanza nor the MAC");
      return more();
    }
    if (rest.starts_with("---")) break;
    if (!rest.starts_with("-> ")) return bad("a line starts neither a stanza nor the MAC");
    if (header.stanzas.size() == kMaxStanzas) return fail(Errc::limit, "header: more than 4096 stanzas");
    const auto first = next_line();
    if (!first) return more();
    Stanza& stanza = header.stanzas.emplace_back();
    for (std::string_view arguments = first->substr(3);;) {
      const std::size_t space = arguments.find(' ');
      const std::string_view argument = arguments.substr(0, space);
      if (!valid_argument(argument)) return bad("a stanza's argument is empty or not printable");
      stanza.arguments.emplace_back(argument);
      if (space == std::string_view::npos) break;
      arguments.remove_prefix(space + 1);
    }
    while (true) {
      const auto line = next_line();
      if (!line) {
        if (text.size() - at > kColumns) return bad("a stanza's line is longer than 64 columns");
        return more();
      }
      if (line->size() > kColumns) return bad("a stanza's line is longer than 64 columns");
      const std::size_t held = stanza.body.size();
      stanza.body.resize(held + line->size() * 3 / 4);
      const auto size = crypto::base64_decode(*line, stanza.body.data() + held, false);
      if (!size) return bad("a stanza's body is not canonical base64");
      stanza.body.resize(held + *size);
      if (line->size() < kColumns) break;
    }
  }
  if (header.stanzas.empty()) return bad("it has no recipients");
  const auto last = next_line();
  if (!last) {
    if (text.size() - at > 64) return bad("the MAC line is too long");
    return more();
  }
  const auto mac = last->starts_with("--- ") ? crypto::base64_decode_exactly<32>(last->substr(4)) : std::nullopt;
  if (!mac) return bad("the MAC is not 32 bytes of canonical base64");
  header.mac = *mac;
  header.size = at;
  return header;
}

Result<std::string> Header::encode(std::span<const Stanza> stanzas, const FileKey& file_key) {
  if (stanzas.empty()) return fail(Errc::invalid_argument, "a header needs at least one stanza");
  if (stanzas.size() > kMaxStanzas) return fail(Errc::limit, "a header holds at most 4096 stanzas");
  std::string text(kVersion);
  for (const Stanza& stanza : stanzas) {
    if (stanza.arguments.empty() || !std::ranges::all_of(stanza.arguments, valid_argument))
      return fail(Errc::invalid_argument, "a stanza's argument is empty or not printable");
    text += "->";
    for (const std::string& argument : stanza.arguments) (text += ' ') += argument;
    text += '\n';
    // A line below 64 columns ends the body, so a full last one is followed by an empty one.
    for (std::size_t at = 0;; at += kLineBytes) {
      const std::size_t count = std::min(kLineBytes, stanza.body.size() - at);
      text += crypto::base64(std::span(stanza.body).subspan(at, count));
      text += '\n';
      if (count < kLineBytes) break;
    }
  }
  text += "---";
  const auto key = crypto::hkdf_sha256(file_key, {}, "header");
  const auto mac = crypto::hmac_sha256(key, {as_bytes(text)});
  ((text += ' ') += crypto::base64(mac)) += '\n';
  if (text.size() > kMaxSize) return fail(Errc::limit, "a header is at most 8 MiB long");
  return text;
}

bool Header::verify(std::span<const std::byte> text, const Header& header, const FileKey& file_key) {
  constexpr std::size_t kMacPart = 1 + 43 + 1;  // " <43 characters>\n"
  const auto key = crypto::hkdf_sha256(file_key, {}, "header");
  const auto mac = crypto::hmac_sha256(key, {text.first(header.size - kMacPart)});
  return sodium_memcmp(mac.data(), header.mac.data(), mac.size()) == 0;
}

namespace {

constexpr std::string_view kArmorBegin = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr std::string_view kArmorEnd = "-----END AGE ENCRYPTED FILE-----";
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::size_t kMaxSpace = 1024;  ///< Of white space before and after.

}  // namespace

bool looks_armored(std::span<const std::byte> beginning) {
  std::string_view text = as_text(beginning);
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.starts_with("-----BEGIN");
}

/// The next line without its end; valid until the inner source is asked again.
Result<std::string_view> ArmorSource::line() {
  // The longest line is 64 columns and CRLF; the input may end without one.
  GROVE_TRY(const auto bytes, inner_.peek(kColumns + 2));
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kColumns + 2)));
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos && text.size() == kColumns + 2)
    return bad_armor("a line is longer than 64 columns");
  std::string_view line = text.substr(0, end);
  inner_.consume(std::min(line.size() + 1, text.size()));
  if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() > kColumns) return bad_armor("a line is longer than 64 columns");
  return line;
}

/// As many full lines as the inner source shows; false when there was none.
Result<bool> ArmorSource::whole_lines() {
  constexpr std::size_t kLine = kColumns + 1;
  GROVE_TRY(const auto bytes, inner_.peek(kLine * 16));
  // 2048 lines a step bound what is decoded ahead.
  const std::size_t lines = std::min<std::size_t>(bytes.size() / kLine, 2048);
  const std::string_view text = as_text(bytes);
  const std::size_t start = buffer_.size();
  buffer_.resize(start + lines * kLineBytes);
  std::size_t done = 0;
  for (; done < lines; ++done) {
    const std::string_view line = text.substr(done * kLine, kLine);
    if (line[kColumns] != '\n' || line[kColumns - 1] == '=') break;
    if (crypto::base64_decode(line.substr(0, kColumns), buffer_.data() + start + done * kLineBytes, false) !=
        kLineBytes)
      break;  // the careful path says why
  }
  buffer_.resize(start + done * kLineBytes);
  inner_.consume(done * kLine);
  return done > 0;
}

Result<void> ArmorSource::step() {
  switch (state_) {
    case State::begin: {
      GROVE_TRY(const auto bytes, inner_.peek(kMaxSpace + kArmorBegin.size()));
      const std::size_t space = as_text(bytes).find_first_not_of(kSpace);
      if (space == std::string_view::npos || space > kMaxSpace) return bad_armor("it has no first line");
      inner_.consume(space);
      GROVE_TRY(const auto first, line());
      if (first != kArmorBegin) return bad_armor("its first line is not \"" + std::string(kArmorBegin) + "\"");
      state_ = State::body;
      return {};
    }
    case State::body: {
      GROVE_TRY(const bool fast, whole_lines());
      if (fast) return {};
      GROVE_TRY(const auto text, line());
      if (text == kArmorEnd) {
        state_ = State::end;
        return {};
      }
      if (text.empty()) return bad_armor("it has an empty line or ends early");
      const std::size_t start = buffer_.size();
      buffer_.resize(start + kLineBytes);
      const auto count = crypto::base64_decode(text, buffer_.data() + start, true);
      if (!count) return bad_armor("a line is not canonical base64");
      buffer_.resize(start + *count);
      if (*count == kLineBytes) return {};
      GROVE_TRY(const auto last, line());
      if (last != kArmorEnd) return bad_armor("a short line is not the last one");
      state_ = State::end;
      return {};
    }
    case State::end: {
      GROVE_TRY(const auto bytes, inner_.peek(kMaxSpace + 1));
      if (as_text(bytes).find_first_not_of(kSpace) != std::string_view::npos) return bad_armor("text follows it");
      if (bytes.size() > kMaxSpace) return bad_armor("too much white space follows it");
      state_ = State::done;
      return {};
    }
    case State::done: break;
  }
  return {};
}

Result<std::span<const std::byte>> ArmorSource::peek(std::size_t want) {
  if (buffer_.size() - begin_ < want && begin_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  while (state_ != State::done && buffer_.size() - begin_ < want) GROVE_CHECK(step());
  return std::span<const std::byte>(buffer_).subspan(begin_);
}

Result<std::span<std::byte>> ArmorSink::prepare(std::size_t size) {
  buffer_.resize(held_ + size);
  return std::span(buffer_).subspan(held_);
}

Result<void> ArmorSink::commit(std::size_t count) {
  if (!begun_) {
    GROVE_CHECK(inner_.write(as_bytes(std::string(kArmorBegin) + "\n")));
    begun_ = true;
  }
  const std::size_t total = held_ + count;
  const std::size_t lines = total / kLineBytes;
  if (lines > 0) {
    GROVE_TRY(const auto space, inner_.prepare(lines * (kColumns + 1)));
    auto* text = reinterpret_cast<char*>(space.data());
    for (std::size_t i = 0; i < lines; ++i, text += kColumns + 1) {
      crypto::base64_encode(std::span(buffer_).subspan(i * kLineBytes, kLineBytes), text, true);
      text[kColumns] = '\n';
    }
    GROVE_CHECK(inner_.commit(lines * (kColumns + 1)));
  }
  held_ = total - lines * kLineBytes;
  std::memmove(buffer_.data(), buffer_.data() + lines * kLineBytes, held_);
  return {};
}

Result<void> ArmorSink::finish() {
  GROVE_CHECK(commit(0));
  std::string text(crypto::base64_size(held_, true), '\0');
  crypto::base64_encode(std::span(buffer_).first(held_), text.data(), true);
  if (held_ > 0) text += '\n';
  text += kArmorEnd;
  text += '\n';
  return inner_.write(as_bytes(text));
}

}  // namespace grove::key_management
