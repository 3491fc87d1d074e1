#include "grove/security/crypto/key-management/age.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "grove/security/crypto/key-management/crypto.hpp"
#include "grove/security/crypto/key-management/format.hpp"

namespace grove::key_management {
namespace {

constexpr std::size_t kTagSize = 16;
constexpr std::size_t kSealedSize = kChunkSize + kTagSize;
constexpr std::size_t kNonceSize = 16;
constexpr unsigned kMaxThreads = 64;
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

using PayloadKey = Secret<32>;

/// The plaintext of that much of a payload from a chunk's beginning on.
constexpr std::size_t plain_size(std::size_t sealed) noexcept {
  return sealed / kSealedSize * kChunkSize + std::max(sealed % kSealedSize, kTagSize) - kTagSize;
}

/// The STREAM of the payload, one chunk at a time. The key is scheduled once.
class ChunkCipher {
 public:
  ChunkCipher(const PayloadKey& key, bool encrypt) : context_(EVP_CIPHER_CTX_new()) {
    if (context_ == nullptr || EVP_CipherInit_ex(context_.get(), EVP_chacha20_poly1305(), nullptr, crypto::in(key),
                                                 nullptr, encrypt ? 1 : 0) != 1)
      context_.reset();
  }
  explicit operator bool() const noexcept { return context_ != nullptr; }

  /// `out` has room for the tag.
  bool seal(std::uint64_t index, bool last, std::span<const std::byte> in, std::byte* out) {
    auto* target = reinterpret_cast<unsigned char*>(out);
    return start(index, last) && update(in, target) && finish(target + in.size()) &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, target + in.size()) == 1;
  }
  /// `in` has the tag. Wipes `out` when it is wrong.
  bool open(std::uint64_t index, bool last, std::span<const std::byte> in, std::byte* out) {
    const std::size_t size = in.size() - kTagSize;
    auto* target = reinterpret_cast<unsigned char*>(out);
    // OpenSSL takes the tag by a pointer to mutable bytes and only reads them.
    auto* tag = const_cast<std::byte*>(in.data() + size);
    unsigned char none[1];
    const bool good = start(index, last) &&
                      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag) == 1 &&
                      update(in.first(size), target) && finish(none);
    if (!good) {
      wipe({out, size});
      ERR_clear_error();
    }
    return good;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  /// An 11-byte big-endian counter, then a flag on the last chunk.
  bool start(std::uint64_t index, bool last) {
    std::array<unsigned char, 12> nonce{};
    for (unsigned i = 0; i < 8; ++i) nonce[10 - i] = static_cast<unsigned char>(index >> (8 * i));
    nonce[11] = last ? 1 : 0;
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1;
  }
  bool update(std::span<const std::byte> in, unsigned char* out) {
    int size = 0;
    return in.empty() || EVP_CipherUpdate(context_.get(), out, &size, crypto::in(in), static_cast<int>(in.size())) == 1;
  }
  bool finish(unsigned char* out) {
    int size = 0;
    return EVP_CipherFinal_ex(context_.get(), out, &size) == 1;
  }

  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

/// Runs chunks on the caller's thread and some helpers, which live as long.
class Team {
 public:
  using Work = std::function<void(std::size_t member, std::size_t index)>;

  explicit Team(unsigned threads) {
    for (unsigned i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
  }
  ~Team() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    start_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }
  std::size_t size() const noexcept { return helpers_.size() + 1; }

