// SPDX-License-Identifier: MIT
// slab_test.c: tests of the kernel heap and of the kernel's mappings.
#include "base/ktest.h"
#include "base/string.h"
#include "core/mm/mm.h"
#include "core/slab.h"
#include "core/threads_test.h"
#include <arch/cpu.h>

KTEST(slab, kmalloc_of_all_sizes)
{
	void *p[64];
	u32 n = 0;

	for (size_t size = 1; size <= 64 * KiB && n < ARRAY_SIZE(p); size = size * 5 / 4 + 1, n++) {
		p[n] = kmalloc(size);
		ASSERT_NOT_NULL(p[n]);
		EXPECT_TRUE(is_aligned((uintptr_t)p[n], 16));
		EXPECT_GE(kmalloc_size(p[n]), size);
		memset(p[n], (int)n, size);
	}
	size_t size = 1;

	for (u32 i = 0; i < n; i++, size = size * 5 / 4 + 1) {
		EXPECT_NULL(memchr_inv(p[i], (int)i, size));
		kfree(p[i]);
	}
	for (size_t two = 16; two <= 8192; two *= 2) {
		void *q = kmalloc(two);

		EXPECT_TRUE(q && is_aligned((uintptr_t)q, min(two, PAGE_SIZE)));
		kfree(q);
	}
	EXPECT_NULL(kmalloc((size_t)PAGE_SIZE << (PAGE_ORDER_MAX + 1)));
	EXPECT_NULL(kcalloc(1ull << 40, 1ull << 40));
	kfree(nullptr);
}

KTEST(slab, krealloc_and_kstrdup)
{
	char *p = kmalloc(20);

	ASSERT_NOT_NULL(p);
	memcpy(p, "nineteen characters", 20);
	p = krealloc(p, 20, 5000);
	ASSERT_NOT_NULL(p);
	EXPECT_STREQ(p, "nineteen characters");
	char *s = kstrdup(p, 100);

	EXPECT_STREQ(s, "nineteen characters");
	EXPECT_NULL(kstrdup(p, 5));
	kfree(p);
	kfree(s);
}

static struct slab_cache cache;

KTEST(slab, objects_are_apart_and_slabs_go_back)
{
	static void *objects[1000];
	static bool made;
	u32 overlaps = 0;

	if (!made)
		slab_cache_init(&cache, "test_objects", 200, 64);
	made = true;
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = slab_zalloc(&cache);
		ASSERT_NOT_NULL(objects[i]);
		EXPECT_TRUE(is_aligned((uintptr_t)objects[i], 64));
		*(u64 *)objects[i] = i;
		((u64 *)objects[i])[24] = ~(u64)i; // the last word
	}
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++)
		if (*(u64 *)objects[i] != i || ((u64 *)objects[i])[24] != ~(u64)i)
			overlaps++;
	EXPECT_EQ(overlaps, 0);
	EXPECT_GE(cache.nslabs, 1000 / cache.per_slab);
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++)
		slab_free(&cache, objects[i]);
	EXPECT_LE(cache.nslabs, 2 + smp_ncpus * 30 / cache.per_slab + 4);
}

// Objects go from CPU to CPU through slots.
static void *slots[16];
static atomic_u32 damaged;

static void pass_objects(void *arg)
{
	u64 x = (u64)(uintptr_t)&arg;

	for (u32 i = 0; i < 4000; i++) {
		size_t size = 24 + i % 5 * 40;
		u64 *p = kmalloc(size);

		if (!p)
			continue;
		p[0] = p[2] = size;
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		u64 *old = xchg(&slots[x >> 60], p);

		if (old && old[0] != old[2])
			atomic_add(&damaged, 1);
		kfree(old);
	}
}

KTEST(slab, objects_move_between_cpus)
{
	static struct test_threads threads;

	EXPECT_TRUE(test_threads_run(&threads, 6, pass_objects, nullptr));
	for (u32 i = 0; i < ARRAY_SIZE(slots); i++)
		kfree(xchg(&slots[i], nullptr));
	EXPECT_EQ(atomic_load(&damaged), 0);
}

KTEST(kmap, ranges_have_guards)
{
	u8 *p = kvmap_alloc(5 * PAGE_SIZE), *q = kvmap_alloc(100 * PAGE_SIZE);

	ASSERT_NOT_NULL(p);
	ASSERT_NOT_NULL(q);
	memset(p, 1, 5 * PAGE_SIZE);
	memset(q, 2, 100 * PAGE_SIZE);
	EXPECT_NULL(memchr_inv(p, 1, 5 * PAGE_SIZE));
	EXPECT_TRUE(arch_kernel_range_readable((uintptr_t)p, 5 * PAGE_SIZE));
	EXPECT_FALSE(arch_kernel_range_readable((uintptr_t)p - 1, 1));
	EXPECT_FALSE(arch_kernel_range_readable((uintptr_t)p + 5 * PAGE_SIZE, 1));
	EXPECT_FALSE(arch_kernel_range_readable((uintptr_t)q - 1, 1));
	EXPECT_FALSE(arch_kernel_range_readable((uintptr_t)q + 100 * PAGE_SIZE, 1));
	kvmap_free(q, 100 * PAGE_SIZE);
	EXPECT_FALSE(arch_kernel_range_readable((uintptr_t)q, 1));
	kvmap_free(p, 5 * PAGE_SIZE);
}

KTEST(kmap, addresses_and_pages_come_back)
{
	u64 highest = 0;

	for (u32 i = 0; i < 200; i++) {
		u8 *p = kvmap_alloc(40 * PAGE_SIZE);

		ASSERT_NOT_NULL(p);
		p[0] = p[40 * PAGE_SIZE - 1] = 1;
		highest = max(highest, (u64)p);
		kvmap_free(p, 40 * PAGE_SIZE);
	}
	// 200 rounds without reuse would have needed 8,200 pages of addresses.
	u64 first = (u64)kvmap_alloc(40 * PAGE_SIZE);

	EXPECT_LT(highest - min(highest, first), 4000 * PAGE_SIZE);
	kvmap_free((void *)first, 40 * PAGE_SIZE);
}
