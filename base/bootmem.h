// SPDX-License-Identifier: MIT
// bootmem.h: the map of physical memory that a machine boots with, made clean: sorted, without
// overlaps.
#pragma once

#include "base/types.h"

enum bootmem_type : u32 {
	BOOTMEM_USABLE,	      // free from the first instruction on
	BOOTMEM_RESERVED,     // firmware's, never touched
	BOOTMEM_ACPI_RECLAIM, // ACPI tables: readable, kept
	BOOTMEM_ACPI_NVS,
	BOOTMEM_BAD,
	BOOTMEM_LOADER, // the loader's own: free once the kernel runs on page tables of its own
	BOOTMEM_KERNEL,
	BOOTMEM_INITRD, // free once the initramfs has been unpacked
	BOOTMEM_FRAMEBUFFER,
};

struct bootmem {
	u64 base;
	u64 len; // base + len does not overflow
	enum bootmem_type type;
};

// Of n ranges in any order makes sorted ones that do not overlap: where types meet, the stronger
// wins (anything beats USABLE), and neighbours of one type are joined. Returns how many are in out,
// which is other memory. *truncated is set, and the highest ranges are left out, when max is too
// few; else it is left alone.
u32 bootmem_resolve(const struct bootmem *ranges, u32 n, struct bootmem *out, u32 max,
		    bool *truncated);

// The range that holds an address; nullptr: none. In a resolved map there is but one.
const struct bootmem *bootmem_find(const struct bootmem *map, u32 n, u64 addr);

// The part of a range that lies in [lo, hi), cut down to multiples of align (a power of two):
// [*start, *end). False when nothing is left of it.
bool bootmem_clip(const struct bootmem *m, u64 lo, u64 hi, u64 align, u64 *start, u64 *end);

// The start of the smallest usable range that has room for len bytes in [lo, hi), aligned; 0: none.
u64 bootmem_place(const struct bootmem *map, u32 n, u64 len, u64 lo, u64 hi, u64 align);
