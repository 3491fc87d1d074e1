#include "grove/security/crypto/key-management/key_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "grove/base/bytes.hpp"
#include "grove/base/process.hpp"
#include "grove/security/crypto/key-management/age.hpp"
#include "grove/security/crypto/key-management/crypto.hpp"

namespace grove::key_management {
namespace {

// "grove ring 1\n", the number of keys, then each: name, version, time of
// creation (seconds since 1970), secret. Numbers are big-endian.
constexpr std::string_view kMagic = "grove ring 1\n";
constexpr std::size_t kMaxFile = std::size_t{256} << 20;

std::unexpected<Error> bad() { return fail(Errc::corrupt, "the key ring is sealed well and malformed inside"); }

/// Held while the file is replaced. Lies beside it, since the file itself is
/// another one after each time.
class Lock {
 public:
  static Result<Lock> take(const std::filesystem::path& path) {
    const std::string name = path.string() + ".lock";
    const int descriptor = ::open(name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0) return fail_errno("open " + name);
    Lock lock(descriptor);
    while (::flock(descriptor, LOCK_EX) != 0)
      if (errno != EINTR) return fail_errno("lock " + name);
    return lock;
  }
  Lock(Lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit Lock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// write_file's way, with the mode of a private file from the beginning on.
Result<void> replace(const std::filesystem::path& path, std::span<const std::byte> content) {
  const std::string beside = path.string() + ".new";
  ::unlink(beside.c_str());
  const int descriptor = ::open(beside.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail_errno("create " + beside);
  auto result = FileSink(descriptor).write(content);
  if (result && ::fsync(descriptor) != 0) result = fail_errno("sync " + beside);
  ::close(descriptor);
  if (result && ::rename(beside.c_str(), path.c_str()) != 0) result = fail_errno("rename " + beside);
  if (!result) {
    ::unlink(beside.c_str());
    return result;
  }
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  if (const int folder = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

}  // namespace

std::size_t KeyStore::count() const {
  std::size_t count = 0;
  for (const auto& [name, versions] : keys_) count += versions.size();
  return count;
}

SecretBuffer KeyStore::encode() const {
  std::size_t size = kMagic.size() + 4;
  for (const auto& [name, versions] : keys_)
    for (const Version& version : versions) size += 2 + name.size() + 4 + 8 + 4 + version.secret.size();
  SecretBuffer ring(size);
  ByteWriter writer(ring.bytes());
  // The size was counted, so that no write can fail.
  (void)writer.bytes(as_bytes(kMagic));
  (void)writer.u32be(static_cast<std::uint32_t>(count()));
  for (const auto& [name, versions] : keys_)
    for (const Version& version : versions) {
      (void)writer.u16be(static_cast<std::uint16_t>(name.size()));
      (void)writer.bytes(as_bytes(name));
      (void)writer.u32be(version.number);
      (void)writer.u64be(static_cast<std::uint64_t>(version.created.time_since_epoch().count()));
      (void)writer.u32be(static_cast<std::uint32_t>(version.secret.size()));
      (void)writer.bytes(version.secret.bytes());
    }
  return ring;
}

Result<void> KeyStore::decode(std::span<const std::byte> ring) {
  ByteReader reader(ring);
  const auto magic = reader.bytes(kMagic.size());
  if (!magic || as_text(*magic) != kMagic) return fail(Errc::parse, "the file is sealed and no key ring");
  const auto count = reader.u32be();
  if (!count || *count > kMaxKeys) return bad();
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto name_size = reader.u16be();
    const auto name = reader.bytes(name_size.value_or(0));
    const auto number = reader.u32be();
    const auto created = reader.u64be();
    const auto size = reader.u32be();
    if (!name_size || !name || name->empty() || !number || !created || !size || *size > kMaxSize) return bad();
    const auto secret = reader.bytes(*size);
    auto& versions = keys_[std::string(as_text(*name))];
    if (!secret || *number == 0 || (!versions.empty() && versions.back().number >= *number)) return bad();
    versions.push_back(
        {*number, std::chrono::sys_seconds(std::chrono::seconds(*created)), SecretBuffer::copy(*secret)});
  }
  return reader.empty() ? Result<void>{} : bad();
}

Result<KeyStore> KeyStore::create(const std::filesystem::path& path, std::vector<Recipient> recipients) {
  if (std::filesystem::exists(path)) return fail(Errc::already_exists, path.string() + " exists");
  KeyStore store(path, std::move(recipients));
  GROVE_CHECK(store.save());
  return store;
}

Result<KeyStore> KeyStore::open(const std::filesystem::path& path, std::vector<Identity> identities) {
  GROVE_TRY(const auto decryptor, Decryptor::make(std::move(identities)));
  GROVE_TRY(const auto file, read_file(path, kMaxFile));
  // Decrypted straight into locked memory: plaintext is shorter than its file.
  SecretBuffer ring(file.size());
  SpanSink sink(ring.bytes());
  GROVE_CHECK(decryptor.open(as_bytes(file), sink));
  KeyStore store(path, {});
  store.on_disk_ = crypto::sha256(as_bytes(file));
  GROVE_CHECK(store.decode(std::as_const(ring).bytes().first(sink.size())));
  return store;
}

Result<void> KeyStore::rotate(const std::filesystem::path& path, std::span<const Identity> identities,
                              std::vector<Recipient> recipients) {
  GROVE_TRY(const auto lock, Lock::take(path));
  GROVE_TRY(const auto file, read_file(path, kMaxFile));
  MemorySource source(as_bytes(file));
  std::vector<std::byte> rewrapped;
  VectorSink sink(rewrapped);
  GROVE_CHECK(rewrap(source, identities, recipients, sink));
  return replace(path, rewrapped);
}

std::vector<std::string> KeyStore::names() const {
  std::vector<std::string> names;
  for (const auto& [name, versions] : keys_) names.push_back(name);
  return names;
}

Result<KeyStore::Key> KeyStore::get(std::string_view name) const {
  const auto found = keys_.find(name);
  if (found == keys_.end()) return fail(Errc::not_found, "the key ring has no " + std::string(name));
  const Version& newest = found->second.back();
  return Key{newest.number, newest.created, newest.secret};
}

Result<KeyStore::Key> KeyStore::get(std::string_view name, std::uint32_t version) const {
  if (const auto found = keys_.find(name); found != keys_.end())
    for (const Version& one : found->second)
      if (one.number == version) return Key{one.number, one.created, one.secret};
  return fail(Errc::not_found, "the key ring has no version " + std::to_string(version) + " of " + std::string(name));
}

std::vector<std::uint32_t> KeyStore::versions(std::string_view name) const {
  std::vector<std::uint32_t> numbers;
  if (const auto found = keys_.find(name); found != keys_.end())
    for (const Version& version : found->second) numbers.push_back(version.number);
  return numbers;
}

Result<std::uint32_t> KeyStore::put(std::string_view name, SecretBuffer secret) {
  if (name.empty() || name.size() > 255) return fail(Errc::invalid_argument, "a key's name is 1 to 255 bytes");
  if (secret.size() > kMaxSize) return fail(Errc::limit, "a secret is at most 1 MiB");
  if (count() == kMaxKeys) return fail(Errc::limit, "a key ring holds at most 4096 versions of keys");
  auto& versions = keys_[std::string(name)];
  const std::uint32_t number = versions.empty() ? 1 : versions.back().number + 1;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  versions.push_back({number, now, std::move(secret)});
  return number;
}

Result<void> KeyStore::erase(std::string_view name) {
  const auto found = keys_.find(name);
  if (found == keys_.end()) return fail(Errc::not_found, "the key ring has no " + std::string(name));
  keys_.erase(found);
  return {};
}

Result<void> KeyStore::erase(std::string_view name, std::uint32_t version) {
  GROVE_CHECK(get(name, version));
  const auto found = keys_.find(name);
  std::erase_if(found->second, [&](const Version& one) { return one.number == version; });
  if (found->second.empty()) keys_.erase(found);
  return {};
}

Result<void> KeyStore::set_recipients(std::vector<Recipient> recipients) {
  GROVE_CHECK(Encryptor::make(recipients));  // whether they may stand together
  recipients_ = std::move(recipients);
  return {};
}

Result<void> KeyStore::save() {
  if (recipients_.empty()) return fail(Errc::invalid_argument, "the key ring has no recipients; call set_recipients");
  GROVE_TRY(const auto encryptor, Encryptor::make(recipients_));
  GROVE_TRY(const auto file, encryptor.seal(std::as_const(*this).encode().bytes()));
  GROVE_TRY(const auto lock, Lock::take(path_));
  const auto current = read_file(path_, kMaxFile);
  const bool fresh = on_disk_ == std::array<std::byte, 32>{};
  if (fresh ? current.has_value() : !current || crypto::sha256(as_bytes(*current)) != on_disk_)
    return fail(Errc::conflict, path_.string() + " was changed by another; open it again");
  GROVE_CHECK(replace(path_, file));
  on_disk_ = crypto::sha256(file);
  return {};
}

}  // namespace grove::key_management
