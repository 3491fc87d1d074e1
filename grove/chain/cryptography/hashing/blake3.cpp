#include "grove/chain/cryptography/hashing/blake3.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "grove/chain/cryptography/hashing/blake3_kernels.hpp"

namespace grove::hashing {

namespace blake3 {

/// What is needed to make a chaining value or output of a node.
struct Node {
  std::uint32_t cv[8];
  std::uint8_t block[64];
  std::uint8_t length;
  std::uint8_t flags;
  std::uint64_t counter;
};

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;        // what one thread takes at a time
constexpr std::uint64_t kSubtree = std::uint64_t{1} << 30;  // at most, for threads

const Kernels& kernels(Isa isa) {
#if defined(__x86_64__)
  static const Kernels& best = supported(Isa::avx512)  ? kAvx512
                               : supported(Isa::avx2)  ? kAvx2
                               : supported(Isa::sse41) ? kSse41
                                                       : kPortable;
  if (isa == Isa::automatic) return best;
  if (isa == Isa::avx512 && supported(isa)) return kAvx512;
  if (isa == Isa::avx2 && supported(isa)) return kAvx2;
  if (isa == Isa::sse41 && supported(isa)) return kSse41;
#endif
  (void)isa;
  return kPortable;
}

// Chaining values are kept as little-endian bytes.
void to_words(const std::uint8_t* bytes, std::uint32_t* words) {
  std::memcpy(words, bytes, kCv);
  if constexpr (std::endian::native == std::endian::big)
    for (int i = 0; i < 8; ++i) words[i] = __builtin_bswap32(words[i]);
}
void to_bytes(const std::uint32_t* words, std::uint8_t* bytes) {
  std::uint32_t little[8];
  std::memcpy(little, words, kCv);
  if constexpr (std::endian::native == std::endian::big)
    for (std::uint32_t& word : little) word = __builtin_bswap32(word);
  std::memcpy(bytes, little, kCv);
}

void cv_of(const Kernels& k, const Node& node, std::uint8_t* out) {
  std::uint32_t words[8];
  k.compress(node.cv, node.block, node.length, node.counter, node.flags, words);
  to_bytes(words, out);
}

void output_of(const Kernels& k, const Node& node, std::span<std::byte> output, std::uint64_t position) {
  const auto flags = static_cast<std::uint8_t>(node.flags | kRoot);
  std::uint64_t counter = position / kBlock;
  if (const std::size_t skip = position % kBlock; skip != 0 && !output.empty()) {
    std::uint8_t block[kBlock];
    kPortable.expand(node.cv, node.block, node.length, counter++, flags, block, 1);
    const std::size_t some = std::min(output.size(), kBlock - skip);
    std::memcpy(output.data(), block + skip, some);
    output = output.subspan(some);
  }
  if (const std::size_t whole = output.size() / kBlock; whole > 0) {
    k.expand(node.cv, node.block, node.length, counter, flags, reinterpret_cast<std::uint8_t*>(output.data()), whole);
    counter += whole;
    output = output.subspan(whole * kBlock);
  }
  if (!output.empty()) {
    std::uint8_t block[kBlock];
    kPortable.expand(node.cv, node.block, node.length, counter, flags, block, 1);
    std::memcpy(output.data(), block, output.size());
  }
}

Node parent(const std::uint32_t* key, std::uint8_t flags, const std::uint8_t* children) {
  Node node;
  std::memcpy(node.cv, key, kCv);
  std::memcpy(node.block, children, kBlock);
  node.length = kBlock;
  node.flags = static_cast<std::uint8_t>(flags | kParent);
  node.counter = 0;
  return node;
}

struct Tree {
  const Kernels& kernels;
  const std::uint32_t* key;
  std::uint8_t flags;

  /// A chunk up to its last block, which the node holds. size <= 1024.
  Node chunk(const std::uint8_t* data, std::size_t size, std::uint64_t counter) const {
    Node node;
    std::memcpy(node.cv, key, kCv);
    std::uint8_t start = kChunkStart;
    for (; size > kBlock; size -= kBlock, data += kBlock, start = 0)
      kernels.compress(node.cv, data, kBlock, counter, static_cast<std::uint8_t>(flags | start), node.cv);
    std::memset(node.block, 0, kBlock);
    if (size > 0) std::memcpy(node.block, data, size);
    node.length = static_cast<std::uint8_t>(size);
    node.flags = static_cast<std::uint8_t>(flags | start | kChunkEnd);
    node.counter = counter;
    return node;
  }

