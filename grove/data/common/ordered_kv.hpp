#pragma once

// The concept that ordered stores share (lsm, bplus-tree) and that mvcc, locks
// and state stores build on. Keys compare as unsigned bytes.

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

#include "grove/data/common/file.hpp"

namespace grove::data {

/// One change of an atomic batch; without a value it erases. The memory is the
/// caller's and must last until `write` returns.
struct KvChange {
  Bytes key;
  std::optional<Bytes> value;
};

enum class Durability : std::uint8_t {
  buffered,  ///< Survives the process; a power loss may take the last writes, from the end.
  synced,    ///< Survives a power loss once the call has returned.
};

/// A position in key order. `key()` and `value()` stand until the next move and
/// only while `valid()`. When a move ends at no entry, `status()` says whether
/// that was the end of the data or an error.
template <class T>
concept KvCursor = requires(T& cursor, const T& at, Bytes key) {
  cursor.seek_first();
  cursor.seek_last();
  cursor.seek(key);  // the first entry >= key
  cursor.next();
  cursor.prev();
  { at.valid() } -> std::same_as<bool>;
  { at.key() } -> std::same_as<Bytes>;
  { at.value() } -> std::same_as<Bytes>;
  { at.status() } -> std::same_as<Result<void>>;
};

/// Safe for concurrent use, cursors excepted. `get` gives a value that keeps
/// its bytes alive (it may pin a page or a block: drop it soon).
template <class T>
concept OrderedKv = requires(T& kv, Bytes key, std::span<const KvChange> changes) {
  typename T::Cursor;
  requires KvCursor<typename T::Cursor>;
  { kv.get(key)->value().bytes() } -> std::same_as<Bytes>;
  { kv.put(key, key) } -> std::same_as<Result<void>>;
  { kv.erase(key) } -> std::same_as<Result<void>>;
  { kv.write(changes, Durability::synced) } -> std::same_as<Result<void>>;
  { kv.cursor() } -> std::same_as<typename T::Cursor>;
};

}  // namespace grove::data
