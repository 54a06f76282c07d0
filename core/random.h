// SPDX-License-Identifier: MIT
// Random numbers: ChaCha20 with fast key erasure, seeded from the CPU's generator and from timing.
// Privileged.
#pragma once
#include "base/types.h"
void random_bytes(void *out, size_t len); // any context
u64 random_u64(void);
bool random_ready(void); // enough seed material was mixed in
void random_add(const void *data, size_t len, u32 entropy_bits); // mixes in; any context
void random_add_timing(void);					 // cheap: from interrupts
void random_init(void);
