#pragma once

// The table of krausest/js-framework-benchmark: its buttons, ids and operations.
// vanilla.mjs is the same page in plain JavaScript, with the same labels.

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "grove/base/random.hpp"
#include "grove/web/frontend/frameworks/signals/view.hpp"

namespace krausest {

using namespace grove::signals;

struct Row {
  std::uint32_t id;
  Signal<std::string> label;
  Signal<bool> selected;
};

class Table {
  template <class F>
  static auto button(const char* id, const char* title, F press) {
    return child([=](Ui& ui) {
      return ui.html<R"(<button type="button" class="btn btn-primary btn-block" {}{}>{}</button>)">(
          attr("id", id), on("click", press), text(title));
    });
  }

 public:
  explicit Table(Ui& ui) : ui_(ui), scope_(scope(ui.graph)), rows_(signal(ui.graph, std::vector<Row>())) {}

  Element view() {
    return ui_.html<
        R"(<div class="container"><div class="jumbotron"><h1>Grove signals</h1>{}{}{}{}{}{}</div><table class="table table-hover table-striped test-data"><tbody id="tbody">{}</tbody></table></div>)">(
        button("run", "Create 1,000 rows", [this] { rows_.set(make(1000)); }),
        button("runlots", "Create 10,000 rows", [this] { rows_.set(make(10'000)); }),
        button("add", "Append 1,000 rows",
               [this] {
                 auto more = make(1000);
                 rows_.update([&](std::vector<Row>& rows) { rows.insert(rows.end(), more.begin(), more.end()); });
               }),
        button("update", "Update every 10th row",
               [this] {
                 const auto& rows = rows_.peek();
                 for (std::size_t i = 0; i < rows.size(); i += 10) {
                   rows[i].label.update([](std::string& label) { label += " !!!"; });
                 }
               }),
        button("clear", "Clear", [this] { rows_.set({}); }),
        button("swaprows", "Swap Rows",
               [this] {
                 if (rows_.peek().size() > 998)
                   rows_.update([](std::vector<Row>& rows) { std::swap(rows[1], rows[998]); });
               }),
        each(rows_, [](const Row& row) { return row.id; }, [this](Ui&, const Row& row) { return view(row); }));
  }

 private:
  Element view(const Row& row) {
    on_cleanup(ui_.graph, [row] {
      row.label.dispose();
      row.selected.dispose();
    });
    return ui_.html<
        R"(<tr {}><td class="col-md-1">{}</td><td class="col-md-4"><a {}>{}</a></td><td class="col-md-1"><a {}><span class="glyphicon glyphicon-remove" aria-hidden="true"></span></a></td><td class="col-md-6"></td></tr>)">(
        attr("class", [s = row.selected] { return s() ? "danger" : ""; }), text(row.id),
        on("click",
           [this, s = row.selected] {
             if (selected_.alive()) selected_.set(false);
             selected_ = s;
             s.set(true);
           }),
        text(row.label), on("click", [this, id = row.id] {
          rows_.update([&](std::vector<Row>& rows) { std::erase_if(rows, [&](const Row& r) { return r.id == id; }); });
        }));
  }

  std::vector<Row> make(std::size_t count) {
    static constexpr const char* kAdjectives[] = {
        "pretty",    "large",    "big",       "small",       "tall",  "short",     "long",    "handsome", "plain",
        "quaint",    "clean",    "elegant",   "easy",        "angry", "crazy",     "helpful", "mushy",    "odd",
        "unsightly", "adorable", "important", "inexpensive", "cheap", "expensive", "fancy"};
    static constexpr const char* kColours[] = {"red",    "yellow", "blue",  "green", "pink",  "brown",
                                               "purple", "brown",  "white", "black", "orange"};
    static constexpr const char* kNouns[] = {"table",  "chair",    "house",  "bbq",   "desk",  "car",     "pony",
                                             "cookie", "sandwich", "burger", "pizza", "mouse", "keyboard"};
    std::vector<Row> rows;
    rows.reserve(count);
    const auto one_of = [&](auto& words) { return words[static_cast<std::size_t>(random_.below(std::size(words)))]; };
    // The rows' own scopes end them (see `view`).
    scope_.run([&] {
      for (std::size_t i = 0; i < count; ++i) {
        std::string label = one_of(kAdjectives);
        label.append(" ").append(one_of(kColours)).append(" ").append(one_of(kNouns));
        rows.push_back({++last_id_, signal(ui_.graph, std::move(label)), signal(ui_.graph, false)});
      }
    });
    return rows;
  }

  Ui& ui_;
  Scope scope_;
  Signal<std::vector<Row>> rows_;
  Signal<bool> selected_;
  grove::SplitMix64 random_{1};
  std::uint32_t last_id_ = 0;
};

}  // namespace krausest
