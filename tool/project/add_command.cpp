#include "tool/map/load.hpp"
#include "tool/project/commands.hpp"

namespace grove::tool {
namespace {

/// What `add` and `update` do once it is clear which leaves the project shall have.
Result<int> change(Invocation& invocation, const std::filesystem::path& root, const Existing& existing,
                   const std::vector<std::string>& chosen) {
  const Arguments& arguments = invocation.arguments;
  Terminal& terminal = invocation.terminal;
  GROVE_TRY(const Project project, generate(root, existing.lock.project, chosen));
  GROVE_TRY(const Plan plan, plan_change(existing, project));
  const bool dry_run = arguments.has("--dry-run");
  const bool build = arguments.has("--build") && !dry_run && plan.conflicts() == 0;
  std::vector<std::string> missing;
  if (build) GROVE_CHECK(provide_packages(invocation, project, &missing));
  if (!dry_run) GROVE_CHECK(apply_plan(existing, plan));

  JsonWriter json;
  if (invocation.json) {
    json.begin_object().member("project", project.name).member("directory", existing.folder.path().string());
    json.member("dry-run", dry_run).member("conflicts", plan.conflicts());
    write_steps(json, plan);
  } else if (plan.steps.empty()) {
    terminal.line("up to date: " + shown_path(existing.folder.path()));
  } else {
    show_steps(terminal, plan);
    terminal.line(std::to_string(plan.steps.size()) + (plan.steps.size() == 1 ? " file" : " files") +
                  (dry_run ? ", nothing written (--dry-run)" : ""));
    if (plan.conflicts() != 0)
      terminal.note(std::to_string(plan.conflicts()) +
                    " in conflict: nothing of yours is lost; solve them, then build and test");
  }
  int status = plan.conflicts() == 0 ? 0 : 1;
  if (build) {
    GROVE_TRY(const BuildReport report, build_project(existing.folder.path(), terminal));
    if (!report.holds()) status = 1;
    if (invocation.json)
      write_build(json, report);
    else
      show_build(terminal, report);
  }
  if (invocation.json) terminal.line(json.end_object().str());
  return status;
}

Result<int> run_add(Invocation& invocation) {
  const auto& words = invocation.arguments.positional();
  if (words.empty()) return fail(Errc::invalid_argument, "add needs at least one leaf: grove add LEAF…");
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Existing existing, open_project(invocation.arguments.value("--directory").value_or(".")));
  std::vector<std::string> all = existing.lock.chosen();
  all.insert(all.end(), words.begin(), words.end());
  GROVE_TRY(const auto chosen, resolve_leaves(root, all));
  return change(invocation, root, existing, chosen);
}

Result<int> run_update(Invocation& invocation) {
  if (!invocation.arguments.positional().empty())
    return fail(Errc::invalid_argument, "update takes no names: a project's components are updated together");
  GROVE_TRY(const auto root, find_root());
  GROVE_TRY(const Existing existing, open_project(invocation.arguments.value("--directory").value_or(".")));
  return change(invocation, root, existing, existing.lock.chosen());
}

}  // namespace

Command add_command() {
  return {.name = "add",
          .usage = "LEAF…",
          .summary_en = "Brings more components into the project of this folder; your edits are kept.",
          .summary_zh = "向当前项目添加组件，保留你的修改。",
          .details =
              "Components of one project come from one state of Grove, so the others are updated too.\n"
              "Exits 1 on a conflict: both texts are kept, with markers. Example:\n"
              "  grove add network/messaging/clients/nats --build\n",
          .options = {{"--directory", "DIR", "the project; else this folder or one above it"},
                      {"--build", "", "install what is missing, build and test afterwards"},
                      {"--no-install", "", "install nothing; a note says what is missing"},
                      {"--dry-run", "", "show every file and change nothing"},
                      {"--yes", "", "install without asking"}},
          .run = run_add};
}

Command update_command() {
  return {.name = "update",
          .usage = "",
          .summary_en = "Brings newer components into the project by three-way merge; your edits are kept.",
          .summary_zh = "以三方合并更新项目中的组件，保留你的修改。",
          .details = "What you deleted stays deleted. Exits 1 on a conflict: both texts are kept, with markers.\n",
          .options = {{"--directory", "DIR", "the project; else this folder or one above it"},
                      {"--build", "", "install what is missing, build and test afterwards"},
                      {"--no-install", "", "install nothing; a note says what is missing"},
                      {"--dry-run", "", "show every file and change nothing"},
                      {"--yes", "", "install without asking"}},
          .run = run_update};
}

}  // namespace grove::tool
