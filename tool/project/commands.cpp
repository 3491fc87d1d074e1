#include "tool/project/commands.hpp"

#include <algorithm>
#include <cstdio>

#include "tool/project/packages.hpp"

namespace grove::tool {
namespace {

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds);
  return text;
}

}  // namespace

std::string shown_path(const std::filesystem::path& path) {
  std::error_code error;
  const auto relative = std::filesystem::relative(path, error).string();
  return error || relative.empty() || relative.starts_with("..") ? path.string() : relative;
}

Result<void> check_app(const std::filesystem::path& root, const std::string& name) {
  std::string list;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root / "apps", error))
    if (std::filesystem::exists(entry.path() / "CMakeLists.txt", error))
      list += "\n  " + entry.path().filename().string();
  if (list.empty())
    return fail(Errc::not_found,
                "there is no application '" + name +
                    "': this map has none yet; choose components: --with LEAF,… (grove tree shows them)");
  return fail(Errc::unsupported, "a project can't be made from an application yet; the applications are:" + list);
}

Result<void> provide_packages(Invocation& invocation, const Project& project, std::vector<std::string>* missing) {
  if (!project.knows_installed) {
    invocation.terminal.note(
        "note: there is no dpkg here; packages/debian.txt, vcpkg.json and conanfile.txt say what the project needs");
    return {};
  }
  for (const std::string& package : project.debian)
    if (!project.installed.contains(package)) missing->push_back(package);
  if (missing->empty() || invocation.arguments.has("--dry-run")) return {};
  if (invocation.arguments.has("--no-install") || invocation.arguments.has("--no-build")) {
    invocation.terminal.note("note: to build it you need: " + install_command(*missing));
    return {};
  }
  return install_packages(*missing, invocation.arguments.has("--yes"), invocation.terminal);
}

void write_build(JsonWriter& json, const BuildReport& report) {
  json.key("build").begin_object();
  json.member("built", report.built).key("tests").begin_object();
  json.member("passed", report.passed).member("not-run", report.not_run).key("failed").begin_array();
  for (const std::string& name : report.failed) json.value(name);
  json.end_array().end_object();
  json.key("seconds").begin_object().member("configure", report.configure_seconds);
  json.member("build", report.build_seconds).member("test", report.test_seconds).end_object();
  json.member("log", report.log.string());
  if (!report.problem.empty()) json.member("problem", report.problem);
  json.end_object();
}

void show_build(Terminal& terminal, const BuildReport& report) {
  if (report.built) {
    const std::size_t ran = report.passed + report.failed.size();
    std::string text = "built in " + seconds_text(report.configure_seconds + report.build_seconds) + "; " +
                       std::to_string(report.passed) + " of " + std::to_string(ran) + " tests passed in " +
                       seconds_text(report.test_seconds);
    if (report.not_run != 0) text += ", " + std::to_string(report.not_run) + " not run";
    terminal.line(terminal.styled(report.holds() ? Style::green : Style::red, report.holds() ? "ok" : "failed") + "  " +
                  text);
    for (const std::string& name : report.failed) terminal.line("  " + name);
  }
  if (report.holds()) return;
  std::fflush(stdout);  // before what goes to the other stream
  if (!report.problem.empty()) terminal.note(report.problem);
  terminal.note(std::string(report.built ? "Some tests don't pass" : "It doesn't build") +
                "; the whole log: " + shown_path(report.log));
}

std::vector<std::string> run_commands(const Project& project, const std::filesystem::path& folder) {
  const std::string program = "./build/release/" + project.name;
  std::vector<std::string> commands;
  std::error_code ignored;
  if (const std::string shown = shown_path(folder); shown != ".") commands.push_back("cd " + shown);
  commands.push_back(program);
  for (const Leaf& leaf : project.leaves) {
    if (!project.files.contains("src/" + leaf.name_space + ".cpp")) continue;
    std::string part = leaf.name_space;
    std::replace(part.begin(), part.end(), '_', '-');
    commands.push_back(program + " " + part);
  }
  return commands;
}

void show_steps(Terminal& terminal, const Plan& plan) {
  std::vector<std::vector<std::string>> rows;
  for (const Step& step : plan.steps) {
    const Style style = step.action == Action::conflict ? Style::red
                        : step.action == Action::merge  ? Style::yellow
                        : step.action == Action::create ? Style::green
                                                        : Style::plain;
    rows.push_back(
        {"  " + terminal.styled(style, action_name(step.action)), step.path, terminal.styled(Style::dim, step.note)});
  }
  terminal.table(rows);
}

void write_steps(JsonWriter& json, const Plan& plan) {
  json.key("files").begin_array();
  for (const Step& step : plan.steps) {
    json.begin_object().member("path", step.path).member("action", action_name(step.action));
    if (!step.note.empty()) json.member("note", step.note);
    json.end_object();
  }
  json.end_array();
}

}  // namespace grove::tool
