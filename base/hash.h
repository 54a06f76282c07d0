// SPDX-License-Identifier: MIT
// hash.h: hash functions for tables in memory. Values are not stable across boots when seeded.
#pragma once

#include "base/types.h"

// A mixer in which each input bit changes each output bit with probability 1/2. Not secret: use
// hash_bytes with a random seed for keys that a program chooses.
static inline __wraps u64 hash_u64(u64 x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	return x;
}

static inline u64 hash_ptr(const void *p)
{
	return hash_u64((u64)(uintptr_t)p);
}

// Mixes a second word into a hash.
static inline __wraps u64 hash_combine(u64 hash, u64 x)
{
	return hash_u64(hash * 0x9e3779b97f4a7c15ull + x);
}

// A table's secret seed.
struct hash_seed {
	u64 k[2];
};

// SipHash-1-3 of len bytes: collisions cannot be constructed without the seed.
u64 hash_bytes(const void *data, size_t len, const struct hash_seed *seed);
// The same for a string without its NUL.
u64 hash_string(const char *s, const struct hash_seed *seed);
// SipHash with a chosen number of rounds a word and at the end; hash_bytes is (1, 3).
u64 hash_sip(const void *data, size_t len, const struct hash_seed *seed, unsigned int word_rounds,
	     unsigned int final_rounds);
