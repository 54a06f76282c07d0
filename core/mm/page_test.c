// SPDX-License-Identifier: MIT
// page_test.c: tests of the page allocator: owners, orders, counts, memory running out.
#include "base/ktest.h"
#include "base/string.h"
#include "core/mm/mm.h"
#include "core/threads_test.h"

static u64 block_of(const struct page *p)
{
	return (u64)(p - page_array) / BLOCK_PAGES;
}

// Pages of a chain, linked by data.
static u32 chain_free(struct page *chain)
{
	u32 n = 0;

	while (chain) {
		struct page *next = (struct page *)(uintptr_t)chain->data;

		page_free(chain, chain->order);
		chain = next;
		n++;
	}
	return n;
}

static void chain_add(struct page **chain, struct page *p)
{
	p->data = (u64)(uintptr_t)*chain;
	*chain = p;
}

KTEST(page, a_block_has_one_owner)
{
	struct page *chain = nullptr;
	u32 foreign = 0, got = 0;

	for (u32 i = 0; i < 3000; i++) {
		enum page_owner owner =
			(enum page_owner)(OWNER_CORE + i % (OWNER_COUNT - OWNER_CORE));
		struct page *p = page_alloc(i % 7 == 0 ? 2 : 0, owner, ALLOC_NOWARN);

		if (!p)
			break;
		got++;
		if (p->owner != owner)
			foreign++;
		chain_add(&chain, p);
	}
	// Neighbours in a block agree, whoever looks.
	for (struct page *p = chain; p; p = (struct page *)(uintptr_t)p->data)
		for (struct page *q = chain; q && q != p; q = (struct page *)(uintptr_t)q->data)
			if (block_of(p) == block_of(q) && p->owner != q->owner)
				foreign++;
	EXPECT_EQ(foreign, 0);
	EXPECT_EQ(chain_free(chain), got);
	EXPECT_EQ(got, 3000);
}

KTEST(page, every_order_is_aligned_and_comes_back)
{
	struct page_stats before, after;

	page_cpu_drain();
	page_stats_read(&before);
	for (u32 order = 0; order <= PAGE_ORDER_MAX; order++) {
		struct page *p = page_alloc(order, OWNER_SERVICE, ALLOC_ZERO),
			    *q = page_alloc(order, OWNER_SERVICE, 0);

		ASSERT_NOT_NULL(p);
		ASSERT_NOT_NULL(q);
		EXPECT_EQ(p->refs, 1);
		EXPECT_EQ(p->order, order);
		EXPECT_TRUE(is_aligned(page_phys(p).addr, PAGE_SIZE << order));
		EXPECT_NULL(memchr_inv(page_ptr(p), 0, PAGE_SIZE << order));
		memset(page_ptr(p), 0xff, PAGE_SIZE << order);
		memset(page_ptr(q), 0xee, PAGE_SIZE << order);
		EXPECT_NULL(memchr_inv(page_ptr(p), 0xff, PAGE_SIZE << order));
		page_free(p, order);
		page_free(q, order);
	}
	EXPECT_NULL(page_alloc(PAGE_ORDER_MAX + 1, OWNER_SERVICE, ALLOC_NOWARN));
	page_stats_read(&after);
	EXPECT_EQ(after.owned[OWNER_SERVICE], before.owned[OWNER_SERVICE]);
	EXPECT_EQ(after.total, before.total);
}

KTEST(page, free_blocks_change_owner)
{
	struct page *p = page_alloc(3, OWNER_SERVICE, 0);

	ASSERT_NOT_NULL(p);
	page_free(p, 3);
	page_cpu_drain();
	struct page_stats st;

	page_stats_read(&st);
	if (st.owned[OWNER_SERVICE])
		ktest_skip("services hold memory");
	// Nothing of services is left, so their last block is free and may be taken for something
	// else, whole.
	struct page *chain = nullptr;
	u32 huge = 0;

	while (huge < 4096 && (p = page_alloc(PAGE_ORDER_HUGE, OWNER_PROGRAM, ALLOC_NOWARN))) {
		chain_add(&chain, p);
		huge++;
	}
	EXPECT_GT(huge, 0);
	EXPECT_EQ(chain_free(chain), huge);
}

KTEST(page, zeroed_pages_are_zero)
{
	struct page *pages[64];
	u32 n = page_alloc_bulk(ARRAY_SIZE(pages), OWNER_PROGRAM, 0, pages);

	EXPECT_EQ(n, ARRAY_SIZE(pages));
	for (u32 i = 0; i < n; i++)
		memset(page_ptr(pages[i]), 0xa5, PAGE_SIZE);
	for (u32 i = 0; i < n; i++)
		page_free(pages[i], 0);
	for (u32 i = 0; i < 8; i++)
		page_idle_clear();
	u32 dirty = 0;

	for (u32 i = 0; i < n; i++) {
		pages[i] = page_alloc(0, OWNER_PROGRAM, ALLOC_ZERO);
		if (!pages[i] || memchr_inv(page_ptr(pages[i]), 0, PAGE_SIZE))
			dirty++;
	}
	EXPECT_EQ(dirty, 0);
	for (u32 i = 0; i < n; i++)
		page_put(pages[i]);
}

KTEST(page, running_out_leaves_a_reserve)
{
	struct page *chain = nullptr, *p;
	u64 before = page_free_count();
	u32 n = 0;

	while ((p = page_alloc(0, OWNER_SERVICE, ALLOC_NOWARN))) {
		chain_add(&chain, p);
		n++;
	}
	struct page *last = page_alloc(0, OWNER_SERVICE, ALLOC_ATOMIC | ALLOC_NOWARN);

	EXPECT_NOT_NULL(last);
	if (last)
		page_free(last, 0);
	EXPECT_EQ(chain_free(chain), n);
	page_cpu_drain();
	EXPECT_GT(n, 1000);
	// Others may have taken and given a few meanwhile.
	EXPECT_GT(page_free_count() + 256, before);
}

static atomic_u32 torn;

static void alloc_and_free(void *arg)
{
	struct page *mine[40];

	(void)arg;
	for (u32 round = 0; round < 60; round++) {
		u32 n = 0;

		for (; n < ARRAY_SIZE(mine); n++) {
			u32 order = (round + n) % 4;

			mine[n] = page_alloc(order, OWNER_SERVICE, ALLOC_NOWARN);
			if (!mine[n])
				break;
			*(u64 *)page_ptr(mine[n]) = (u64)(uintptr_t)&mine[n];
		}
		if (round % 16 == 0)
			thread_sleep_ns(1000);
		while (n--) {
			if (*(u64 *)page_ptr(mine[n]) != (u64)(uintptr_t)&mine[n])
				atomic_add(&torn, 1);
			page_free(mine[n], mine[n]->order);
		}
	}
}

KTEST(page, threads_on_all_cpus)
{
	static struct test_threads threads;
	struct page_stats before, after;

	page_stats_read(&before);
	EXPECT_TRUE(test_threads_run(&threads, 6, alloc_and_free, nullptr));
	EXPECT_EQ(atomic_load(&torn), 0);
	page_stats_read(&after);
	EXPECT_EQ(after.owned[OWNER_SERVICE], before.owned[OWNER_SERVICE]);
}
