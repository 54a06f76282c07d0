// SPDX-License-Identifier: MIT
// fdt.c: walks of flattened device trees.
//
// All reading of the structure block goes through token_read, which gives one token with its
// name and value, inside the block, or says that there is none. The loops end because each token
// is at least four bytes long; what walks upwards asks for the parent, of which there are
// FDT_DEPTH_MAX at most.
#include "base/fdt.h"

#include "base/bytes.h"
#include "base/errno.h"
#include "base/string.h"

constexpr u32 MAGIC = 0xd00dfeed;
constexpr u32 VERSION = 17; // the only one since 2005; later ones say what they can be read as
constexpr u32 ADDRESS_CELLS = 2, SIZE_CELLS = 1; // where a bus does not say

enum header_field : u32 {
	HEADER_MAGIC = 0,
	HEADER_TOTAL = 4,
	HEADER_STRUCTURE = 8,
	HEADER_STRINGS = 12,
	HEADER_RESERVATIONS = 16,
	HEADER_VERSION = 20,
	HEADER_LAST_COMPATIBLE = 24,
	HEADER_BOOT_CPU = 28,
	HEADER_STRINGS_LEN = 32,
	HEADER_STRUCTURE_LEN = 36,
};

enum token_kind : u32 {
	BEGIN_NODE = 1,
	END_NODE = 2,
	PROP = 3,
	NOP = 4,
	END = 9,
};

struct token {
	enum token_kind kind;
	u32 at, next;	  // in the structure block
	const char *name; // of a node or property
	const u8 *value;
	u32 len;
};

// A string within [p, p + room), ended there; nullptr: it is not.
static const char *string_in(const void *p, u32 room)
{
	return memchr(p, 0, room) ? p : nullptr;
}

static bool prop_read(const struct fdt *t, const u8 *block, struct token *k)
{
	u32 at = k->at + 4;

	if (t->structure_len - at < 8)
		return false;
	u32 len = load_be32(block + at), name = load_be32(block + at + 4);

	at += 8;
	if (len > t->structure_len - at || name >= t->strings_len)
		return false;
	k->name = string_in(t->bytes + t->strings + name, t->strings_len - name);
	k->value = block + at;
	k->len = len;
	k->next = at + len;
	return k->name;
}

// The token at `at`, with NOPs before it skipped; false: there is no valid one.
static bool token_read(const struct fdt *t, u32 at, struct token *k)
{
	const u8 *block = t->bytes + t->structure;

	// Values and names are padded to four bytes; the padding may be what does not fit.
	do {
		if (at > t->structure_len - 4 || !is_aligned(at, 4))
			return false;
		*k = (struct token){.kind = (enum token_kind)load_be32(block + at), .at = at};
		at += 4;
	} while (k->kind == NOP);
	k->next = at;
	switch (k->kind) {
	case BEGIN_NODE:
		k->name = string_in(block + at, t->structure_len - at);
		if (!k->name)
			return false;
		k->next = align_up(at + (u32)strlen(k->name) + 1, 4u);
		return true;
	case PROP:
		if (!prop_read(t, block, k))
			return false;
		k->next = align_up(k->next, 4u);
		return true;
	case END_NODE:
	case END:
		return true;
	default:
		return false;
	}
}

// ---- opening ----

u32 fdt_total_len(const void *bytes)
{
	return load_be32(bytes) == MAGIC ? load_be32((const u8 *)bytes + HEADER_TOTAL) : 0;
}

static int refuse(struct fdt *t, const char *reason)
{
	t->reason = reason;
	return -EINVAL;
}

// One root, nodes closed in their order, properties before nodes, an end.
static int structure_check(struct fdt *t)
{
	u32 at = 0, depth = 0;
	bool props_over = true, rooted = false;
	struct token k;

	for (;; at = k.next) {
		if (!token_read(t, at, &k))
			return refuse(t, "a token of its structure is malformed");
		switch (k.kind) {
		case BEGIN_NODE:
			if (!depth && rooted)
				return refuse(t, "it has two roots");
			rooted = true;
			props_over = false;
			if (++depth > FDT_DEPTH_MAX)
				return refuse(t, "its nodes lie too deep in one another");
			break;
		case END_NODE:
			if (!depth--)
				return refuse(t, "a node ends that did not begin");
			props_over = true;
			break;
		case PROP:
			if (props_over)
				return refuse(
					t,
					"a property stands outside of a node, or behind its nodes");
			break;
		default:
			if (depth || !rooted)
				return refuse(t, "its structure ends inside of a node");
			return 0;
		}
	}
}

