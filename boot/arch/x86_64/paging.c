// SPDX-License-Identifier: MIT
// Entries of x86-64's page tables.
#include "boot/arch.h"

/* Intel SDM volume 3A, 4.5: bits of an entry. */
enum : uint64_t {
	PTE_PRESENT = 1ull << 0,
	PTE_WRITE = 1ull << 1,
	PTE_PWT = 1ull << 3,
	PTE_LARGE = 1ull << 7,
	PTE_PAT_4K = 1ull << 7,
	PTE_PAT_LARGE = 1ull << 12,
	PTE_NX = 1ull << 63,
};

const uint64_t arch_hhdm = 0xffff800000000000;
const uint64_t arch_entry_address = 0x000ffffffffff000;

unsigned arch_largest_shift(void)
{
	uint32_t a = 0x80000001, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return d & (1u << 26) ? 30 : 21;
}

/* Rights are decided by the lowest level alone. */
uint64_t arch_entry_table(uint64_t table)
{
	return table | PTE_PRESENT | PTE_WRITE;
}

uint64_t arch_entry_page(uint64_t page, unsigned shift, unsigned rights)
{
	uint64_t entry = page | PTE_PRESENT | (rights & MAP_WRITE ? PTE_WRITE : 0) |
			 (rights & MAP_EXEC ? 0 : PTE_NX) | (shift > 12 ? PTE_LARGE : 0);

	/* Entry 5 of the PAT that arch_enter() loads. */
	if (rights & MAP_WRITE_COMBINING)
		entry |= PTE_PWT | (shift > 12 ? PTE_PAT_LARGE : PTE_PAT_4K);
	return entry;
}
