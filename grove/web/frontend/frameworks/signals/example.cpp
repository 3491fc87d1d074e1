#include "grove/base/example.hpp"
#include "grove/web/common/document.hpp"
#include "grove/web/frontend/frameworks/signals/view.hpp"

namespace grove::signals {

/// A shopping list as a view: what changes is written out as the operations that a browser would get.
Result<void> example(const ExampleContext& context) {
  Graph graph;
  web::Ops ops;
  Ui ui(graph, ops);
  web::Document page("main");

  auto items = signal(graph, std::vector<std::string>{"bread", "tea"});
  auto price = signal(graph, 3);
  auto total = memo(graph, [=] { return static_cast<int>(items().size()) * price(); });
  ui.mount([&](Ui& u) {
    return u.html<"<section><ul>{}</ul><p>total {} EUR</p></section>">(
        each(
            items, [](const std::string& item) { return item; },
            [](Ui& row, const std::string& item) { return row.html<"<li>{}</li>">(text(item)); }),
        text(total));
  });

  const auto show = [&](std::string_view what) -> Result<void> {
    const std::size_t words = ops.words().size();
    GROVE_CHECK(page.apply(ops));
    ops.clear();
    context.out << what << " (" << words << " words): " << page.html() << '\n';
    return {};
  };
  GROVE_CHECK(show("at first"));
  price.set(4);
  GROVE_CHECK(show("another price"));
  items.update([](auto& list) { list.insert(list.begin() + 1, "jam"); });
  return show("one more item");
}

}  // namespace grove::signals
