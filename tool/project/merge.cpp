#include "tool/project/merge.hpp"

#include <algorithm>

#include "grove/base/process.hpp"
#include "tool/project/hash.hpp"

namespace grove::tool {
namespace {

bool is_binary(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Result<Step> merge_step(const std::string& path, const std::string& mine, const std::string& base,
                        const std::string& theirs) {
  if (is_binary(mine) || is_binary(base) || is_binary(theirs))
    return Step{path, Action::conflict, {}, false, "both changed it, and it is no text: yours is kept"};
  GROVE_TRY(Merged merged, merge_texts(mine, base, theirs));
  if (merged.conflict)
    return Step{path, Action::conflict, std::move(merged.text), true,
                "both changed the same lines: look for <<<<<<< and >>>>>>>"};
  return Step{path, Action::merge, std::move(merged.text), true, "your edits are kept"};
}

}  // namespace

std::string_view action_name(Action action) {
  switch (action) {
    case Action::create: return "create";
    case Action::replace: return "replace";
    case Action::merge: return "merge";
    case Action::remove: return "remove";
    case Action::conflict: return "conflict";
  }
  return "";
}

Result<Merged> merge_texts(const std::string& mine, const std::string& base, const std::string& theirs) {
  GROVE_TRY(const TempDir folder, TempDir::make("grove-merge"));
  GROVE_CHECK(write_folder(folder.path(), "texts", {{"mine", mine}, {"base", base}, {"theirs", theirs}}));
  std::vector<std::string> command{"git", "merge-file", "-p",   "-L",   "yours", "-L", "as it was copied",
                                   "-L",  "Grove's",    "mine", "base", "theirs"};
  const bool has_git = find_program("git").has_value();
  if (!has_git)
    command = {"diff3", "-m", "-E", "-L", "yours", "-L", "as it was copied", "-L", "Grove's", "mine", "base", "theirs"};
  GROVE_TRY(const ProcessOutput output, run_process(command, {.directory = folder.path() / "texts"}));
  // git: the number of conflicts, 255 for an error. diff3: 1 for conflicts, 2 for an error.
  if (output.status > (has_git ? 127 : 1)) return fail(Errc::internal, command.front() + " can't merge: " + output.err);
  return Merged{output.out, output.status != 0};
}

Result<std::string> unified_diff(const std::string& before, const std::string& after, const std::string& path) {
  if (before == after) return std::string();
  if (is_binary(before) || is_binary(after)) return "Binary files a/" + path + " and b/" + path + " differ\n";
  GROVE_TRY(const TempDir folder, TempDir::make("grove-diff"));
  GROVE_CHECK(write_folder(folder.path(), "texts", {{"after", after}}));
  const std::string old_label = before.empty() ? "/dev/null" : "a/" + path;
  const std::string new_label = after.empty() ? "/dev/null" : "b/" + path;
  GROVE_TRY(const ProcessOutput output,
            run_process({"diff", "-u", "--label", old_label, "--label", new_label, "-", "after"},
                        {.input = before, .directory = folder.path() / "texts"}));
  if (output.status > 1) return fail(Errc::internal, "diff can't compare " + path + ": " + output.err);
  return output.out;
}

std::size_t Plan::conflicts() const {
  return static_cast<std::size_t>(
      std::count_if(steps.begin(), steps.end(), [](const Step& step) { return step.action == Action::conflict; }));
}

Result<Existing> open_project(const std::filesystem::path& start) {
  std::error_code error;
  auto folder = std::filesystem::absolute(start, error).lexically_normal();
  while (!std::filesystem::exists(folder / kLockPath, error)) {
    if (!folder.has_relative_path())
      return fail(Errc::not_found,
                  "no grove.lock in " + start.string() +
                      " or above: this is no Grove project; grove new makes one, --directory names one");
    folder = folder.parent_path();
  }
  GROVE_TRY(Folder opened, Folder::open(folder));
  GROVE_TRY(const auto lock_text, opened.read(kLockPath));
  GROVE_TRY(const auto pristine_text, opened.read(kPristinePath));
  if (!lock_text) return fail(Errc::not_found, "grove.lock is gone");
  GROVE_TRY(Lock lock, Lock::parse(*lock_text));
  if (!pristine_text) return fail(Errc::corrupt, ".grove/pristine is missing; restore it from your version control");
  GROVE_TRY(Pristine pristine, unpack(*pristine_text));
  for (const auto& [path, hash] : lock.files())
    if (!pristine.contains(hash))
      return fail(Errc::corrupt,
                  ".grove/pristine lacks the text of " + path + "; restore it from your version control");
  return Existing{std::move(opened), std::move(lock), std::move(pristine)};
}

Result<Plan> plan_change(const Existing& existing, const Project& wanted) {
  Plan plan;
  plan.lock = wanted.lock;
  const auto old_files = existing.lock.files();
  const auto conflict = [&](const std::string& path, std::string note) {
    plan.steps.push_back({path, Action::conflict, {}, false, std::move(note)});
  };

  for (LockedLeaf& leaf : plan.lock.leaves) {
    for (auto file = leaf.files.begin(); file != leaf.files.end();) {
      const auto& [path, hash] = *file;
      const auto here = file++;
      const std::string& theirs = wanted.files.at(path);
      const auto old = old_files.find(path);
      // Nothing new from Grove: the user's file isn't even read.
      if (old != old_files.end() && old->second == hash) continue;
      GROVE_TRY(const auto mine, existing.folder.read(path));
      if (mine && *mine == theirs) continue;
      if (old == old_files.end()) {
        if (!mine) {
          plan.steps.push_back({path, Action::create, theirs, true, {}});
        } else {
          conflict(path, "a file of yours has this name: it is kept");
          leaf.files.erase(here);
        }
      } else if (!mine) {
        continue;  // the user deleted it: it stays deleted
      } else if (sha256_hex(*mine) == old->second) {
        plan.steps.push_back({path, Action::replace, theirs, true, {}});
      } else {
        GROVE_TRY(Step step, merge_step(path, *mine, existing.pristine.at(old->second), theirs));
        if (!step.writes) here->second = old->second;  // unsolved: the base stays, so that it shows again
        if (step.content != mine) plan.steps.push_back(std::move(step));
      }
    }
  }
  for (const auto& [path, hash] : old_files) {
    if (wanted.files.contains(path)) continue;
    GROVE_TRY(const auto mine, existing.folder.read(path));
    if (!mine) continue;
    if (sha256_hex(*mine) == hash)
      plan.steps.push_back({path, Action::remove, {}, true, {}});
    else
      conflict(path, "Grove has it no more and you changed it: it is kept and yours alone");
  }

  for (const auto& [path, hash] : plan.lock.files()) {
    const auto old = existing.pristine.find(hash);
    plan.pristine.emplace(hash, old != existing.pristine.end() ? old->second : wanted.files.at(path));
  }
  std::sort(plan.steps.begin(), plan.steps.end(), [](const Step& a, const Step& b) { return a.path < b.path; });
  plan.changes_lock = plan.lock.to_toml() != existing.lock.to_toml();
  return plan;
}

Result<void> apply_plan(const Existing& existing, const Plan& plan) {
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  for (const Step& step : plan.steps)
    if (step.writes) changes.emplace_back(step.path, step.content);
  if (plan.changes_lock) {
    changes.emplace_back(kPristinePath, pack({plan.pristine.begin(), plan.pristine.end()}));
    changes.emplace_back(kLockPath, plan.lock.to_toml());
  }
  return existing.folder.apply(changes);
}

}  // namespace grove::tool
