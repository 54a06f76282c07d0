// SPDX-License-Identifier: MIT
// pagewalk.c: asks the live page tables whether memory can be read, for code that reports crashes.
// Privileged.
#include "core/bootinfo.h"
#include <arch/cpu.h>
#include <arch/pte.h>

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
	// TTBR1 points at the upper half of the root's page, or into a door's first tables, which
	// have the same levels.
	u64 table = cpu_sysreg_read("ttbr1_el1") & PTE_ADDR;

	for (u32 level = PT_ROOT_LEVEL;; level--) {
		if (!is_ram(table))
			return false;
		pte_t entry =
			((const volatile pte_t *)(DIRECT_MAP_BASE + table))[pt_index(addr, level)];

		if (!(entry & PTE_PRESENT))
			return false;
		if (!level || !(entry & PTE_SMALL))
			return true;
		table = pte_phys(entry).addr;
	}
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
