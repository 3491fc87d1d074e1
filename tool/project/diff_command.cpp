#include "tool/map/load.hpp"
#include "tool/project/commands.hpp"
#include "tool/project/hash.hpp"

namespace grove::tool {
namespace {

struct Difference {
  std::string path;
  std::string status;  ///< modified, deleted; of an update: what `update` would do.
  std::string text;    ///< diff -u
};

/// What the user changed since it was copied.
Result<std::vector<Difference>> edits(const Existing& existing) {
  std::vector<Difference> found;
  for (const auto& [path, hash] : existing.lock.files()) {
    GROVE_TRY(const auto mine, existing.folder.read(path));
    if (mine && sha256_hex(*mine) == hash) continue;
    GROVE_TRY(std::string text, unified_diff(existing.pristine.at(hash), mine.value_or(""), path));
    found.push_back({path, mine ? "modified" : "deleted", std::move(text)});
  }
  return found;
}

/// What `update` would do to the user's files.
Result<std::vector<Difference>> updates(const Existing& existing, const std::filesystem::path& root) {
  std::vector<Difference> found;
  GROVE_TRY(const Project project, generate(root, existing.lock.project, existing.lock.chosen()));
  GROVE_TRY(const Plan plan, plan_change(existing, project));
  for (const Step& step : plan.steps) {
    GROVE_TRY(const auto mine, existing.folder.read(step.path));
    std::string text = step.note + "\n";
    if (step.writes) {
      GROVE_TRY(text, unified_diff(mine.value_or(""), step.content.value_or(""), step.path));
    }
    found.push_back({step.path, std::string(action_name(step.action)), std::move(text)});
  }
  return found;
}

void show(Terminal& terminal, std::string_view title, const std::vector<Difference>& differences, bool names_only) {
  terminal.line(terminal.styled(Style::bold, title) + (differences.empty() ? ": none" : ""));
  for (const Difference& difference : differences) {
    terminal.line("  " + terminal.styled(Style::cyan, difference.status) + "  " + difference.path);
    if (names_only) continue;
    for (std::string_view rest = difference.text; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      const Style style = line.starts_with('+')   ? Style::green
                          : line.starts_with('-') ? Style::red
                          : line.starts_with('@') ? Style::cyan
                                                  : Style::plain;
      terminal.line(terminal.styled(style, line));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
}

void write(JsonWriter& json, std::string_view name, const std::vector<Difference>& differences) {
  json.key(name).begin_array();
  for (const Difference& d : differences)
    json.begin_object().member("path", d.path).member("status", d.status).member("diff", d.text).end_object();
  json.end_array();
}

Result<int> run(Invocation& invocation) {
  if (!invocation.arguments.positional().empty())
    return fail(Errc::invalid_argument, "diff takes no names; --directory names the project");
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Existing existing, open_project(invocation.arguments.value("--directory").value_or(".")));
  GROVE_TRY(const auto mine, edits(existing));
  GROVE_TRY(const auto theirs, updates(existing, root));
  if (invocation.json) {
    JsonWriter json;
    json.begin_object().member("project", existing.lock.project);
    write(json, "edits", mine);
    write(json, "updates", theirs);
    invocation.terminal.line(json.end_object().str());
    return 0;
  }
  const bool names_only = invocation.arguments.has("--names");
  show(invocation.terminal, "your edits · 你的修改", mine, names_only);
  show(invocation.terminal, "what grove update would bring · 可更新的内容", theirs, names_only);
  return 0;
}

}  // namespace

Command diff_command() {
  return {.name = "diff",
          .usage = "",
          .summary_en = "Shows your edits to the project's components, and what an update would bring.",
          .summary_zh = "显示你对组件的修改，以及更新会带来的变化。",
          .details = "",
          .options = {{"--directory", "DIR", "the project; else this folder or one above it"},
                      {"--names", "", "only the files' names"}},
          .run = run};
}

}  // namespace grove::tool
