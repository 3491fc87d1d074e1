#include "grove/base/error.hpp"

#include <system_error>

namespace grove {
namespace {

Errc code_of(int number) {
  switch (number) {
    case ENOENT: return Errc::not_found;
    case EEXIST: return Errc::already_exists;
    case EACCES:
    case EPERM:
    case EROFS: return Errc::permission;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM: return Errc::no_space;
    case ETIMEDOUT: return Errc::timeout;
    case ECANCELED: return Errc::cancelled;
    case EPIPE:
    case ECONNRESET: return Errc::closed;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: return Errc::unavailable;
    case EINVAL: return Errc::invalid_argument;
    case EMFILE:
    case ENFILE: return Errc::limit;
    case ENOSYS:
    case EOPNOTSUPP: return Errc::unsupported;
    default: return Errc::io;
  }
}

}  // namespace

Error Error::from_errno(std::string_view what, int number) {
  return {code_of(number), std::string(what) + ": " + std::generic_category().message(number)};
}

}  // namespace grove