  /// Joins neighbours; an odd last one stays. Returns how many there are then.
  std::size_t join(const std::uint8_t* cvs, std::size_t count, std::uint8_t* out) const {
    kernels.hash_many({cvs, count / 2, 1, 0, false, static_cast<std::uint8_t>(flags | kParent), 0, 0}, key, out);
    if (count % 2 != 0) std::memmove(out + count / 2 * kCv, cvs + (count - 1) * kCv, kCv);
    return (count + 1) / 2;
  }

  /// The chaining values of a subtree at the lowest level at which they are no
  /// more than the lanes (at least two where there are two chunks), so that
  /// `join` always has full lanes.
  std::size_t wide(const std::uint8_t* data, std::size_t size, std::uint64_t counter, std::uint8_t* out) const {
    if (size <= kernels.lanes * kChunk) {
      const std::size_t whole = size / kChunk;
      kernels.hash_many({data, whole, kChunk / kBlock, counter, true, flags, kChunkStart, kChunkEnd}, key, out);
      if (size == whole * kChunk) return whole;
      cv_of(kernels, chunk(data + whole * kChunk, size - whole * kChunk, counter + whole), out + whole * kCv);
      return whole + 1;
    }
    const std::size_t left = kChunk * std::bit_floor((size - 1) / kChunk);
    std::uint8_t cvs[2 * kMaxLanes * kCv];
    std::size_t count = wide(data, left, counter, cvs);
    count += wide(data + left, size - left, counter + left / kChunk, cvs + count * kCv);
    if (count == 2) {
      std::memcpy(out, cvs, 2 * kCv);
      return 2;
    }
    return join(cvs, count, out);
  }

  /// The two children of a subtree's top. size > 1024.
  void pair(const std::uint8_t* data, std::size_t size, std::uint64_t counter, std::uint8_t* out) const {
    std::uint8_t cvs[kMaxLanes * kCv];
    std::size_t count = wide(data, size, counter, cvs);
    while (count > 2) count = join(cvs, count, cvs);
    std::memcpy(out, cvs, 2 * kCv);
  }

  /// The same by threads, for a power of two of pieces. get(offset, buffer)
  /// returns where the piece lies.
  template <class Get>
  Result<void> pair_by_threads(std::uint64_t size, std::uint64_t counter, unsigned threads, const Get& get,
                               std::uint8_t* out) const {
    const std::size_t pieces = static_cast<std::size_t>(size / kPiece);
    std::vector<std::uint8_t> cvs(pieces * kCv);
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    Result<void> result;
    const auto work = [&] {
      std::vector<std::byte> buffer;
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
        const Result<const std::uint8_t*> data = get(i * kPiece, buffer);
        if (!data) {
          const std::scoped_lock lock(mutex);
          result = std::unexpected(data.error());
          next = pieces;
          return;
        }
        std::uint8_t children[2 * kCv];
        pair(*data, kPiece, counter + i * (kPiece / kChunk), children);
        cv_of(kernels, parent(key, flags, children), cvs.data() + i * kCv);
      }
    };
    {
      std::vector<std::jthread> helpers;
      try {
        for (unsigned i = 1; i < std::min<std::size_t>(threads, pieces); ++i) helpers.emplace_back(work);
      } catch (const std::system_error&) {  // the system grants no more: those that there are do the work
      }
      work();
    }
    std::size_t count = pieces;
    while (count > 2) count = join(cvs.data(), count, cvs.data());
    std::memcpy(out, cvs.data(), 2 * kCv);
    return result;
  }
};

const std::uint8_t* raw(const std::byte* p) { return reinterpret_cast<const std::uint8_t*>(p); }

}  // namespace
}  // namespace blake3

using namespace blake3;

Blake3::Blake3(const std::uint32_t* key, std::uint8_t flags, Isa isa) noexcept
    : kernels_(&kernels(isa)), flags_(flags) {
  std::memcpy(key_, key, sizeof key_);
  std::memcpy(cv_, key, sizeof cv_);
}

