// SPDX-License-Identifier: MIT
// radix_test.c: tests of radix.c against a flat model, with an allocator that fails on demand.
#include "base/err.h"
#include "base/ktest.h"
#include "base/radix.h"

constexpr size_t NODES = 128;

// Nodes come from an array; `fail_after` counts allocations down to the one that fails.
struct pool {
	struct radix_node nodes[NODES];
	bool used[NODES];
	size_t in_use;
	int fail_after;
};

static struct pool pool;

static void *pool_alloc(void *ctx, size_t size)
{
	struct pool *p = ctx;

	if (size != sizeof(p->nodes[0]) || p->fail_after-- == 0)
		return nullptr;
	for (size_t i = 0; i < NODES; i++) {
		if (p->used[i])
			continue;
		p->used[i] = true;
		p->in_use++;
		// What the allocator returns need not be zeroed.
		for (size_t b = 0; b < size; b++)
			((u8 *)&p->nodes[i])[b] = 0xa5;
		return &p->nodes[i];
	}
	return nullptr;
}

static void pool_free(void *ctx, struct radix_node *node)
{
	struct pool *p = ctx;

	p->used[node - p->nodes] = false;
	p->in_use--;
}

static const struct radix_ops ops = {pool_alloc, pool_free};

static void setup(struct radix_tree *tree)
{
	for (size_t i = 0; i < NODES; i++)
		pool.used[i] = false;
	pool.in_use = 0;
	pool.fail_after = -1;
	radix_init(tree, &ops, &pool);
}

// A tagged value, a legal entry that is no pointer.
static void *value(u64 n)
{
	return (void *)(uintptr_t)(n << 1 | 1);
}

KTEST(radix, index_zero_needs_no_node)
{
	struct radix_tree tree;
	int object;
	void *old;

	setup(&tree);
	EXPECT_TRUE(radix_empty(&tree));
	EXPECT_NULL(radix_lookup(&tree, 0));
	EXPECT_EQ(radix_insert(&tree, 0, &object), 0);
	EXPECT_EQ(radix_insert(&tree, 0, &object), -EEXIST);
	EXPECT_EQ(pool.in_use, 0);
	EXPECT_EQ(radix_lookup(&tree, 0), &object);
	EXPECT_NULL(radix_lookup(&tree, 1));
	EXPECT_NULL(radix_lookup(&tree, 64));
	EXPECT_EQ(radix_store(&tree, 0, value(4), &old), 0);
	EXPECT_EQ(old, &object);
	EXPECT_EQ(radix_erase(&tree, 0), value(4));
	EXPECT_NULL(radix_erase(&tree, 0));
	EXPECT_TRUE(radix_empty(&tree));
}

KTEST(radix, refuses_ill_aligned_entries)
{
	struct radix_tree tree;

	setup(&tree);
	EXPECT_EQ(radix_insert(&tree, 1, nullptr), -EINVAL);
	EXPECT_EQ(radix_insert(&tree, 1, (void *)0x1002), -EINVAL);
	EXPECT_TRUE(radix_empty(&tree));
}

