// grove: freestanding
#pragma once

// HTML with holes, read by the compiler: html<"<p {}>Hello {}</p>">. A `{}`
// inside a tag stands for that element (an attribute or a listener), a `{}`
// between tags for a place in its content. What is wrong with a template is a
// compile error; at run time nothing is parsed but by the browser, once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace grove::web {

/// A string as a template argument.
template <std::size_t N>
struct FixedString {
  char data[N];
  consteval FixedString(const char (&text)[N]) {  // NOLINT(google-explicit-constructor)
    for (std::size_t i = 0; i < N; ++i) data[i] = text[i];
  }
  constexpr std::string_view view() const noexcept { return {data, N - 1}; }
};

enum class HoleKind : std::uint8_t {
  element,  ///< Inside a tag.
  anchor,   ///< In content: a comment that what is shown there stands before.
  text,     ///< In content: a text node, which what is shown there fills.
};

struct Hole {
  std::uint32_t node;  ///< In document order from the root, which is 0; text and comments count.
  HoleKind kind;
};

/// A template without its size: HTML with an empty comment in each hole of its
/// content. One template is one object, told from others by its address.
struct TemplateView {
  std::string_view html;
  std::span<const Hole> holes;
};

namespace detail {

constexpr bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}
constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }
constexpr bool is_void(std::string_view tag) {
  for (std::string_view one :
       {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}) {
    if (tag == one) return true;
  }
  return false;
}

// Never defined: a call in a constant expression shows these words in the error.
void template_error(const char* what);

/// Reads a template; `put(char)` gets the HTML, `hole(node, kind)` the holes.
template <class Put, class OnHole>
constexpr void read_template(std::string_view in, Put put, OnHole on_hole) {
  std::size_t at = 0;
  std::uint32_t nodes = 0;
  std::string_view open[32] = {};
  std::size_t depth = 0;
  bool in_text = false;
  bool closed = false;
  const auto starts = [&](std::string_view what) { return in.substr(at).starts_with(what); };
  const auto take = [&] { put(in[at++]); };
  while (at < in.size()) {
    if (closed) template_error("a template has one root element and nothing beside it");
    if (starts("{}")) {
      if (depth == 0) template_error("the root of a template is an element");
      for (char c : std::string_view("<!---->")) put(c);
      on_hole(nodes++, HoleKind::anchor);
      in_text = false;
      at += 2;
    } else if (starts("</")) {
      take(), take();
      const std::size_t start = at;
      while (at < in.size() && is_name(in[at])) take();
      if (depth == 0 || open[depth - 1] != in.substr(start, at - start)) template_error("this end tag ends nothing");
      if (at == in.size() || in[at] != '>') template_error("an end tag without its >");
      take();
      closed = --depth == 0;
      in_text = false;
    } else if (in[at] == '<') {
      take();
      const std::size_t start = at;
      while (at < in.size() && is_name(in[at])) take();
      const std::string_view tag = in.substr(start, at - start);
      if (tag.empty()) template_error("a < that starts no tag; write &lt;");
      const std::uint32_t node = nodes++;
      while (at < in.size() && in[at] != '>') {
        if (starts("{}")) {
          on_hole(node, HoleKind::element);
          at += 2;
        } else if (in[at] == '"' || in[at] == '\'') {
          const char quote = in[at];
          take();
          while (at < in.size() && in[at] != quote) {
            if (starts("{}")) template_error("a hole stands for a whole attribute: attr(\"name\", value)");
            take();
          }
          if (at == in.size()) template_error("an attribute without its closing quote");
          take();
        } else {
          if (in[at] == '<' || in[at] == '/') template_error("a tag without its >");
          take();
        }
      }
      if (at == in.size()) template_error("a tag without its >");
      take();
      if (!is_void(tag)) {
        if (depth == 32) template_error("more than 32 elements deep");
        open[depth++] = tag;
      } else if (depth == 0) {
        closed = true;
      }
      in_text = false;
    } else {
      if (depth == 0) template_error("the root of a template is an element");
      if (!in_text) ++nodes;
      in_text = true;
      take();
    }
  }
  if (!closed) template_error("an element without its end tag");
}

}  // namespace detail

template <FixedString kSource>
struct Template {
  static constexpr auto kSizes = [] {
    std::array<std::size_t, 2> sizes{};
    detail::read_template(kSource.view(), [&](char) { ++sizes[0]; }, [&](std::uint32_t, HoleKind) { ++sizes[1]; });
    return sizes;
  }();
  struct Content {
    std::array<char, kSizes[0]> html{};
    std::array<Hole, kSizes[1]> holes{};
  };
  static constexpr Content kContent = [] {
    Content content;
    std::size_t chars = 0;
    std::size_t holes = 0;
    detail::read_template(
        kSource.view(), [&](char c) { content.html[chars++] = c; },
        [&](std::uint32_t node, HoleKind kind) { content.holes[holes++] = {node, kind}; });
    return content;
  }();
  static constexpr std::string_view html() noexcept { return {kContent.html.data(), kContent.html.size()}; }
};

}  // namespace grove::web
