// grove: freestanding but for the heap
#pragma once

// Views over signals: HTML templates whose holes are bound to values, functions
// and lists. A view is a function that runs once and returns its element; what
// changes later is only what an effect in it touches.
//
//   Element counter(Ui& ui) {
//     auto count = signal(ui.graph, 0);
//     return ui.html<"<button {}>clicked {} times</button>">(
//         on("click", [=] { count.update([](int& n) { ++n; }); }), text(count));
//   }
//
// A binding takes a value (set once) or a function (set whenever what it reads
// changes; a signal or a memo is one). Operations gather in `ui.ops` until the
// host applies them: a browser through page.hpp and dom.mjs, a test or a server
// through web::Document. Text is text: no value is ever read as HTML.

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "grove/web/common/ops.hpp"
#include "grove/web/frontend/frameworks/signals/signals.hpp"

namespace grove::signals {

/// The root of an instance of a template.
struct Element {
  std::uint32_t id;
};

/// What views are built with. Neither copied nor moved; the graph and the
/// operations outlive it, what it mounted goes with it.
class Ui {
 public:
  Graph& graph;
  web::Ops& ops;

  Ui(Graph& g, web::Ops& o) : graph(g), ops(o), scope_(scope(g)) {}
  ~Ui() { scope_.dispose(); }
  Ui(const Ui&) = delete;
  Ui& operator=(const Ui&) = delete;

  /// An instance of the template. There are as many bindings as holes, in their
  /// order. It goes, with its effects, when the scope it was made in does.
  template <web::FixedString kSource, class... Bindings>
  Element html(Bindings... bindings);

  /// Shows a view at the end of the element that the page is mounted in.
  template <std::invocable<Ui&> View>
  void mount(View view) {
    scope_.run([&] { ops.append(view(*this).id, 0); });
  }

  /// An event happened. `value` is that of the element, where it has one.
  /// Unknown handlers (of elements that are gone) are passed over.
  void dispatch(std::uint32_t handler, std::string_view value) {
    if (handler >= handlers_.size() || handlers_[handler] == nullptr) return;
    value_ = value;
    graph.call(handlers_[handler]);
    value_ = {};
  }
  std::string_view event_value() const noexcept { return value_; }

  std::uint32_t add_handler(detail::Reactor* node) {
    if (free_handlers_.empty()) {
      handlers_.push_back(node);
      return static_cast<std::uint32_t>(handlers_.size() - 1);
    }
    const std::uint32_t id = free_handlers_.back();
    free_handlers_.pop_back();
    handlers_[id] = node;
    return id;
  }
  void remove_handler(std::uint32_t id) {
    handlers_[id] = nullptr;
    free_handlers_.push_back(id);
  }

 private:
  Scope scope_;
  std::vector<detail::Reactor*> handlers_;
  std::vector<std::uint32_t> free_handlers_;
  std::string_view value_;
};

namespace detail {

/// A value as text: strings as they are, integers in decimal.
class Text {
 public:
  explicit Text(std::string_view value) : view_(value) {}
  template <std::integral T>
  explicit Text(T value) {
    view_ = {digits_, static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof(digits_), value).ptr - digits_)};
  }
  Text(const Text&) = delete;
  std::string_view view() const noexcept { return view_; }

 private:
  char digits_[24];
  std::string_view view_;
};

template <class F>
concept Function = std::invocable<const F&>;

/// Runs `apply(value)` now, and whenever the value of a function changes.
template <class Value, class Apply>
void bind(Ui& ui, Value value, Apply apply) {
  if constexpr (Function<Value>) {
    effect(ui.graph, [value = std::move(value), apply] { apply(value()); });
  } else {
    apply(value);
  }
}

template <class Value>
struct TextBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::text;
  Value value;
  void attach(Ui& ui, std::uint32_t id) {
    bind(ui, std::move(value), [&ui, id](const auto& now) { ui.ops.text(id, Text(now).view()); });
  }
};

template <class Value>
struct AttributeBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::element;
  std::string_view name;
  Value value;
  void attach(Ui& ui, std::uint32_t id) {
    bind(ui, std::move(value), [&ui, id, name = name](const auto& now) {
      if constexpr (std::same_as<std::decay_t<decltype(now)>, bool>) {
        now ? ui.ops.attribute(id, name, "") : ui.ops.remove_attribute(id, name);
      } else {
        ui.ops.attribute(id, name, Text(now).view());
      }
    });
  }
};

template <class F>
struct HandlerNode : Reactor {
  Ui* ui;
  std::uint32_t id = 0;
  F function;

