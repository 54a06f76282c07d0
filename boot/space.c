// SPDX-License-Identifier: MIT
// Four-level page tables, filled for the kernel while the firmware's are still in use. What an
// entry looks like the architecture knows.
#include "boot/arch.h"

static uint64_t *table_take(struct space *space)
{
	uint64_t *table;

	if (space->used_pages == space->pool_pages)
		return nullptr;
	table = (uint64_t *)(space->pool + space->used_pages++ * PAGE_SIZE);
	memset(table, 0, PAGE_SIZE);
	return table;
}

bool space_init(struct space *space, void *pool, uint64_t pool_pages)
{
	*space = (struct space){.pool = pool, .pool_pages = pool_pages};
	space->root = table_take(space);
	return space->root;
}

/* The entry for virt in the table of the level whose entries map 1 << shift bytes; null: no pages
 * left. */
static uint64_t *entry_for(struct space *space, uint64_t virt, unsigned shift)
{
	uint64_t *table = space->root;

	for (unsigned at = 39;; at -= 9) {
		uint64_t *entry = &table[virt >> at & 511];

		if (at == shift)
			return entry;
		if (!*entry) {
			table = table_take(space);
			if (!table)
				return nullptr;
			*entry = arch_entry_table(phys_of(table));
		}
		table = at_phys(*entry & arch_entry_address);
	}
}

static unsigned largest_shift(uint64_t virt, uint64_t phys, uint64_t len_bytes, unsigned shift)
{
	for (; shift > 12; shift -= 9)
		if (((virt | phys) & ((1ull << shift) - 1)) == 0 && len_bytes >= 1ull << shift)
			break;
	return shift;
}

/* A range is mapped once only: the caller's ranges are disjoint, so no entry is ever split. */
bool space_map(struct space *space, uint64_t virt, uint64_t phys, uint64_t len_bytes,
	       unsigned rights)
{
	unsigned most = arch_largest_shift();

	/* Nor may it start or end within a page. */
	len_bytes = align_up(len_bytes + phys % PAGE_SIZE, PAGE_SIZE);
	virt = align_down(virt, PAGE_SIZE);
	phys = align_down(phys, PAGE_SIZE);
	while (len_bytes) {
		unsigned shift = largest_shift(virt, phys, len_bytes, most);
		uint64_t *entry = entry_for(space, virt, shift);

		if (!entry)
			return false;
		*entry = arch_entry_page(phys, shift, rights);
		virt += 1ull << shift;
		phys += 1ull << shift;
		len_bytes -= 1ull << shift;
	}
	return true;
}
