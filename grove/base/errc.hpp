// grove: freestanding
#pragma once

#include <cstdint>

namespace grove {

/// What kind of failure it was. A caller branches on the code and shows the
/// message; the codes are few because callers can act in only a few ways.
enum class Errc : std::uint8_t {
  invalid_argument,  ///< The caller asked for something that makes no sense.
  parse,             ///< Text or bytes do not follow their grammar.
  truncated,         ///< The input ends before the value does.
  corrupt,           ///< Stored data fails its own check.
  not_found,
  already_exists,
  conflict,     ///< Somebody else changed it first.
  permission,   ///< Not allowed, or an authentication or signature check failed.
  limit,        ///< A stated bound on size, depth, count or time was exceeded.
  no_space,     ///< Disk or memory is full.
  io,           ///< The operating system refused a read or a write.
  closed,       ///< The other end, or we, closed the stream.
  protocol,     ///< The peer broke its protocol.
  timeout,      ///< The deadline passed.
  cancelled,    ///< A stop was requested.
  unavailable,  ///< Not reachable now; trying again later may help.
  unsupported,  ///< Valid, but not implemented or not on this machine.
  internal,     ///< A bug in the component.
};

constexpr const char* errc_name(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument: return "invalid argument";
    case Errc::parse: return "parse error";
    case Errc::truncated: return "truncated input";
    case Errc::corrupt: return "corrupt data";
    case Errc::not_found: return "not found";
    case Errc::already_exists: return "already exists";
    case Errc::conflict: return "conflict";
    case Errc::permission: return "permission denied";
    case Errc::limit: return "limit exceeded";
    case Errc::no_space: return "no space";
    case Errc::io: return "input/output error";
    case Errc::closed: return "closed";
    case Errc::protocol: return "protocol error";
    case Errc::timeout: return "deadline exceeded";
    case Errc::cancelled: return "cancelled";
    case Errc::unavailable: return "unavailable";
    case Errc::unsupported: return "unsupported";
    case Errc::internal: return "internal error";
  }
  return "unknown error";
}

}  // namespace grove
