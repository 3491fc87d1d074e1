#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "grove/base/errc.hpp"

namespace grove::ecs {

/// What an operation on a world returns: not_found (the entity is dead, or it
/// lacks the component), conflict (a structural change while a query iterates),
/// … Errc converts to Error, so GROVE_TRY passes it on as a Result.
template <class T = void>
using Outcome = std::expected<T, Errc>;

/// A handle: an index that is reused, and the generation that says by whom. A
/// handle of a despawned entity stays invalid for ever; an index whose
/// generations are used up is retired.
struct Entity {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  ///< 0: no entity.

  explicit operator bool() const noexcept { return generation != 0; }
  friend bool operator==(Entity, Entity) noexcept = default;
  friend auto operator<=>(Entity, Entity) noexcept = default;
};

/// A type of component, event or resource, with what moves and destroys it.
/// One constant object for each type; its address is the type's identity.
struct TypeInfo {
  std::string_view name;  ///< As the compiler spells it.
  std::uint32_t size;     ///< 0 for an empty type: a tag.
  std::uint32_t align;
  bool trivially_copyable;
  void (*relocate)(void* to, void* from) noexcept;  ///< Null: copy the bytes.
  void (*destroy)(void* at) noexcept;               ///< Null: nothing to do.
};

namespace detail {

template <class T>
constexpr std::string_view type_name() {
  // "… [with T = Pos; …]" (GCC), "… [T = Pos]" (Clang).
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  return text.substr(0, text.find_first_of(";]"));
}

template <class T>
void relocate(void* to, void* from) noexcept {
  ::new (to) T(std::move(*static_cast<T*>(from)));
  static_cast<T*>(from)->~T();
}
template <class T>
void destroy(void* at) noexcept {
  static_cast<T*>(at)->~T();
}

template <class T>
struct InfoOf {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>, "a plain value type is needed");
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "components and resources are moved in memory: neither move nor destructor may throw");
  static_assert(alignof(T) <= 64, "a chunk is aligned to a cache line");
  static constexpr TypeInfo kInfo{type_name<T>(),
                                  std::is_empty_v<T> ? 0 : sizeof(T),
                                  alignof(T),
                                  std::is_trivially_copyable_v<T>,
                                  std::is_trivially_copyable_v<T> ? nullptr : relocate<T>,
                                  std::is_trivially_destructible_v<T> ? nullptr : destroy<T>};
};

/// Several types that are inserted or removed together. One constant object for
/// each list; its address keys the caches below.
struct Bundle {
  const TypeInfo* const* types;
  std::uint32_t count;
};
template <class... Ts>
struct BundleOf {
  static_assert(sizeof...(Ts) > 0 && sizeof...(Ts) <= 16, "1 to 16 components at once");
  static constexpr const TypeInfo* kTypes[] = {&InfoOf<Ts>::kInfo...};
  static constexpr Bundle kBundle{kTypes, sizeof...(Ts)};
};

/// A map from the address of a constant object to a small number, made for
/// lookups: open addressing, at most half full.
class PointerIndex {
 public:
  static constexpr std::uint32_t kNone = ~0u;

  std::uint32_t find(const void* key) const noexcept {
    if (cells_.empty()) return kNone;
    for (std::size_t at = home(key);; at = (at + 1) & (cells_.size() - 1)) {
      if (cells_[at].key == key) return cells_[at].value;
      if (cells_[at].key == nullptr) return kNone;
    }
  }
  void put(const void* key, std::uint32_t value);
  void clear() noexcept {
    cells_.clear();
    count_ = 0;
  }

 private:
  struct Cell {
    const void* key = nullptr;
    std::uint32_t value = 0;
  };
  std::size_t home(const void* key) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(key) * 0x9e3779b97f4a7c15) >> shift_;
  }

  std::vector<Cell> cells_;
  std::size_t count_ = 0;
  int shift_ = 64;
};

}  // namespace detail

template <class T>
constexpr const TypeInfo& type_info() {
  return detail::InfoOf<T>::kInfo;
}

/// A count of changes to the world's state, one per system run. Rows keep its
/// low 32 bits; changes more than 2^31 ticks ago are forgotten.
using Tick = std::uint64_t;

}  // namespace grove::ecs
