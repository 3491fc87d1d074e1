#include "tool/project/name.hpp"

#include <algorithm>
#include <array>

namespace grove::tool {
namespace {

constexpr std::size_t kMaxName = 64;

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Targets that CMake's generators make themselves, names that our own files
/// take, and Windows' device names.
constexpr std::array<std::string_view, 37> kReserved{"all",
                                                     "all_build",
                                                     "aux",
                                                     "base",
                                                     "build",
                                                     "clean",
                                                     "cmake",
                                                     "con",
                                                     "conin$",
                                                     "conout$",
                                                     "continuous",
                                                     "depend",
                                                     "edit_cache",
                                                     "experimental",
                                                     "help",
                                                     "install",
                                                     "list_install_components",
                                                     "nightly",
                                                     "nul",
                                                     "package",
                                                     "ctest",
                                                     "package_source",
                                                     "preinstall",
                                                     "prn",
                                                     "rebuild_cache",
                                                     "run_tests",
                                                     "tests",
                                                     "test",
                                                     "uninstall",
                                                     "zero_check",
                                                     "src",
                                                     "data",
                                                     "doctest",
                                                     "threads",
                                                     "grove",
                                                     "boost",
                                                     "packages"};

bool is_reserved(std::string_view name) {
  std::string low(name);
  std::transform(low.begin(), low.end(), low.begin(), lower);
  if (std::find(kReserved.begin(), kReserved.end(), low) != kReserved.end() || low.starts_with("grove-")) return true;
  return low.size() == 4 && (low.starts_with("com") || low.starts_with("lpt")) && is_digit(low[3]);
}

std::string propose(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const bool valid = is_letter(c) || is_digit(c) || c == '_';
    if (valid)
      text += c;
    else if (!text.empty() && text.back() != '-')
      text += '-';
    if (text.size() == 32) break;
  }
  while (!text.empty() && (text.back() == '-' || text.back() == '_')) text.pop_back();
  while (!text.empty() && !is_letter(text.front())) text.erase(0, 1);
  if (text.empty()) return "shop";
  return is_reserved(text) ? "my-" + text : text;
}

}  // namespace

Result<void> check_project_name(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    std::string shown(name.substr(0, 40));
    if (name.size() > 40) shown += "…";
    return fail(Errc::invalid_argument, "the name '" + shown + "' " + std::string(why) + "; for example: grove new " +
                                            propose(name) + " --with LEAF");
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > kMaxName) return refuse("is longer than " + std::to_string(kMaxName) + " characters");
  if (!is_letter(name.front())) return refuse("doesn't begin with a letter");
  for (const char c : name)
    if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-')
      return refuse("isn't a valid CMake project name (letters, digits, - and _)");
  if (is_reserved(name)) return refuse("is taken by CMake, by a file of the project or by an operating system");
  return {};
}

std::string vcpkg_name(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (is_letter(c) || is_digit(c))
      text += lower(c);
    else if (!text.empty() && text.back() != '-')
      text += '-';
  }
  while (!text.empty() && text.back() == '-') text.pop_back();
  return text;
}

}  // namespace grove::tool
