// SPDX-License-Identifier: MIT
// fdt.h: reads flattened device trees (Devicetree Specification v0.4, chapter 5).
//
// The bytes are whoever made them's, and not trusted: fdt_open walks the whole tree once and
// refuses what is malformed; every later access checks its bounds all the same. Nothing is
// allocated or changed. A node is named by the place of its FDT_BEGIN_NODE in the structure block;
// FDT_NONE is no node. Values are big-endian and need no alignment.
#pragma once

#include "base/types.h"

struct fdt {
	const u8 *bytes;
	u32 len; // the whole tree, header included
	u32 structure, structure_len;
	u32 strings, strings_len;
	u32 reservations;
	u32 boot_cpu;	    // the `reg` of the CPU that booted
	const char *reason; // what fdt_open found wrong, a few words
};

constexpr u32 FDT_NONE = ~0u;
constexpr u32 FDT_HEADER_LEN = 40;
constexpr u32 FDT_LEN_MAX = 16 * MiB; // so that no sum of offsets overflows; QEMU's has 1 MiB
constexpr u32 FDT_DEPTH_MAX = 32;     // of nodes in nodes; QEMU's trees have four

// How long the tree says it is, by its first eight bytes; 0: it is none.
u32 fdt_total_len(const void *bytes);
// 0; -EINVAL, and t->reason. len: how many bytes may be read.
[[nodiscard]] int fdt_open(struct fdt *t, const void *bytes, size_t len);

// Memory that must be left alone: the i-th pair of the reservation block, which is not
// /reserved-memory.
bool fdt_reservation(const struct fdt *t, u32 i, u64 *addr, u64 *len);

// ---- nodes ----

u32 fdt_root(const struct fdt *t);
// The next node as the tree is written; FDT_NONE after the last. *depth, if given, goes with it:
// the root's is 0.
u32 fdt_next(const struct fdt *t, u32 node, u32 *depth);
u32 fdt_child(const struct fdt *t, u32 node);	     // the first; FDT_NONE
u32 fdt_sibling(const struct fdt *t, u32 node);	     // the next with the same parent; FDT_NONE
u32 fdt_parent(const struct fdt *t, u32 node);	     // walks from the root; FDT_NONE: the root's
const char *fdt_name(const struct fdt *t, u32 node); // with unit address; the root's is ""
// "/cpus/cpu@1". A unit address may be left out: then the first of that name.
u32 fdt_path(const struct fdt *t, const char *path);
u32 fdt_by_phandle(const struct fdt *t, u32 phandle); // FDT_NONE
// The next enabled node after `after` (FDT_NONE: the first) that has this among its `compatible`
// strings.
u32 fdt_compatible_next(const struct fdt *t, u32 after, const char *what);
bool fdt_is_compatible(const struct fdt *t, u32 node, const char *what);
bool fdt_is_enabled(const struct fdt *t, u32 node); // `status` is absent or "okay"

// ---- properties ----

// The value, *len bytes; nullptr: there is none of this name. len may be nullptr.
const void *fdt_prop(const struct fdt *t, u32 node, const char *name, u32 *len);
// The i-th of a node's properties; false: no more.
bool fdt_prop_at(const struct fdt *t, u32 node, u32 i, const char **name, const void **value,
		 u32 *len);
// A value that is one string; nullptr when absent or not ended within it.
const char *fdt_string(const struct fdt *t, u32 node, const char *name);
bool fdt_has_string(const struct fdt *t, u32 node, const char *name, const char *what); // of a list
u32 fdt_u32(const struct fdt *t, u32 node, const char *name, u32 otherwise);
// The number in `cells` (0, 1 or 2; of more the last two) cells.
u64 fdt_cells(const void *value, u32 cells);

// ---- addresses ----

u32 fdt_address_cells(const struct fdt *t, u32 bus); // of its children
u32 fdt_size_cells(const struct fdt *t, u32 bus);
// The i-th entry of `reg`, as the CPU sees it: through the `ranges` of every bus above. False:
// there is none, or the CPU does not see it. A node without size cells has len 0.
bool fdt_reg(const struct fdt *t, u32 node, u32 i, u64 *addr, u64 *len);
// An address on a bus, as the CPU sees it.
bool fdt_translate(const struct fdt *t, u32 bus, u64 *addr);

// ---- interrupts ----

constexpr u32 FDT_IRQ_CELLS_MAX = 4;
struct fdt_irq {
	u32 controller; // node
	u32 ncells;
	u32 cells[FDT_IRQ_CELLS_MAX];
};
// The i-th interrupt by `interrupts-extended`, else `interrupts`.
bool fdt_irq(const struct fdt *t, u32 node, u32 i, struct fdt_irq *irq);
