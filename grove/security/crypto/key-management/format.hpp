#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/security/crypto/key-management/io.hpp"
#include "grove/security/crypto/key-management/secret.hpp"

namespace grove::key_management {

/// One recipient's wrapping of the file key (c2sp.org/age, "Recipient stanza").
struct Stanza {
  std::vector<std::string> arguments;  ///< At least one; the first is the type. Printable ASCII, no spaces.
  std::vector<std::byte> body;

  std::string_view type() const noexcept { return arguments.front(); }
  friend bool operator==(const Stanza&, const Stanza&) = default;
};

/// The textual header of an age file.
struct Header {
  std::vector<Stanza> stanzas;
  std::array<std::byte, 32> mac{};
  std::size_t size = 0;  ///< Bytes of text.

  static constexpr std::size_t kMaxSize = std::size_t{8} << 20;
  static constexpr std::size_t kMaxStanzas = 4096;

  /// Reads a header from the beginning of `input`, which may hold more.
  /// `truncated`: right so far, more bytes are needed. `parse`: against the
  /// grammar. `unsupported`: another version. `limit`: beyond the bounds above.
  static Result<Header> parse(std::span<const std::byte> input);
  /// The text with a fresh MAC.
  static Result<std::string> encode(std::span<const Stanza> stanzas, const FileKey& file_key);
  /// Whether the MAC over the text that was parsed fits the key.
  static bool verify(std::span<const std::byte> text, const Header& header, const FileKey& file_key);
};

/// Whether the input starts like an armoured file (leading white space aside).
bool looks_armored(std::span<const std::byte> beginning);

/// Decodes ASCII armour (strict PEM, RFC 7468 section 3; LF or CRLF) as it is
/// read. Refuses anything but white space around it. `inner` outlives it.
class ArmorSource final : public Source {
 public:
  explicit ArmorSource(Source& inner) noexcept : inner_(inner) {}
  Result<std::span<const std::byte>> peek(std::size_t want) override;
  void consume(std::size_t count) override { begin_ += count; }

 private:
  enum class State { begin, body, end, done };
  Result<std::string_view> line();
  Result<void> step();
  Result<bool> whole_lines();

  Source& inner_;
  State state_ = State::begin;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
};

/// Encodes into ASCII armour, 64 columns a line. `finish` writes the last line.
/// `inner` outlives it.
class ArmorSink final : public Sink {
 public:
  explicit ArmorSink(Sink& inner) noexcept : inner_(inner) {}
  Result<std::span<std::byte>> prepare(std::size_t size) override;
  Result<void> commit(std::size_t count) override;
  Result<void> finish();

 private:
  Sink& inner_;
  std::vector<std::byte> buffer_;  ///< What is held back, then what was prepared.
  std::size_t held_ = 0;           ///< Below 48: less than a line.
  bool begun_ = false;
};

}  // namespace grove::key_management