  HandlerNode(Ui* u, F f) : ui(u), function(std::move(f)) {
    static constexpr NodeType kType{update_node, destroy_node};
    type = &kType;
    flags = kScope;
  }
  static bool update_node(Node* node) {
    auto* self = static_cast<HandlerNode*>(node);
    if constexpr (std::invocable<F&, std::string_view>) {
      self->function(self->ui->event_value());
    } else {
      self->function();
    }
    return false;
  }
  static void destroy_node(Node* node) {
    auto* self = static_cast<HandlerNode*>(node);
    self->ui->remove_handler(self->id);
    std::destroy_at(&self->function);
  }
};

template <class F>
struct EventBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::element;
  std::string_view event;
  F function;
  void attach(Ui& ui, std::uint32_t id) {
    auto* node = ui.graph.create<HandlerNode<F>>(&ui, std::move(function));
    node->effect = ui.graph.enclosing_effect();
    node->id = ui.add_handler(node);
    ui.ops.listen(id, event, node->id);
  }
};

template <class View>
struct ChildBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::anchor;
  View view;
  void attach(Ui& ui, std::uint32_t anchor) { ui.ops.insert(view(ui).id, anchor); }
};

template <class Condition, class Then, class Else>
struct ShowBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::anchor;
  Condition condition;
  Then then;
  Else otherwise;
  void attach(Ui& ui, std::uint32_t anchor) {
    auto on = memo(ui.graph, [c = std::move(condition)] { return static_cast<bool>(c()); });
    effect(ui.graph, [&ui, anchor, on, then = std::move(then), otherwise = std::move(otherwise)] {
      const bool now = on();
      ui.graph.untrack([&] {
        if (now) {
          place(ui, anchor, then);
        } else if constexpr (std::invocable<const Else&, Ui&>) {
          place(ui, anchor, otherwise);
        }
      });
    });
  }
  template <class View>
  static void place(Ui& ui, std::uint32_t anchor, const View& view) {
    const std::uint32_t id = view(ui).id;
    ui.ops.insert(id, anchor);
    // Registered last, so done first: while the id is still known.
    on_cleanup(ui.graph, [&ui, id] { ui.ops.remove(id); });
  }
};

/// Positions in `old_places` (npos: new) that form the longest increasing
/// subsequence: what stays where it is while the rest moves (Fredman 1975).
std::vector<bool> longest_increasing(const std::vector<std::uint32_t>& old_places);
inline constexpr std::uint32_t kNew = 0xffffffff;

template <class List, class Key, class View>
struct EachBinding {
  static constexpr web::HoleKind kKind = web::HoleKind::anchor;
  List list;
  Key key;
  View view;

  void attach(Ui& ui, std::uint32_t anchor) {
    Rows rows{ui, anchor, scope(ui.graph), std::move(key), std::move(view), {}, {}};
    effect(ui.graph, [rows = std::move(rows), list = std::move(list)]() mutable {
      const auto& items = list();
      rows.owner.after_running_effect();
      rows.ui.graph.untrack([&] { rows.update(items); });
    });
  }

 private:
  using Items = std::decay_t<std::invoke_result_t<const List&>>;
  using Item = typename Items::value_type;
  using KeyOf = std::decay_t<std::invoke_result_t<const Key&, const Item&>>;

  struct Row {
    KeyOf key;
    std::uint32_t id;
    Scope scope;
  };

  struct Rows {
    Ui& ui;
    std::uint32_t anchor;
    Scope owner;  ///< Of the rows, which outlive the effect's runs.
    Key key;
    View view;
    std::vector<Row> shown;
    std::unordered_set<KeyOf> known;  ///< The keys of what is shown.

    Row make(const Item& item, KeyOf item_key) {
      Row row{std::move(item_key), 0, {}};
      owner.run([&] { row.scope = scope(ui.graph); });
      row.scope.run([&] { row.id = view(ui, item).id; });
      return row;
    }
    void drop(const Row& row) {
      ui.ops.remove(row.id);
      row.scope.dispose();
      known.erase(row.key);
    }

