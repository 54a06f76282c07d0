// SPDX-License-Identifier: MIT
// rbtree.c: red-black tree.
//
// Invariants: a red node has no red child; every path from a node to a free place below it has the
// same number of black nodes; the root is black. Each repair moves the one violation up the tree or
// ends it with at most two (insertion) or three (removal) rotations.
#include "base/rbtree.h"

constexpr uintptr_t BLACK = 1;

static bool is_black(const struct rb_node *node)
{
	return !node || (node->parent_and_color & BLACK);
}

static bool is_red(const struct rb_node *node)
{
	return !is_black(node);
}

static void set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_and_color = (uintptr_t)parent | (node->parent_and_color & BLACK);
}

static void set_black(struct rb_node *node)
{
	node->parent_and_color |= BLACK;
}

static void set_red(struct rb_node *node)
{
	node->parent_and_color &= ~BLACK;
}

static void copy_color(struct rb_node *to, const struct rb_node *from)
{
	to->parent_and_color = (to->parent_and_color & ~BLACK) | (from->parent_and_color & BLACK);
}

// Makes `parent` (the root when nullptr) point to `new` where it pointed to `old`.
static void change_child(struct rb_node *parent, struct rb_node *old, struct rb_node *new,
			 struct rb_root *root)
{
	if (!parent)
		root->node = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

// The node's right child takes its place, the node becomes that one's left child.
static void rotate_left(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *up = node->right, *parent = rb_parent(node);

	node->right = up->left;
	if (up->left)
		set_parent(up->left, node);
	up->left = node;
	set_parent(up, parent);
	change_child(parent, node, up, root);
	set_parent(node, up);
}

static void rotate_right(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *up = node->left, *parent = rb_parent(node);

	node->left = up->right;
	if (up->right)
		set_parent(up->right, node);
	up->right = node;
	set_parent(up, parent);
	change_child(parent, node, up, root);
	set_parent(node, up);
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent;

	// The node is red; if its parent is red too, that is the violation. A red parent has a
	// parent.
	while ((parent = rb_parent(node)) && is_red(parent)) {
		struct rb_node *grand = rb_parent(parent);
		bool parent_is_left = parent == grand->left;
		struct rb_node *uncle = parent_is_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			node = grand;
			continue;
		}
		if (parent_is_left) {
			if (node == parent->right) {
				rotate_left(parent, root);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_right(grand, root);
		} else {
			if (node == parent->left) {
				rotate_right(parent, root);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_left(grand, root);
		}
		break;
	}
	set_black(root->node);
}

// Paths through `node` (may be nullptr), child of `parent`, have one black node too few.
// Where the node is on the right, all is mirrored.
static void erase_repair(struct rb_node *node, struct rb_node *parent, struct rb_root *root)
{
	while (parent && is_black(node)) {
		bool node_is_left = node == parent->left;
		struct rb_node *sibling = node_is_left ? parent->right : parent->left;

		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			if (node_is_left)
				rotate_left(parent, root);
			else
				rotate_right(parent, root);
			sibling = node_is_left ? parent->right : parent->left;
		}
		if (is_black(sibling->left) && is_black(sibling->right)) {
			set_red(sibling);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (node_is_left) {
			if (is_black(sibling->right)) {
				set_black(sibling->left);
				set_red(sibling);
				rotate_right(sibling, root);
				sibling = parent->right;
			}
			copy_color(sibling, parent);
			set_black(parent);
			set_black(sibling->right);
			rotate_left(parent, root);
		} else {
			if (is_black(sibling->left)) {
				set_black(sibling->right);
				set_red(sibling);
				rotate_left(sibling, root);
				sibling = parent->left;
			}
			copy_color(sibling, parent);
			set_black(parent);
			set_black(sibling->left);
			rotate_right(parent, root);
		}
		return;
	}
	if (node)
		set_black(node);
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *child, *parent;
	bool removed_black;

	if (node->left && node->right) {
		// The successor, which has no left child, leaves its place and takes the node's.
		struct rb_node *next = node->right;

		while (next->left)
			next = next->left;
		child = next->right;
		removed_black = is_black(next);
		parent = rb_parent(next);
		if (parent == node) {
			parent = next;
		} else {
			parent->left = child;
			if (child)
				set_parent(child, parent);
			next->right = node->right;
			set_parent(next->right, next);
		}
		next->left = node->left;
		set_parent(next->left, next);
		next->parent_and_color = node->parent_and_color;
		change_child(rb_parent(node), node, next, root);
	} else {
		child = node->left ? node->left : node->right;
		parent = rb_parent(node);
		removed_black = is_black(node);
		if (child)
			set_parent(child, parent);
		change_child(parent, node, child, root);
	}
	if (removed_black)
		erase_repair(child, parent, root);
}

void rb_replace(struct rb_node *old, struct rb_node *new, struct rb_root *root)
{
	*new = *old;
	if (new->left)
		set_parent(new->left, new);
	if (new->right)
		set_parent(new->right, new);
	change_child(rb_parent(old), old, new, root);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->left)
		node = node->left;
	return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->right)
		node = node->right;
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->right) {
		struct rb_node *next = node->right;

		while (next->left)
			next = next->left;
		return next;
	}
	while ((parent = rb_parent(node)) && node == parent->right)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->left) {
		struct rb_node *prev = node->left;

		while (prev->right)
			prev = prev->right;
		return prev;
	}
	while ((parent = rb_parent(node)) && node == parent->left)
		node = parent;
	return parent;
}

static bool add(struct rb_node *node, struct rb_root *root,
		bool (*less)(const struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &root->node, *parent = nullptr;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (less(node, parent)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			leftmost = false;
		}
	}
	rb_link_node(node, parent, link);
	return leftmost;
}

void rb_add(struct rb_node *node, struct rb_root *root,
	    bool (*less)(const struct rb_node *, const struct rb_node *))
{
	add(node, root, less);
	rb_insert_color(node, root);
}

void rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
		   bool (*less)(const struct rb_node *, const struct rb_node *))
{
	bool leftmost = add(node, &root->root, less);

	rb_insert_color_cached(node, root, leftmost);
}
