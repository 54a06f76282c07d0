// SPDX-License-Identifier: MIT
// paging.c: the MMU's features and the entries of the kernel's half (x86-64).
#include "core/arch/x86_64/x86.h"
#include <arch/cpu.h>
#include <arch/mmu.h>

bool arch_mmu_has_ids;

constexpr u64 CR0_WP = 1 << 16;
constexpr u64 CR4_PGE = 1 << 7;
constexpr u64 CR4_PCIDE = 1 << 17;
constexpr u64 EFER_NXE = 1 << 11;
// Entry 1 (write-through alone) becomes write-combining; the others stay as at reset. SDM volume
// 3, 12.12.
constexpr u64 PAT_VALUE = 0x0007040600070106;

void arch_tlb_flush_everything(void)
{
	u64 cr4 = read_cr4();

	if (cr4 & CR4_PGE) {
		write_cr4(cr4 & ~CR4_PGE); // any change of this bit drops all entries of all ids
		write_cr4(cr4);
	} else {
		arch_tlb_flush_id();
	}
}

void arch_mmu_init_cpu(void)
{
	u64 cr0, cr4 = read_cr4();

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %0, %%cr0" ::"r"(cr0 | CR0_WP) : "memory");
	wrmsr(MSR_PAT, PAT_VALUE);
	if (cpu_has(CPU_PGE))
		cr4 |= CR4_PGE;
	if (cpu_has(CPU_PCID))
		cr4 |= CR4_PCIDE; // allowed because the loaded id is 0
	write_cr4(cr4);
	arch_mmu_has_ids = cpu_has(CPU_PCID);
	arch_tlb_flush_everything();
}

pte_t arch_kernel_pte(phys_t p, bool write, bool exec, enum arch_map_kind kind)
{
	pte_t e = p.addr | PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL;

	if (write)
		e |= PTE_WRITE | PTE_DIRTY;
	if (!exec)
		e |= PTE_NO_EXEC;
	if (kind == ARCH_MAP_DEVICE)
		e |= PTE_CACHE_OFF | PTE_WRITE_THROUGH;
	else if (kind == ARCH_MAP_COMBINE)
		e |= PTE_WRITE_THROUGH;
	return e;
}

pte_t arch_kernel_pte_large(phys_t p, bool write)
{
	return arch_kernel_pte(p, write, false, ARCH_MAP_NORMAL) | PTE_LARGE;
}
