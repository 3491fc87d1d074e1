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

}  // namespace grove
