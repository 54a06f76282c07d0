// SPDX-License-Identifier: MIT
// radix.h: a sparse map from u64 to pointer: a tree with 64-way nodes, read under RCU.
//
// Writers (insert, store, erase, destroy) are serialised by the caller. radix_lookup and radix_next
// may run at the same time inside an RCU read-side section: entries and nodes are published with
// release stores, and a node that leaves the tree goes to the free callback, which must keep it
// intact until a grace period is over. The tree with only index 0 in it needs no node at all.
//
// An entry is a non-null pointer aligned to 4, or any word with bit 0 set (a tagged value).
#pragma once

#include "base/types.h"

#define RADIX_BITS  6
#define RADIX_SLOTS (1u << RADIX_BITS)

struct radix_node {
	u8 shift;		   // the slot is (index >> shift) % RADIX_SLOTS; immutable
	u8 slot;		   // our place in the parent; immutable while we have a parent
	u16 used;		   // slots that are not null; the writer's
	struct radix_node *parent; // the writer's
	void *rcu[2];		   // for the free callback, to queue the node
	void *slots[RADIX_SLOTS];  // written with release, read with acquire
};

struct radix_ops {
	// Memory for a struct radix_node, not necessarily zeroed; nullptr when there is none.
	void *(*alloc)(void *ctx, size_t size_bytes);
	// Gets nodes that readers may still be in.
	void (*free)(void *ctx, struct radix_node *node);
};

struct radix_tree {
	void *root;		     // nullptr, the entry of index 0, or a tagged node
	const struct radix_ops *ops; // immutable
	void *ctx;		     // passed to ops; immutable
};

#define RADIX_INIT(ops_, ctx_) {.root = nullptr, .ops = (ops_), .ctx = (ctx_)}

void radix_init(struct radix_tree *tree, const struct radix_ops *ops, void *ctx);
static inline bool radix_empty(const struct radix_tree *tree)
{
	return !READ_ONCE(tree->root);
}

// The entry at index, or nullptr. RCU.
void *radix_lookup(const struct radix_tree *tree, u64 index);

// The first entry at an index >= *index, which becomes its index; nullptr when there is none. RCU.
void *radix_next(const struct radix_tree *tree, u64 *index);

// Puts an entry where there is none: 0, -EEXIST, -ENOMEM, or -EINVAL for an ill-aligned entry. A
// failed insertion leaves the tree as it was.
[[nodiscard]] int radix_insert(struct radix_tree *tree, u64 index, void *entry);

// The same but replaces; *old (if wanted) gets the previous entry or nullptr. Never -EEXIST; fails
// only if there was no entry before.
[[nodiscard]] int radix_store(struct radix_tree *tree, u64 index, void *entry, void **old);

// Removes and returns the entry, or nullptr. Frees nodes that became empty. Cannot fail.
void *radix_erase(struct radix_tree *tree, u64 index);

// Calls `drop` (may be nullptr) for each entry in ascending order and empties the tree.
void radix_destroy(struct radix_tree *tree, void (*drop)(void *ctx, u64 index, void *entry),
		   void *ctx);

// Visits all entries from `first` on: u64 index; void *entry. The body may erase the current entry.
// Ends after index ~0.
#define radix_for_each_from(tree, index, entry, first)                           \
	for ((index) = (first), (entry) = radix_next((tree), &(index)); (entry); \
	     (entry) = ++(index) ? radix_next((tree), &(index)) : nullptr)
#define radix_for_each(tree, index, entry) radix_for_each_from(tree, index, entry, 0)
