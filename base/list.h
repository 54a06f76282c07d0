// SPDX-License-Identifier: MIT
// list.h: intrusive lists: `struct list`, doubly linked and circular, and `struct hlist` for hash
// buckets.
//
// A `struct list` is both head and link. Locking is the caller's, except that readers may walk with
// the *_rcu iterators while one writer adds with *_rcu and removes with hlist_del_rcu/list_del_rcu.
#pragma once

#include "base/atomic.h"
#include "base/types.h"

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

// Makes an empty head, or a link that list_del may be called on without effect.
static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return READ_ONCE(head->next) == head;
}

// Exactly one entry.
static inline bool list_is_singular(const struct list *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline void list_insert_between(struct list *link, struct list *prev, struct list *next)
{
	link->prev = prev;
	link->next = next;
	next->prev = link;
	store_release(&prev->next, link);
}

static inline void list_add_head(struct list *head, struct list *link)
{
	list_insert_between(link, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *link)
{
	list_insert_between(link, head->prev, head);
}

static inline void list_add_before(struct list *pos, struct list *link)
{
	list_insert_between(link, pos->prev, pos);
}

static inline void list_add_after(struct list *pos, struct list *link)
{
	list_insert_between(link, pos, pos->next);
}

// Unlinks and leaves nullptrs behind, so that a second list_del faults at once.
static inline void list_del(struct list *link)
{
	link->next->prev = link->prev;
	WRITE_ONCE(link->prev->next, link->next);
	link->next = nullptr;
	link->prev = nullptr;
}

// Unlinks and leaves an empty list: list_empty(link) tells whether it is on a list.
static inline void list_del_init(struct list *link)
{
	link->next->prev = link->prev;
	WRITE_ONCE(link->prev->next, link->next);
	list_init(link);
}

// Unlinks under readers: they may still walk on from the link until a grace period is over.
static inline void list_del_rcu(struct list *link)
{
	link->next->prev = link->prev;
	WRITE_ONCE(link->prev->next, link->next);
	link->prev = nullptr;
}

// Puts `link` in the place of `old`, which is off the list afterwards.
static inline void list_replace(struct list *old, struct list *link)
{
	list_insert_between(link, old->prev, old->next);
	old->next = nullptr;
	old->prev = nullptr;
}

static inline void list_move_head(struct list *head, struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_add_head(head, link);
}

static inline void list_move_tail(struct list *head, struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_add_tail(head, link);
}

// Moves all entries of `from` to the end / front of `head`; `from` is empty afterwards.
static inline void list_splice_tail(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

static inline void list_splice_head(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->prev->next = head->next;
	head->next->prev = from->prev;
	from->next->prev = head;
	head->next = from->next;
	list_init(from);
}

// O(n); for tests and assertions.
static inline size_t list_length(const struct list *head)
{
	size_t n = 0;

	for (const struct list *l = head->next; l != head; l = l->next)
		n++;
	return n;
}

#define list_entry(link, T, member)	  container_of(link, T, member)
// Entry at the front / back of a list that is not empty.
#define list_first_entry(head, T, member) list_entry((head)->next, T, member)
#define list_last_entry(head, T, member)  list_entry((head)->prev, T, member)
// The same, nullptr when the list is empty.
#define list_first_entry_or_null(head, T, member) \
	(list_empty(head) ? nullptr : list_first_entry(head, T, member))
#define list_last_entry_or_null(head, T, member) \
	(list_empty(head) ? nullptr : list_last_entry(head, T, member))
#define list_next_entry(pos, member)	      list_entry((pos)->member.next, typeof(*(pos)), member)
#define list_prev_entry(pos, member)	      list_entry((pos)->member.prev, typeof(*(pos)), member)
// Whether pos (from the iterators) has run past the last entry.
#define list_entry_is_head(pos, head, member) (&(pos)->member == (head))

// `pos` is a pointer to the entry's type, declared by the caller.
#define list_for_each_entry(pos, head, member)                       \
	for ((pos) = list_first_entry(head, typeof(*(pos)), member); \
	     !list_entry_is_head(pos, head, member); (pos) = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member)              \
	for ((pos) = list_last_entry(head, typeof(*(pos)), member); \
	     !list_entry_is_head(pos, head, member); (pos) = list_prev_entry(pos, member))

// Allows the body to remove `pos`; `next` is a second pointer of the same type.
#define list_for_each_entry_safe(pos, next_pos, head, member)        \
	for ((pos) = list_first_entry(head, typeof(*(pos)), member), \
	    (next_pos) = list_next_entry(pos, member);               \
	     !list_entry_is_head(pos, head, member);                 \
	     (pos) = (next_pos), (next_pos) = list_next_entry(pos, member))

// Walks inside a read-side section while a writer adds (any list_add_*) and removes (list_del_rcu).
#define list_for_each_entry_rcu(pos, head, member)                                    \
	for ((pos) = list_entry(load_acquire(&(head)->next), typeof(*(pos)), member); \
	     !list_entry_is_head(pos, head, member);                                  \
	     (pos) = list_entry(load_acquire(&(pos)->member.next), typeof(*(pos)), member))

// A bucket is one pointer; a link knows the pointer that points to it.
struct hlist {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next;
	struct hlist_node **link;
};

static inline void hlist_init(struct hlist *head)
{
	head->first = nullptr;
}

static inline void hlist_node_init(struct hlist_node *node)
{
	node->next = nullptr;
	node->link = nullptr;
}

static inline bool hlist_empty(const struct hlist *head)
{
	return !READ_ONCE(head->first);
}

// Whether an initialised node is on no list.
static inline bool hlist_unhashed(const struct hlist_node *node)
{
	return !node->link;
}

// Adds in front; safe under RCU readers.
static inline void hlist_add_head(struct hlist *head, struct hlist_node *node)
{
	node->next = head->first;
	node->link = &head->first;
	if (node->next)
		node->next->link = &node->next;
	store_release(&head->first, node);
}

// Unlinks but keeps `next` for RCU readers that stand on the node.
static inline void hlist_del_rcu(struct hlist_node *node)
{
	WRITE_ONCE(*node->link, node->next);
	if (node->next)
		node->next->link = node->link;
	node->link = nullptr;
}

// Unlinks; hlist_unhashed(node) is true afterwards.
static inline void hlist_del(struct hlist_node *node)
{
	hlist_del_rcu(node);
	node->next = nullptr;
}

#define hlist_entry(node, T, member) container_of(node, T, member)
#define hlist_entry_or_null(node, T, member)                                  \
	({                                                                    \
		struct hlist_node *hlist_tmp = (node);                        \
		hlist_tmp ? hlist_entry(hlist_tmp, T, member) : (T *)nullptr; \
	})

#define hlist_for_each_entry(pos, head, member)                                         \
	for ((pos) = hlist_entry_or_null((head)->first, typeof(*(pos)), member); (pos); \
	     (pos) = hlist_entry_or_null((pos)->member.next, typeof(*(pos)), member))

// Allows the body to remove `pos`; `tmp` is a struct hlist_node pointer.
#define hlist_for_each_entry_safe(pos, tmp, head, member)                        \
	for ((pos) = hlist_entry_or_null((head)->first, typeof(*(pos)), member); \
	     (pos) && ((tmp) = (pos)->member.next, true);                        \
	     (pos) = hlist_entry_or_null(tmp, typeof(*(pos)), member))

#define hlist_for_each_entry_rcu(pos, head, member)                                                \
	for ((pos) = hlist_entry_or_null(load_acquire(&(head)->first), typeof(*(pos)), member);    \
	     (pos); (pos) = hlist_entry_or_null(load_acquire(&(pos)->member.next), typeof(*(pos)), \
						member))
