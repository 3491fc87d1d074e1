#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/evidence/store.hpp"
#include "tool/map/leaf.hpp"

namespace grove::tool {

/// One test of a leaf: its unit tests, its example, a fuzzer, its proof.
struct PartOutcome {
  std::string name;
  std::string state;  ///< "passed", "failed", "not-run"
  std::string reason;
  double seconds = 0;
  std::string log;  ///< What it printed, if it failed.
};

/// A leaf and how it went.
struct Outcome {
  const Leaf* leaf = nullptr;
  Run run;
  std::vector<PartOutcome> parts;
  bool unchanged = false;            ///< `run` is an earlier one, still valid.
  std::string build_log;             ///< If it wasn't built.
  std::vector<std::string> missing;  ///< Debian packages that would let it run.

  /// What the failure printed, its last lines.
  std::string_view failure_log() const;
};

/// `{"leaves":[{"id","state","reason","figures":[{"name","value","unit"}],"seconds"}]}`
std::string prove_json(const std::vector<Outcome>& outcomes);

/// A JUnit report: a suite for each leaf, a case for each part.
std::string junit_xml(const std::vector<Outcome>& outcomes);

}  // namespace grove::tool
