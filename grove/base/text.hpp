#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace grove {

/// Views the same memory as bytes or as text; no copy, the memory must outlive it.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct CodePoint {
  char32_t value;
  std::size_t size;  ///< In bytes; at least 1.
};

/// The code point at the start of UTF-8 text that isn't empty. For people's text,
/// not for validation: a byte that starts no sequence comes as itself.
inline CodePoint first_code_point(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  const std::size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (size == 1 || text.size() < size) return {lead, 1};
  char32_t value = static_cast<char32_t>(lead & (0x7f >> size));
  for (std::size_t i = 1; i < size; ++i) value = value << 6 | (at(i) & 0x3fu);
  return {value, size};
}

}  // namespace grove
