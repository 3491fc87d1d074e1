#pragma once

// Keys and values of ordered stores. A key's encoding sorts as bytes the way
// the type sorts; a value's is compact. Both are stable on disk.
//   integers   big-endian, sign bit flipped          floats   IEEE order, NaN last
//   text       as it is where it comes last, else 00 -> 00 FF, end 00 00
//   tuple      its parts one after another
// (the FoundationDB tuple layer's idea, without its type tags)

#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "grove/base/bytes.hpp"
#include "grove/base/text.hpp"
#include "grove/data/common/file.hpp"

namespace grove::data {

/// How a type is a key: `append` writes the encoding, `read` takes it back off
/// the reader's front. `last`: nothing follows, so text needs no terminator.
/// Specialise it for your own types.
template <class T>
struct KeyCodec;

template <std::integral T>
struct KeyCodec<T> {
  static void append(std::string& out, T key, bool) {
    using U = std::make_unsigned_t<T>;
    U bits = static_cast<U>(key);
    if constexpr (std::is_signed_v<T>) bits = static_cast<U>(bits ^ (U{1} << (8 * sizeof(T) - 1)));
    if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) {
      if constexpr (sizeof(T) == 2) bits = __builtin_bswap16(bits);
      if constexpr (sizeof(T) == 4) bits = __builtin_bswap32(bits);
      if constexpr (sizeof(T) == 8) bits = __builtin_bswap64(bits);
    }
    std::array<char, sizeof(T)> bytes{};
    std::memcpy(bytes.data(), &bits, sizeof(T));
    out.append(bytes.data(), bytes.size());
  }
  static std::expected<T, Errc> read(ByteReader& in, bool) {
    const auto bytes = in.bytes(sizeof(T));
    if (!bytes) return std::unexpected(bytes.error());
    std::make_unsigned_t<T> bits = 0;
    for (const std::byte b : *bytes)
      bits = static_cast<std::make_unsigned_t<T>>((std::uint64_t{bits} << 8) | std::to_integer<std::uint64_t>(b));
    if constexpr (std::is_signed_v<T>)
      bits = static_cast<std::make_unsigned_t<T>>(bits ^ (std::make_unsigned_t<T>{1} << (8 * sizeof(T) - 1)));
    return static_cast<T>(bits);
  }
};

template <>
struct KeyCodec<bool> {
  static void append(std::string& out, bool key, bool) { out += key ? '\1' : '\0'; }
  static std::expected<bool, Errc> read(ByteReader& in, bool) {
    const auto byte = in.u8();
    if (!byte) return std::unexpected(byte.error());
    if (*byte > 1) return std::unexpected(Errc::parse);
    return *byte == 1;
  }
};

template <class T>
  requires std::is_enum_v<T>
struct KeyCodec<T> {
  using Number = std::underlying_type_t<T>;
  static void append(std::string& out, T key, bool last) {
    KeyCodec<Number>::append(out, static_cast<Number>(key), last);
  }
  static std::expected<T, Errc> read(ByteReader& in, bool last) {
    const auto number = KeyCodec<Number>::read(in, last);
    if (!number) return std::unexpected(number.error());
    return static_cast<T>(*number);
  }
};

/// Negative numbers turned over, so that -1.5 < -0.0 < 0.0 < 2.
template <std::floating_point T>
  requires(sizeof(T) == 4 || sizeof(T) == 8)
struct KeyCodec<T> {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  static void append(std::string& out, T key, bool last) {
    const Bits bits = std::bit_cast<Bits>(key);
    KeyCodec<Bits>::append(out, bits & kSign ? ~bits : bits | kSign, last);
  }
  static std::expected<T, Errc> read(ByteReader& in, bool last) {
    const auto bits = KeyCodec<Bits>::read(in, last);
    if (!bits) return std::unexpected(bits.error());
    return std::bit_cast<T>(*bits & kSign ? *bits ^ kSign : ~*bits);
  }
};

