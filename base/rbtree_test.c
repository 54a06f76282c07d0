// SPDX-License-Identifier: MIT
// rbtree_test.c: tests of rbtree.c: the invariants are checked after each operation on random
// trees.
#include "base/ktest.h"
#include "base/rbtree.h"

struct thing {
	u32 key;
	u32 serial;
	bool present;
	struct rb_node rb;
};

constexpr int THINGS = 300;
static struct thing things[THINGS];

static bool less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct thing, rb)->key < rb_entry(b, struct thing, rb)->key;
}

// Black height of a subtree, or -1 when an invariant is broken. The recursion is as deep as the
// tree: at most 2 log2(THINGS + 1), else the depth bound makes it fail.
static int black_height(const struct rb_node *node, const struct rb_node *parent, int depth)
{
	if (!node)
		return 0;
	bool black = node->parent_and_color & 1;

	if (rb_parent(node) != parent || depth > 18)
		return -1;
	if (!black && parent && !(parent->parent_and_color & 1))
		return -1;
	int left = black_height(node->left, node, depth + 1);
	int right = black_height(node->right, node, depth + 1);

	return left < 0 || left != right ? -1 : left + black;
}

// Number of nodes if the tree is a red-black tree in order, both ways; else -1.
static int check_tree(const struct rb_root *root)
{
	int forward = 0, backward = 0;
	const struct rb_node *last = nullptr;

	if (root->node && !(root->node->parent_and_color & 1))
		return -1;
	if (black_height(root->node, nullptr, 0) < 0)
		return -1;
	for (struct rb_node *n = rb_first(root); n; n = rb_next(n)) {
		if (last && less(n, last))
			return -1;
		last = n;
		forward++;
	}
	if (last != rb_last(root))
		return -1;
	for (struct rb_node *n = rb_last(root); n; n = rb_prev(n))
		backward++;
	return forward == backward ? forward : -1;
}

KTEST(rbtree, random_operations)
{
	struct rb_root_cached tree = {};
	u64 seed = 1;
	int count = 0;

	for (int i = 0; i < THINGS; i++)
		things[i].present = false;
	for (int step = 0; step < 4000; step++) {
		// Phases of growth and of decay.
		struct thing *t = &things[ktest_random(&seed) % THINGS];
		bool grow = ktest_random(&seed) % 8 < (step / 500 % 2 ? 2 : 6);

		if (grow && !t->present) {
			t->key = ktest_random(&seed) % 64;
			rb_add_cached(&t->rb, &tree, less);
			t->present = true;
			count++;
		} else if (!grow && t->present) {
			rb_erase_cached(&t->rb, &tree);
			t->present = false;
			count--;
		}
		ASSERT_EQ(check_tree(&tree.root), count);
		ASSERT_EQ(rb_first_cached(&tree), rb_first(&tree.root));
	}
}

KTEST(rbtree, ascending_and_descending)
{
	struct rb_root tree = {};

	for (u32 i = 0; i < THINGS; i++) {
		things[i].key = i < 150 ? i : 1000 - i;
		rb_add(&things[i].rb, &tree, less);
	}
	EXPECT_EQ(check_tree(&tree), THINGS);
	for (int i = 0; i < THINGS; i++) {
		rb_erase(&things[i].rb, &tree);
		ASSERT_EQ(check_tree(&tree), THINGS - 1 - i);
	}
	EXPECT_TRUE(rb_empty(&tree));
	EXPECT_NULL(rb_first(&tree));
	EXPECT_NULL(rb_last(&tree));
}

KTEST(rbtree, equal_keys_keep_their_order)
{
	struct rb_root tree = {};
	struct thing *t;
	u32 expected = 0;

	for (u32 i = 0; i < 50; i++) {
		things[i] = (struct thing){.key = 7, .serial = i};
		rb_add(&things[i].rb, &tree, less);
	}
	rb_for_each_entry(t, &tree, rb)
		EXPECT_EQ(t->serial, expected++);
	EXPECT_EQ(expected, 50);
}

KTEST(rbtree, replace_and_clear)
{
	struct rb_root tree = {};
	struct thing new = {.key = 20};

	rb_node_clear(&new.rb);
	EXPECT_TRUE(rb_node_is_clear(&new.rb));
	for (u32 i = 0; i < 40; i++) {
		things[i].key = i;
		rb_add(&things[i].rb, &tree, less);
	}
	rb_replace(&things[20].rb, &new.rb, &tree);
	EXPECT_EQ(check_tree(&tree), 40);
	EXPECT_EQ(rb_next(&things[19].rb), &new.rb);
	EXPECT_FALSE(rb_node_is_clear(&new.rb));
}
