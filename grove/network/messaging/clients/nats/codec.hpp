#pragma once

// The client's side of the NATS wire protocol (docs: "NATS Client Protocol",
// ADR-4 for headers) as two sans-IO halves: a Decoder that is fed bytes and
// gives frames, and an Encoder that is given commands and gives bytes. Neither
// knows a socket. Neither is thread safe.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace grove::nats {

/// One header field. Names are compared exactly, as nats-server and Go do.
struct Header {
  std::string_view name;
  std::string_view value;
};
using Headers = std::span<const Header>;

/// Reads a header block ("NATS/1.0 503 No Responders\r\nName: value\r\n\r\n")
/// in place. Malformed lines are skipped; nothing is allocated.
class HeaderBlock {
 public:
  HeaderBlock() = default;
  explicit HeaderBlock(std::string_view block) noexcept : block_(block) {}
  bool empty() const noexcept { return block_.empty(); }
  std::string_view raw() const noexcept { return block_; }
  /// The three digits of an inline status, 0 when there is none.
  int status() const noexcept;
  /// What follows the status: "No Responders".
  std::string_view description() const noexcept;
  /// The first value of that name.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// All fields in their order; views into the block.
  std::vector<Header> fields() const;

 private:
  /// Cuts the next line off `rest`; false at the end of the block.
  static bool next(std::string_view* rest, Header* header) noexcept;
  std::string_view first_line() const noexcept;
  std::string_view after_first_line() const noexcept;
  std::string_view block_;
};

/// A growable byte buffer that is filled at the end and emptied at the front.
/// Its memory isn't initialised; it moves bytes only when it has to grow.
class Buffer {
 public:
  std::size_t size() const noexcept { return end_ - begin_; }
  bool empty() const noexcept { return begin_ == end_; }
  const char* data() const noexcept { return memory_.get() + begin_; }
  std::string_view view() const noexcept { return {data(), size()}; }
  /// At least `count` writable bytes behind the content; `commit` adds them.
  char* room(std::size_t count) {
    if (capacity_ - end_ < count) grow(count);
    return memory_.get() + end_;
  }
  std::size_t room_size() const noexcept { return capacity_ - end_; }
  void commit(std::size_t count) noexcept { end_ += count; }
  void consume(std::size_t count) noexcept {
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void clear() noexcept { begin_ = end_ = 0; }
  void append(std::string_view text);
  friend void swap(Buffer& a, Buffer& b) noexcept {
    std::swap(a.memory_, b.memory_);
    std::swap(a.capacity_, b.capacity_);
    std::swap(a.begin_, b.begin_);
    std::swap(a.end_, b.end_);
  }

 private:
  void grow(std::size_t count);
  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// What the server sent. The views lie in the Decoder's buffer and are valid
/// until its next `prepare` or `feed`.
struct Frame {
  enum class Kind : std::uint8_t {
    need_input,  ///< No whole frame is there.
    message,     ///< MSG, HMSG: subject, sid, reply, headers, payload.
    info,        ///< INFO: `payload` is the JSON.
    ping,
    pong,
    ok,
    error,   ///< -ERR: `payload` is the text without its quotes.
    broken,  ///< Not NATS: `payload` says why. Every later frame is broken, too.
  };
  Kind kind = Kind::need_input;
  std::uint64_t sid = 0;
  std::string_view subject;
  std::string_view reply;
  std::string_view headers;  ///< The raw block; empty without headers.
  std::string_view payload;
};

struct DecoderLimits {
  std::size_t line = std::size_t{64} << 10;  ///< Bytes of a control line (INFO's with all cluster URLs is the longest).
  std::size_t message = std::size_t{64} << 20;  ///< Bytes of headers and payload.
};

/// Bytes in, frames out. Memory follows what has been received, never what a
/// length field claims; a frame costs linear time however it is cut up.
class Decoder {
 public:
  explicit Decoder(DecoderLimits limits = {}) noexcept : limits_(limits) {}

  /// Writable bytes (at least `at_least`) to read a socket into; `commit` says
  /// how many came.
  std::span<char> prepare(std::size_t at_least) {
    char* at = buffer_.room(at_least);
    return {at, buffer_.room_size()};
  }
  void commit(std::size_t count) noexcept { buffer_.commit(count); }
  /// The same with a copy.
  void feed(std::span<const std::byte> bytes);

  Frame next();
  /// Bytes that are no whole frame yet.
  std::size_t buffered() const noexcept { return buffer_.size(); }
  /// Forgets everything, for a new connection.
  void reset() noexcept;

 private:
  Frame message(std::string_view arguments, bool with_headers, std::size_t line_size);
  Frame broken(std::string_view why) noexcept;

  DecoderLimits limits_;
  Buffer buffer_;
  std::size_t scanned_ = 0;  ///< Bytes known to hold no end of line.
  std::size_t needed_ = 0;   ///< Total size of the message at the front, once its line is known.
  std::string_view why_broken_;
};

/// Commands in, bytes out. The arguments have been validated (`valid_subject`,
/// `valid_header`): a line break in them would be an injection.
class Encoder {
 public:
  /// PUB, or HPUB when there are headers. An empty reply means none.
  void publish(std::string_view subject, std::string_view reply, Headers headers, std::span<const std::byte> payload);
  void subscribe(std::string_view subject, std::string_view queue, std::uint64_t sid);
  /// `after` > 0: the server ends it after so many messages in all.
  void unsubscribe(std::uint64_t sid, std::uint64_t after = 0);
  void connect(std::string_view json);
  void ping() { buffer_.append("PING\r\n"); }
  void pong() { buffer_.append("PONG\r\n"); }

  Buffer& buffer() noexcept { return buffer_; }
  const Buffer& buffer() const noexcept { return buffer_; }

  /// Appends to `out` those publishes of `sent` (bytes this class made, from a
  /// frame's start) that were not handed over whole when only `written` bytes
  /// were. They can be sent again on another connection without doubling any.
  static void unsent_publishes(std::string_view sent, std::size_t written, Buffer* out);

 private:
  Buffer buffer_;
};

/// Whether one can publish to it: tokens of printable characters without
/// blanks, joined by dots, none empty, no wildcards.
bool valid_subject(std::string_view subject) noexcept;
/// The same for subscribing: `*` may stand for a token, `>` for the rest.
bool valid_pattern(std::string_view subject) noexcept;
/// The name has no blank, colon or control character, the value no line break.
bool valid_header(const Header& header) noexcept;
/// Whether a subject falls under a pattern.
bool matches(std::string_view pattern, std::string_view subject) noexcept;

}  // namespace grove::nats
