#include "grove/chain/cryptography/hashing/library_digests.hpp"

#include <openssl/evp.h>
#include <sodium.h>

#include <cstring>
#include <new>

#include "grove/chain/cryptography/hashing/sha256.hpp"

namespace grove::hashing {

namespace {

EVP_MD_CTX* context_of(const auto& owner) { return static_cast<EVP_MD_CTX*>(owner.get()); }

std::unexpected<Error> openssl_failed(const OpensslAlgorithm& algorithm, Errc code) {
  return fail(code, std::string("OpenSSL's ") + algorithm.name + " failed; see its configuration (providers, FIPS)");
}

}  // namespace

void OpensslContext::Free::operator()(void* context) const noexcept {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

Result<OpensslContext> OpensslContext::create(const OpensslAlgorithm& algorithm) {
  OpensslContext made(&algorithm, EVP_MD_CTX_new());
  EVP_MD* const method = EVP_MD_fetch(nullptr, algorithm.name, nullptr);
  const bool ready = method && made.context_ && EVP_DigestInit_ex2(context_of(made.context_), method, nullptr) == 1;
  EVP_MD_free(method);  // the context holds on to it
  if (!ready) return openssl_failed(algorithm, Errc::unsupported);
  return made;
}

Result<void> OpensslContext::update(std::span<const std::byte> data) {
  if (EVP_DigestUpdate(context_of(context_), data.data(), data.size()) != 1)
    return openssl_failed(*algorithm_, Errc::internal);
  return {};
}

Result<void> OpensslContext::finish(std::span<std::byte> digest) {
  if (digest.size() < algorithm_->size ||
      EVP_DigestFinal_ex(context_of(context_), reinterpret_cast<unsigned char*>(digest.data()), nullptr) != 1 ||
      EVP_DigestInit_ex2(context_of(context_), nullptr, nullptr) != 1)
    return openssl_failed(*algorithm_, Errc::internal);
  return {};
}

Result<Ripemd160::Digest> hash160(std::span<const std::byte> data) { return Ripemd160::hash(sha256(data)); }

namespace {

using Blake2bState = crypto_generichash_blake2b_state;
constexpr std::align_val_t kAlignment{64};

void* new_state() { return ::operator new(sizeof(Blake2bState), kAlignment); }

}  // namespace

void Blake2b::Free::operator()(void* state) const noexcept {
  sodium_memzero(state, sizeof(Blake2bState));
  ::operator delete(state, kAlignment);
}

Result<Blake2b> Blake2b::create(std::size_t digest_size, std::span<const std::byte> key) {
  static const bool ready = sodium_init() >= 0;  // picks the code for this CPU
  if (!ready) return fail(Errc::unavailable, "libsodium can't be initialised");
  if (digest_size < 1 || digest_size > 64 || key.size() > 64)
    return fail(Errc::invalid_argument, "BLAKE2b gives 1 to 64 bytes and takes a key of at most 64, not " +
                                            std::to_string(digest_size) + " and " + std::to_string(key.size()));
  Blake2b made;
  made.state_.reset(new_state());
  made.size_ = digest_size;
  crypto_generichash_blake2b_init(static_cast<Blake2bState*>(made.state_.get()),
                                  reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest_size);
  return made;
}

Blake2b::Blake2b(const Blake2b& other) : state_(new_state()), size_(other.size_) {
  std::memcpy(state_.get(), other.state_.get(), sizeof(Blake2bState));
}
Blake2b& Blake2b::operator=(const Blake2b& other) {
  if (this != &other) *this = Blake2b(other);
  return *this;
}

void Blake2b::update(std::span<const std::byte> data) noexcept {
  crypto_generichash_blake2b_update(static_cast<Blake2bState*>(state_.get()),
                                    reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

Result<void> Blake2b::finish(std::span<std::byte> digest) const {
  if (digest.size() < size_)
    return fail(Errc::invalid_argument, "the digest has " + std::to_string(size_) + " bytes, the place for it " +
                                            std::to_string(digest.size()));
  Blake2b copy = *this;
  crypto_generichash_blake2b_final(static_cast<Blake2bState*>(copy.state_.get()),
                                   reinterpret_cast<unsigned char*>(digest.data()), size_);
  return {};
}

}  // namespace grove::hashing
