#pragma once

#include <string>
#include <string_view>

namespace grove::tool {

/// SHA-256 in lower-case hexadecimal, as `sha256sum` prints it.
std::string sha256_hex(std::string_view content);

}  // namespace grove::tool
