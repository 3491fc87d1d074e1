#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grove/base/error.hpp"
#include "tool/project/folder.hpp"
#include "tool/project/generate.hpp"
#include "tool/project/lock.hpp"

namespace grove::tool {

struct Merged {
  std::string text;
  bool conflict = false;  ///< The text holds conflict markers.
};

/// Three-way merge by `git merge-file`, or `diff3` where there is no git.
/// Identical changes on both sides are taken once.
Result<Merged> merge_texts(const std::string& mine, const std::string& base, const std::string& theirs);

/// `diff -u` between two texts, with these labels; empty when they are equal.
Result<std::string> unified_diff(const std::string& before, const std::string& after, const std::string& path);

/// What happens to one file. "Mine" is the user's text, "base" what was copied
/// once, "theirs" what Grove has now.
enum class Action : unsigned char {
  create,    ///< New from Grove.
  replace,   ///< The user never changed it.
  merge,     ///< Both changed it, and the changes don't touch each other.
  remove,    ///< Grove has it no more and the user never changed it.
  conflict,  ///< Both changed the same lines: markers are in the text; or see `note`.
};
std::string_view action_name(Action action);

struct Step {
  std::string path;
  Action action = Action::create;
  std::optional<std::string> content;  ///< To be written; nothing: removed, or left alone on a conflict.
  bool writes = true;                  ///< False: a conflict that only the user can solve; the file stays as it is.
  std::string note;
};

/// A change of a project, worked out and not yet made.
struct Plan {
  std::vector<Step> steps;  ///< By path; files that stay as they are have none.
  Lock lock;
  Pristine pristine;
  std::size_t conflicts() const;
  bool changes_lock = false;
};

/// An existing project: its folder, lock and pristine texts.
struct Existing {
  Folder folder;
  Lock lock;
  Pristine pristine;
};

/// The project that holds `start`: the nearest folder with a grove.lock.
Result<Existing> open_project(const std::filesystem::path& start);

/// How `existing` becomes `wanted`. A project's components always come from one
/// state of Grove, where they were tested together; so `add` updates the others too.
Result<Plan> plan_change(const Existing& existing, const Project& wanted);

/// Makes the change: all of it or nothing.
Result<void> apply_plan(const Existing& existing, const Plan& plan);

}  // namespace grove::tool
