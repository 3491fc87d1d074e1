#pragma once

// Internal: reading the JSON that the server sends (INFO, JetStream's replies).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"

namespace grove::nats::detail {

/// A parsed JSON object, read by JSON Pointer (RFC 6901): "/config/name". What
/// is missing or of another type reads as empty, 0 or false, as Go's decoder in
/// the server's other clients does. Owns its memory.
class JsonObject {
 public:
  /// `parse` unless it is one JSON object, nested at most 64 deep.
  static Result<JsonObject> parse(std::string_view text);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(JsonObject&&) noexcept;
  ~JsonObject();

  bool has(std::string_view pointer) const;
  std::string text(std::string_view pointer) const;
  std::uint64_t number(std::string_view pointer) const;
  std::int64_t integer(std::string_view pointer) const;
  bool flag(std::string_view pointer) const;
  std::vector<std::string> texts(std::string_view pointer) const;

 private:
  struct Document;
  explicit JsonObject(std::unique_ptr<Document> document) noexcept;
  std::unique_ptr<Document> document_;
};

}  // namespace grove::nats::detail
