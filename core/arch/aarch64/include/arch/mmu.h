// SPDX-License-Identifier: MIT
// The MMU's registers and TLB as core/mm uses them, and whole pages cleared and copied (AArch64).
// Privileged.
//
// An address-space id (ASID, in TTBR0) names the TLB entries of one root that are not global. Id 0
// is the kernel's. All roots of programs and the kernel's have the same upper half; who loads one
// with another upper half (a service's view) must leave it with care: see arch_root_load.
#pragma once
#include "base/types.h"
#include "core/page.h"
#include <arch/cpu.h>
#include <arch/pte.h>

constexpr bool arch_mmu_has_ids = true;
constexpr u32 ARCH_ID_SHIFT = 48;				 // of the id in TTBR0
constexpr u64 ARCH_ROOT_UPPER = PT_KERNEL_FIRST * sizeof(pte_t); // TTBR1 lies so far above TTBR0

// Orders the walks after it behind the stores before it, and the code after it behind TLB
// maintenance before it. This CPU.
static __always_inline void arch_tlb_sync(void)
{
	__asm__ volatile("dsb nsh\n\tisb" ::: "memory");
}

// Drops this CPU's entries of one page under every id, and global ones.
static __always_inline void arch_tlb_flush_page(u64 addr)
{
	__asm__ volatile(
		"dsb ishst\n\ttlbi vaae1, %0" ::"r"(addr >> PAGE_SHIFT & ((1ull << 44) - 1))
		: "memory");
	arch_tlb_sync();
}

// Drops all of this CPU's entries of the loaded id, but for global ones.
static __always_inline void arch_tlb_flush_id(void)
{
	u64 id = cpu_sysreg_read("ttbr0_el1") >> ARCH_ID_SHIFT << ARCH_ID_SHIFT;

	__asm__ volatile("dsb ishst\n\ttlbi aside1, %0" ::"r"(id) : "memory");
	arch_tlb_sync();
}

// Loads a root. keep: entries cached under this id are still right. TTBR1 goes first: entries that
// a walk makes between the two writes belong to the old id, and differ from what that id should see
// only if it was that of a service.
static __always_inline void arch_root_load(phys_t root, u32 id, bool keep)
{
	__asm__ volatile("dsb ishst\n\t"
			 "msr ttbr1_el1, %0\n\t"
			 "isb\n\t"
			 "msr ttbr0_el1, %1\n\t"
			 "isb" ::"r"(root.addr + ARCH_ROOT_UPPER),
			 "r"(root.addr | (u64)id << ARCH_ID_SHIFT)
			 : "memory");
	if (!keep)
		arch_tlb_flush_id();
}
void arch_tlb_flush_everything(void); // this CPU's; global ones and all ids included

enum arch_map_kind { ARCH_MAP_NORMAL, ARCH_MAP_DEVICE, ARCH_MAP_COMBINE };
// An entry of the kernel's half: never user-accessible, global.
pte_t arch_kernel_pte(phys_t p, bool write, bool exec, enum arch_map_kind kind);
pte_t arch_kernel_pte_large(phys_t p, bool write); // level 1, data only

// Turns on what the tables rely on: memory types, ids, protections. Every CPU, once, with a root
// loaded that has id 0.
void arch_mmu_init_cpu(void);

// arch_page_*: whole pages, any context.
void arch_page_clear(void *page);
void arch_pages_clear(void *pages, size_t npages);
void arch_page_copy(void *restrict dst, const void *restrict src);