  /// Every index below `count`, each once; returns when all are done.
  void run(std::size_t count, const Work& work) {
    if (helpers_.empty() || count < 2) {
      for (std::size_t i = 0; i < count; ++i) work(0, i);
      return;
    }
    {
      const std::scoped_lock lock(mutex_);
      work_ = &work;
      count_ = count;
      next_ = 0;
      busy_ = helpers_.size();
      ++round_;
    }
    start_.notify_all();
    take(0, work, count);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void take(std::size_t member, const Work& work, std::size_t count) {
    for (std::size_t i = next_++; i < count; i = next_++) work(member, i);
  }
  void help(std::size_t member) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      start_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
      const Work& work = *work_;
      const std::size_t count = count_;
      lock.unlock();
      take(member, work, count);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable start_, done_;
  const Work* work_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_{0};
  std::size_t busy_ = 0;
  std::uint64_t round_ = 0;
  bool stop_ = false;
  std::vector<std::thread> helpers_;
};

/// A team with a cipher for each member.
class Crew {
 public:
  static Result<std::unique_ptr<Crew>> make(const PayloadKey& key, bool encrypt, unsigned threads) {
    auto crew = std::unique_ptr<Crew>(new Crew(std::clamp(threads, 1u, kMaxThreads)));
    for (std::size_t i = 0; i < crew->team_.size(); ++i)
      if (!crew->ciphers_.emplace_back(key, encrypt)) return fail(Errc::internal, "OpenSSL has no ChaCha20-Poly1305");
    return crew;
  }
  /// Chunks a round: enough to keep everybody busy, few enough to stay in cache.
  std::size_t batch() const noexcept { return team_.size() == 1 ? 4 : 32 * team_.size(); }

  /// The chunks of `in`, numbered from `index`; none of them is the last one.
  bool seal(std::uint64_t index, std::span<const std::byte> in, std::byte* out) {
    std::atomic<bool> good{true};
    team_.run(in.size() / kChunkSize, [&](std::size_t member, std::size_t i) {
      if (!ciphers_[member].seal(index + i, false, in.subspan(i * kChunkSize, kChunkSize), out + i * kSealedSize))
        good = false;
    });
    return good;
  }
  /// The first chunk that is not what its place says, or kNone. `last`: the
  /// last one ends the file.
  std::size_t open(std::uint64_t index, std::span<const std::byte> in, bool last, std::byte* out) {
    const std::size_t count = (in.size() + kSealedSize - 1) / kSealedSize;
    std::atomic<std::size_t> first_bad{kNone};
    team_.run(count, [&](std::size_t member, std::size_t i) {
      const auto chunk = in.subspan(i * kSealedSize, std::min(kSealedSize, in.size() - i * kSealedSize));
      if (ciphers_[member].open(index + i, last && i + 1 == count, chunk, out + i * kChunkSize)) return;
      std::size_t known = first_bad;
      while (i < known && !first_bad.compare_exchange_weak(known, i)) {
      }
    });
    return first_bad;
  }
  ChunkCipher& cipher() noexcept { return ciphers_.front(); }

