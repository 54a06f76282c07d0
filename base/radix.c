// SPDX-License-Identifier: MIT
// radix.c: the sparse map from u64 to pointer.
//
// A node with shift s covers RADIX_SLOTS << s consecutive indices. The root is either nullptr, the
// entry of index 0 itself, or a node that covers 0 up to its range. A pointer to a node carries the
// tag 0b10, which entries cannot (they are aligned to 4 or have bit 0 set), so one word says it
// all, and a reader that loaded it once sees a consistent subtree whatever the writer does to the
// root.
//
// What readers rely on: a node is filled before it is published; its shift never changes; slots
// only go between nullptr, an entry and a node of the next smaller shift. A reader in a node that
// was cut out of the tree sees what was there before, or less.
#include "base/radix.h"

#include "base/atomic.h"
#include "base/err.h"
#include "base/string.h"

constexpr uintptr_t NODE_TAG = 2;
constexpr uintptr_t TAG_MASK = 3;
// 11 levels of 6 bits: the highest covers the 4 bits that are left.
constexpr unsigned int MAX_SHIFT = 60;

static bool is_node(const void *slot)
{
	return ((uintptr_t)slot & TAG_MASK) == NODE_TAG;
}

static struct radix_node *to_node(const void *slot)
{
	return (struct radix_node *)((uintptr_t)slot - NODE_TAG);
}

static void *from_node(const struct radix_node *node)
{
	return (void *)((uintptr_t)node + NODE_TAG);
}

static bool entry_is_valid(const void *entry)
{
	return entry && (((uintptr_t)entry & TAG_MASK) == 0 || ((uintptr_t)entry & 1));
}

// Whether index lies in the range that starts at 0 and that a root of this shift covers.
static bool covers(unsigned int shift, u64 index)
{
	return shift + RADIX_BITS >= 64 || index >> (shift + RADIX_BITS) == 0;
}

static unsigned int slot_of(const struct radix_node *node, u64 index)
{
	return (index >> node->shift) % RADIX_SLOTS;
}

void radix_init(struct radix_tree *tree, const struct radix_ops *ops, void *ctx)
{
	*tree = (struct radix_tree)RADIX_INIT(ops, ctx);
}

void *radix_lookup(const struct radix_tree *tree, u64 index)
{
	void *slot = load_acquire(&tree->root);

	if (!is_node(slot))
		return index == 0 ? slot : nullptr;
	struct radix_node *node = to_node(slot);

	if (!covers(node->shift, index))
		return nullptr;
	for (;;) {
		slot = load_acquire(&node->slots[slot_of(node, index)]);
		if (!is_node(slot))
			return slot;
		node = to_node(slot);
	}
}

// Searches one path for the first entry at or above *index. Where the path ends empty, *index
// becomes the first index behind the empty range. False: no such index exists.
static bool next_on_path(struct radix_node *node, u64 *index, void **entry)
{
	for (;;) {
		unsigned int i = slot_of(node, *index);
		void *slot = load_acquire(&node->slots[i]);

		while (!slot && ++i < RADIX_SLOTS) {
			// The index moves to the start of the next slot's range.
			u64 range = 1ull << node->shift, start = *index & ~(range - 1);

			if (__builtin_add_overflow(start, range, index))
				return false;
			slot = load_acquire(&node->slots[i]);
		}
		if (!slot) {
			u64 range = 1ull << node->shift, start = *index & ~(range - 1);

			*entry = nullptr;
			return !__builtin_add_overflow(start, range, index);
		}
		if (!is_node(slot)) {
			*entry = slot;
			return true;
		}
		node = to_node(slot);
	}
}

void *radix_next(const struct radix_tree *tree, u64 *index)
{
	u64 at = *index;

	// Each turn either finds an entry or moves `at` up behind a range that was seen empty.
	for (;;) {
		void *root = load_acquire(&tree->root), *entry;

		if (!is_node(root)) {
			if (!root || at != 0)
				return nullptr;
			*index = 0;
			return root;
		}
		if (!covers(to_node(root)->shift, at) || !next_on_path(to_node(root), &at, &entry))
			return nullptr;
		if (entry) {
			*index = at;
			return entry;
		}
	}
}

static struct radix_node *node_alloc(struct radix_tree *tree, unsigned int shift)
{
	struct radix_node *node = tree->ops->alloc(tree->ctx, sizeof(*node));

	if (!node)
		return nullptr;
	memset(node, 0, sizeof(*node));
	node->shift = (u8)shift;
	return node;
}

