#pragma once

// A proof is a doctest program (test.hpp) linked with proof_main.cpp. It runs a
// component against the real thing and prints its figures, one a line:
//   figure <name> <value> <unit>
//   figure conformance <passed>/<total> cases
//   not-run <what>: <reason>
// Exit status: 0 proven, 1 something doesn't hold, 77 a part could not be run.

#include <cstdint>
#include <string>
#include <string_view>

#include "grove/base/process.hpp"
#include "grove/base/test/server.hpp"
#include "grove/base/test/test.hpp"

namespace grove::proof {

/// Names are kebab-case. The value is what was measured, never a literal.
void figure(std::string_view name, double value, std::string_view unit);
/// Cases of a conformance suite, the failed ones included in `total`.
void conformance(std::uint64_t passed, std::uint64_t total, std::string_view suite = {});

/// Says that a part can't be run on this machine; the whole proof then counts
/// as not run (unless something failed). The reason says what to do about it.
void not_run(std::string_view what, std::string_view reason);

/// What lies outside what this machine can ever show (no such CPU, no GPU).
/// It is printed and kept with the evidence, and doesn't change the state.
void gap(std::string_view what, std::string_view reason);

/// True when the program is in PATH; otherwise reports `not_run` and names the
/// Debian package that has it: `if (!proof::need("age", "age")) return;`
bool need(std::string_view program, std::string_view debian_package);

/// The folder of a npm package at an exact version, fetched with `npm` into the
/// build tree on first use and kept there; `not_run` is reported and nothing
/// returned when that can't be done. Install scripts are not run.
std::optional<std::filesystem::path> npm_package(std::string_view name, std::string_view version);

/// A file of the shared conformance data (GROVE_DATA, else `shared/data` beside
/// the repository), or a `not_run`.
std::optional<std::filesystem::path> shared_data(std::string_view relative_path);

}  // namespace grove::proof