 private:
  explicit Crew(unsigned threads) : team_(threads) { ciphers_.reserve(team_.size()); }
  Team team_;
  std::vector<ChunkCipher> ciphers_;
};

PayloadKey payload_key(const FileKey& file_key, std::span<const std::byte> nonce) {
  return crypto::hkdf_sha256(file_key, nonce, "payload");
}

Stanza grease() {
  std::array<std::byte, 4 + 48> bytes;
  crypto::random(bytes);
  const auto pick = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  const auto word = [&](std::size_t i) { return crypto::base64(std::span(bytes).subspan(i, 3 + pick(i) % 8)); };
  Stanza stanza;
  stanza.arguments.push_back(word(1) + "-grease");
  for (std::size_t i = 0; i < pick(0) % 3; ++i) stanza.arguments.push_back(word(2 + i));
  stanza.body.assign(bytes.begin() + 4, bytes.begin() + 4 + static_cast<std::ptrdiff_t>(pick(3) % 49));
  return stanza;
}

Result<void> check_company(std::span<const Recipient> recipients) {
  if (recipients.empty()) return fail(Errc::invalid_argument, "there is no recipient");
  const std::string_view company = recipients.front().method().company();
  if (company == "passphrase" && recipients.size() > 1)
    return fail(Errc::invalid_argument, "a passphrase must be the only recipient");
  for (const Recipient& recipient : recipients)
    if (recipient.method().company() != company)
      return fail(Errc::invalid_argument, "a passphrase or a post-quantum recipient can't stand beside others");
  return {};
}

Result<std::string> make_header(std::span<const Recipient> recipients, const FileKey& file_key, bool with_grease) {
  std::vector<Stanza> stanzas;
  for (const Recipient& recipient : recipients) {
    GROVE_TRY(auto stanza, recipient.method().wrap(file_key));
    stanzas.push_back(std::move(stanza));
  }
  if (with_grease && recipients.front().method().company() != "passphrase") stanzas.push_back(grease());
  return Header::encode(stanzas, file_key);
}

Result<FileKey> unwrap(std::span<const std::byte> text, const Header& header, std::span<const Identity> identities) {
  const auto is_scrypt = [](const Stanza& stanza) { return stanza.type() == "scrypt"; };
  if (header.stanzas.size() > 1 && std::ranges::any_of(header.stanzas, is_scrypt))
    return fail(Errc::parse, "header: a passphrase stanza stands beside others");
  for (const Identity& identity : identities) {
    GROVE_TRY(const auto file_key, identity.method().unwrap(header.stanzas));
    if (!file_key) continue;
    if (!Header::verify(text, header, *file_key)) return fail(Errc::permission, "header: its MAC is wrong");
    return *file_key;
  }
  return fail(Errc::not_found, "none of the identities opens this file");
}

/// The source with its armour taken off, where it has one.
Result<std::unique_ptr<Source>> without_armor(Source& source, Armor armor) {
  if (armor == Armor::detect) {
    GROVE_TRY(auto beginning, source.peek(1));
    armor = Armor::none;
    if (!beginning.empty() && beginning[0] != std::byte{'a'}) {
      GROVE_TRY(beginning, source.peek(1100));
      if (looks_armored(beginning.first(std::min<std::size_t>(beginning.size(), 1100)))) armor = Armor::required;
    }
  }
  return armor == Armor::required ? std::make_unique<ArmorSource>(source) : nullptr;
}

/// Reads the header and leaves the source behind it.
Result<FileKey> read_header(Source& source, std::span<const Identity> identities) {
  for (std::size_t want = 4096;; want *= 2) {
    GROVE_TRY(const auto view, source.peek(want));
    auto header = Header::parse(view);
    if (header) {
      GROVE_TRY(auto file_key, unwrap(view.first(header->size), *header, identities));
      source.consume(header->size);
      return file_key;
    }
    if (header.error().code() != Errc::truncated || view.size() < want)
      return std::unexpected(std::move(header).error());
  }
}

Result<PayloadKey> read_nonce(Source& source, const FileKey& file_key) {
  GROVE_TRY(const auto nonce, source.peek(kNonceSize));
  if (nonce.size() < kNonceSize) return fail(Errc::truncated, "header: the input ends before the payload's nonce");
  auto key = payload_key(file_key, nonce.first(kNonceSize));
  source.consume(kNonceSize);
  return key;
}

}  // namespace

// ---- sealing

struct EncryptStream::State {
  explicit State(Sink& sink, bool armored)
      : armor(armored ? std::make_unique<ArmorSink>(sink) : nullptr), out(armored ? *armor : sink) {}
  ~State() { wipe({pending.get(), kChunkSize}); }

  std::unique_ptr<ArmorSink> armor;
  Sink& out;
  std::unique_ptr<Crew> crew;
  std::uint64_t index = 0;
  std::unique_ptr<std::byte[]> pending = std::make_unique_for_overwrite<std::byte[]>(kChunkSize);
  std::size_t held = 0;  ///< In pending: it may turn out to be the last chunk.
  bool ended = false;    ///< Finished, or failed.

