// SPDX-License-Identifier: MIT
// pagewalk.c: asks the live page tables whether memory can be read, for code that reports crashes.
// Privileged.
#include "core/bootinfo.h"
#include <arch/cpu.h>
#include <arch/paging.h>

constexpr u64 PTE_PRESENT = 1ull << 0;
constexpr u64 PTE_LARGE = 1ull << 7;
constexpr u64 PTE_ADDR = 0x000ffffffffff000;
constexpr uintptr_t UPPER_HALF = 0xffff800000000000;

// A damaged entry may name any physical address: only RAM is followed, for a read elsewhere may
// hang a device.
static bool is_ram(u64 phys)
{
	const struct bootmem *m = bootmem_find(bootinfo.mem, bootinfo.nmem, phys);

	return m && m->type != BOOTMEM_RESERVED && m->type != BOOTMEM_BAD &&
	       m->type != BOOTMEM_FRAMEBUFFER;
}

static bool page_readable(uintptr_t addr)
{
	u64 cr3;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	u64 table = cr3 & PTE_ADDR;
	for (int shift = 39; shift >= 12; shift -= 9) {
		if (!is_ram(table))
			return false;
		u64 entry = ((const volatile u64 *)(DIRECT_MAP_BASE + table))[addr >> shift & 511];

		if (!(entry & PTE_PRESENT))
			return false;
		if (shift == 12 || (shift < 39 && (entry & PTE_LARGE)))
			return true;
		table = entry & PTE_ADDR;
	}
	return false;
}

bool arch_kernel_range_readable(uintptr_t addr, size_t len)
{
	uintptr_t last;

	if (!len || addr < UPPER_HALF || __builtin_add_overflow(addr, len - 1, &last))
		return false;
	for (uintptr_t page = addr & PAGE_MASK;; page += PAGE_SIZE) {
		if (!page_readable(page))
			return false;
		if (page == (last & PAGE_MASK))
			return true;
	}
}
