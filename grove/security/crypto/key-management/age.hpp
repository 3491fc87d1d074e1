#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "grove/base/error.hpp"
#include "grove/security/crypto/key-management/io.hpp"
#include "grove/security/crypto/key-management/keys.hpp"

// The age v1 file format (c2sp.org/age): a textual header wraps a fresh file
// key for each recipient; the payload follows in chunks of 64 KiB, each sealed
// with ChaCha20-Poly1305. Files go both ways with the programs age and rage.
//
// What an Error of opening says:
//   parse, truncated, limit, unsupported   the header or the armour is malformed
//   not_found      no identity fits
//   permission     an identity fits, and the header was changed (its MAC)
//   corrupt        the payload was changed, cut short or extended
namespace grove::key_management {

constexpr std::size_t kChunkSize = std::size_t{64} << 10;  ///< Of plaintext.

struct EncryptOptions {
  bool armor = false;  ///< Text of 64 columns, a third longer.
  /// A random stanza that every reader must skip, so that none forgets how.
  /// Not added beside a passphrase, which has to stand alone.
  bool grease = true;
  unsigned threads = 1;  ///< That encrypt chunks; 1: only the caller's. At most 64.
};

/// A file being sealed. Move-only; one thread at a time. Without `finish` the
/// file is cut short, and no reader takes it for whole.
class EncryptStream {
 public:
  EncryptStream(EncryptStream&&) noexcept;
  EncryptStream& operator=(EncryptStream&&) noexcept;
  ~EncryptStream();
  Result<void> write(std::span<const std::byte> plaintext);
  /// Seals the last chunk. The sink is complete after it; once only.
  Result<void> finish();

 private:
  friend class Encryptor;
  struct State;
  explicit EncryptStream(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Seals to recipients. Immutable: may be shared by threads.
class Encryptor {
 public:
  /// `invalid_argument` without recipients, with a passphrase beside others, or
  /// with post-quantum recipients beside classic ones (which would undo them).
  static Result<Encryptor> make(std::vector<Recipient> recipients, const EncryptOptions& options = {});
  /// Writes the header. The sink outlives the stream.
  Result<EncryptStream> start(Sink& sink) const;
  /// All at once.
  Result<void> seal(std::span<const std::byte> plaintext, Sink& sink) const;
  Result<std::vector<std::byte>> seal(std::span<const std::byte> plaintext) const;

 private:
  Encryptor(std::vector<Recipient> recipients, const EncryptOptions& options)
      : recipients_(std::move(recipients)), options_(options) {}
  std::vector<Recipient> recipients_;
  EncryptOptions options_;
};

enum class Armor : std::uint8_t {
  detect,    ///< By the input's first line.
  required,  ///< Binary files are refused.
  none,
};

struct DecryptOptions {
  Armor armor = Armor::detect;
  unsigned threads = 1;
};

/// A file being opened. Move-only; one thread at a time.
class DecryptStream {
 public:
  DecryptStream(DecryptStream&&) noexcept;
  DecryptStream& operator=(DecryptStream&&) noexcept;
  ~DecryptStream();
  /// Verified plaintext, 0 at the end of a whole and unchanged file. Only when
  /// 0 came is it known that nothing was cut off. An error repeats; everything
  /// before it was verified. The part of `out` beyond the returned count, and
  /// all of it after an error, may be overwritten, never with unverified
  /// plaintext. A buffer of several chunks is filled without a copy.
  Result<std::size_t> read(std::span<std::byte> out);
  /// All that is left.
  Result<void> read_all(Sink& sink);

 private:
  friend class Decryptor;
  struct State;
  explicit DecryptStream(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Opens with any of its identities. Immutable: may be shared by threads.
class Decryptor {
 public:
  static Result<Decryptor> make(std::vector<Identity> identities, const DecryptOptions& options = {});
  /// Reads the header and unwraps the file key. The source outlives the stream.
  Result<DecryptStream> start(Source& source) const;
  /// All at once: what was verified before an error is in the sink then.
  Result<void> open(std::span<const std::byte> file, Sink& sink) const;
  /// All at once; nothing of a bad file is given out.
  Result<std::vector<std::byte>> open(std::span<const std::byte> file) const;

 private:
  Decryptor(std::vector<Identity> identities, const DecryptOptions& options)
      : identities_(std::move(identities)), options_(options) {}
  std::vector<Identity> identities_;
  DecryptOptions options_;
};

/// Any part of a binary (not armoured) file, in the time of the chunks that it
/// touches. Move-only; one thread at a time, and as many readers as you like.
class SeekableReader {
 public:
  /// Also verifies the last chunk, so that `size` can be trusted.
  static Result<SeekableReader> open(std::shared_ptr<RandomSource> source, std::span<const Identity> identities);
  SeekableReader(SeekableReader&&) noexcept;
  SeekableReader& operator=(SeekableReader&&) noexcept;
  ~SeekableReader();
  /// Of the plaintext.
  std::uint64_t size() const noexcept;
  /// Fills `out` from `offset`, less where the file ends: the bytes read.
  /// Nothing unverified is given out.
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out);

 private:
  struct State;
  explicit SeekableReader(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Gives a file to other recipients: a new header around the same file key, the
/// payload copied as it is. Whoever was a recipient and kept the file key still
/// opens this payload: to shut somebody out, seal the content anew.
Result<void> rewrap(Source& source, std::span<const Identity> identities, std::span<const Recipient> recipients,
                    Sink& sink, const EncryptOptions& options = {});

}  // namespace grove::key_management
