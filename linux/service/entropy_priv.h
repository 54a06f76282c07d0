// SPDX-License-Identifier: MIT
// What counts as entropy of what a source gave: entropy.c says why.
#pragma once
#include "base/types.h"

constexpr u32 POOL_BYTES = 64;	// that the pool takes at a time
constexpr u32 CREDIT_MAX = 128; // bits, of all sources together

struct entropy_account { // of one source
	u32 *given;	 // bits that all sources together were credited
	u8 last[POOL_BYTES];
};
// How many bits of entropy n (up to POOL_BYTES) bytes count.
u32 entropy_credit(struct entropy_account *a, const u8 *bytes, u32 n);
