#include "tool/proof/prover.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "grove/base/json.hpp"
#include "grove/base/process.hpp"
#include "tool/evidence/report.hpp"
#include "tool/project/packages.hpp"
#include "tool/proof/interrupt.hpp"
#include "tool/proof/output.hpp"

namespace grove::tool {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

/// Runs one test and reads what it prints.
PartOutcome run_part(const TestProgram& test, std::string_view step, Terminal& terminal, ProofOutput* said,
                     std::string* log) {
  PartOutcome part{test.part, "failed", {}, 0, {}};
  if (test.command.empty()) {
    part.reason = "its program wasn't built";
    return part;
  }
  ProcessOptions options{.directory = test.directory, .environment = test.environment, .merge_error = true};
  options.timeout = test.timeout;
  const std::string prefix = std::string(step) + ": " + test.part;
  options.on_line = [&](std::string_view line) {
    if (said->read_line(line)) terminal.progress(prefix + ", " + std::string(line));
  };
  terminal.progress(prefix);
  const std::size_t not_run_before = said->not_run.size();
  const auto start = Clock::now();
  const auto output = run_child(test.command, options);
  part.seconds = seconds_since(start);
  *log += "=== " + test.part + "\n" + (output ? output->out : output.error().message() + "\n");
  if (!output) {
    part.reason = output.error().message();
  } else if (output->status == 0) {
    part.state = "passed";
  } else if (output->status == test.skip_status) {
    part.state = "not-run";
    const std::vector<std::string> reasons(said->not_run.begin() + static_cast<std::ptrdiff_t>(not_run_before),
                                           said->not_run.end());
    part.reason = reasons.empty() ? std::string(last_lines(output->out, 1)) : joined(reasons, "; ");
  } else {
    part.reason = failure_reason(output->out);
    if (part.reason.empty() || output->status > 128)
      part.reason = (output->status > 128 ? "killed by signal " + std::to_string(output->status - 128)
                                          : "exit status " + std::to_string(output->status)) +
                    (part.reason.empty() ? "" : ": " + part.reason);
    part.log = output->out;
  }
  return part;
}

/// The leaf's state from its parts: failed before not-run before passed; and
/// what has no proof is never "passed".
void conclude(Outcome* outcome) {
  Run& run = outcome->run;
  for (const std::string_view state : {"failed", "not-run"}) {
    for (const PartOutcome& part : outcome->parts)
      if (part.state == state) {
        run.state = state;
        run.reason += (run.reason.empty() ? "" : "; ") + part.name + ": " + part.reason;
      }
    if (!run.state.empty()) return;
  }
  const bool proof = std::ranges::any_of(outcome->parts, [](const PartOutcome& p) { return p.name == "proof"; });
  run.state = proof ? "passed" : "not-run";
  if (!proof) run.reason = "it has no proof yet: its tests pass, but nothing ran against the real thing";
}

}  // namespace

std::vector<std::string> build_packages(const Map& map, const Leaf& leaf) {
  std::vector<std::string> packages(base_debian().begin(), base_debian().end());
  for (const Leaf* used : with_dependencies(map, {&leaf}))
    packages.insert(packages.end(), used->debian.begin(), used->debian.end());
  return packages;
}

std::vector<std::string> all_packages(const Map& map, const std::vector<const Leaf*>& leaves) {
  std::vector<std::string> all;
  for (const Leaf* leaf : leaves) {
    if (!leaf->built) continue;
    const auto packages = build_packages(map, *leaf);
    all.insert(all.end(), packages.begin(), packages.end());
    all.insert(all.end(), leaf->prove.begin(), leaf->prove.end());
  }
  return all;
}

Result<Provenance> Provenance::look(const Map& map) {
  Provenance provenance(map);
  GROVE_TRY(provenance.machine_, this_machine("g++"));
  provenance.checkout_ = checkout_of(map.root);
  std::vector<const Leaf*> leaves;
  leaves.reserve(map.leaves.size());
  for (const Leaf& leaf : map.leaves) leaves.push_back(&leaf);
  auto installed = installed_packages(all_packages(map, leaves));
  provenance.knows_packages_ = installed.has_value();
  if (installed) provenance.installed_ = std::move(*installed);
  if (!installed && installed.error().code() != Errc::unsupported) return std::unexpected(installed.error());
  return provenance;
}

std::vector<std::string> Provenance::missing(const std::vector<std::string>& packages) const {
  std::vector<std::string> missing;
  for (const std::string& package : packages)
    if (knows_packages_ && !installed_.contains(package) && std::ranges::find(missing, package) == missing.end())
      missing.push_back(package);
  return missing;
}

Result<Run> Provenance::begin(std::string_view kind, const Leaf& leaf, ContentHasher::Peer peer) {
  Run run;
  run.time = std::time(nullptr);
  run.kind = kind;
  run.leaf = leaf.id;
  run.machine = machine_;
  run.commit = checkout_.commit;
  run.dirty = checkout_.is_dirty(source_folders(map_, leaf));
  std::vector<std::string> names = build_packages(map_, leaf);
  names.insert(names.end(), leaf.prove.begin(), leaf.prove.end());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  JsonWriter versions;
  versions.begin_object();
  for (const std::string& name : names)
    if (const auto found = installed_.find(name); found != installed_.end()) versions.member(name, found->second);
  run.packages = versions.end_object().str();
  GROVE_TRY(run.content_hash, hasher_.hash(leaf, machine_.compiler + "\n" + run.packages, peer));
  return run;
}

