// SPDX-License-Identifier: MIT
// The protocol's memory map, made from the firmware's: sorted, merged, without overlaps.
#include "boot/loader.h"

static void entry_remove(struct memmap *map, unsigned at)
{
	map->count--;
	memmove(&map->entries[at], &map->entries[at + 1],
		(map->count - at) * sizeof(map->entries[0]));
}

static void entry_insert(struct memmap *map, unsigned at, struct limine_memmap_entry entry)
{
	if (map->count == MEMMAP_MAX) {
		map->full = true;
		return;
	}
	memmove(&map->entries[at + 1], &map->entries[at],
		(map->count - at) * sizeof(map->entries[0]));
	map->entries[at] = entry;
	map->count++;
}

/* Joins the entry with its successor when they touch and are alike. */
static void merge_with_next(struct memmap *map, unsigned at)
{
	struct limine_memmap_entry *a = &map->entries[at];

	if (at + 1 < map->count && a[1].type == a->type && a->base + a->length == a[1].base) {
		a->length += a[1].length;
		entry_remove(map, at + 1);
	}
}

void memmap_paint(struct memmap *map, uint64_t base, uint64_t len_bytes,
		  enum limine_memmap_type type)
{
	uint64_t end = base + len_bytes;
	unsigned i = 0;

	if (end <= base) /* empty, or nonsense from the firmware */
		return;
	while (i < map->count && map->entries[i].base + map->entries[i].length <= base)
		i++;
	if (i < map->count && map->entries[i].base < base) {
		struct limine_memmap_entry right = map->entries[i];

		map->entries[i].length = base - right.base;
		right.length -= base - right.base;
		right.base = base;
		entry_insert(map, ++i, right);
	}
	/* Now entry i, if any, begins at or behind base. */
	while (i < map->count && map->entries[i].base < end) {
		struct limine_memmap_entry *e = &map->entries[i];

		if (e->base + e->length > end) {
			e->length -= end - e->base;
			e->base = end;
			break;
		}
		entry_remove(map, i);
	}
	entry_insert(map, i, (struct limine_memmap_entry){base, len_bytes, type});
	if (map->full)
		return;
	merge_with_next(map, i);
	if (i)
		merge_with_next(map, i - 1);
}

static enum limine_memmap_type type_from_efi(enum efi_memory_type type)
{
	switch (type) {
	case EFI_BOOT_SERVICES_CODE: /* free: the loader has left the firmware's page tables and
					stack */
	case EFI_BOOT_SERVICES_DATA:
	case EFI_CONVENTIONAL_MEMORY:
		return LIMINE_MEMMAP_USABLE;
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
		return LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE;
	case EFI_ACPI_RECLAIM_MEMORY:
		return LIMINE_MEMMAP_ACPI_RECLAIMABLE;
	case EFI_ACPI_MEMORY_NVS:
		return LIMINE_MEMMAP_ACPI_NVS;
	case EFI_UNUSABLE_MEMORY:
		return LIMINE_MEMMAP_BAD_MEMORY;
	default:
		return LIMINE_MEMMAP_RESERVED;
	}
}

static bool is_ram(enum limine_memmap_type type)
{
	return type == LIMINE_MEMMAP_USABLE || type == LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE;
}

void memmap_from_efi(struct memmap *map, const uint8_t *descriptors, uint64_t len_bytes,
		     uint64_t stride)
{
	map->count = 0;
	map->full = false;
	/* What is free first, so that anything else wins should descriptors overlap. */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint64_t at = 0; at + stride <= len_bytes; at += stride) {
			const struct efi_memory_descriptor *d = (const void *)(descriptors + at);
			enum limine_memmap_type type = type_from_efi(d->type);

			/* RAM that cannot be cached is no memory to run a kernel from. */
			if (is_ram(type) && !(d->attribute & EFI_MEMORY_WB))
				type = LIMINE_MEMMAP_RESERVED;
			if (is_ram(type) == (pass == 0))
				memmap_paint(map, d->physical_start, d->number_of_pages * PAGE_SIZE,
					     type);
		}
	}
}

static void clear_overlap(const struct efi_memory_descriptor *d,
			  const struct limine_memmap_entry *e, uint64_t offset)
{
	uint64_t start = max(d->physical_start, e->base);
	uint64_t end = min(d->physical_start + d->number_of_pages * PAGE_SIZE, e->base + e->length);

	if (e->type == LIMINE_MEMMAP_USABLE && start < end)
		memset(at_phys(start + offset), 0, end - start);
}

/*
 * Firmware may hold secrets, so a kernel should not find its memory as it was. There is also a
 * reason of speed. An emulator such as QEMU's TCG keeps translations of the firmware's code, and
 * every store to a page with translations takes a slow path until all of that page was overwritten:
 * a kernel that puts a stack there is slower by an order of magnitude.
 */
void leftovers_clear(const struct leftovers *l, uint64_t offset)
{
	const struct memmap *map = at_phys(phys_of(l->map) + offset);
	const uint8_t *descriptors = at_phys(phys_of(l->descriptors) + offset);

	for (uint64_t at = 0; at + l->stride <= l->len_bytes; at += l->stride) {
		const struct efi_memory_descriptor *d = (const void *)(descriptors + at);

		if (d->type != EFI_BOOT_SERVICES_CODE && d->type != EFI_BOOT_SERVICES_DATA)
			continue;
		for (unsigned i = 0; i < map->count; i++)
			clear_overlap(d, &map->entries[i], offset);
	}
}