static int reservations_check(struct fdt *t)
{
	u64 addr, len;

	if (!is_aligned(t->reservations, 8))
		return refuse(t, "its reservations are not aligned");
	for (u32 at = t->reservations; at <= t->len - 16; at += 16) {
		addr = load_be64(t->bytes + at);
		len = load_be64(t->bytes + at + 8);
		if (!addr && !len)
			return 0;
	}
	return refuse(t, "its reservations do not end");
}

static bool block_fits(const struct fdt *t, u32 at, u32 len)
{
	return at >= FDT_HEADER_LEN && at <= t->len && len <= t->len - at;
}

int fdt_open(struct fdt *t, const void *bytes, size_t len)
{
	const u8 *header = bytes;

	*t = (struct fdt){.bytes = bytes};
	if (len < FDT_HEADER_LEN || load_be32(header + HEADER_MAGIC) != MAGIC)
		return refuse(t, "it is no device tree");
	t->len = load_be32(header + HEADER_TOTAL);
	if (t->len > len || t->len < FDT_HEADER_LEN + 16)
		return refuse(t, "it is cut short");
	if (t->len > FDT_LEN_MAX)
		return refuse(t, "it is too long");
	if (load_be32(header + HEADER_VERSION) < VERSION ||
	    load_be32(header + HEADER_LAST_COMPATIBLE) > VERSION)
		return refuse(t, "it is of another version");
	t->structure = load_be32(header + HEADER_STRUCTURE);
	t->structure_len = load_be32(header + HEADER_STRUCTURE_LEN);
	t->strings = load_be32(header + HEADER_STRINGS);
	t->strings_len = load_be32(header + HEADER_STRINGS_LEN);
	t->reservations = load_be32(header + HEADER_RESERVATIONS);
	t->boot_cpu = load_be32(header + HEADER_BOOT_CPU);
	if (!block_fits(t, t->structure, t->structure_len) || t->structure_len < 4 ||
	    !is_aligned(t->structure, 4) || !block_fits(t, t->strings, t->strings_len) ||
	    !block_fits(t, t->reservations, 16))
		return refuse(t, "a block lies outside of it");
	return reservations_check(t) ?: structure_check(t);
}

bool fdt_reservation(const struct fdt *t, u32 i, u64 *addr, u64 *len)
{
	if (i >= (t->len - t->reservations) / 16)
		return false;
	const u8 *p = t->bytes + t->reservations + 16 * i;

	*addr = load_be64(p);
	*len = load_be64(p + 8);
	return *addr || *len;
}

// ---- nodes ----

// The node that begins at `at`; false: none does.
static bool node_read(const struct fdt *t, u32 at, struct token *k)
{
	return at != FDT_NONE && token_read(t, at, k) && k->kind == BEGIN_NODE;
}

u32 fdt_root(const struct fdt *t)
{
	struct token k;

	return node_read(t, 0, &k) ? k.at : FDT_NONE;
}

u32 fdt_next(const struct fdt *t, u32 node, u32 *depth)
{
	struct token k;

	if (!node_read(t, node, &k))
		return FDT_NONE;
	u32 deep = depth ? *depth : 0;

	while (token_read(t, k.next, &k) && k.kind != END) {
		if (k.kind == END_NODE) {
			deep--;
		} else if (k.kind == BEGIN_NODE) {
			if (depth)
				*depth = deep + 1;
			return k.at;
		}
	}
	return FDT_NONE;
}

u32 fdt_child(const struct fdt *t, u32 node)
{
	u32 depth = 0, next = fdt_next(t, node, &depth);

	return next != FDT_NONE && depth == 1 ? next : FDT_NONE;
}

u32 fdt_sibling(const struct fdt *t, u32 node)
{
	u32 depth = FDT_DEPTH_MAX; // so that it can fall

	do
		node = fdt_next(t, node, &depth);
	while (node != FDT_NONE && depth > FDT_DEPTH_MAX);
	return depth == FDT_DEPTH_MAX ? node : FDT_NONE;
}

