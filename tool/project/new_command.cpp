#include "tool/map/load.hpp"
#include "tool/project/commands.hpp"
#include "tool/project/hash.hpp"
#include "tool/project/name.hpp"
#include "tool/project/packages.hpp"

namespace grove::tool {
namespace {

std::size_t bytes_of(const Files& files) {
  std::size_t bytes = 0;
  for (const auto& [path, content] : files) bytes += content.size();
  return bytes;
}

std::string size_text(std::size_t bytes) {
  const std::size_t tenths = (bytes * 10 + 512) / 1024;
  return tenths < 10240 ? std::to_string(tenths / 10) + " KiB"
                        : std::to_string(tenths / 10240) + "." + std::to_string(tenths / 1024 % 10) + " MiB";
}

void show_files(Terminal& terminal, const Files& files) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [path, content] : files)
    rows.push_back({"  " + terminal.styled(Style::green, "create"), path, size_text(content.size())});
  terminal.table(rows);
}

void show_leaves(Terminal& terminal, const Project& project) {
  std::vector<std::vector<std::string>> rows;
  for (const Leaf& leaf : project.leaves) {
    const std::string title = leaf.title.en.empty() ? "shared" : leaf.title.en + " · " + leaf.title.zh;
    rows.push_back({"  " + terminal.styled(Style::cyan, leaf.id), title,
                    project.is_chosen(leaf.id) ? "" : terminal.styled(Style::dim, "used by another")});
  }
  terminal.table(rows);
}

void write_project(JsonWriter& json, const Project& project, const std::filesystem::path& folder, const Files& files,
                   const std::vector<std::string>& missing, bool dry_run) {
  json.begin_object().member("project", project.name).member("directory", folder.string());
  json.member("dry-run", dry_run).key("leaves").begin_array();
  for (const Leaf& leaf : project.leaves) {
    json.begin_object().member("id", leaf.id).member("version", project.lock.find(leaf.id)->version);
    json.member("chosen", project.is_chosen(leaf.id)).end_object();
  }
  json.end_array().key("packages").begin_object().key("needed").begin_array();
  for (const std::string& package : project.debian) json.value(package);
  json.end_array().key("missing").begin_array();
  for (const std::string& package : missing) json.value(package);
  json.end_array().end_object().key("files").begin_array();
  for (const auto& [path, content] : files)
    json.begin_object()
        .member("path", path)
        .member("bytes", content.size())
        .member("sha256", sha256_hex(content))
        .end_object();
  json.end_array();
}

Result<int> run(Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  Terminal& terminal = invocation.terminal;
  if (arguments.positional().size() != 1)
    return fail(Errc::invalid_argument, arguments.positional().empty()
                                            ? "new needs a name: grove new shop --with LEAF,…"
                                            : "new takes one name; leaves are named with --with LEAF,…");
  const std::string& name = arguments.positional().front();
  GROVE_CHECK(check_project_name(name));
  GROVE_TRY(const auto root, find_root());
  if (const auto app = arguments.value("--app")) GROVE_CHECK(check_app(root, *app));
  const auto words = arguments.values("--with");
  if (words.empty())
    return fail(Errc::invalid_argument, "new needs at least one leaf: grove new " + name +
                                            " --with LEAF,… (grove tree and grove find show them)");
  GROVE_TRY(const auto chosen, resolve_leaves(root, words));
  std::error_code error;
  const auto parent = std::filesystem::absolute(arguments.value("--directory").value_or("."), error).lexically_normal();
  const auto folder = (parent / name).lexically_normal();
  GROVE_CHECK(check_free(parent, name));
  GROVE_TRY(const Project project, generate(root, name, chosen));
  const Files files = project.with_records();
  const bool dry_run = arguments.has("--dry-run");

  std::vector<std::string> missing;
  GROVE_CHECK(provide_packages(invocation, project, &missing));
  if (!dry_run) GROVE_CHECK(write_folder(parent, name, files));

  const std::string summary = shown_path(folder) + "/  " + std::to_string(files.size()) + " files, " +
                              size_text(bytes_of(files)) + (dry_run ? ", not written (--dry-run)" : "");
  if (!invocation.json) {
    if (dry_run) show_files(terminal, files);
    terminal.line(terminal.styled(Style::bold, summary));
    show_leaves(terminal, project);
    if (dry_run && !missing.empty()) terminal.line("missing: " + install_command(missing));
    std::fflush(stdout);
  }
  JsonWriter json;
  if (invocation.json) write_project(json, project, folder, files, missing, dry_run);

  int status = 0;
  const auto commands = run_commands(project, folder);
  if (!dry_run && !arguments.has("--no-build")) {
    GROVE_TRY(const BuildReport report, build_project(folder, terminal));
    status = report.holds() ? 0 : 1;
    if (invocation.json)
      write_build(json, report);
    else
      show_build(terminal, report);
  }
  if (invocation.json) {
    json.key("run").begin_array();
    for (const std::string& command : commands) json.value(command);
    terminal.line(json.end_array().end_object().str());
  } else if (!dry_run && status == 0) {
    terminal.line();
    if (arguments.has("--no-build")) {
      terminal.line("  cd " + shown_path(folder));
      terminal.line("  cmake --preset release && cmake --build --preset release && ctest --preset release");
    }
    for (std::size_t i = arguments.has("--no-build") ? 1 : 0; i < commands.size(); ++i)
      terminal.line("  " + commands[i]);
  }
  return status;
}

}  // namespace

Command new_command() {
  return {.name = "new",
          .usage = "NAME --with LEAF,…",
          .summary_en = "Makes a project out of components, builds it, tests it and says how to run it.",
          .summary_zh = "用所选组件生成一个项目，完成构建与测试，并给出运行方法。",
          .details =
              "A leaf is named by its id, or by its last segment where only one leaf has it. Examples:\n"
              "  grove new shop --with data/database/storage/lsm,nats\n"
              "  grove new shop --with lsm --dry-run\n",
          .options = {{"--with", "LEAF,…", "the components; what they use comes along"},
                      {"--app", "APP", "all components of an application"},
                      {"--directory", "DIR", "where the project's folder is made; else here"},
                      {"--no-build", "", "only write the files"},
                      {"--no-install", "", "install nothing; a note says what is missing"},
                      {"--dry-run", "", "show every file and change nothing"},
                      {"--yes", "", "install without asking"}},
          .run = run};
}

}  // namespace grove::tool
