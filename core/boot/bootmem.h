// SPDX-License-Identifier: MIT
// bootmem.h: makes one clean map of overlapping ranges of memory. Privileged; boot only.
#pragma once
#include "core/bootinfo.h"

constexpr u32 BOOTMEM_RANGES_MAX =
	BOOTMEM_MAX + 2; // the kernel and the initramfs, which doors' maps may not tell apart

// Of n ranges (at most BOOTMEM_RANGES_MAX) in any order makes sorted ones that do not overlap:
// where types meet, the stronger wins, and neighbours of one type are joined. Returns how many are
// in out. *truncated is set, and the highest ranges are left out, when max is too few; else it is
// left alone.
u32 bootmem_resolve(const struct bootmem *ranges, u32 n, struct bootmem *out, u32 max,
		    bool *truncated);
