// SPDX-License-Identifier: MIT
// What every door (PVH, Limine, device tree) tells the core, in one neutral form. Privileged;
// immutable after boot.
#pragma once
#include "base/bootmem.h"
#include "base/types.h"

constexpr u32 BOOTMEM_MAX = 256;
constexpr u32 CMDLINE_MAX = 4096;

struct bootinfo {
	const char *door;		 // "PVH", "Limine"
	struct bootmem mem[BOOTMEM_MAX]; // sorted by base, not overlapping, after bootinfo_finish()
	u32 nmem;
	bool mem_truncated; // the door offered more than BOOTMEM_MAX ranges; the rest was ignored
	phys_t kernel_phys; // where the image's first byte lies
	u64 kernel_size;    // bytes, .bss included
	phys_t rsdp;	    // 0: none given
	phys_t initrd;
	u64 initrd_len; // 0: none
	phys_t dtb;
	s64 unix_s; // the date, seconds since 1970; 0: not told
	char cmdline[CMDLINE_MAX];
	bool cmdline_truncated;
};

extern struct bootinfo bootinfo;

// Adds a range as the door reports it (any order, overlaps allowed). len may be 0. Boot CPU only,
// before bootinfo_finish().
void bootinfo_add_mem(u64 base, u64 len, enum bootmem_type type);

// Sorts, resolves overlaps (the stronger type wins: anything beats USABLE), carves out kernel and
// initrd.
void bootinfo_finish(void);

// The common entry: doors call it on the boot CPU, on the boot stack, interrupts off, with bootinfo
// filled.
[[noreturn]] void kernel_main(void);
