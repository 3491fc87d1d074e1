#include "grove/base/test/proof.hpp"

#include <cstdio>
#include <cstdlib>

#include "grove/base/test/proof_state.hpp"

namespace grove::proof {

bool& some_not_run() {
  static bool flag = false;
  return flag;
}

void figure(std::string_view name, double value, std::string_view unit) {
  std::printf("figure %.*s %.10g %.*s\n", static_cast<int>(name.size()), name.data(), value,
              static_cast<int>(unit.size()), unit.data());
  std::fflush(stdout);
}

void conformance(std::uint64_t passed, std::uint64_t total, std::string_view suite) {
  const std::string name = suite.empty() ? "conformance" : "conformance-" + std::string(suite);
  std::printf("figure %s %llu/%llu cases\n", name.c_str(), static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(total));
  std::fflush(stdout);
}

void not_run(std::string_view what, std::string_view reason) {
  some_not_run() = true;
  std::printf("not-run %.*s: %.*s\n", static_cast<int>(what.size()), what.data(), static_cast<int>(reason.size()),
              reason.data());
  std::fflush(stdout);
}

void gap(std::string_view what, std::string_view reason) {
  std::printf("gap %.*s: %.*s\n", static_cast<int>(what.size()), what.data(), static_cast<int>(reason.size()),
              reason.data());
  std::fflush(stdout);
}

bool need(std::string_view program, std::string_view debian_package) {
  if (find_program(program)) return true;
  not_run(program, "install the Debian package " + std::string(debian_package));
  return false;
}

std::optional<std::filesystem::path> npm_package(std::string_view name, std::string_view version) {
  const std::string spec = std::string(name) + "@" + std::string(version);
  if (!need("npm", "npm")) return std::nullopt;
  const char* cache = std::getenv("GROVE_CACHE");
  const std::filesystem::path root = std::filesystem::path(cache != nullptr ? cache : GROVE_CACHE_DIR) / "npm" / spec;
  const auto folder = root / "node_modules" / name;
  if (std::filesystem::exists(folder / "package.json")) return folder;
  std::error_code ignored;
  std::filesystem::create_directories(root, ignored);
  ProcessOptions options;
  options.directory = root;
  options.merge_error = true;
  options.timeout = std::chrono::minutes(5);
  const auto installed = run_process(
      {"npm", "install", "--prefix", root.string(), "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", spec},
      options);
  if (installed && installed->status == 0 && std::filesystem::exists(folder / "package.json")) return folder;
  not_run(spec,
          "npm could not install it: " + (installed ? installed->out.substr(0, 300) : installed.error().message()));
  return std::nullopt;
}

std::optional<std::filesystem::path> shared_data(std::string_view relative_path) {
  const char* root = std::getenv("GROVE_DATA");
  const std::filesystem::path path = std::filesystem::path(root != nullptr ? root : GROVE_DATA_DIR) / relative_path;
  if (std::filesystem::exists(path)) return path;
  not_run(relative_path, "no such file below " + path.parent_path().string() + "; set GROVE_DATA to the data folder");
  return std::nullopt;
}

}  // namespace grove::proof