  Result<void> seal(std::span<const std::byte> chunks) {
    GROVE_TRY(const auto space, out.prepare(chunks.size() / kChunkSize * kSealedSize));
    if (!crew->seal(index, chunks, space.data())) return fail(Errc::internal, "OpenSSL refused to encrypt");
    index += chunks.size() / kChunkSize;
    return out.commit(space.size());
  }
  Result<void> write(std::span<const std::byte> plaintext);
  Result<void> finish();
};

Result<void> EncryptStream::State::write(std::span<const std::byte> plaintext) {
  if (plaintext.empty()) return {};
  if (held > 0) {
    const std::size_t count = std::min(plaintext.size(), kChunkSize - held);
    std::memcpy(pending.get() + held, plaintext.data(), count);
    held += count;
    plaintext = plaintext.subspan(count);
    if (plaintext.empty()) return {};
    GROVE_CHECK(seal({pending.get(), kChunkSize}));
    held = 0;
  }
  while (plaintext.size() > kChunkSize) {
    const std::size_t chunks = std::min((plaintext.size() - 1) / kChunkSize, crew->batch());
    GROVE_CHECK(seal(plaintext.first(chunks * kChunkSize)));
    plaintext = plaintext.subspan(chunks * kChunkSize);
  }
  std::memcpy(pending.get(), plaintext.data(), plaintext.size());
  held = plaintext.size();
  return {};
}

Result<void> EncryptStream::State::finish() {
  GROVE_TRY(const auto space, out.prepare(held + kTagSize));
  if (!crew->cipher().seal(index, true, {pending.get(), held}, space.data()))
    return fail(Errc::internal, "OpenSSL refused to encrypt");
  GROVE_CHECK(out.commit(space.size()));
  return armor != nullptr ? armor->finish() : Result<void>{};
}

EncryptStream::EncryptStream(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
EncryptStream::EncryptStream(EncryptStream&&) noexcept = default;
EncryptStream& EncryptStream::operator=(EncryptStream&&) noexcept = default;
EncryptStream::~EncryptStream() = default;

Result<void> EncryptStream::write(std::span<const std::byte> plaintext) {
  if (state_->ended) return fail(Errc::closed, "the file is finished, or failed");
  auto result = state_->write(plaintext);
  state_->ended = !result;  // what a failed sink took is unknown
  return result;
}
Result<void> EncryptStream::finish() {
  if (std::exchange(state_->ended, true)) return fail(Errc::closed, "the file is finished, or failed");
  return state_->finish();
}

Result<Encryptor> Encryptor::make(std::vector<Recipient> recipients, const EncryptOptions& options) {
  crypto::start();
  GROVE_CHECK(check_company(recipients));
  return Encryptor(std::move(recipients), options);
}

Result<EncryptStream> Encryptor::start(Sink& sink) const {
  FileKey file_key;
  crypto::random(file_key);
  std::array<std::byte, kNonceSize> nonce;
  crypto::random(nonce);
  auto state = std::make_unique<EncryptStream::State>(sink, options_.armor);
  GROVE_TRY(state->crew, Crew::make(payload_key(file_key, nonce), true, options_.threads));
  GROVE_TRY(const std::string header, make_header(recipients_, file_key, options_.grease));
  GROVE_CHECK(state->out.write(as_bytes(header)));
  GROVE_CHECK(state->out.write(nonce));
  return EncryptStream(std::move(state));
}

Result<void> Encryptor::seal(std::span<const std::byte> plaintext, Sink& sink) const {
  GROVE_TRY(auto stream, start(sink));
  GROVE_CHECK(stream.write(plaintext));
  return stream.finish();
}

Result<std::vector<std::byte>> Encryptor::seal(std::span<const std::byte> plaintext) const {
  std::vector<std::byte> file;
  const std::size_t binary = plaintext.size() + (plaintext.size() / kChunkSize + 1) * kTagSize + 4096;
  file.reserve(options_.armor ? binary / 48 * 65 + 256 : binary);
  VectorSink sink(file);
  GROVE_CHECK(seal(plaintext, sink));
  return file;
}

// ---- opening

struct DecryptStream::State {
  explicit State(Source& source) : raw(source) {}
  ~State() { wipe({unread.get(), unread == nullptr ? 0 : kChunkSize}); }

  Source& raw;
  std::unique_ptr<Source> armor;
  std::unique_ptr<Crew> crew;
  std::uint64_t index = 0;
  std::unique_ptr<std::byte[]> unread;  ///< Verified, for readers with small buffers.
  std::size_t begin = 0, end = 0;
  bool done = false;
  std::optional<Error> failure;  ///< Told when all that was verified before it is read.

  Source& in() { return armor != nullptr ? *armor : raw; }
  std::size_t open(std::span<std::byte> out);
  std::size_t open(std::span<const std::byte> sealed, bool last, std::byte* out);
};

/// Opens up to out.size() / kChunkSize chunks (at least one): the plaintext's
/// bytes. Sets `done` or `failure` when nothing comes after it.
std::size_t DecryptStream::State::open(std::span<std::byte> out) {
  const std::size_t most = std::min(out.size() / kChunkSize, crew->batch()) * kSealedSize;
  const auto view = in().peek(most + 1);
  if (!view) {
    failure = view.error();
    return 0;
  }
  const bool last = view->size() <= most;
  const auto sealed = view->first(std::min(view->size(), most));
  const std::size_t count = open(sealed, last, out.data());
  in().consume(sealed.size());
  return count;
}

std::size_t DecryptStream::State::open(std::span<const std::byte> sealed, bool last, std::byte* out) {
  if (sealed.empty() && index == 0) {
    failure = Error(Errc::corrupt, "payload: it is missing");
    return 0;
  }
  // Too short for a tag, or an empty last chunk after others.
  const std::size_t rest = sealed.size() % kSealedSize;
  const bool stump = last && rest <= kTagSize && !(rest == 0 && !sealed.empty()) &&
                     !(rest == kTagSize && index + sealed.size() / kSealedSize == 0);
  const std::size_t usable = stump ? sealed.size() - rest : sealed.size();
  const std::size_t bad = crew->open(index, sealed.first(usable), last && !stump, out);
  if (bad == kNone) {
    if (stump)
      failure = Error(Errc::corrupt, "payload: it is cut short");
    else
      done = last;
    index += usable / kSealedSize;  // one less than it is after the last one, which none follows
    return plain_size(usable);
  }
  // What the threads opened beyond the first bad chunk is not given out.
  wipe({out + bad * kChunkSize, plain_size(usable) - bad * kChunkSize});
  failure = Error(Errc::corrupt, "payload: a chunk was changed");
  // A whole chunk may be good and only claim the wrong place: it ends the file
  // where more follows, or doesn't where nothing does.
  const auto chunk =
      sealed.first(usable).subspan(bad * kSealedSize).first(std::min(kSealedSize, usable - bad * kSealedSize));
  const bool was_last = last && !stump && bad * kSealedSize + chunk.size() == usable;
  if (chunk.size() < kSealedSize || !crew->cipher().open(index + bad, !was_last, chunk, out + bad * kChunkSize))
    return bad * kChunkSize;
  failure = Error(Errc::corrupt, was_last ? "payload: it is cut short" : "payload: something follows its end");
  return (bad + 1) * kChunkSize;
}

DecryptStream::DecryptStream(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
DecryptStream::DecryptStream(DecryptStream&&) noexcept = default;
DecryptStream& DecryptStream::operator=(DecryptStream&&) noexcept = default;
DecryptStream::~DecryptStream() = default;

Result<std::size_t> DecryptStream::read(std::span<std::byte> out) {
  State& s = *state_;
  if (out.empty()) return std::size_t{0};
  if (s.begin == s.end && !s.failure && !s.done) {
    if (out.size() >= kChunkSize) {
      if (const std::size_t count = s.open(out); count > 0) return count;
    } else {
      if (s.unread == nullptr) s.unread = std::make_unique<std::byte[]>(kChunkSize);
      s.begin = 0;
      s.end = s.open({s.unread.get(), kChunkSize});
    }
  }
  if (s.begin < s.end) {
    const std::size_t count = std::min(out.size(), s.end - s.begin);
    std::memcpy(out.data(), s.unread.get() + s.begin, count);
    s.begin += count;
    return count;
  }
  if (s.failure) return std::unexpected(*s.failure);
  return std::size_t{0};
}

Result<void> DecryptStream::read_all(Sink& sink) {
  State& s = *state_;
  GROVE_CHECK(sink.write({s.unread.get() + s.begin, s.end - s.begin}));
  s.begin = s.end;
  while (!s.failure && !s.done) {
    // A sink may be fixed memory: it is asked for no more than can come.
    const std::size_t most = s.crew->batch() * kSealedSize;
    const auto view = s.in().peek(most + 1);
    if (!view) {
      s.failure = view.error();
      break;
    }
    const auto sealed = view->first(std::min(view->size(), most));
    GROVE_TRY(const auto space, sink.prepare(plain_size(sealed.size())));
    const std::size_t count = s.open(sealed, view->size() <= most, space.data());
    s.in().consume(sealed.size());
    GROVE_CHECK(sink.commit(count));
  }
  if (s.failure) return std::unexpected(*s.failure);
  return {};
}

Result<Decryptor> Decryptor::make(std::vector<Identity> identities, const DecryptOptions& options) {
  crypto::start();
  if (identities.empty()) return fail(Errc::invalid_argument, "there is no identity");
  return Decryptor(std::move(identities), options);
}

Result<DecryptStream> Decryptor::start(Source& source) const {
  auto state = std::make_unique<DecryptStream::State>(source);
  GROVE_TRY(state->armor, without_armor(source, options_.armor));
  GROVE_TRY(const FileKey file_key, read_header(state->in(), identities_));
  GROVE_TRY(const PayloadKey key, read_nonce(state->in(), file_key));
  GROVE_TRY(state->crew, Crew::make(key, false, options_.threads));
  return DecryptStream(std::move(state));
}

Result<void> Decryptor::open(std::span<const std::byte> file, Sink& sink) const {
  MemorySource source(file);
  GROVE_TRY(auto stream, start(source));
  return stream.read_all(sink);
}

Result<std::vector<std::byte>> Decryptor::open(std::span<const std::byte> file) const {
  std::vector<std::byte> plaintext;
  plaintext.reserve(file.size());
  VectorSink sink(plaintext);
  if (auto result = open(file, sink); !result) {
    wipe(plaintext);
    return std::unexpected(std::move(result).error());
  }
  return plaintext;
}

// ---- any part of a file

namespace {

/// A window over a RandomSource from its beginning on, for the header.
class FrontSource final : public BufferedSource {
 public:
  explicit FrontSource(RandomSource& source) : source_(source) {}

 private:
  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), source_.size() - at_));
    GROVE_CHECK(source_.read_at(at_, out.first(count)));
    at_ += count;
    return count;
  }
  RandomSource& source_;
  std::uint64_t at_ = 0;
};

/// Counts what is consumed.
class CountingSource final : public Source {
 public:
  explicit CountingSource(Source& inner) : inner_(inner) {}
  Result<std::span<const std::byte>> peek(std::size_t want) override { return inner_.peek(want); }
  void consume(std::size_t count) override {
    inner_.consume(count);
    count_ += count;
  }
  std::uint64_t count() const { return count_; }