template <>
struct KeyCodec<std::string> {
  static void append(std::string& out, std::string_view key, bool last) {
    if (last) {
      out += key;
      return;
    }
    for (const char c : key) {
      out += c;
      if (c == '\0') out += '\xff';
    }
    out.append(2, '\0');
  }
  static std::expected<std::string, Errc> read(ByteReader& in, bool last) {
    if (last) return std::string(as_text(*in.bytes(in.remaining())));
    std::string key;
    while (true) {
      const auto c = in.u8();
      if (!c) return std::unexpected(c.error());
      if (*c == 0) {
        const auto after = in.u8();
        if (!after) return std::unexpected(after.error());
        if (*after == 0) return key;
        if (*after != 0xff) return std::unexpected(Errc::parse);
      }
      key += static_cast<char>(*c);
    }
  }
};

/// A view as a key: nothing is copied where it stands alone. Reading it back
/// gives a view of the input, so it can only come last.
template <>
struct KeyCodec<std::string_view> {
  static void append(std::string& out, std::string_view key, bool last) {
    KeyCodec<std::string>::append(out, key, last);
  }
  static std::expected<std::string_view, Errc> read(ByteReader& in, bool last) {
    if (!last) return std::unexpected(Errc::unsupported);
    return as_text(*in.bytes(in.remaining()));
  }
};

template <class... Parts>
struct KeyCodec<std::tuple<Parts...>> {
  static void append(std::string& out, const std::tuple<Parts...>& key, bool last) {
    std::size_t left = sizeof...(Parts);
    std::apply([&](const Parts&... part) { (KeyCodec<Parts>::append(out, part, last && --left == 0), ...); }, key);
  }
  static std::expected<std::tuple<Parts...>, Errc> read(ByteReader& in, bool last) {
    std::tuple<Parts...> key;
    std::size_t left = sizeof...(Parts);
    std::expected<void, Errc> status;
    const auto take = [&]<class Part>(Part& part) {
      auto read = KeyCodec<Part>::read(in, last && --left == 0);
      if (!read) {
        status = std::unexpected(read.error());
        return false;
      }
      part = *std::move(read);
      return true;
    };
    std::apply([&](Parts&... part) { (take(part) && ...); }, key);
    if (!status) return std::unexpected(status.error());
    return key;
  }
};

/// The key as bytes: a view of the key itself for text, else of `scratch`.
template <class K>
Bytes encode_key(const K& key, std::string& scratch) {
  if constexpr (std::is_convertible_v<const K&, std::string_view>) {
    return grove::as_bytes(std::string_view(key));
  } else {
    scratch.clear();
    KeyCodec<K>::append(scratch, key, true);
    return grove::as_bytes(scratch);
  }
}

/// The inverse; `parse` where bytes are left over.
template <class K>
std::expected<K, Errc> decode_key(Bytes bytes) {
  ByteReader in(bytes);
  auto key = KeyCodec<K>::read(in, true);
  if (key && !in.empty()) return std::unexpected(Errc::parse);
  return key;
}

/// How a type is a value. Text and bytes stand as they are; numbers and plain
/// structs are their bytes in memory (little-endian machines only).
template <class V>
struct ValueCodec {
  static_assert(std::is_trivially_copyable_v<V> && std::is_default_constructible_v<V>,
                "specialise grove::data::ValueCodec for this type");
  static_assert(std::endian::native == std::endian::little);
  static Bytes encode(const V& value, std::string&) { return std::as_bytes(std::span(&value, 1)); }
  static std::expected<V, Errc> decode(Bytes bytes) {
    if (bytes.size() != sizeof(V)) return std::unexpected(bytes.size() < sizeof(V) ? Errc::truncated : Errc::parse);
    V value;
    std::memcpy(&value, bytes.data(), sizeof(V));
    return value;
  }
};

template <>
struct ValueCodec<std::string> {
  static Bytes encode(std::string_view value, std::string&) { return grove::as_bytes(value); }
  static std::expected<std::string, Errc> decode(Bytes bytes) { return std::string(as_text(bytes)); }
};
template <>
struct ValueCodec<std::string_view> {
  static Bytes encode(std::string_view value, std::string&) { return grove::as_bytes(value); }
  static std::expected<std::string_view, Errc> decode(Bytes bytes) { return as_text(bytes); }
};
template <>
struct ValueCodec<Bytes> {
  static Bytes encode(Bytes value, std::string&) { return value; }
  static std::expected<Bytes, Errc> decode(Bytes bytes) { return bytes; }
};

}  // namespace grove::data
