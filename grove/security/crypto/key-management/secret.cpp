#include "grove/security/crypto/key-management/secret.hpp"

#include <sodium.h>

#include <cstdlib>
#include <cstring>

namespace grove::key_management {

void wipe(std::span<std::byte> memory) noexcept {
  if (!memory.empty()) sodium_memzero(memory.data(), memory.size());
}

SecretBuffer::SecretBuffer(std::size_t size) : size_(size) {
  if (size == 0) return;
  if (sodium_init() < 0) std::abort();
  data_ = static_cast<std::byte*>(sodium_malloc(size));
  if (data_ == nullptr) std::abort();
  locked_ = sodium_mlock(data_, size) == 0;
  std::memset(data_, 0, size);
}

SecretBuffer::~SecretBuffer() { sodium_free(data_); }

SecretBuffer SecretBuffer::copy(std::span<const std::byte> bytes) {
  SecretBuffer buffer(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data_, bytes.data(), bytes.size());
  return buffer;
}

SecretBuffer SecretBuffer::random(std::size_t size) {
  SecretBuffer buffer(size);
  if (size > 0) randombytes_buf(buffer.data_, size);
  return buffer;
}

bool operator==(const SecretBuffer& a, const SecretBuffer& b) noexcept {
  return a.size_ == b.size_ && (a.empty() || sodium_memcmp(a.data_, b.data_, a.size_) == 0);
}

}  // namespace grove::key_management
