#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

namespace grove {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct LogField {
  std::string_view key;
  std::variant<std::int64_t, double, bool, std::string_view> value;
};

/// Where log records go. `write` may be called from several threads at once and
/// must not throw; the views are valid only during the call.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(LogLevel level, std::string_view message, std::span<const LogField> fields) noexcept = 0;
};

/// A component takes a Logger by value. The default one is off: a call costs
/// one comparison, and its fields are views, so nothing is formatted. The sink
/// is not owned and must outlive every copy.
class Logger {
 public:
  constexpr Logger() noexcept = default;
  constexpr explicit Logger(LogSink& sink, LogLevel least = LogLevel::info) noexcept : sink_(&sink), least_(least) {}

  bool enabled(LogLevel level) const noexcept { return sink_ != nullptr && level >= least_; }
  void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {}) const noexcept {
    if (enabled(level)) sink_->write(level, message, {fields.begin(), fields.size()});
  }
  void debug(std::string_view m, std::initializer_list<LogField> f = {}) const noexcept { log(LogLevel::debug, m, f); }
  void info(std::string_view m, std::initializer_list<LogField> f = {}) const noexcept { log(LogLevel::info, m, f); }
  void warning(std::string_view m, std::initializer_list<LogField> f = {}) const noexcept {
    log(LogLevel::warning, m, f);
  }
  void error(std::string_view m, std::initializer_list<LogField> f = {}) const noexcept { log(LogLevel::error, m, f); }

 private:
  LogSink* sink_ = nullptr;
  LogLevel least_ = LogLevel::info;
};

/// One JSON object a line on a file descriptor, each line in one write.
class JsonLogSink : public LogSink {
 public:
  explicit JsonLogSink(int fd = 2) noexcept : fd_(fd) {}
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields) noexcept override;

 private:
  int fd_;
};

}  // namespace grove