u32 fdt_parent(const struct fdt *t, u32 node)
{
	u32 above[FDT_DEPTH_MAX + 1], depth = 0;

	for (u32 at = fdt_root(t); at != FDT_NONE && depth <= FDT_DEPTH_MAX;
	     at = fdt_next(t, at, &depth)) {
		above[depth] = at;
		if (at == node)
			return depth ? above[depth - 1] : FDT_NONE;
	}
	return FDT_NONE;
}

const char *fdt_name(const struct fdt *t, u32 node)
{
	struct token k;

	return node_read(t, node, &k) ? k.name : "";
}

// Whether a node's name is the first len bytes of `what`, up to its unit address if that has none.
static bool name_is(const char *name, const char *what, size_t len)
{
	return strncmp(name, what, len) == 0 &&
	       (!name[len] || (name[len] == '@' && !memchr(what, '@', len)));
}

u32 fdt_path(const struct fdt *t, const char *path)
{
	u32 node = fdt_root(t);

	for (;;) {
		while (*path == '/')
			path++;
		if (!*path || node == FDT_NONE)
			return node;
		size_t len = 0;

		while (path[len] && path[len] != '/')
			len++;
		for (node = fdt_child(t, node);
		     node != FDT_NONE && !name_is(fdt_name(t, node), path, len);)
			node = fdt_sibling(t, node);
		path += len;
	}
}

u32 fdt_by_phandle(const struct fdt *t, u32 phandle)
{
	if (!phandle || phandle == ~0u)
		return FDT_NONE;
	for (u32 node = fdt_root(t); node != FDT_NONE; node = fdt_next(t, node, nullptr))
		if (fdt_u32(t, node, "phandle", 0) == phandle)
			return node;
	return FDT_NONE;
}

bool fdt_is_compatible(const struct fdt *t, u32 node, const char *what)
{
	return fdt_has_string(t, node, "compatible", what);
}

bool fdt_is_enabled(const struct fdt *t, u32 node)
{
	const char *status = fdt_string(t, node, "status");

	return !fdt_prop(t, node, "status", nullptr) ||
	       (status && (strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0));
}

u32 fdt_compatible_next(const struct fdt *t, u32 after, const char *what)
{
	u32 node = after == FDT_NONE ? fdt_root(t) : fdt_next(t, after, nullptr);

	while (node != FDT_NONE && !(fdt_is_compatible(t, node, what) && fdt_is_enabled(t, node)))
		node = fdt_next(t, node, nullptr);
	return node;
}

// ---- properties ----

bool fdt_prop_at(const struct fdt *t, u32 node, u32 i, const char **name, const void **value,
		 u32 *len)
{
	struct token k;

	if (!node_read(t, node, &k))
		return false;
	do {
		if (!token_read(t, k.next, &k) || k.kind != PROP)
			return false;
	} while (i--);
	*name = k.name;
	*value = k.value;
	*len = k.len;
	return true;
}

const void *fdt_prop(const struct fdt *t, u32 node, const char *name, u32 *len)
{
	struct token k;

	if (len)
		*len = 0;
	if (!node_read(t, node, &k))
		return nullptr;
	while (token_read(t, k.next, &k) && k.kind == PROP) {
		if (strcmp(k.name, name) != 0)
			continue;
		if (len)
			*len = k.len;
		return k.value;
	}
	return nullptr;
}

const char *fdt_string(const struct fdt *t, u32 node, const char *name)
{
	u32 len;
	const char *s = fdt_prop(t, node, name, &len);

	return s && len ? string_in(s, len) : nullptr;
}

bool fdt_has_string(const struct fdt *t, u32 node, const char *name, const char *what)
{
	u32 len;
	const char *s = fdt_prop(t, node, name, &len);

	while (s && len && string_in(s, len)) {
		u32 used = (u32)strlen(s) + 1;

		if (strcmp(s, what) == 0)
			return true;
		s += used;
		len -= used;
	}
	return false;
}

u32 fdt_u32(const struct fdt *t, u32 node, const char *name, u32 otherwise)
{
	u32 len;
	const void *value = fdt_prop(t, node, name, &len);

	return value && len == 4 ? load_be32(value) : otherwise;
}

u64 fdt_cells(const void *value, u32 cells)
{
	const u8 *p = value;
	u64 n = 0;

	for (; cells; cells--, p += 4)
		n = n << 32 | load_be32(p);
	return n;
}

// ---- addresses ----

// PCI has three address cells; nothing has more than four.
constexpr u32 CELLS_MAX = 4;

