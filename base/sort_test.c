// SPDX-License-Identifier: MIT
// sort_test.c: tests of sort.c.
#include "base/ktest.h"
#include "base/sort.h"

struct record {
	u32 key;
	u8 copy[3]; // derived from the key: shows whether elements move as a whole
};

static int by_key(const void *a, const void *b, void *ctx)
{
	const struct record *x = a, *y = b;

	++*(u32 *)ctx;
	return x->key < y->key ? -1 : x->key > y->key;
}

constexpr size_t RECORDS = 120;

KTEST(sort, random_arrays)
{
	struct record records[RECORDS];
	u64 seed = 6;

	for (size_t count = 0; count <= RECORDS; count++) {
		u32 compares = 0;
		u64 sum = 0;

		for (size_t i = 0; i < count; i++) {
			u32 key = ktest_random(&seed) % (count % 2 ? 10 : 100000);

			records[i] = (struct record){key, {(u8)key, (u8)~key, 7}};
			sum += key;
		}
		sort(records, count, sizeof(records[0]), by_key, &compares);
		for (size_t i = 0; i < count; i++) {
			EXPECT_EQ(records[i].copy[0], (u8)records[i].key);
			EXPECT_EQ(records[i].copy[1], (u8)~records[i].key);
			if (i)
				ASSERT_LE(records[i - 1].key, records[i].key);
			sum -= records[i].key;
		}
		EXPECT_EQ(sum, 0);
		// Heapsort's bound: 2 comparisons a level, twice.
		EXPECT_LE(compares, count ? 4 * count * ((u32)ilog2(count) + 1) : 0);
	}
}

static int by_value(const void *a, const void *b, void *)
{
	return *(const int *)a - *(const int *)b;
}

KTEST(sort, already_sorted_and_reversed)
{
	int up[50], down[50];

	for (int i = 0; i < 50; i++) {
		up[i] = i;
		down[i] = 49 - i;
	}
	sort(up, 50, sizeof(int), by_value, nullptr);
	sort(down, 50, sizeof(int), by_value, nullptr);
	for (int i = 0; i < 50; i++) {
		EXPECT_EQ(up[i], i);
		EXPECT_EQ(down[i], i);
	}
}

KTEST(sort, upper_bound)
{
	static const int values[] = {1, 3, 3, 3, 7};
	static const size_t expected[] = {0, 1, 1, 4, 4, 4, 4, 5, 5};

	for (int key = 0; key < 9; key++)
		EXPECT_EQ(sort_upper_bound(values, 5, sizeof(int), &key, by_value, nullptr),
			  expected[key]);
	EXPECT_EQ(sort_upper_bound(values, 0, sizeof(int), &values[0], by_value, nullptr), 0);
}
