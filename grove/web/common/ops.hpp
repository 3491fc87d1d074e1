// grove: freestanding but for the heap
#pragma once

// A batch of DOM operations: what a program in WebAssembly wants done to a
// page, in one buffer that crosses to JavaScript in one call. A crossing for
// each DOM call costs several times the call itself. dom.mjs applies a batch in
// a browser, document.hpp to a tree in memory (tests, HTML without a browser).
//
// A batch is a sequence of 32-bit words (an Op and its arguments) and one piece
// of UTF-8 that strings are slices of: (offset, bytes). Nodes are numbered by
// the sender; 0 is the element that the page is mounted in.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grove/web/common/template.hpp"

namespace grove::web {

enum class Op : std::uint32_t {
  define_template = 1,   ///< template, html, holes, then for each (node << 1 | is text)
  clone = 2,             ///< template, first id: the root; holes get the ids after it
  text = 3,              ///< id, string
  attribute = 4,         ///< id, name, string
  remove_attribute = 5,  ///< id, name
  define_name = 6,       ///< name, string
  insert = 7,            ///< id, before which id
  append = 8,            ///< id, to which parent
  remove = 9,            ///< id: out of the document, still known
  forget = 10,           ///< first id, count
  listen = 11,           ///< id, name of the event, handler
  remove_before = 12,    ///< id, count: that many siblings before it
};

/// Builds batches. Not thread safe.
class Ops {
 public:
  /// The batch so far; good until the next call of a member.
  std::span<const std::uint32_t> words() const noexcept { return words_; }
  std::string_view text_bytes() const noexcept { return text_; }
  /// Once a batch was applied. Templates, names and ids stay known.
  void clear() noexcept {
    words_.clear();
    text_.clear();
  }

  /// An instance of a template (an object of static storage), not in the document yet: the root's id; hole i
  /// has that id + 1 + i. Release as many ids as there are holes, and one.
  std::uint32_t clone(const TemplateView& view);
  /// The ids may be given to others after this.
  void release(std::uint32_t first, std::uint32_t count);

  void text(std::uint32_t id, std::string_view value) {
    put({word(Op::text), id});
    put_string(value);
  }
  void attribute(std::uint32_t id, std::string_view name, std::string_view value) {
    const std::uint32_t known = name_id(name);
    put({word(Op::attribute), id, known});
    put_string(value);
  }
  void remove_attribute(std::uint32_t id, std::string_view name) {
    const std::uint32_t known = name_id(name);
    put({word(Op::remove_attribute), id, known});
  }
  void listen(std::uint32_t id, std::string_view event, std::uint32_t handler) {
    const std::uint32_t known = name_id(event);
    put({word(Op::listen), id, known, handler});
  }
  void insert(std::uint32_t id, std::uint32_t before) { put({word(Op::insert), id, before}); }
  void append(std::uint32_t id, std::uint32_t parent) { put({word(Op::append), id, parent}); }
  void remove(std::uint32_t id) { put({word(Op::remove), id}); }
  void remove_before(std::uint32_t id, std::uint32_t count) { put({word(Op::remove_before), id, count}); }

 private:
  static constexpr std::uint32_t word(Op op) noexcept { return static_cast<std::uint32_t>(op); }
  void put(std::initializer_list<std::uint32_t> words) { words_.insert(words_.end(), words); }
  void put_string(std::string_view value) {
    put({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(value.size())});
    text_ += value;
  }
  std::uint32_t name_id(std::string_view name);

  std::vector<std::uint32_t> words_;
  std::string text_;
  std::vector<const TemplateView*> templates_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::uint32_t>> free_;  ///< Released runs of ids, by count.
  std::uint32_t next_id_ = 1;
};

}  // namespace grove::web
