#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/cli/command.hpp"
#include "tool/evidence/store.hpp"
#include "tool/map/index.hpp"
#include "tool/map/load.hpp"
#include "tool/map/states.hpp"

namespace grove::tool {
namespace {

using States = std::map<std::string, LeafState, std::less<>>;

void member(JsonWriter& json, std::string_view name, std::string_view en, std::string_view zh) {
  json.key(name).begin_object().member("en", en).member("zh", zh).end_object();
}
void member(JsonWriter& json, std::string_view name, const std::vector<std::string>& values) {
  json.key(name).begin_array();
  for (const std::string& value : values) json.value(value);
  json.end_array();
}
void write_state(JsonWriter& json, const LeafState& state) {
  json.member("state", state.name);
  if (state.ratios) json.key("ratios").begin_array().value(state.ratios->first).value(state.ratios->second).end_array();
}

void write_entry(JsonWriter& json, const Entry& entry, const States& states) {
  json.begin_object().member("id", entry.id);
  member(json, "title", entry.title_en, entry.title_zh);
  write_state(json, state_of(states, entry.id, entry.built));
  json.member("kind", entry.kind).member("maturity", entry.maturity).member("library", entry.library);
  member(json, "summary", entry.summary_en, entry.summary_zh);
  json.end_object();
}

/// "LSM tree · LSM树"; once where both are the same ("WebRTC").
std::string both(std::string_view en, std::string_view zh) {
  return en == zh ? std::string(en) : std::string(en) + " · " + std::string(zh);
}

std::string hint(std::string_view word, const Index& index) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < index.size(); ++i) names.emplace_back(index.entry(i).id);
  std::string text;
  for (const std::string& name : nearest(word, names)) text += "\n  " + name;
  return text;
}

Result<int> run_tree(Invocation& in) {
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Index index, Index::open(root));
  const States states = evidence_states();
  std::string path = in.arguments.positional().empty() ? "" : in.arguments.positional().front();
  while (path.ends_with('/')) path.pop_back();
  const auto kind = in.arguments.value("--kind");

  std::vector<Entry> entries;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const Entry entry = index.entry(i);
    const bool below = path.empty() || entry.id == path || (entry.id.starts_with(path) && entry.id[path.size()] == '/');
    if (below && (!kind || entry.kind == *kind)) entries.push_back(entry);
  }
  if (entries.empty() && !path.empty())
    return fail(Errc::not_found,
                "no part of the map is called " + path + "; the nearest leaves are" + hint(path, index));

  if (in.json) {
    JsonWriter json;
    json.begin_object().key("leaves").begin_array();
    for (const Entry& entry : entries) write_entry(json, entry, states);
    in.terminal.line(json.end_array().end_object().str());
    return 0;
  }

  std::map<std::string, Text, std::less<>> titles;
  std::vector<Tree> trees;
  for (const Entry& entry : entries) {
    const std::string tree_id(entry.id.substr(0, entry.id.find('/')));
    if (titles.contains(tree_id)) continue;
    GROVE_TRY(Tree tree, load_tree(root, tree_id));
    titles[tree_id] = tree.title;
    for (const Branch& branch : tree.branches) titles[branch.path] = branch.title;
    trees.push_back(std::move(tree));
  }
  Terminal& out = in.terminal;
  std::map<std::string, int> counts;
  std::vector<std::string_view> open;  // the branch that the last leaf was in
  std::vector<std::vector<std::string>> rows;
  for (const Entry& entry : entries) {
    std::vector<std::string_view> segments;
    for (std::string_view rest = entry.id; !rest.empty();) {
      const std::size_t slash = std::min(rest.find('/'), rest.size());
      segments.push_back(rest.substr(0, slash));
      rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    std::size_t same = 0;
    while (same < open.size() && same + 1 < segments.size() && open[same] == segments[same]) ++same;
    for (std::size_t depth = same; depth + 1 < segments.size(); ++depth) {
      const std::string branch(entry.id.substr(
          0, static_cast<std::size_t>(segments[depth].data() + segments[depth].size() - entry.id.data())));
      const Text& title = titles[branch];
      rows.push_back({std::string(2 * depth, ' ') + out.styled(depth == 0 ? Style::bold : Style::cyan, segments[depth]),
                      out.styled(Style::dim, both(title.en, title.zh))});
    }
    open.assign(segments.begin(), segments.end() - 1);
    const LeafState state = state_of(states, entry.id, entry.built);
    ++counts[state.name];
    rows.push_back({std::string(2 * (segments.size() - 1), ' ') + std::string(segments.back()),
                    both(entry.title_en, entry.title_zh), shown(out, state)});
  }
  out.table(rows);
  out.line();
  if (path.find('/') == std::string::npos && !path.empty())
    for (const Tree& tree : trees) {
      for (const std::string& line : wrap(out.prefers_chinese() ? tree.summary.zh : tree.summary.en, out.width()))
        out.line(line);
      std::string crates;
      for (const std::string& crate : tree.key_crates) (crates += crates.empty() ? "" : ", ") += crate;
      out.line("key crates: " + crates);
      out.line("flagship:   " + tree.flagship + ", " +
               (out.prefers_chinese() ? tree.flagship_summary.zh : tree.flagship_summary.en));
      out.line();
    }
  std::string summary = std::to_string(entries.size()) + (entries.size() == 1 ? " leaf" : " leaves");
  for (const auto& [name, count] : counts) summary += ", " + std::to_string(count) + " " + name;
  out.line(summary);
  return 0;
}