Blake3::Blake3(Isa isa) noexcept : Blake3(kIv, 0, isa) {}

Blake3 Blake3::keyed(const Key& key, Isa isa) noexcept {
  std::uint32_t words[8];
  to_words(raw(key.data()), words);
  return {words, kKeyedHash, isa};
}

Blake3 Blake3::derive(std::string_view context, Isa isa) noexcept {
  Blake3 hasher(kIv, kDeriveContext, isa);
  hasher.update(std::as_bytes(std::span(context)));
  const Digest key = hasher.finish();
  std::uint32_t words[8];
  to_words(raw(key.data()), words);
  return {words, kDeriveMaterial, isa};
}

/// Into the chunk, which must have room for it. A full block stays until more
/// follows, as the last one is flagged.
void Blake3::add(const std::uint8_t* data, std::size_t size) noexcept {
  while (size > 0) {
    if (length_ == kBlock) {
      unsigned flags = flags_;
      if (blocks_ == 0) flags |= kChunkStart;
      kernels_->compress(cv_, block_, kBlock, chunks_, static_cast<std::uint8_t>(flags), cv_);
      ++blocks_;
      length_ = 0;
    }
    const std::size_t some = std::min(size, kBlock - length_);
    std::memcpy(block_ + length_, data, some);
    length_ = static_cast<std::uint8_t>(length_ + some);
    data += some;
    size -= some;
  }
}

/// Joins what is complete before chunk number `chunks`: as many subtrees stay as that number has one bits.
void Blake3::merge(std::uint64_t chunks) noexcept {
  for (const auto wanted = static_cast<std::size_t>(std::popcount(chunks)); depth_ > wanted; --depth_) {
    std::uint8_t* const last = stack_ + (depth_ - 2) * kCv;
    cv_of(*kernels_, parent(key_, flags_, last), last);
  }
}

void Blake3::push(const std::uint8_t* cv, std::uint64_t chunks) noexcept {
  merge(chunks);
  std::memcpy(stack_ + depth_++ * kCv, cv, kCv);
}

void Blake3::push_pair(const std::uint8_t* pair, std::uint64_t subtree_chunks) noexcept {
  push(pair, chunks_);
  push(pair + kCv, chunks_ + subtree_chunks / 2);
  chunks_ += subtree_chunks;
}

void Blake3::update(std::span<const std::byte> input, unsigned threads) {
  const std::uint8_t* data = raw(input.data());
  std::size_t size = input.size();
  if (const std::size_t held = blocks_ * kBlock + length_; held > 0) {
    const std::size_t some = std::min(size, kChunk - held);
    add(data, some);
    data += some;
    size -= some;
    if (size == 0) return;
    Node node;
    std::memcpy(node.cv, cv_, sizeof cv_);
    std::memcpy(node.block, block_, kBlock);
    node.length = kBlock;
    node.flags = static_cast<std::uint8_t>(flags_ | kChunkEnd);
    node.counter = chunks_;
    std::uint8_t cv[kCv];
    cv_of(*kernels_, node, cv);
    push(cv, chunks_++);
    std::memcpy(cv_, key_, sizeof cv_);
    blocks_ = length_ = 0;
  }
  const Tree tree{*kernels_, key_, flags_};
  while (size > kChunk) {
    // the largest complete subtree that can start here
    std::uint64_t subtree = std::bit_floor(size);
    if (chunks_ > 0) subtree = std::min(subtree, (chunks_ & ~(chunks_ - 1)) * kChunk);
    const auto bytes = static_cast<std::size_t>(subtree);
    if (subtree == kChunk) {
      std::uint8_t cv[kCv];
      cv_of(*kernels_, tree.chunk(data, kChunk, chunks_), cv);
      push(cv, chunks_++);
    } else {
      std::uint8_t children[2 * kCv];
      if (threads > 1 && subtree >= 2 * kPiece) {
        const auto get = [&](std::uint64_t offset, auto&) -> Result<const std::uint8_t*> { return data + offset; };
        (void)tree.pair_by_threads(subtree, chunks_, threads, get, children);
      } else {
        tree.pair(data, bytes, chunks_, children);
      }
      push_pair(children, subtree / kChunk);
    }
    data += bytes;
    size -= bytes;
  }
  if (size > 0) {
    add(data, size);
    merge(chunks_);
  }
}

