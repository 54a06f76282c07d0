// SPDX-License-Identifier: MIT
// Random numbers: ChaCha20 with fast key erasure, seeded from the CPU's generator and from timing.
// Privileged. From INITCALL level 1 on.
#pragma once
#include "base/types.h"

void random_bytes(void *out, size_t len); // any context
u64 random_u64(void);			  // likewise
bool random_ready(void);		  // enough seed material was mixed in; any context
// Mixes something in, of which so many bits are counted as entropy. Any context.
void random_add(const void *data, size_t len, u32 entropy_bits);
