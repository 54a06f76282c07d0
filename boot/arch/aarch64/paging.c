// SPDX-License-Identifier: MIT
// Entries of AArch64's page tables, with pages of 4 KiB.
#include "boot/arch.h"
#include "boot/arch/aarch64/jump.h"

/* Arm ARM, D8.3: bits of a stage 1 descriptor. */
enum : uint64_t {
	PTE_VALID = 1ull << 0,
	PTE_TABLE = 1ull << 1, /* levels 0 to 2 */
	PTE_PAGE = 1ull << 1,  /* level 3; a block of a higher level has it clear */
	PTE_ATTR_SHIFT = 2,
	PTE_READ_ONLY = 1ull << 7,
	PTE_INNER_SHAREABLE = 3ull << 8,
	PTE_ACCESSED = 1ull << 10,
	PTE_PXN = 1ull << 53,
	PTE_UXN = 1ull << 54,
};

/* Where other loaders for the protocol have it: the beginning of the upper half. */
const uint64_t arch_hhdm = 0xffff000000000000;
const uint64_t arch_entry_address = 0x0000fffffffff000;

unsigned arch_largest_shift(void)
{
	return 30;
}

uint64_t arch_entry_table(uint64_t table)
{
	return table | PTE_VALID | PTE_TABLE;
}

uint64_t arch_entry_page(uint64_t page, unsigned shift, unsigned rights)
{
	uint64_t attribute =
		rights & MAP_WRITE_COMBINING ? MAIR_INDEX_COMBINING : MAIR_INDEX_NORMAL;

	return page | PTE_VALID | (shift > 12 ? 0 : PTE_PAGE) | attribute << PTE_ATTR_SHIFT |
	       (rights & MAP_WRITE ? 0 : PTE_READ_ONLY) | PTE_INNER_SHAREABLE | PTE_ACCESSED |
	       (rights & MAP_EXEC ? 0 : PTE_PXN) | PTE_UXN;
}
