// SPDX-License-Identifier: MIT
// hash_test.c: tests of hash.c.
#include "base/hash.h"
#include "base/ktest.h"

KTEST(hash, siphash_2_4_reference)
{
	// The vector in the SipHash paper, appendix A: key 00..0f, message 00..0e.
	struct hash_seed seed = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	u8 message[15];

	for (u8 i = 0; i < sizeof(message); i++)
		message[i] = i;
	EXPECT_EQ(hash_sip(message, sizeof(message), &seed, 2, 4), 0xa129ca6149be45e5);
}

KTEST(hash, siphash_1_3)
{
	// As CPython 3.11 computes hash(b"...") with PYTHONHASHSEED=0.
	struct hash_seed zero = {};

	EXPECT_EQ(hash_string("abc", &zero), 0xc03bc3a0042630f2);
	EXPECT_EQ(hash_string("12345678", &zero), 0x3489982430560a87);
	EXPECT_EQ(hash_bytes("The quick brown fox jumps", 25, &zero), 0x9e719c78716a132b);
}

KTEST(hash, seed_matters)
{
	struct hash_seed a = {{1, 2}}, b = {{1, 3}};

	EXPECT_NE(hash_string("key", &a), hash_string("key", &b));
	EXPECT_NE(hash_bytes("", 0, &a), hash_bytes("\0", 1, &a));
}

// Sequential keys must fill the buckets of a small table evenly, whichever bits index it.
KTEST(hash, integers_spread)
{
	for (int shift = 0; shift < 64; shift += 8) {
		u32 low[64] = {}, high[64] = {};

		for (u64 i = 0; i < 6400 && (shift < 56 || i < 256); i++) {
			low[hash_u64(i << shift) % 64]++;
			high[hash_u64(i << shift) >> 58]++;
		}
		for (int b = 0; b < 64; b++) {
			// Mean 100 (4 for the short run); 60 is six standard deviations.
			EXPECT_LT(low[b], 160);
			EXPECT_LT(high[b], 160);
			EXPECT_GT(low[b] + (shift < 56 ? 0 : 100), 40);
			EXPECT_GT(high[b] + (shift < 56 ? 0 : 100), 40);
		}
	}
}

KTEST(hash, integers_avalanche)
{
	u64 seed = 3;
	u32 flips = 0;

	for (int i = 0; i < 1000; i++) {
		u64 x = ktest_random(&seed), bit = BIT(i % 64);

		flips += (u32)__builtin_popcountll(hash_u64(x) ^ hash_u64(x ^ bit));
	}
	EXPECT_GT(flips, 31000);
	EXPECT_LT(flips, 33000);
	EXPECT_NE(hash_combine(1, 2), hash_combine(2, 1));
}
