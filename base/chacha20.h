// SPDX-License-Identifier: MIT
// chacha20.h: the ChaCha20 stream cipher (RFC 8439), the kernel's random generator.
#pragma once

#include "base/types.h"

#define CHACHA20_BLOCK 64

// One block of key stream.
void chacha20_block(const u32 key[8], u32 counter, const u32 nonce[3], u8 out[CHACHA20_BLOCK]);

// len bytes of key stream, starting with block `counter`. The counter must not wrap: len is at
// most 64 * (2^32 - counter).
void chacha20_keystream(const u32 key[8], u32 counter, const u32 nonce[3], void *out, size_t len);

// XORs the key stream into data: encrypts and decrypts.
void chacha20_xor(const u32 key[8], u32 counter, const u32 nonce[3], void *data, size_t len);