 private:
  Source& inner_;
  std::uint64_t count_ = 0;
};

}  // namespace

struct SeekableReader::State {
  State(std::shared_ptr<RandomSource> s, const PayloadKey& key) : source(std::move(s)), cipher(key, false) {}
  ~State() { wipe({cached.get(), kChunkSize}); }

  std::shared_ptr<RandomSource> source;
  ChunkCipher cipher;
  std::uint64_t payload = 0;  ///< Where the first chunk is.
  std::uint64_t chunks = 0;
  std::uint64_t size = 0;
  std::unique_ptr<std::byte[]> sealed = std::make_unique_for_overwrite<std::byte[]>(kSealedSize);
  std::unique_ptr<std::byte[]> cached = std::make_unique<std::byte[]>(kChunkSize);
  std::optional<std::uint64_t> cached_index;

  std::size_t plain_size(std::uint64_t index) const {
    return static_cast<std::size_t>(std::min<std::uint64_t>(kChunkSize, size - index * kChunkSize));
  }
  Result<void> open(std::uint64_t index, std::byte* out) {
    const std::span<std::byte> in(sealed.get(), plain_size(index) + kTagSize);
    GROVE_CHECK(source->read_at(payload + index * kSealedSize, in));
    if (!cipher.open(index, index + 1 == chunks, in, out))
      return fail(Errc::corrupt, "payload: chunk " + std::to_string(index) + " was changed");
    return {};
  }
  Result<void> cache(std::uint64_t index) {
    if (cached_index == index) return {};
    cached_index.reset();
    GROVE_CHECK(open(index, cached.get()));
    cached_index = index;
    return {};
  }
};

