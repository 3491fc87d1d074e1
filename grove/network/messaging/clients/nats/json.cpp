#include "grove/network/messaging/clients/nats/json.hpp"

#include <simdjson.h>

namespace grove::nats::detail {

struct JsonObject::Document {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
};

JsonObject::JsonObject(std::unique_ptr<Document> document) noexcept : document_(std::move(document)) {}
JsonObject::JsonObject(JsonObject&&) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
JsonObject::~JsonObject() = default;

Result<JsonObject> JsonObject::parse(std::string_view text) {
  auto document = std::make_unique<Document>();
  if (document->parser.allocate(text.size() + 1, 64) != simdjson::SUCCESS) return fail(Errc::no_space, "read JSON");
  const auto error = document->parser.parse(text.data(), text.size()).get(document->root);
  if (error != simdjson::SUCCESS) return fail(Errc::parse, std::string("JSON: ") + simdjson::error_message(error));
  if (!document->root.is_object()) return fail(Errc::parse, "JSON: not an object");
  return JsonObject(std::move(document));
}

bool JsonObject::has(std::string_view pointer) const {
  return document_->root.at_pointer(pointer).error() == simdjson::SUCCESS;
}
std::string JsonObject::text(std::string_view pointer) const {
  std::string_view value;
  if (document_->root.at_pointer(pointer).get(value) != simdjson::SUCCESS) return {};
  return std::string(value);
}
std::uint64_t JsonObject::number(std::string_view pointer) const {
  std::uint64_t value = 0;
  return document_->root.at_pointer(pointer).get(value) == simdjson::SUCCESS ? value : 0;
}
std::int64_t JsonObject::integer(std::string_view pointer) const {
  std::int64_t value = 0;
  return document_->root.at_pointer(pointer).get(value) == simdjson::SUCCESS ? value : 0;
}
bool JsonObject::flag(std::string_view pointer) const {
  bool value = false;
  return document_->root.at_pointer(pointer).get(value) == simdjson::SUCCESS && value;
}
std::vector<std::string> JsonObject::texts(std::string_view pointer) const {
  std::vector<std::string> all;
  simdjson::dom::array items;
  if (document_->root.at_pointer(pointer).get(items) != simdjson::SUCCESS) return all;
  for (const simdjson::dom::element item : items) {
    std::string_view value;
    if (item.get(value) == simdjson::SUCCESS) all.emplace_back(value);
  }
  return all;
}

}  // namespace grove::nats::detail
