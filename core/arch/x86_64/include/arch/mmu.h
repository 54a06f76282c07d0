// SPDX-License-Identifier: MIT
// The MMU's registers and TLB as core/mm uses them, and whole pages cleared and copied (x86-64).
// Privileged.
//
// An address-space id (PCID) names the TLB entries of one root. Id 0 is the kernel's; without PCIDs
// all ids are 0.
#pragma once
#include "base/types.h"
#include "core/page.h"
#include <arch/pte.h>

extern bool arch_mmu_has_ids; // immutable after boot

// Drops this CPU's entries of one page under the loaded id, and global ones.
static __always_inline void arch_tlb_flush_page(u64 addr)
{
	__asm__ volatile("invlpg (%0)" ::"r"(addr) : "memory");
}

// Loads a root. keep: entries cached under this id are still right.
static __always_inline void arch_root_load(phys_t root, u32 id, bool keep)
{
	__asm__ volatile(
		"movq %0, %%cr3" ::"r"(root.addr | id | (keep && arch_mmu_has_ids ? 1ull << 63 : 0))
		: "memory");
}
// Drops all of this CPU's entries of the loaded id, but for global ones.
static __always_inline void arch_tlb_flush_id(void)
{
	u64 cr3;
	__asm__ volatile("movq %%cr3, %0\n\tmovq %0, %%cr3" : "=r"(cr3)::"memory");
}
void arch_tlb_flush_everything(void); // global ones and all ids included

enum arch_map_kind { ARCH_MAP_NORMAL, ARCH_MAP_DEVICE, ARCH_MAP_COMBINE };
// An entry of the kernel's half: never user-accessible, global.
pte_t arch_kernel_pte(phys_t p, bool write, bool exec, enum arch_map_kind kind);
pte_t arch_kernel_pte_large(phys_t p, bool write); // level 1, data only

// Turns on what the tables rely on: no-execute, write protection in the kernel, global pages,
// memory types, ids. Every CPU, once, with a root loaded that has id 0.
void arch_mmu_init_cpu(void);

// arch_page_*: whole pages, any context.
void arch_page_clear(void *page);
void arch_pages_clear(void *pages, size_t npages);
void arch_page_copy(void *restrict dst, const void *restrict src);