KTEST(radix, extreme_indices)
{
	static const u64 indices[] = {0,    1,	      63,	  64,	     4095,
				      4096, 1u << 31, 1ull << 60, ~0ull - 1, ~0ull};
	struct radix_tree tree;
	u64 index, n = 0;
	void *entry;

	setup(&tree);
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
		ASSERT_EQ(radix_insert(&tree, indices[i], value(i)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		EXPECT_EQ(radix_lookup(&tree, indices[i]), value(i));
		EXPECT_EQ(radix_insert(&tree, indices[i], value(0)), -EEXIST);
	}
	EXPECT_NULL(radix_lookup(&tree, 2));
	EXPECT_NULL(radix_lookup(&tree, ~0ull - 2));
	radix_for_each(&tree, index, entry) {
		ASSERT_LT(n, ARRAY_SIZE(indices));
		EXPECT_EQ(index, indices[n]);
		EXPECT_EQ(entry, value(n));
		n++;
	}
	EXPECT_EQ(n, ARRAY_SIZE(indices));
	index = 4097;
	EXPECT_EQ(radix_next(&tree, &index), value(6));
	EXPECT_EQ(index, 1u << 31);
	radix_for_each(&tree, index, entry)
		radix_erase(&tree, index);
	EXPECT_TRUE(radix_empty(&tree));
	EXPECT_EQ(pool.in_use, 0);
}

static u64 dropped_sum;

static void drop(void *ctx, u64 index, void *entry)
{
	*(u64 *)ctx += 1;
	dropped_sum += index;
	(void)entry;
}

KTEST(radix, destroy)
{
	struct radix_tree tree;
	u64 dropped = 0;

	setup(&tree);
	dropped_sum = 0;
	for (u64 i = 0; i < 1000; i++)
		ASSERT_EQ(radix_insert(&tree, i, value(i)), 0);
	EXPECT_GE(pool.in_use, 16);
	radix_destroy(&tree, drop, &dropped);
	EXPECT_EQ(dropped, 1000);
	EXPECT_EQ(dropped_sum, 499500);
	EXPECT_EQ(pool.in_use, 0);
	radix_destroy(&tree, nullptr, nullptr);
}

constexpr size_t MODEL = 512;

static void *model[MODEL];

static u64 spread_index(size_t i)
{
	// Eight clusters of 64, one of them near the top.
	static const u64 bases[] = {0, 32, 200, 4096, 70000, 1ull << 33, 1ull << 62, ~0ull - 63};

	return bases[i / 64] + (i / 64 == 0 ? i % 32 : i % 64);
}

static bool model_has(size_t i)
{
	// Cluster 0 has half its members only.
	return i / 64 != 0 || i % 64 < 32;
}

KTEST(radix, random_operations)
{
	struct radix_tree tree;
	u64 seed = 4;

	setup(&tree);
	for (size_t i = 0; i < MODEL; i++)
		model[i] = nullptr;
	for (int step = 0; step < 20000; step++) {
		size_t i = ktest_random(&seed) % MODEL;
		u64 index = spread_index(i), action = ktest_random(&seed) % 8;
		bool grow = step / 2000 % 2 == 0;
		void *old = nullptr, *entry = value((u64)step);

		if (!model_has(i))
			continue;
		if (action < (grow ? 4 : 1)) {
			int err = radix_insert(&tree, index, entry);

			ASSERT_EQ(err, model[i] ? -EEXIST : 0);
			model[i] = model[i] ?: entry;
		} else if (action < (grow ? 5 : 2)) {
			ASSERT_EQ(radix_store(&tree, index, entry, &old), 0);
			ASSERT_EQ(old, model[i]);
			model[i] = entry;
		} else if (action < 7) {
			ASSERT_EQ(radix_erase(&tree, index), model[i]);
			model[i] = nullptr;
		} else {
			ASSERT_EQ(radix_lookup(&tree, index), model[i]);
		}
		if (step % 500 == 0) {
			u64 at;
			void *found;
			size_t count = 0, expected = 0;

			radix_for_each(&tree, at, found)
				count++;
			for (size_t m = 0; m < MODEL; m++)
				expected += model[m] != nullptr;
			ASSERT_EQ(count, expected);
		}
	}
	for (size_t i = 0; i < MODEL; i++)
		if (model_has(i))
			ASSERT_EQ(radix_erase(&tree, spread_index(i)), model[i]);
	EXPECT_TRUE(radix_empty(&tree));
	EXPECT_EQ(pool.in_use, 0);
}

KTEST(radix, failed_allocation_changes_nothing)
{
	struct radix_tree tree;

	// With the only other entry at 0 or deep in the tree, let each allocation fail in turn.
	for (u64 other = 0; other <= 1ull << 40; other += 1ull << 40) {
		for (int fail = 0;; fail++) {
			setup(&tree);
			ASSERT_EQ(radix_insert(&tree, other, value(1)), 0);
			size_t before = pool.in_use;

			pool.fail_after = fail;
			int err = radix_insert(&tree, ~0ull, value(2));

			if (!err)
				break;
			ASSERT_LT(fail, 30);
			EXPECT_EQ(err, -ENOMEM);
			EXPECT_EQ(pool.in_use, before);
			EXPECT_EQ(radix_lookup(&tree, other), value(1));
			EXPECT_NULL(radix_lookup(&tree, ~0ull));
		}
		EXPECT_EQ(radix_lookup(&tree, ~0ull), value(2));
		EXPECT_EQ(radix_lookup(&tree, other), value(1));
	}
}
