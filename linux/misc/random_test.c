// SPDX-License-Identifier: MIT
// random_test.c: random numbers differ from each other, on one CPU and between CPUs, and look
// evenly spread.
#include "core/ktest.h"
#include "linux/random.h"
#include "core/slab.h"
#include "core/threads_test.h"

#include "base/sort.h"
#include "base/string.h"

constexpr u32 THREADS = 4;
constexpr u32 PER_THREAD = 512;

static u64 numbers[THREADS * PER_THREAD];
static atomic_u32 next_slot;

static void draw(void *)
{
	for (u32 i = 0; i < PER_THREAD; i++) {
		u64 v = random_u64();

		numbers[atomic_fetch_add(&next_slot, 1)] = v;
		if (i % 32 == 0)
			sched_yield();
	}
}

static int compare(const void *a, const void *b, void *)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

KTEST(random, numbers_do_not_repeat)
{
	static struct test_threads threads;
	u32 equal = 0;

	atomic_store(&next_slot, 0);
	ASSERT_TRUE(test_threads_run(&threads, THREADS, draw, nullptr));
	ASSERT_EQ(atomic_load(&next_slot), ARRAY_SIZE(numbers));
	sort(numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), compare, nullptr);
	for (u32 i = 1; i < ARRAY_SIZE(numbers); i++)
		equal += numbers[i] == numbers[i - 1];
	EXPECT_EQ(equal, 0u);
}

KTEST(random, bits_are_evenly_set)
{
	static u8 bytes[64 * 1024]; // large: the way with a key of its own
	u64 set = 0, expected = sizeof(bytes) * 4;

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		set += (u64)__builtin_popcount(bytes[i]);
	// Six standard deviations (sqrt(bits)/2 = 362): wrong once in 500 million runs.
	EXPECT_GT(set, expected - 2172);
	EXPECT_LT(set, expected + 2172);
}

KTEST(random, every_byte_is_filled)
{
	u8 seen[300] = {}, bytes[300];

	for (u32 round = 0; round < 16; round++) {
		random_bytes(bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			seen[i] |= bytes[i];
	}
	EXPECT_NULL(memchr(seen, 0, sizeof(seen))); // 16 zero bytes in a row come once in 2^128
	random_add(bytes, sizeof(bytes), 0);
	random_add(bytes, 0, 0);
	EXPECT_NE(random_u64(), random_u64());
}
