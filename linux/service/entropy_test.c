// SPDX-License-Identifier: MIT
// entropy_test.c: what counts as entropy of what a source gave.
#include "core/ktest.h"
#include "base/string.h"
#include "linux/random.h"
#include "linux/service/entropy_priv.h"

KTEST(entropy, good_bytes_count_a_bit_each_up_to_the_limit)
{
	u32 given = 0, sum = 0;
	struct entropy_account a = {.given = &given}, b = {.given = &given};
	u8 bytes[POOL_BYTES];

	random_bytes(bytes, sizeof(bytes));
	EXPECT_EQ(entropy_credit(&a, bytes, 24), 24u);
	EXPECT_EQ(given, 24u);
	for (u32 i = 0; i < 10; i++) {
		random_bytes(bytes, sizeof(bytes));
		sum += entropy_credit(i % 2 ? &a : &b, bytes, sizeof(bytes));
	}
	EXPECT_EQ(sum, CREDIT_MAX - 24);
	EXPECT_EQ(given, CREDIT_MAX);
}

KTEST(entropy, what_repeats_counts_nothing)
{
	u32 given = 0;
	struct entropy_account a = {.given = &given};
	u8 bytes[POOL_BYTES], zeroes[POOL_BYTES] = {};

	EXPECT_EQ(entropy_credit(&a, zeroes, sizeof(zeroes)), 0u);
	random_bytes(bytes, sizeof(bytes));
	EXPECT_EQ(entropy_credit(&a, bytes, sizeof(bytes)), POOL_BYTES);
	EXPECT_EQ(entropy_credit(&a, bytes, sizeof(bytes)), 0u); // the same answer again
	random_bytes(bytes, sizeof(bytes));
	memcpy(bytes + 40, bytes + 32, 8); // a word twice
	EXPECT_EQ(entropy_credit(&a, bytes, sizeof(bytes)), 0u);
	EXPECT_EQ(given, POOL_BYTES);
}