// Where the word that points to `node` is.
static void **node_link(struct radix_tree *tree, struct radix_node *node)
{
	return node->parent ? &node->parent->slots[node->slot] : &tree->root;
}

// A root with nothing but slot 0 is replaced by what is in that slot.
static void shrink_root(struct radix_tree *tree)
{
	while (is_node(tree->root)) {
		struct radix_node *node = to_node(tree->root);
		void *first = node->slots[0];

		if (node->used != 1 || !first)
			return;
		if (is_node(first))
			to_node(first)->parent = nullptr;
		store_release(&tree->root, first);
		tree->ops->free(tree->ctx, node);
	}
}

// Frees the node and those above it, as far as they are empty.
static void prune(struct radix_tree *tree, struct radix_node *node)
{
	while (node && node->used == 0) {
		struct radix_node *parent = node->parent;

		store_release(node_link(tree, node), nullptr);
		if (parent)
			parent->used--;
		tree->ops->free(tree->ctx, node);
		node = parent;
	}
	shrink_root(tree);
}

// Makes the root a node that covers index. On failure the tree may have a higher root than it
// needs.
static int grow_root(struct radix_tree *tree, u64 index)
{
	unsigned int shift = 0;

	if (is_node(tree->root)) {
		shift = to_node(tree->root)->shift;
		if (covers(shift, index))
			return 0;
		shift += RADIX_BITS;
	}
	for (;; shift += RADIX_BITS) {
		// An empty tree starts at the height that it needs.
		if (!tree->root && !covers(shift, index) && shift < MAX_SHIFT)
			continue;
		struct radix_node *node = node_alloc(tree, shift);

		if (!node)
			return -ENOMEM;
		if (tree->root) {
			node->slots[0] = tree->root;
			node->used = 1;
			if (is_node(tree->root))
				to_node(tree->root)->parent = node;
		}
		store_release(&tree->root, from_node(node));
		if (covers(shift, index))
			return 0;
	}
}

// Finds the leaf of index, creating what is missing. nullptr: no memory, and the tree is as it was.
static struct radix_node *make_leaf(struct radix_tree *tree, u64 index)
{
	if (grow_root(tree, index)) {
		shrink_root(tree);
		return nullptr;
	}
	struct radix_node *node = to_node(tree->root);

	while (node->shift) {
		unsigned int i = slot_of(node, index);

		if (!node->slots[i]) {
			struct radix_node *child = node_alloc(tree, node->shift - RADIX_BITS);

			if (!child) {
				prune(tree, node);
				return nullptr;
			}
			child->parent = node;
			child->slot = (u8)i;
			node->used++;
			store_release(&node->slots[i], from_node(child));
		}
		node = to_node(node->slots[i]);
	}
	return node;
}

static int put(struct radix_tree *tree, u64 index, void *entry, void **old, bool replace)
{
	void **slot;
	struct radix_node *leaf = nullptr;

	if (!entry_is_valid(entry))
		return -EINVAL;
	if (index == 0 && !is_node(tree->root)) {
		slot = &tree->root;
	} else {
		leaf = make_leaf(tree, index);
		if (!leaf)
			return -ENOMEM;
		slot = &leaf->slots[slot_of(leaf, index)];
	}
	if (old)
		*old = *slot;
	if (*slot && !replace)
		return -EEXIST;
	if (!*slot && leaf)
		leaf->used++;
	store_release(slot, entry);
	return 0;
}

int radix_insert(struct radix_tree *tree, u64 index, void *entry)
{
	return put(tree, index, entry, nullptr, false);
}

int radix_store(struct radix_tree *tree, u64 index, void *entry, void **old)
{
	return put(tree, index, entry, old, true);
}

void *radix_erase(struct radix_tree *tree, u64 index)
{
	void *slot = tree->root;

	if (!is_node(slot)) {
		if (index != 0)
			return nullptr;
		store_release(&tree->root, nullptr);
		return slot;
	}
	struct radix_node *node = to_node(slot);

	if (!covers(node->shift, index))
		return nullptr;
	while (is_node(slot = node->slots[slot_of(node, index)]))
		node = to_node(slot);
	if (!slot)
		return nullptr;
	store_release(&node->slots[slot_of(node, index)], nullptr);
	node->used--;
	prune(tree, node);
	return slot;
}

void radix_destroy(struct radix_tree *tree, void (*drop)(void *ctx, u64 index, void *entry),
		   void *ctx)
{
	u64 index;
	void *entry;

	radix_for_each(tree, index, entry) {
		radix_erase(tree, index);
		if (drop)
			drop(ctx, index, entry);
	}
}
