// SPDX-License-Identifier: MIT
// list_test.c: tests of list.h.
#include "base/ktest.h"
#include "base/list.h"

struct item {
	int value;
	struct list link;
	struct hlist_node node;
};

// The values in order as decimal digits; also checks that the links back mirror those forward.
static u64 digits(struct list *head)
{
	struct item *i;
	u64 forward = 0, backward = 0, place = 1;

	list_for_each_entry(i, head, link)
		forward = forward * 10 + (u64)i->value;
	list_for_each_entry_reverse(i, head, link) {
		backward += place * (u64)i->value;
		place *= 10;
	}
	return forward == backward ? forward : ~0ull;
}

static void fill(struct item *items, struct list *head, int first, int count)
{
	list_init(head);
	for (int i = 0; i < count; i++) {
		items[i].value = first + i;
		list_add_tail(head, &items[i].link);
	}
}

KTEST(list, add_and_remove)
{
	struct list head = LIST_INIT(head);
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};

	EXPECT_TRUE(list_empty(&head));
	EXPECT_NULL(list_first_entry_or_null(&head, struct item, link));
	list_add_tail(&head, &b.link);
	EXPECT_TRUE(list_is_singular(&head));
	list_add_tail(&head, &c.link);
	list_add_head(&head, &a.link);
	EXPECT_EQ(digits(&head), 123);
	EXPECT_EQ(list_length(&head), 3);
	EXPECT_EQ(list_first_entry(&head, struct item, link), &a);
	EXPECT_EQ(list_last_entry(&head, struct item, link), &c);
	list_del_init(&b.link);
	EXPECT_TRUE(list_empty(&b.link));
	EXPECT_EQ(digits(&head), 13);
	list_add_before(&c.link, &b.link);
	EXPECT_EQ(digits(&head), 123);
	list_del(&c.link);
	EXPECT_NULL(c.link.next);
	list_add_after(&a.link, &c.link);
	EXPECT_EQ(digits(&head), 132);
	list_move_head(&head, &b.link);
	EXPECT_EQ(digits(&head), 213);
	list_move_tail(&head, &a.link);
	EXPECT_EQ(digits(&head), 231);
	list_move_tail(&head, &a.link);
	EXPECT_EQ(digits(&head), 231);
}

KTEST(list, replace)
{
	struct item items[3], new = {.value = 9};
	struct list head;

	fill(items, &head, 1, 3);
	list_replace(&items[1].link, &new.link);
	EXPECT_EQ(digits(&head), 193);
}

KTEST(list, safe_iteration)
{
	struct item items[6], *i, *next;
	struct list head;

	fill(items, &head, 1, 6);
	list_for_each_entry_safe(i, next, &head, link)
		if (i->value % 2)
			list_del(&i->link);
	EXPECT_EQ(digits(&head), 246);
	list_for_each_entry_rcu(i, &head, link)
		if (i->value == 4)
			list_del_rcu(&i->link);
	EXPECT_EQ(digits(&head), 26);
}

KTEST(list, splice)
{
	struct item x[2], y[3], z[2];
	struct list a, b;

	fill(x, &a, 1, 2);
	fill(y, &b, 3, 3);
	list_splice_tail(&a, &b);
	EXPECT_EQ(digits(&a), 12345);
	EXPECT_TRUE(list_empty(&b));
	list_splice_tail(&a, &b);
	EXPECT_EQ(digits(&a), 12345);
	list_splice_tail(&b, &a);
	EXPECT_EQ(digits(&b), 12345);
	fill(z, &a, 8, 2);
	list_splice_head(&b, &a);
	EXPECT_EQ(digits(&b), 8912345);
}

KTEST(hlist, add_and_remove)
{
	struct hlist head;
	struct hlist_node *tmp;
	struct item items[4], *i;
	int sum = 0;

	hlist_init(&head);
	EXPECT_TRUE(hlist_empty(&head));
	for (int n = 0; n < 4; n++) {
		items[n].value = n;
		hlist_node_init(&items[n].node);
		EXPECT_TRUE(hlist_unhashed(&items[n].node));
		hlist_add_head(&head, &items[n].node);
		EXPECT_FALSE(hlist_unhashed(&items[n].node));
	}
	hlist_for_each_entry(i, &head, node)
		sum = sum * 10 + i->value;
	EXPECT_EQ(sum, 3210);
	hlist_del(&items[3].node);
	hlist_del(&items[1].node);
	EXPECT_TRUE(hlist_unhashed(&items[1].node));
	sum = 0;
	hlist_for_each_entry_rcu(i, &head, node)
		sum = sum * 10 + i->value;
	EXPECT_EQ(sum, 20);
	hlist_for_each_entry_safe(i, tmp, &head, node)
		hlist_del(&i->node);
	EXPECT_TRUE(hlist_empty(&head));
}

KTEST(hlist, reader_walks_on_from_a_removed_node)
{
	struct hlist head = {};
	struct item a, b;

	hlist_add_head(&head, &b.node);
	hlist_add_head(&head, &a.node);
	hlist_del_rcu(&a.node);
	EXPECT_EQ(a.node.next, &b.node);
	EXPECT_TRUE(hlist_unhashed(&a.node));
	EXPECT_EQ(head.first, &b.node);
}
