#include "grove/web/frontend/frameworks/signals/view.hpp"

#include <algorithm>
#include <numeric>

#include "grove/base/test/test.hpp"
#include "grove/web/common/document.hpp"
#include "grove/web/frontend/frameworks/signals/page/krausest.hpp"

using namespace grove;
using namespace grove::signals;

namespace {

/// A page on a document in memory.
struct Screen {
  Graph graph;
  web::Ops ops;
  Ui ui{graph, ops};
  web::Document document;

  std::string html() {
    REQUIRE_OK(document.apply(ops));
    ops.clear();
    return document.html();
  }
  void press(std::string_view attribute, std::string_view value, std::string_view event = "click",
             std::string_view text = {}) {
    (void)html();
    const web::DomNode* node = document.find(attribute, value);
    REQUIRE(node != nullptr);
    const auto handler = web::Document::handler(*node, event);
    REQUIRE(handler.has_value());
    ui.dispatch(*handler, text);
  }
};

}  // namespace

TEST_CASE("a text follows its signal, and only that text") {
  Screen screen;
  auto count = signal(screen.graph, 1);
  screen.ui.mount([&](Ui& ui) {
    return ui.html<"<p {}>a{}b{}</p>">(attr("id", "p"), text(count), text([=] { return count() * 2; }));
  });
  CHECK(screen.html() == "<p id=\"p\">a1b2</p>");
  count.set(5);
  CHECK(screen.ops.words().size() == 8);
  CHECK(screen.html() == "<p id=\"p\">a5b10</p>");
  count.set(5);
  CHECK(screen.ops.words().empty());
}

TEST_CASE("a value is text, never HTML") {
  Screen screen;
  auto label = signal(screen.graph, std::string("<b>&\"</b>"));
  screen.ui.mount([&](Ui& ui) { return ui.html<"<p {}>{}</p>">(attr("title", label), text(label)); });
  CHECK(screen.html() == "<p title=\"&lt;b&gt;&amp;&quot;&lt;/b&gt;\">&lt;b&gt;&amp;\"&lt;/b&gt;</p>");
}

TEST_CASE("an attribute may be there or not") {
  Screen screen;
  auto off = signal(screen.graph, true);
  screen.ui.mount([&](Ui& ui) { return ui.html<"<button {}>x</button>">(attr("disabled", off)); });
  CHECK(screen.html() == "<button disabled=\"\">x</button>");
  off.set(false);
  CHECK(screen.html() == "<button>x</button>");
}

TEST_CASE("an event reaches its handler with the element's value") {
  Screen screen;
  auto name = signal(screen.graph, std::string());
  screen.ui.mount([&](Ui& ui) {
    return ui.html<"<div><input {}{}><p>{}</p></div>">(
        attr("id", "name"), on("input", [=](std::string_view value) { name.set(std::string(value)); }), text(name));
  });
  screen.press("id", "name", "input", "Ada");
  CHECK(screen.html() == "<div><input id=\"name\"><p>Ada</p></div>");
  screen.ui.dispatch(99, "nobody");
}

TEST_CASE("show makes and unmakes its branches") {
  Screen screen;
  auto on_now = signal(screen.graph, 0);
  auto inner = signal(screen.graph, 1);
  int runs = 0;
  screen.ui.mount([&](Ui& ui) {
    return ui.html<"<div>{}</div>">(
        show([=] { return on_now() > 0; },
             [&, inner](Ui& u) { return u.html<"<b>{}</b>">(text([&, inner] { return ++runs, inner(); })); },
             [](Ui& u) { return u.html<"<i>off</i>">(); }));
  });
  CHECK(screen.html() == "<div><i>off</i><!----></div>");
  const auto before = screen.graph.stats().nodes;
  on_now.set(1);
  CHECK(screen.html() == "<div><b>1</b><!----></div>");
  on_now.set(2);
  CHECK(screen.ops.words().empty());
  inner.set(7);
  CHECK(screen.html() == "<div><b>7</b><!----></div>");
  on_now.set(0);
  CHECK(screen.html() == "<div><i>off</i><!----></div>");
  inner.set(8);
  CHECK(runs == 2);
  CHECK(screen.graph.stats().nodes == before);
}

