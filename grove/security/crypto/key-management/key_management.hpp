#pragma once

// Files and secrets sealed to people, keys and passphrases in the age format.

#include "grove/security/crypto/key-management/age.hpp"        // Encryptor, Decryptor, SeekableReader
#include "grove/security/crypto/key-management/io.hpp"         // Source, Sink
#include "grove/security/crypto/key-management/key_store.hpp"  // KeyStore
#include "grove/security/crypto/key-management/keys.hpp"       // Recipient, Identity
#include "grove/security/crypto/key-management/secret.hpp"     // SecretBuffer
