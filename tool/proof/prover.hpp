#pragma once

#include <map>
#include <string>
#include <vector>

#include "tool/cli/terminal.hpp"
#include "tool/evidence/machine.hpp"
#include "tool/map/load.hpp"
#include "tool/proof/build.hpp"
#include "tool/proof/content_hash.hpp"
#include "tool/proof/ctest.hpp"
#include "tool/proof/outcome.hpp"

namespace grove::tool {

/// What a run's evidence says besides its result, the same for all leaves of
/// one `prove` or `bench`: machine, checkout, package versions.
class Provenance {
 public:
  static Result<Provenance> look(const Map& map);

  /// Those of the map's packages that aren't installed; none where there is no dpkg to ask.
  std::vector<std::string> missing(const std::vector<std::string>& packages) const;
  /// A run of this leaf that begins now, with all but its result. `with_peer`: the peer's sources count too.
  Result<Run> begin(std::string_view kind, const Leaf& leaf, ContentHasher::Peer peer);

 private:
  explicit Provenance(const Map& map) : map_(map), hasher_(map) {}

  const Map& map_;
  ContentHasher hasher_;
  Machine machine_;
  Checkout checkout_;
  bool knows_packages_ = false;
  std::map<std::string, std::string> installed_;
};

/// Debian packages that building this leaf takes, those of what it uses included.
std::vector<std::string> build_packages(const Map& map, const Leaf& leaf);

/// Those of all of them that are built, and what their proofs and benches need besides.
std::vector<std::string> all_packages(const Map& map, const std::vector<const Leaf*>& leaves);

/// Configures the tree for all built leaves whose packages are installed, so
/// that one configuration serves every run; only for `wanted` when that fails.
Result<void> configure_for(const Map& map, const Provenance& provenance, const std::vector<const Leaf*>& wanted,
                           BuildTree* tree);

struct ProveOptions {
  bool again = false;
  bool install = false;
};

/// Builds, tests and proves leaves, and stores the evidence of what ran.
Result<std::vector<Outcome>> prove(const Map& map, const std::vector<const Leaf*>& leaves, const ProveOptions& options,
                                   Terminal& terminal);

}  // namespace grove::tool
