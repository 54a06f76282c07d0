// SPDX-License-Identifier: MIT
// rbtree.h: intrusive red-black tree.
//
// The caller descends by its own order and hands the place to rb_link_node, then rb_insert_color
// rebalances:
//
//	struct rb_node **link = &root->node, *parent = nullptr;
//	while (*link) {
//		parent = *link;
//		link = less(new, rb_entry(parent, struct thing, rb)) ? &parent->left :
//&parent->right;
//	}
//	rb_link_node(&new->rb, parent, link);
//	rb_insert_color(&new->rb, root);
//
// or uses rb_add with a comparison function. All locking is the caller's.
#pragma once

#include "base/types.h"

struct rb_node {
	uintptr_t parent_and_color; // the parent's address; bit 0 set: black
	struct rb_node *left;
	struct rb_node *right;
};

struct rb_root {
	struct rb_node *node;
};

// A root that also knows its first node, for queues.
struct rb_root_cached {
	struct rb_root root;
	struct rb_node *leftmost;
};

#define rb_entry(node, T, member) container_of(node, T, member)
#define rb_entry_or_null(node, T, member)                            \
	({                                                           \
		struct rb_node *rb_tmp = (node);                     \
		rb_tmp ? rb_entry(rb_tmp, T, member) : (T *)nullptr; \
	})

static inline bool rb_empty(const struct rb_root *root)
{
	return !root->node;
}

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_and_color & ~(uintptr_t)1);
}

// Marks a node as being in no tree; rb_node_is_clear asks. Nodes are not cleared by rb_erase.
static inline void rb_node_clear(struct rb_node *node)
{
	node->parent_and_color = (uintptr_t)node;
}

static inline bool rb_node_is_clear(const struct rb_node *node)
{
	return node->parent_and_color == (uintptr_t)node;
}

// Hangs a red node at *link, a free place below parent (nullptr at an empty root).
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->parent_and_color = (uintptr_t)parent;
	node->left = nullptr;
	node->right = nullptr;
	*link = node;
}

// Rebalances after rb_link_node.
void rb_insert_color(struct rb_node *node, struct rb_root *root);
// Takes a node out of its tree.
void rb_erase(struct rb_node *node, struct rb_root *root);
// Puts `new` exactly where `old` is; they must compare equal.
void rb_replace(struct rb_node *old, struct rb_node *new, struct rb_root *root);

// In order; nullptr at the end.
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

// Inserts by a strict order; equal nodes go behind those already there.
void rb_add(struct rb_node *node, struct rb_root *root,
	    bool (*less)(const struct rb_node *a, const struct rb_node *b));

// The same operations on a cached root. `leftmost`: the descent never went right.
static inline void rb_insert_color_cached(struct rb_node *node, struct rb_root_cached *root,
					  bool leftmost)
{
	if (leftmost)
		root->leftmost = node;
	rb_insert_color(node, &root->root);
}

static inline void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
	if (root->leftmost == node)
		root->leftmost = rb_next(node);
	rb_erase(node, &root->root);
}

static inline struct rb_node *rb_first_cached(const struct rb_root_cached *root)
{
	return root->leftmost;
}

void rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
		   bool (*less)(const struct rb_node *a, const struct rb_node *b));

// Walks in order; the body must not change the tree.
#define rb_for_each_entry(pos, root, member)                                          \
	for ((pos) = rb_entry_or_null(rb_first(root), typeof(*(pos)), member); (pos); \
	     (pos) = rb_entry_or_null(rb_next(&(pos)->member), typeof(*(pos)), member))