    void update(const Items& items) {
      std::vector<KeyOf> keys;
      keys.reserve(items.size());
      for (const auto& item : items) keys.push_back(key(item));

      // What is the same at both ends stays.
      std::size_t head = 0;
      while (head < shown.size() && head < keys.size() && shown[head].key == keys[head]) ++head;
      std::size_t old_end = shown.size();
      std::size_t new_end = keys.size();
      while (old_end > head && new_end > head && shown[old_end - 1].key == keys[new_end - 1]) --old_end, --new_end;

      std::unordered_map<KeyOf, std::uint32_t> places;
      if (new_end > head) {
        for (std::size_t i = head; i < old_end; ++i) places.emplace(shown[i].key, static_cast<std::uint32_t>(i));
      }
      std::vector<std::uint32_t> from(new_end - head, kNew);
      std::vector<bool> kept(old_end - head, false);
      std::size_t kept_count = 0;
      if (!places.empty()) {
        for (std::size_t i = head; i < new_end; ++i) {
          const auto found = places.find(keys[i]);
          if (found == places.end() || kept[found->second - head]) continue;
          from[i - head] = found->second;
          kept[found->second - head] = true;
          ++kept_count;
        }
      }

      if (kept_count == 0 && old_end - head == shown.size() && !shown.empty()) {
        ui.ops.remove_before(anchor, static_cast<std::uint32_t>(shown.size()));
        for (const Row& row : shown) row.scope.dispose();
        known.clear();
      } else if (kept_count < kept.size()) {
        for (std::size_t i = head; i < old_end; ++i) {
          if (!kept[i - head]) drop(shown[i]);
        }
      }

      std::vector<Row> next;
      next.reserve(keys.size());
      for (std::size_t i = 0; i < head; ++i) next.push_back(std::move(shown[i]));
      const std::vector<bool> stays = kept_count > 1 ? longest_increasing(from) : std::vector<bool>();
      const std::size_t middle = next.size();
      std::vector<bool> place_it;
      for (std::size_t i = head; i < new_end; ++i) {
        const std::uint32_t old = from[i - head];
        if (old == kNew && !known.insert(keys[i]).second) {
          ui.graph.poison(Fault::duplicate_key);
          continue;
        }
        next.push_back(old == kNew ? make(items[i], keys[i]) : std::move(shown[old]));
        place_it.push_back(old == kNew || (kept_count > 1 && !stays[i - head]));
      }
      const std::size_t middle_end = next.size();
      for (std::size_t i = old_end; i < shown.size(); ++i) next.push_back(std::move(shown[i]));
      // From the end, so that what a row goes before is in its place.
      std::uint32_t before = middle_end < next.size() ? next[middle_end].id : anchor;
      for (std::size_t i = middle_end; i-- > middle;) {
        if (place_it[i - middle]) ui.ops.insert(next[i].id, before);
        before = next[i].id;
      }
      shown = std::move(next);
    }
  };
};

}  // namespace detail

/// In content: a string or an integer, or a function that gives one.
template <class Value>
auto text(Value value) {
  return detail::TextBinding<Value>{std::move(value)};
}
/// In a tag: an attribute. true: there, without a value; false: not there.
/// "value" is the property of form controls. The name is a literal.
template <class Value>
auto attr(std::string_view name, Value value) {
  return detail::AttributeBinding<Value>{name, std::move(value)};
}
/// In a tag: runs `function()` or `function(std::string_view value)` on the
/// event, which must be one that bubbles; as a batch. The name is a literal.
template <class F>
auto on(std::string_view event, F function) {
  return detail::EventBinding<F>{event, std::move(function)};
}
/// In content: another view.
template <std::invocable<Ui&> View>
auto child(View view) {
  return detail::ChildBinding<View>{std::move(view)};
}
/// In content: one of two views, or one or nothing. What isn't shown isn't there.
template <class Condition, class Then, class Else = std::nullptr_t>
auto show(Condition condition, Then then, Else otherwise = {}) {
  return detail::ShowBinding<Condition, Then, Else>{std::move(condition), std::move(then), std::move(otherwise)};
}
/// In content: `view(ui, item)` for each item of `list()` (a vector). `key(item)`
/// tells items apart: a row is made once for each key, moves with it, and goes
/// with it. Moves are as few as can be. Keys are hashable; of two items with one
/// key one is shown, and the graph has a fault. Making a row must not write the list.
template <class List, class Key, class View>
auto each(List list, Key key, View view) {
  return detail::EachBinding<List, Key, View>{std::move(list), std::move(key), std::move(view)};
}

template <web::FixedString kSource, class... Bindings>
Element Ui::html(Bindings... bindings) {
  using Source = web::Template<kSource>;
  static_assert(Source::kContent.holes.size() == sizeof...(Bindings), "as many bindings as holes");
  static constexpr auto kHoles = [] {
    auto holes = Source::kContent.holes;
    [[maybe_unused]] std::size_t i = 0;
    (void(holes[i++].kind = Bindings::kKind), ...);
    return holes;
  }();
  constexpr bool kFits = [] {
    [[maybe_unused]] std::size_t i = 0;
    return (... && ((Source::kContent.holes[i++].kind == web::HoleKind::element) ==
                    (Bindings::kKind == web::HoleKind::element)));
  }();
  static_assert(kFits, "attr and on stand inside a tag, text, child, show and each in content");
  static constexpr web::TemplateView kView{Source::html(), kHoles};
  const std::uint32_t root = ops.clone(kView);
  on_cleanup(graph, [this, root] { ops.release(root, sizeof...(Bindings) + 1); });
  [[maybe_unused]] std::uint32_t id = root;
  (bindings.attach(*this, ++id), ...);
  return {root};
}

}  // namespace grove::signals
