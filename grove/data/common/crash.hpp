#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "grove/data/common/fault_fs.hpp"

namespace grove::data {

// What a power loss may leave, by POSIX's promises and no more:
// - a write that `sync` of its file has followed is there; each later one is
//   there, missing or torn (any of its 512-byte sectors), in any combination;
// - a change of a directory that `sync_directory` has followed is there; of the
//   later ones, a prefix is (file systems journal names in order).
// This is the model of ALICE (Pillai et al., OSDI 2014) with ordered names.

struct CrashOptions {
  std::uint64_t seed = 1;
  /// Random states beside the four extremes (nothing unsynced survives, all of
  /// it, only names, only data) at each point.
  std::uint32_t random_states = 2;
  /// A state for each change is too many for a long journal: points are then
  /// spread evenly, those around syncs and marks first.
  std::uint64_t max_points = 4096;
  std::uint32_t sector = 512;
};

struct Crash {
  std::uint64_t point;  ///< So many changes of the journal had happened.
  std::uint64_t mark;   ///< The highest mark among them, 0 if none.
  std::string story;    ///< "after op 17 (sync /db/000004.log), data lost, names kept".
  FileImage image;      ///< What the disk holds; give it to `FaultFs`.
};

struct CrashCount {
  std::uint64_t points = 0;
  std::uint64_t states = 0;
};

/// Calls `check` with each state that a crash may leave; stops at its first
/// error, which then carries the state's story. States that are the same by
/// construction (nothing was unsynced) are visited once.
Result<CrashCount> for_each_crash(const FaultFs& files, const CrashOptions& options,
                                  const std::function<Result<void>(Crash&&)>& check);

}  // namespace grove::data
