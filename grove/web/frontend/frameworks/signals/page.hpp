#pragma once

// Makes a WebAssembly module out of a page: the exports that dom.mjs's `mount`
// works with. In one source file of the module:
//
//   GROVE_SIGNALS_PAGE(build)   // void build(grove::signals::Ui& ui)

#include <string>

#include "grove/web/frontend/frameworks/signals/view.hpp"

namespace grove::signals::detail {

/// A page lives as long as its module's instance.
struct Page {
  Graph graph;
  web::Ops ops;
  Ui ui{graph, ops};
  std::string input;
};

}  // namespace grove::signals::detail

#define GROVE_PAGE_EXPORT(type, name, parameters)                      \
  extern "C" __attribute__((export_name(#name))) type name parameters; \
  extern "C" type name parameters

#define GROVE_SIGNALS_PAGE(build)                                                                      \
  static grove::signals::detail::Page& grove_page() {                                                  \
    static auto& page = *new grove::signals::detail::Page;                                             \
    return page;                                                                                       \
  }                                                                                                    \
  GROVE_PAGE_EXPORT(void, grove_start, ()) { build(grove_page().ui); }                                 \
  GROVE_PAGE_EXPORT(char*, grove_input, (std::size_t bytes)) {                                         \
    grove_page().input.resize(bytes);                                                                  \
    return grove_page().input.data();                                                                  \
  }                                                                                                    \
  GROVE_PAGE_EXPORT(void, grove_event, (std::uint32_t handler, std::size_t bytes)) {                   \
    grove_page().ui.dispatch(handler, std::string_view(grove_page().input).substr(0, bytes));          \
  }                                                                                                    \
  GROVE_PAGE_EXPORT(const std::uint32_t*, grove_words, ()) { return grove_page().ops.words().data(); } \
  GROVE_PAGE_EXPORT(std::size_t, grove_words_size, ()) { return grove_page().ops.words().size(); }     \
  GROVE_PAGE_EXPORT(const char*, grove_text, ()) { return grove_page().ops.text_bytes().data(); }      \
  GROVE_PAGE_EXPORT(std::size_t, grove_text_size, ()) { return grove_page().ops.text_bytes().size(); } \
  GROVE_PAGE_EXPORT(void, grove_applied, ()) { grove_page().ops.clear(); }                             \
  static_assert(true)