Result<void> configure_for(const Map& map, const Provenance& provenance, const std::vector<const Leaf*>& wanted,
                           BuildTree* tree) {
  std::vector<std::string> possible;
  bool all = true;
  for (const Leaf& leaf : map.leaves) {
    if (!leaf.built) continue;
    if (provenance.missing(build_packages(map, leaf)).empty())
      possible.push_back(leaf.id);
    else
      all = false;
  }
  if (all) possible.clear();
  const auto configured = tree->configure(possible);
  if (configured) return {};
  std::vector<std::string> ids;
  ids.reserve(wanted.size());
  for (const Leaf* leaf : wanted) ids.push_back(leaf->id);
  if (ids == possible || ids.empty()) return configured;
  return tree->configure(ids);
}

Result<std::vector<Outcome>> prove(const Map& map, const std::vector<const Leaf*>& leaves, const ProveOptions& options,
                                   Terminal& terminal) {
  if (options.install) {
    GROVE_TRY(const auto missing, missing_packages(all_packages(map, leaves)));
    GROVE_CHECK(install_packages(missing, true, terminal));
  }
  GROVE_TRY(auto provenance, Provenance::look(map));
  GROVE_TRY(auto store, Store::open(Store::Access::write));

  std::vector<Outcome> outcomes;
  std::vector<std::size_t> open;  // those that have to run
  for (const Leaf* leaf : leaves) {
    Outcome& outcome = outcomes.emplace_back(Outcome{.leaf = leaf});
    outcome.run.leaf = leaf->id;
    outcome.run.state = "not-run";
    if (!leaf->built) {
      outcome.run.reason = "planned: not built yet";
      continue;
    }
    outcome.missing = provenance.missing(build_packages(map, *leaf));
    if (!outcome.missing.empty()) {
      outcome.run.reason = "to build it, install " + joined(outcome.missing, ", ");
      continue;
    }
    GROVE_TRY(Run run, provenance.begin("prove", *leaf, ContentHasher::Peer::left_out));
    if (!options.again) {
      GROVE_TRY(auto last, store.last("prove", leaf->id));
      if (last && last->state == "passed" && last->content_hash == run.content_hash) {
        outcome.run = std::move(*last);
        outcome.unchanged = true;
        continue;
      }
    }
    run.state.clear();
    outcome.run = std::move(run);
    open.push_back(outcomes.size() - 1);
  }
  if (open.empty()) return outcomes;

  BuildTree tree(map.root, "release", terminal);
  std::vector<const Leaf*> wanted;
  std::vector<std::string> targets;
  for (const std::size_t i : open) {
    wanted.push_back(outcomes[i].leaf);
    targets.push_back(target_name(outcomes[i].leaf->id) + "-check");
  }
  GROVE_CHECK(configure_for(map, provenance, wanted, &tree));
  GROVE_TRY(const auto build, tree.build(targets, "building"));
  GROVE_TRY(const auto tests, list_tests(tree.folder()));

  for (std::size_t n = 0; n < open.size(); ++n) {
    Outcome& outcome = outcomes[open[n]];
    Run& run = outcome.run;
    const std::string step = "[" + std::to_string(n + 1) + "/" + std::to_string(open.size()) + "] " + run.leaf;
    const auto start = Clock::now();
    run.time = std::time(nullptr);
    std::string log;
    bool built = build.built;
    if (!built) {
      // Something failed to build: was it in this leaf? What is built already costs nothing here.
      GROVE_TRY(auto own, tree.build({targets[n]}, step));
      built = own.built;
      if (!built) {
        run.state = "failed";
        run.reason = "build: " + failure_reason(own.log);
        log = outcome.build_log = std::move(own.log);
      }
    }
    if (built) {
      ProofOutput said;
      if (const auto found = tests.find(run.leaf); found != tests.end())
        for (const TestProgram& test : found->second) {
          PartOutcome part = run_part(test, step, terminal, &said, &log);
          outcome.parts.push_back(std::move(part));
        }
      run.figures = std::move(said.figures);
      conclude(&outcome);
      if (run.state == "not-run") outcome.missing = provenance.missing(outcome.leaf->prove);
    }
    // Paths below the root read the same everywhere.
    const std::string root = map.root.string() + "/";
    for (std::size_t at = 0; (at = run.reason.find(root)) != std::string::npos;) run.reason.erase(at, root.size());
    run.seconds = seconds_since(start);
    if (const auto folder = tree.leaf_folder(run.leaf); !log.empty()) {
      std::error_code ignored;
      std::filesystem::create_directories(folder, ignored);
      GROVE_CHECK(write_file(folder / "prove.log", log));
    }
    GROVE_TRY(run.id, store.add(run));
  }
  terminal.end_progress();
  return outcomes;
}

}  // namespace grove::tool
