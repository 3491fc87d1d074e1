#include "tool/evidence/machine.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include "grove/base/process.hpp"

namespace grove::tool {

Result<Machine> this_machine(std::string_view compiler) {
  Machine machine;
  GROVE_TRY(const auto version, run_process({std::string(compiler), "--version"}));
  machine.compiler = version.out.substr(0, version.out.find('\n'));
  utsname name{};
  if (::uname(&name) == 0) machine.kernel = std::string(name.sysname) + " " + name.release + " " + name.machine;
  // x86 says "model name"; where the kernel says nothing, the architecture has to do.
  machine.cpu = name.machine;
  if (const auto info = read_file("/proc/cpuinfo")) {
    const std::size_t at = info->find("model name");
    const std::size_t colon = info->find(": ", at);
    if (at != std::string::npos && colon != std::string::npos)
      machine.cpu = info->substr(colon + 2, info->find('\n', colon) - colon - 2);
  }
  machine.cores = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  machine.memory = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  return machine;
}

bool Checkout::is_dirty(const std::vector<std::string>& folders) const {
  for (const std::string& path : changed)
    for (const std::string& folder : folders) {
      const std::string inside = folder + "/";
      if (path == folder || path.starts_with(inside) || (path.ends_with('/') && inside.starts_with(path))) return true;
    }
  return false;
}

Checkout checkout_of(const std::filesystem::path& root) {
  Checkout checkout;
  const std::vector<std::string> git{"git", "-C", root.string()};
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), git.begin(), git.end());
    return run_process(words);
  };
  const auto head = run({"rev-parse", "HEAD"});
  if (!head || head->status != 0) return checkout;
  checkout.commit = head->out.substr(0, head->out.find('\n'));
  // Entries end in NUL: "XY path", and for a rename its old path as one more.
  const auto status = run({"--no-optional-locks", "status", "--porcelain", "-z", "--no-renames"});
  if (!status) return checkout;
  std::string_view rest = status->out;
  for (std::size_t end = 0; (end = rest.find('\0')) != std::string_view::npos; rest.remove_prefix(end + 1))
    if (end > 3) checkout.changed.emplace_back(rest.substr(3, end - 3));
  return checkout;
}

}  // namespace grove::tool