u32 fdt_address_cells(const struct fdt *t, u32 bus)
{
	return min(fdt_u32(t, bus, "#address-cells", ADDRESS_CELLS), CELLS_MAX);
}

u32 fdt_size_cells(const struct fdt *t, u32 bus)
{
	return min(fdt_u32(t, bus, "#size-cells", SIZE_CELLS), CELLS_MAX);
}

// One step up: an address on `bus` as its parent sees it.
static bool translate_once(const struct fdt *t, u32 bus, u32 parent, u64 *addr)
{
	u32 len, own = fdt_address_cells(t, bus), above = fdt_address_cells(t, parent),
		 size = fdt_size_cells(t, bus), bytes = 4 * (own + above + size);
	const u8 *p = fdt_prop(t, bus, "ranges", &len);

	if (!p)
		return false; // its addresses are its own
	if (!len)
		return true;
	// Of three cells the first one says which space: such addresses are no numbers.
	if (own > 2 || above > 2 || size > 2)
		return false;
	for (; len >= bytes && bytes; p += bytes, len -= bytes) {
		u64 from = fdt_cells(p, own), to = fdt_cells(p + 4 * own, above),
		    n = fdt_cells(p + 4 * (own + above), size);

		if (*addr < from || *addr - from >= n)
			continue;
		*addr = *addr - from + to;
		return *addr >= to;
	}
	return false;
}

bool fdt_translate(const struct fdt *t, u32 bus, u64 *addr)
{
	for (u32 parent; (parent = fdt_parent(t, bus)) != FDT_NONE; bus = parent)
		if (!translate_once(t, bus, parent, addr))
			return false;
	return true;
}

bool fdt_reg(const struct fdt *t, u32 node, u32 i, u64 *addr, u64 *len)
{
	u32 bus = fdt_parent(t, node), bytes;
	const u8 *p = fdt_prop(t, node, "reg", &bytes);

	if (!p || bus == FDT_NONE)
		return false;
	u32 cells = fdt_address_cells(t, bus), size = fdt_size_cells(t, bus),
	    entry = 4 * (cells + size);

	if (!cells || cells > 2 || size > 2 || i >= bytes / entry)
		return false;
	p += entry * i;
	*addr = fdt_cells(p, cells);
	*len = fdt_cells(p + 4 * cells, size);
	return fdt_translate(t, bus, addr) && *len <= ~0ull - *addr;
}

// ---- interrupts ----

// The controller that `interrupts` of a node speak to: the nearest that it or one above it names.
static u32 irq_parent(const struct fdt *t, u32 node)
{
	for (; node != FDT_NONE; node = fdt_parent(t, node)) {
		u32 phandle = fdt_u32(t, node, "interrupt-parent", 0);

		if (phandle)
			return fdt_by_phandle(t, phandle);
	}
	return FDT_NONE;
}

static bool irq_take(struct fdt_irq *irq, u32 controller, u32 cells, const u8 *p)
{
	if (cells > FDT_IRQ_CELLS_MAX)
		return false;
	*irq = (struct fdt_irq){.controller = controller, .ncells = cells};
	for (u32 c = 0; c < cells; c++)
		irq->cells[c] = load_be32(p + 4 * c);
	return true;
}

static bool irq_extended(const struct fdt *t, const u8 *p, u32 len, u32 i, struct fdt_irq *irq)
{
	while (len >= 4) {
		u32 controller = fdt_by_phandle(t, load_be32(p));
		u32 cells = fdt_u32(t, controller, "#interrupt-cells", 0);

		if (!cells || cells > len / 4 - 1)
			return false;
		if (!i--)
			return irq_take(irq, controller, cells, p + 4);
		p += 4 + 4 * cells;
		len -= 4 + 4 * cells;
	}
	return false;
}

bool fdt_irq(const struct fdt *t, u32 node, u32 i, struct fdt_irq *irq)
{
	u32 len;
	const u8 *p = fdt_prop(t, node, "interrupts-extended", &len);

	if (p)
		return irq_extended(t, p, len, i, irq);
	p = fdt_prop(t, node, "interrupts", &len);
	u32 controller = p ? irq_parent(t, node) : FDT_NONE;
	u32 cells = fdt_u32(t, controller, "#interrupt-cells", 0);

	if (!cells || cells > FDT_IRQ_CELLS_MAX || i >= len / 4 / cells)
		return false;
	return irq_take(irq, controller, cells, p + (size_t)4 * cells * i);
}
