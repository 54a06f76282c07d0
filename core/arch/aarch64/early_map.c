// SPDX-License-Identifier: MIT
// early_map.c: makes a page of device registers visible in whatever page tables are loaded.
// Privileged; boot CPU.
//
// Three tables of our own hang below an entry of the root that nobody else uses. The door's tables
// may be of 47 or of 48 bits, with memory types in any order, and the kernel's own replace them
// while the log is in use; so it is looked each time whether root or types are others.
#include "core/arch/aarch64/early_map.h"

#include "core/bootinfo.h"
#include "core/page.h"
#include <arch/cpu.h>
#include <arch/pte.h>

constexpr u64 EARLY_BASE = 0xffffc80000000000; // slot 400
constexpr u64 TTBR_ADDRESS = 0x0000fffffffff800;
constexpr u32 MEMORY_TYPES = 8;

static pte_t tables[3][PT_ENTRIES] __aligned(PAGE_SIZE); // levels 2, 1, 0

static phys_t table_phys(u32 i)
{
	extern char __kernel_start[];

	return phys_add(bootinfo.kernel_phys, (u64)((char *)tables[i] - __kernel_start));
}

// The index of a memory type that is for devices; MEMORY_TYPES: there is none.
static u32 device_type(u64 mair)
{
	u32 i = 0;

	while (i < MEMORY_TYPES && (mair >> 8 * i & 0xf3) != 0)
		i++;
	return i;
}

// The root's entry of EARLY_BASE: the loaded root covers as many bits as TCR_EL1.T1SZ says.
static pte_t *root_entry(u64 root)
{
	u32 bits = 64 - (u32)(cpu_sysreg_read("tcr_el1") >> 16 & 0x3f);
	pte_t *table = phys_ptr(phys(root & TTBR_ADDRESS));

	return &table[EARLY_BASE >> 39 & ((1u << (bits - 39)) - 1)];
}

volatile void *early_device_map(phys_t at)
{
	static u64 root, types, page;
	u64 root_now = cpu_sysreg_read("ttbr1_el1"), types_now = cpu_sysreg_read("mair_el1"),
	    page_now = align_down(at.addr, PAGE_SIZE);
	u32 type = device_type(types_now);

	if (type == MEMORY_TYPES)
		return nullptr;
	if (root != root_now || types != types_now || page != page_now) {
		tables[2][0] = page_now | PTE_PRESENT | PTE_SMALL | PTE_ACCESSED |
			       PTE_INNER_SHAREABLE | PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER |
			       type << PTE_ATTR_SHIFT;
		tables[1][0] = pte_table_supervisor(table_phys(2));
		tables[0][0] = pte_table_supervisor(table_phys(1));
		*root_entry(root_now) = pte_table_supervisor(table_phys(0));
		__asm__ volatile("dsb ishst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" ::: "memory");
		root = root_now;
		types = types_now;
		page = page_now;
	}
	return (volatile char *)EARLY_BASE + (at.addr - page_now);
}
