#include "grove/chain/cryptography/hashing/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace grove::hashing {
namespace {

struct File {
  int descriptor;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

}  // namespace

Result<Blake3::Digest> hash_file(const std::filesystem::path& path, unsigned threads) {
  const auto failed = [&] { return fail_errno("hash " + path.string()); };
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status;
  if (file.descriptor < 0 || ::fstat(file.descriptor, &status) != 0) return failed();
  Blake3 hasher;
  if (S_ISREG(status.st_mode) && status.st_size > 0) {
    GROVE_CHECK(hasher.update_from(
        [&](std::uint64_t offset, std::span<std::byte> into) -> Result<void> {
          while (!into.empty()) {
            const ::ssize_t got = ::pread(file.descriptor, into.data(), into.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return failed();
            if (got == 0) return fail(Errc::io, "hash " + path.string() + ": the file shrank while it was read");
            offset += static_cast<std::uint64_t>(got);
            into = into.subspan(static_cast<std::size_t>(got));
          }
          return {};
        },
        static_cast<std::uint64_t>(status.st_size), threads));
    return hasher.finish();
  }
  std::vector<std::byte> buffer(std::size_t{1} << 16);  // a pipe, or a file of /proc, which says that it is empty
  for (;;) {
    const ::ssize_t got = ::read(file.descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) return hasher.finish();
    hasher.update(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace grove::hashing