Result<int> run_find(Invocation& in) {
  std::string words;
  for (const std::string& word : in.arguments.positional()) (words += words.empty() ? "" : " ") += word;
  if (words.empty()) return fail(Errc::invalid_argument, "say what to look for: grove find rate limiting");
  std::size_t limit = 10;
  if (const auto text = in.arguments.value("--limit")) {
    char* end = nullptr;
    limit = std::strtoul(text->c_str(), &end, 10);
    if (*end != '\0' || limit == 0) return fail(Errc::invalid_argument, "--limit takes a number from 1, not " + *text);
  }
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(Index index, Index::open(root));
  std::vector<Hit> hits = index.search(words, limit);
  if (!index.is_fresh(hits)) {
    GROVE_TRY(index, Index::build(root));
    hits = index.search(words, limit);
  }
  const States states = evidence_states();
  if (in.json) {
    JsonWriter json;
    json.begin_object().key("leaves").begin_array();
    for (const Hit& hit : hits) write_entry(json, index.entry(hit.entry), states);
    in.terminal.line(json.end_array().end_object().str());
    return hits.empty() ? 1 : 0;
  }
  Terminal& out = in.terminal;
  if (hits.empty()) {
    out.line("nothing in the map matches \"" + words + "\"; the nearest leaves by name are" + hint(words, index));
    return 1;
  }
  for (const Hit& hit : hits) {
    const Entry entry = index.entry(hit.entry);
    out.line(out.styled(Style::bold, both(entry.title_en, entry.title_zh)) + "  " + out.styled(Style::cyan, entry.id) +
             "  " + shown(out, state_of(states, entry.id, entry.built)));
    const std::string_view summary = out.prefers_chinese() ? entry.summary_zh : entry.summary_en;
    const std::size_t stop = summary.find(out.prefers_chinese() ? "。" : ". ");
    for (const std::string& line :
         wrap(summary.substr(0, stop == std::string_view::npos ? stop : stop + (out.prefers_chinese() ? 3 : 1)),
              out.width() - 2))
      out.line("  " + line);
  }
  out.line();
  out.line("grove show " + std::string(index.entry(hits.front().entry).id) + " says more");
  return 0;
}

/// The leaf that a person means: its id, or a last segment that only it has.
Result<std::string> resolve(const Index& index, const std::string& name) {
  if (index.find(name) != index.size()) return name;
  std::vector<std::string> same;
  for (std::size_t i = 0; i < index.size(); ++i)
    if (const std::string_view id = index.entry(i).id; id.ends_with("/" + name)) same.emplace_back(id);
  if (same.size() == 1) return same.front();
  if (same.empty()) return fail(Errc::not_found, "no leaf is called " + name + "; the nearest are" + hint(name, index));
  std::string text;
  for (const std::string& id : same) text += "\n  " + id;
  return fail(Errc::invalid_argument, name + " is the name of several leaves; say which:" + text);
}

void write_leaf(JsonWriter& json, const Leaf& leaf, const LeafState& state, const std::string& example) {
  json.begin_object().member("id", leaf.id);
  member(json, "title", leaf.title.en, leaf.title.zh);
  write_state(json, state);
  json.member("kind", leaf.kind).member("maps_to", leaf.maps_to).member("maturity", leaf.maturity);
  member(json, "summary", leaf.summary.en, leaf.summary.zh);
  json.key("keywords").begin_object();
  member(json, "en", leaf.keywords_en);
  member(json, "zh", leaf.keywords_zh);
  json.end_object();
  json.key("library")
      .begin_object()
      .member("name", leaf.library)
      .member("licence", leaf.licence)
      .member("reason", leaf.reason)
      .end_object();
  json.member("boundary", leaf.boundary);
  json.key("packages").begin_object();
  member(json, "debian", leaf.debian);
  member(json, "prove", leaf.prove);
  member(json, "vcpkg", leaf.vcpkg);
  member(json, "conan", leaf.conan);
  json.end_object();
  json.key("alternatives").begin_array();
  for (const Alternative& a : leaf.alternatives)
    json.begin_object().member("name", a.name).member("reason", a.reason).end_object();
  json.end_array();
  member(json, "proof", leaf.against);
  if (!leaf.gap.empty()) json.member("gap", leaf.gap);
  json.key("peers").begin_array();
  for (const Peer& p : leaf.peers)
    json.begin_object().member("name", p.name).member("kind", p.kind).member("note", p.note).end_object();
  json.end_array();
  if (leaf.built) {
    json.member("namespace", "grove::" + leaf.name_space);
    member(json, "uses", leaf.uses);
    json.member("example", example);
  }
  json.end_object();
}