SeekableReader::SeekableReader(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
SeekableReader::SeekableReader(SeekableReader&&) noexcept = default;
SeekableReader& SeekableReader::operator=(SeekableReader&&) noexcept = default;
SeekableReader::~SeekableReader() = default;

Result<SeekableReader> SeekableReader::open(std::shared_ptr<RandomSource> source,
                                            std::span<const Identity> identities) {
  crypto::start();
  FrontSource front(*source);
  CountingSource counted(front);
  GROVE_TRY(const auto beginning, counted.peek(1100));
  if (looks_armored(beginning)) return fail(Errc::unsupported, "an armoured file can't be read at any place");
  GROVE_TRY(const FileKey file_key, read_header(counted, identities));
  GROVE_TRY(const PayloadKey key, read_nonce(counted, file_key));
  auto state = std::make_unique<State>(std::move(source), key);
  if (!state->cipher) return fail(Errc::internal, "OpenSSL has no ChaCha20-Poly1305");
  state->payload = counted.count();
  const std::uint64_t sealed = state->source->size() - state->payload;
  state->chunks = (sealed + kSealedSize - 1) / kSealedSize;
  const std::uint64_t last = sealed == 0 ? 0 : sealed - (state->chunks - 1) * kSealedSize;
  if (last < kTagSize || (last == kTagSize && state->chunks > 1))
    return fail(Errc::corrupt, "payload: it is cut short");
  state->size = sealed - state->chunks * kTagSize;
  GROVE_CHECK(state->cache(state->chunks - 1));
  return SeekableReader(std::move(state));
}

std::uint64_t SeekableReader::size() const noexcept { return state_->size; }

Result<std::size_t> SeekableReader::read_at(std::uint64_t offset, std::span<std::byte> out) {
  State& s = *state_;
  if (offset >= s.size) return std::size_t{0};
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), s.size - offset)));
  for (std::size_t done = 0; done < out.size();) {
    const std::uint64_t index = (offset + done) / kChunkSize;
    const auto within = static_cast<std::size_t>((offset + done) % kChunkSize);
    const std::size_t whole = s.plain_size(index);
    const std::size_t count = std::min(out.size() - done, whole - within);
    if (count == whole && s.cached_index != index) {
      GROVE_CHECK(s.open(index, out.data() + done));
    } else {
      GROVE_CHECK(s.cache(index));
      std::memcpy(out.data() + done, s.cached.get() + within, count);
    }
    done += count;
  }
  return out.size();
}

// ---- other recipients

Result<void> rewrap(Source& source, std::span<const Identity> identities, std::span<const Recipient> recipients,
                    Sink& sink, const EncryptOptions& options) {
  crypto::start();
  GROVE_CHECK(check_company(recipients));
  GROVE_TRY(const auto armor, without_armor(source, Armor::detect));
  Source& in = armor != nullptr ? *armor : source;
  GROVE_TRY(const FileKey file_key, read_header(in, identities));
  GROVE_TRY(const std::string header, make_header(recipients, file_key, options.grease));
  const auto armored = options.armor ? std::make_unique<ArmorSink>(sink) : nullptr;
  Sink& out = armored != nullptr ? *armored : sink;
  GROVE_CHECK(out.write(as_bytes(header)));
  while (true) {
    GROVE_TRY(const auto view, in.peek(1));
    if (view.empty()) break;
    const auto part = view.first(std::min(view.size(), std::size_t{1} << 20));
    GROVE_CHECK(out.write(part));
    in.consume(part.size());
  }
  return armored != nullptr ? armored->finish() : Result<void>{};
}

}  // namespace grove::key_management
