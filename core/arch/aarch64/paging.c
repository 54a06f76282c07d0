// SPDX-License-Identifier: MIT
// paging.c: the MMU's registers and the entries of the kernel's half (AArch64).
#include "core/arch/aarch64/boot_offsets.h"
#include <arch/cpu.h>
#include <arch/mmu.h>

static_assert(MAIR_VALUE == MAIR_VALUE_);
static_assert(BLOCK_NORMAL == (PTE_PRESENT | PTE_ATTR_NORMAL << PTE_ATTR_SHIFT |
			       PTE_INNER_SHAREABLE | PTE_ACCESSED));
static_assert(BLOCK_NORMAL_DATA == (BLOCK_NORMAL | PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER));
static_assert(BLOCK_DEVICE == (PTE_PRESENT | PTE_ATTR_DEVICE << PTE_ATTR_SHIFT | PTE_ACCESSED |
			       PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER));

void arch_tlb_flush_everything(void)
{
	__asm__ volatile("dsb ishst\n\ttlbi vmalle1" ::: "memory");
	arch_tlb_sync();
}

void arch_mmu_init_cpu(void)
{
	u64 mmfr0 = cpu_sysreg_read("id_aa64mmfr0_el1");
	u64 physical = min(mmfr0 & 0xf, 5ull); // addresses of at most 48 bits
	u64 tcr = TCR_VALUE_ | physical << 32 | (u64)cpu_has(CPU_ASID16) << 36;

	// What the door has set is the same, so that nothing changes under the code that runs here.
	cpu_sysreg_write("mair_el1", MAIR_VALUE);
	cpu_sysreg_write("tcr_el1", tcr);
	cpu_isb();
	arch_tlb_flush_everything();
}

pte_t arch_kernel_pte(phys_t p, bool write, bool exec, enum arch_map_kind kind)
{
	pte_t e = p.addr | PTE_PRESENT | PTE_SMALL | PTE_ACCESSED | PTE_INNER_SHAREABLE |
		  PTE_NO_EXEC_USER;

	if (!write)
		e |= PTE_READ_ONLY;
	if (!exec)
		e |= PTE_NO_EXEC_CORE;
	if (kind == ARCH_MAP_DEVICE)
		e |= PTE_ATTR_DEVICE << PTE_ATTR_SHIFT;
	else if (kind == ARCH_MAP_COMBINE)
		e |= PTE_ATTR_COMBINE << PTE_ATTR_SHIFT;
	return e;
}

pte_t arch_kernel_pte_large(phys_t p, bool write)
{
	return pte_make_large(arch_kernel_pte(p, write, false, ARCH_MAP_NORMAL));
}
