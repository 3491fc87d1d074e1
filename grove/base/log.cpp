#include "grove/base/log.hpp"

#include <unistd.h>

#include <array>
#include <chrono>

#include "grove/base/json.hpp"

namespace grove {

void JsonLogSink::write(LogLevel level, std::string_view message, std::span<const LogField> fields) noexcept {
  constexpr std::array<const char*, 4> names{"debug", "info", "warning", "error"};
  try {
    JsonWriter json;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    json.begin_object()
        .member("time_us", std::chrono::duration_cast<std::chrono::microseconds>(now).count())
        .member("level", names.at(static_cast<std::size_t>(level)))
        .member("message", message);
    for (const LogField& field : fields) std::visit([&](const auto& v) { json.member(field.key, v); }, field.value);
    const std::string line = std::move(json.end_object()).str() + "\n";
    [[maybe_unused]] const auto n = ::write(fd_, line.data(), line.size());
  } catch (...) {  // out of memory: the record is lost, the program is not
  }
}

}  // namespace grove
