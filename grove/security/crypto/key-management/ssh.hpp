#pragma once

// SSH keys as recipients and identities (age-encryption.org/v1/ssh-ed25519 and
// ssh-rsa). Reached through Recipient::parse and Identity::parse.

#include "grove/security/crypto/key-management/keys.hpp"

namespace grove::key_management::ssh {

Result<Recipient> parse_recipient(std::string_view line);
Result<Identity> parse_identity(std::string_view file);

}  // namespace grove::key_management::ssh
