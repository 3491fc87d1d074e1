#include "grove/base/random.hpp"
#include "grove/base/test/test.hpp"
#include "grove/web/common/document.hpp"

using namespace grove;
using namespace grove::web;

namespace {

using Row = Template<R"(<tr {}><td class="a &amp; b">x{}y</td><td><br>{}</td></tr>)">;
constexpr Hole kHoles[] = {{0, HoleKind::element}, {3, HoleKind::text}, {7, HoleKind::anchor}};
constexpr TemplateView kRow{Row::html(), kHoles};

}  // namespace

TEST_CASE("a template's holes are found by the compiler") {
  static_assert(Row::html() == R"(<tr ><td class="a &amp; b">x<!---->y</td><td><br><!----></td></tr>)");
  static_assert(Row::kContent.holes.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(Row::kContent.holes[i].node == kHoles[i].node);
  CHECK(Row::kContent.holes[0].kind == HoleKind::element);
  CHECK(Row::kContent.holes[1].kind == HoleKind::anchor);
}

TEST_CASE("a batch builds, changes and serialises a document") {
  Ops ops;
  Document document("table");
  const auto first = ops.clone(kRow);
  const auto second = ops.clone(kRow);
  CHECK(second == first + 4);
  ops.append(first, 0);
  ops.insert(second, first);
  ops.text(first + 2, "<1&\u00a0>");
  ops.attribute(second + 1, "title", "\"q\"");
  REQUIRE_OK(document.apply(ops));
  ops.clear();
  CHECK(document.html() ==
        "<tr title=\"&quot;q&quot;\"><td class=\"a &amp; b\">xy</td><td><br><!----></td></tr>"
        "<tr><td class=\"a &amp; b\">x&lt;1&amp;&nbsp;&gt;y</td><td><br><!----></td></tr>");
  ops.remove_attribute(second, "title");
  ops.remove_before(first, 1);
  ops.release(second, 4);
  CHECK(ops.clone(kRow) == second);
  ops.insert(second, first + 3);
  REQUIRE_OK(document.apply(ops));
  CHECK(document.html().ends_with(
      "<td><br><tr><td class=\"a &amp; b\">xy</td><td><br><!----></td></tr><!----></td></tr>"));
}

TEST_CASE("an event reaches the nearest listener above") {
  Ops ops;
  Document document;
  const auto row = ops.clone(kRow);
  ops.append(row, 0);
  ops.listen(row, "click", 7);
  REQUIRE_OK(document.apply(ops));
  const DomNode& cell = *document.root().children[0]->children[1];
  CHECK(Document::handler(cell, "click") == 7u);
  CHECK(!Document::handler(cell, "input"));
}

TEST_CASE("no batch, however damaged, does more than fail") {
  Ops ops;
  const auto a = ops.clone(kRow);
  const auto b = ops.clone(kRow);
  ops.append(a, 0);
  ops.insert(b, a);
  ops.text(a + 2, "text");
  ops.attribute(a, "class", "c");
  ops.listen(a, "click", 1);
  ops.remove_before(a, 1);
  ops.remove(a);
  ops.release(a, 4);
  const std::vector<std::uint32_t> words(ops.words().begin(), ops.words().end());
  for (std::size_t length = 0; length < words.size(); ++length) {
    Document document;
    (void)document.apply(std::span(words).first(length), ops.text_bytes());
  }
  SplitMix64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    auto damaged = words;
    for (int k = 0; k < 3; ++k) {
      damaged[static_cast<std::size_t>(random.below(damaged.size()))] =
          static_cast<std::uint32_t>(random.below(4) == 0 ? random() & 0xffffff : random.below(16));
    }
    Document document;
    (void)document.apply(damaged, ops.text_bytes());
    (void)document.html();
  }
}
