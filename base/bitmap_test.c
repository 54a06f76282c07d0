// SPDX-License-Identifier: MIT
// bitmap_test.c: tests of bitmap.h against an array of bool.
#include "base/bitmap.h"
#include "base/ktest.h"
#include "base/string.h"

constexpr size_t BITS = 203;

KTEST(bitmap, single_bits)
{
	BITMAP_DECLARE(map, BITS) = {};

	EXPECT_TRUE(bitmap_is_empty(map, BITS));
	bitmap_set(map, 0);
	bitmap_set(map, 64);
	bitmap_set(map, 202);
	EXPECT_TRUE(bitmap_test(map, 64));
	EXPECT_FALSE(bitmap_test(map, 63));
	EXPECT_EQ(bitmap_weight(map, BITS), 3);
	EXPECT_EQ(bitmap_find_first(map, BITS), 0);
	EXPECT_EQ(bitmap_find_next(map, BITS, 1), 64);
	EXPECT_EQ(bitmap_find_next(map, BITS, 65), 202);
	EXPECT_EQ(bitmap_find_next(map, BITS, 203), BITS);
	EXPECT_EQ(bitmap_find_first(map, 0), 0);
	bitmap_clear(map, 64);
	EXPECT_FALSE(bitmap_test_and_set(map, 64));
	EXPECT_TRUE(bitmap_test_and_set(map, 64));
	EXPECT_TRUE(bitmap_test_and_clear(map, 64));
	EXPECT_FALSE(bitmap_test_and_clear(map, 64));
	bitmap_assign(map, 5, true);
	EXPECT_TRUE(bitmap_test(map, 5));
	bitmap_assign(map, 5, false);
	EXPECT_FALSE(bitmap_test(map, 5));
}

KTEST(bitmap, full)
{
	BITMAP_DECLARE(map, BITS);

	bitmap_set_all(map, BITS);
	EXPECT_EQ(bitmap_weight(map, BITS), BITS);
	EXPECT_EQ(bitmap_find_first_zero(map, BITS), BITS);
	bitmap_clear(map, 202);
	EXPECT_EQ(bitmap_find_first_zero(map, BITS), 202);
	EXPECT_EQ(bitmap_find_next_zero(map, BITS, 202), 202);
	bitmap_clear_all(map, BITS);
	EXPECT_TRUE(bitmap_is_empty(map, BITS));
}

KTEST(bitmap, bits_beyond_the_end_do_not_count)
{
	u64 map[2] = {0, ~0ull << 10};

	EXPECT_EQ(bitmap_find_first(map, 70), 70);
	EXPECT_EQ(bitmap_weight(map, 70), 0);
	map[1] = BIT(10) - 1;
	map[0] = ~0ull;
	EXPECT_EQ(bitmap_find_first_zero(map, 70), 70);
}

static void check_ranges(struct ktest *ktest_ctx, u64 *map, const bool *model)
{
	size_t bit, expected = 0, weight = 0;

	for (size_t i = 0; i < BITS; i++)
		weight += model[i];
	ASSERT_EQ(bitmap_weight(map, BITS), weight);
	bitmap_for_each(bit, map, BITS) {
		while (expected < BITS && !model[expected])
			expected++;
		ASSERT_EQ(bit, expected);
		expected++;
	}
}

KTEST(bitmap, random_ranges)
{
	BITMAP_DECLARE(map, BITS) = {};
	bool model[BITS] = {};
	u64 seed = 2;

	for (int step = 0; step < 500 && !ktest_ctx->failures; step++) {
		size_t first = ktest_random(&seed) % BITS;
		size_t count = ktest_random(&seed) % (BITS - first + 1);
		bool value = ktest_random(&seed) & 1;

		(value ? bitmap_set_range : bitmap_clear_range)(map, first, count);
		for (size_t i = first; i < first + count; i++)
			model[i] = value;
		check_ranges(ktest_ctx, map, model);
	}
}

KTEST(bitmap, zero_runs)
{
	BITMAP_DECLARE(map, BITS) = {};

	bitmap_set(map, 10);
	bitmap_set(map, 100);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 0, 10), 0);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 0, 11), 11);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 0, 102), 101);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 0, 103), BITS);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 102, 102), BITS);
	EXPECT_EQ(bitmap_find_zero_run(map, BITS, 102, 101), 102);
}

KTEST(bitmap, atomic)
{
	BITMAP_DECLARE(map, BITS) = {};

	bitmap_atomic_set(map, 130);
	EXPECT_TRUE(bitmap_test(map, 130));
	EXPECT_TRUE(bitmap_atomic_test_and_set(map, 130));
	EXPECT_FALSE(bitmap_atomic_test_and_set(map, 131));
	bitmap_atomic_clear(map, 130);
	EXPECT_FALSE(bitmap_atomic_test_and_clear(map, 130));
	EXPECT_TRUE(bitmap_atomic_test_and_clear(map, 131));
	EXPECT_TRUE(bitmap_is_empty(map, BITS));
}