Result<int> run_show(Invocation& in) {
  if (in.arguments.positional().size() != 1)
    return fail(Errc::invalid_argument, "say which leaf: grove show data/database/storage/lsm");
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Index index, Index::open(root));
  GROVE_TRY(const std::string id, resolve(index, in.arguments.positional().front()));
  GROVE_TRY(const Leaf leaf, load_leaf(root, id));
  const LeafState state = state_of(evidence_states(), id, leaf.built);
  const std::string example = read_file(root / "grove" / id / "example.cpp", 1 << 20).value_or("");
  if (in.json) {
    JsonWriter json;
    write_leaf(json, leaf, state, example);
    in.terminal.line(json.str());
    return 0;
  }
  Terminal& out = in.terminal;
  const std::size_t width = out.width();
  const auto field = [&](std::string_view name, std::string_view text) {
    if (text.empty()) return;
    bool first = true;
    for (const std::string& line : wrap(text, width > 34 ? width - 14 : 20)) {
      const std::string label = first ? std::string(name) : "";
      out.line(out.styled(Style::cyan, label) + std::string(14 - std::min<std::size_t>(13, display_width(label)), ' ') +
               line);
      first = false;
    }
  };
  const auto joined = [](const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) (text += text.empty() ? "" : " ") += item;
    return text;
  };
  out.line(out.styled(Style::bold, both(leaf.title.en, leaf.title.zh)) + "  " + out.styled(Style::dim, leaf.id));
  out.line();
  field("what", leaf.summary.en);
  field("", leaf.summary.zh);
  field("state", shown(out, state));
  field("maturity", leaf.maturity);
  field("in Rust", leaf.maps_to);
  field("library", leaf.library + " (" + leaf.licence + "). " + leaf.reason);
  field("unsafe edge", leaf.boundary);
  for (const Alternative& a : leaf.alternatives) field("not", a.name + ": " + a.reason);
  for (const std::string& claim : leaf.against) field("proof", claim);
  field("no proof of", leaf.gap);
  for (const Peer& p : leaf.peers)
    field("measured by", p.name + " (" + p.kind + ")" + (p.note.empty() ? "" : ": " + p.note));
  field("Debian", joined(leaf.debian));
  field("to prove", joined(leaf.prove));
  field("vcpkg", joined(leaf.vcpkg));
  field("Conan", joined(leaf.conan));
  const Result<Store> store = Store::open(Store::Access::read);
  for (const std::string_view kind : {"prove", "bench"}) {
    const Result<std::optional<Run>> run = store ? store->last(kind, id) : Result<std::optional<Run>>();
    if (!run || !*run) continue;
    std::array<char, 32> day{};
    const std::time_t time = (*run)->time;
    std::strftime(day.data(), day.size(), "%Y-%m-%d", std::gmtime(&time));
    field(kind == "prove" ? "proven" : "measured",
          (*run)->state + " on " + day.data() + ", " + (*run)->machine.cpu + ", " + (*run)->machine.compiler);
    for (const Figure& figure : (*run)->figures)
      field("", figure.name + " " + (figure.text.empty() ? JsonWriter().value(figure.value).str() : figure.text) + " " +
                    figure.unit);
    for (const Ratio& ratio : (*run)->ratios) {
      std::array<char, 96> text{};
      std::snprintf(text.data(), text.size(), " %.2f× (%.2f–%.2f) beside ", ratio.ratio, ratio.low, ratio.high);
      field("", ratio.workload + text.data() + ratio.peer);
    }
  }
  if (leaf.built) {
    field("namespace", "grove::" + leaf.name_space);
    field("uses", joined(leaf.uses));
    if (!example.empty()) {
      out.line();
      out.line(out.styled(Style::dim, "example.cpp"));
      out.print(example);
    }
    out.line();
    out.line("grove new NAME --with " + leaf.id + " makes a project with it");
  }
  return 0;
}

}  // namespace

Command tree_command() {
  return {"tree",
          "[PATH]",
          "the map, or a part of it, with each leaf's state",
          "显示地图（或其中一部分）及每个叶子的状态",
          "  grove tree\n  grove tree data/database\n  grove tree --kind strategy\n",
          {{"--kind", "KIND", "only rows of this kind: leaf, tech (key technology), strategy (optimisation)"}},
          run_tree};
}

Command find_command() {
  return {"find",
          "WORDS…",
          "full-text search in English and Chinese, best first",
          "中英文全文搜索，最相关的在前",
          "  grove find rate limiting\n  grove find 限流\n  grove find governor\n",
          {{"--limit", "N", "at most so many (10)"}},
          run_find};
}

Command show_command() {
  return {"show",
          "LEAF",
          "the card of a leaf: what, why, edge, packages, proof, example",
          "显示叶子的详细信息：用途、选型理由、边界、软件包、证明、示例",
          "  grove show data/database/storage/lsm\n  grove show lsm\n",
          {},
          run_show};
}

}  // namespace grove::tool
