// SPDX-License-Identifier: MIT
// Four-level page tables of x86-64, filled for the kernel while the firmware's are still in use.
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
	PTE_ADDRESS = 0x000ffffffffff000,
};

const uint64_t arch_hhdm = 0xffff800000000000;

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

static bool has_1g_pages(void)
{
	uint32_t a = 0x80000001, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return d & (1u << 26);
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
		if (!(*entry & PTE_PRESENT)) {
			table = table_take(space);
			if (!table)
				return nullptr;
			/* Rights are decided by the lowest level alone. */
			*entry = phys_of(table) | PTE_PRESENT | PTE_WRITE;
		}
		table = at_phys(*entry & PTE_ADDRESS);
	}
}

static unsigned largest_shift(uint64_t virt, uint64_t phys, uint64_t len_bytes, bool use_1g)
{
	for (unsigned shift = use_1g ? 30 : 21; shift > 12; shift -= 9)
		if (((virt | phys) & ((1ull << shift) - 1)) == 0 && len_bytes >= 1ull << shift)
			return shift;
	return 12;
}

/* A range is mapped once only: the caller's ranges are disjoint, so no entry is ever split. */
bool space_map(struct space *space, uint64_t virt, uint64_t phys, uint64_t len_bytes,
	       unsigned rights)
{
	bool use_1g = has_1g_pages();
	uint64_t bits = PTE_PRESENT | (rights & MAP_WRITE ? PTE_WRITE : 0) |
			(rights & MAP_EXEC ? 0 : PTE_NX);

	/* Nor may it start or end within a page. */
	len_bytes = align_up(len_bytes + phys % PAGE_SIZE, PAGE_SIZE);
	virt = align_down(virt, PAGE_SIZE);
	phys = align_down(phys, PAGE_SIZE);
	while (len_bytes) {
		unsigned shift = largest_shift(virt, phys, len_bytes, use_1g);
		uint64_t *entry = entry_for(space, virt, shift);
		uint64_t pte = phys | bits | (shift > 12 ? PTE_LARGE : 0);

		if (!entry)
			return false;
		/* Entry 5 of the PAT that arch_enter() loads. */
		if (rights & MAP_WRITE_COMBINING)
			pte |= PTE_PWT | (shift > 12 ? PTE_PAT_LARGE : PTE_PAT_4K);
		*entry = pte;
		virt += 1ull << shift;
		phys += 1ull << shift;
		len_bytes -= 1ull << shift;
	}
	return true;
}