Result<void> Blake3::update_from(const Source& source, std::uint64_t size, unsigned threads) {
  Blake3 hasher = *this;
  const Tree tree{*kernels_, key_, flags_};
  std::vector<std::byte> held;
  for (std::uint64_t offset = 0; offset < size;) {
    std::uint64_t subtree = std::min(std::bit_floor(size - offset), kSubtree);
    const bool aligned = hasher.length_ == 0 && hasher.blocks_ == 0;
    if (hasher.chunks_ > 0) subtree = std::min(subtree, (hasher.chunks_ & ~(hasher.chunks_ - 1)) * kChunk);
    if (aligned && subtree >= 2 * kPiece) {
      std::uint8_t children[2 * kCv];
      const auto get = [&](std::uint64_t at, std::vector<std::byte>& buffer) -> Result<const std::uint8_t*> {
        buffer.resize(kPiece);
        GROVE_CHECK(source(offset + at, buffer));
        return raw(buffer.data());
      };
      GROVE_CHECK(tree.pair_by_threads(subtree, hasher.chunks_, threads, get, children));
      hasher.push_pair(children, subtree / kChunk);
    } else {
      subtree = std::min<std::uint64_t>(size - offset, kPiece);
      held.resize(static_cast<std::size_t>(subtree));
      GROVE_CHECK(source(offset, held));
      hasher.update(held);
    }
    offset += subtree;
  }
  *this = hasher;
  return {};
}

Node Blake3::top() const noexcept {
  Node node;
  std::size_t left = depth_;
  if (depth_ == 0 || length_ > 0) {
    std::memcpy(node.cv, cv_, sizeof cv_);
    std::memcpy(node.block, block_, length_);
    std::memset(node.block + length_, 0, kBlock - length_);
    node.length = length_;
    node.flags = static_cast<std::uint8_t>(flags_ | kChunkEnd | (blocks_ == 0 ? kChunkStart : 0));
    node.counter = chunks_;
  } else {
    left -= 2;
    node = parent(key_, flags_, stack_ + left * kCv);
  }
  while (left > 0) {
    std::uint8_t children[2 * kCv];
    std::memcpy(children, stack_ + --left * kCv, kCv);
    cv_of(*kernels_, node, children + kCv);
    node = parent(key_, flags_, children);
  }
  return node;
}

Blake3::Digest Blake3::finish() const noexcept {
  Node node = top();
  node.flags |= kRoot;
  node.counter = 0;
  Digest digest;
  cv_of(*kernels_, node, reinterpret_cast<std::uint8_t*>(digest.data()));
  return digest;
}

void Blake3::xof(std::span<std::byte> output, std::uint64_t position) const noexcept {
  output_of(*kernels_, top(), output, position);
}

Blake3::Digest Blake3::hash(std::span<const std::byte> data, unsigned threads, Isa isa) {
  const Kernels& k = kernels(isa);
  Digest digest;
  auto* const out = reinterpret_cast<std::uint8_t*>(digest.data());
  if (data.size() == kBlock) {
    std::uint32_t words[8];
    k.compress(kIv, raw(data.data()), kBlock, 0, kChunkStart | kChunkEnd | kRoot, words);
    to_bytes(words, out);
    return digest;
  }
  if (threads > 1 && data.size() >= 2 * kPiece) {
    Blake3 hasher(isa);
    hasher.update(data, threads);
    return hasher.finish();
  }
  const Tree tree{k, kIv, 0};
  Node node;
  if (data.size() <= kChunk) {
    node = tree.chunk(raw(data.data()), data.size(), 0);
  } else {
    std::uint8_t children[2 * kCv];
    tree.pair(raw(data.data()), data.size(), 0, children);
    node = parent(kIv, 0, children);
  }
  node.flags |= kRoot;
  cv_of(k, node, out);
  return digest;
}

void Blake3::hash_64(std::span<const std::byte> data, std::span<Digest> digests, Isa isa) noexcept {
  const std::size_t count = std::min(data.size() / kBlock, digests.size());
  kernels(isa).hash_many({raw(data.data()), count, 1, 0, false, kChunkStart | kChunkEnd | kRoot, 0, 0}, kIv,
                         reinterpret_cast<std::uint8_t*>(digests.data()));
}

}  // namespace grove::hashing