TEST_CASE("each shows any list after any other, keeping rows by key, with the fewest moves") {
  Screen screen;
  auto list = signal(screen.graph, std::vector<int>());
  int made = 0;
  screen.ui.mount([&](Ui& ui) {
    return ui.html<"<ul>{}</ul>">(each(
        list, [](int key) { return key; }, [&](Ui& u, int key) { return ++made, u.html<"<li>{}</li>">(text(key)); }));
  });
  SplitMix64 random(5);
  std::vector<int> shown;
  const std::size_t empty_nodes = screen.graph.stats().nodes;
  for (int round = 0; round < 3000; ++round) {
    std::vector<int> next(static_cast<std::size_t>(random.below(12)));
    std::vector<int> pool(16);
    std::iota(pool.begin(), pool.end(), 0);
    if (random.below(2) == 0) {
      for (std::size_t i = pool.size(); i > 1; --i)
        std::swap(pool[i - 1], pool[static_cast<std::size_t>(random.below(i))]);
    }
    std::copy_n(pool.begin(), next.size(), next.begin());
    const auto kept = std::count_if(next.begin(), next.end(),
                                    [&](int key) { return std::find(shown.begin(), shown.end(), key) != shown.end(); });
    // The longest run that may stay, by brute force over pairs.
    std::vector<long> run(next.size(), 0);
    long longest = 0;
    const auto place = [&](int key) { return std::find(shown.begin(), shown.end(), key) - shown.begin(); };
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (place(next[i]) == static_cast<long>(shown.size())) continue;
      run[i] = 1;
      for (std::size_t k = 0; k < i; ++k) {
        if (run[k] > 0 && place(next[k]) < place(next[i])) run[i] = std::max(run[i], run[k] + 1);
      }
      longest = std::max(longest, run[i]);
    }
    made = 0;
    list.set(next);
    CHECK(made == static_cast<long>(next.size()) - kept);
    std::size_t inserts = 0;
    for (std::size_t i = 0; i < screen.ops.words().size();) {
      const auto words = screen.ops.words().subspan(i);
      inserts += words[0] == static_cast<std::uint32_t>(web::Op::insert);
      constexpr std::size_t kLengths[] = {0, 0, 3, 4, 5, 3, 4, 3, 3, 2, 3, 4, 3};
      i += words[0] == 1 ? 5 + words[4] : kLengths[words[0]];
    }
    CHECK(static_cast<long>(inserts) == static_cast<long>(next.size()) - longest);
    std::string expected = "<ul>";
    for (int key : next) expected += "<li>" + std::to_string(key) + "</li>";
    REQUIRE(screen.html() == expected + "<!----></ul>");
    shown = next;
  }
  list.set({});
  CHECK(screen.graph.stats().nodes == empty_nodes);
}

TEST_CASE("of two rows with one key one is shown, and the fault is told") {
  Screen screen;
  auto list = signal(screen.graph, std::vector<int>{1, 2, 1});
  screen.ui.mount([&](Ui& ui) {
    return ui.html<"<ul>{}</ul>">(
        each(list, [](int key) { return key; }, [&](Ui& u, int key) { return u.html<"<li>{}</li>">(text(key)); }));
  });
  CHECK(screen.html() == "<ul><li>1</li><li>2</li><!----></ul>");
  CHECK(screen.graph.take_fault() == Fault::duplicate_key);
  list.set({2, 1, 1});
  CHECK(screen.html() == "<ul><li>2</li><li>1</li><!----></ul>");
  CHECK(screen.graph.take_fault() == Fault::duplicate_key);
}

TEST_CASE("a row may remove itself from its own handler") {
  Screen screen;
  krausest::Table table(screen.ui);
  screen.ui.mount([&](Ui&) { return table.view(); });
  screen.press("id", "run");
  (void)screen.html();
  const auto full = screen.graph.stats().nodes;
  screen.press("aria-hidden", "true");
  (void)screen.html();
  const web::DomNode* body = screen.document.find("id", "tbody");
  CHECK(body->children.size() == 1000);  // And the anchor.
  CHECK(body->children[0]->children[0]->children[0]->name == "2");
  CHECK(screen.graph.stats().nodes < full);
  screen.press("id", "clear");
  screen.press("id", "run");
  screen.press("id", "swaprows");
  (void)screen.html();
  CHECK(body->children[1]->children[0]->children[0]->name == "1999");
  CHECK(body->children[998]->children[0]->children[0]->name == "1002");
}
