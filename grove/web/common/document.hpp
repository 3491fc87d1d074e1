#pragma once

// A document in memory for batches of operations: tests without a browser, and
// HTML on a server. `html()` is what a browser's innerHTML gives for the same batches.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/web/common/ops.hpp"

namespace grove::web {

struct DomNode {
  enum class Kind : std::uint8_t { element, text, comment } kind = Kind::element;
  std::string name;   ///< An element's tag, or the text.
  std::string value;  ///< The property of a form control; not part of the HTML.
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<std::pair<std::string, std::uint32_t>> listeners;  ///< Event and handler.
  std::vector<std::shared_ptr<DomNode>> children;
  DomNode* parent = nullptr;

  const std::string* attribute(std::string_view attribute_name) const;
};

class Document {
 public:
  /// `root` is the tag of the element that pages are mounted in: node 0.
  explicit Document(std::string root = "div");

  /// `corrupt` when the batch is not one that Ops makes; what came before the
  /// bad operation has been done.
  Result<void> apply(std::span<const std::uint32_t> words, std::string_view text);
  Result<void> apply(const Ops& ops) { return apply(ops.words(), ops.text_bytes()); }

  /// The content of the root.
  std::string html() const;
  const DomNode& root() const noexcept { return *nodes_[0]; }
  /// The first element, in document order, whose attribute has this value.
  DomNode* find(std::string_view attribute, std::string_view value) const;
  /// The handler that an event on `target` reaches: its own or the nearest above.
  static std::optional<std::uint32_t> handler(const DomNode& target, std::string_view event);

 private:
  struct Template {
    std::shared_ptr<DomNode> root;
    std::vector<std::uint32_t> holes;  ///< Indices in document order.
  };
  std::vector<std::shared_ptr<DomNode>> nodes_;
  std::vector<Template> templates_;
  std::vector<std::string> names_;
};

/// Text and attribute values as innerHTML writes them.
void escape_html(std::string_view text, bool in_attribute, std::string& out);

}  // namespace grove::web
