#pragma once

#include <filesystem>
#include <ostream>
#include <span>
#include <string>

#include "grove/base/error.hpp"

namespace grove {

/// What an example gets. Every built leaf's example.cpp defines
/// `Result<void> grove::<namespace>::example(const ExampleContext&)`; it is run
/// as a test, shown by `grove show`, and copied into generated projects, where
/// the user changes it into something of their own.
struct ExampleContext {
  std::ostream& out;                       ///< Where a person reads what it did.
  std::filesystem::path directory;         ///< Exists, writable; what lies in it is still there next time.
  std::span<const std::string> arguments;  ///< The user's own.
};

}  // namespace grove
