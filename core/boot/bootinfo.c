// SPDX-License-Identifier: MIT
// bootinfo.c: what the doors tell about the machine, and the clean memory map made of it. Privileged; immutable after boot.
#include "core/bootinfo.h"
#include "core/panic.h"

#include "base/sort.h"

struct bootinfo bootinfo;

// Room for the kernel and the initramfs, which the doors' maps may not tell apart.
constexpr u32 RANGES_MAX = BOOTMEM_MAX + 2;

// Of two types for the same memory the one with the higher strength wins.
static u32 strength(enum bootmem_type type)
{
	switch (type) {
	case BOOTMEM_USABLE: return 1;
	case BOOTMEM_LOADER: return 2;
	case BOOTMEM_ACPI_RECLAIM: return 3;
	case BOOTMEM_ACPI_NVS: return 4;
	case BOOTMEM_FRAMEBUFFER: return 5;
	case BOOTMEM_INITRD: return 6;
	case BOOTMEM_KERNEL: return 7;
	case BOOTMEM_RESERVED: return 8;
	case BOOTMEM_BAD: return 9;
	}
	return 8; // a type that a newer loader knows: keep off
}

void bootinfo_add_mem(u64 base, u64 len, enum bootmem_type type)
{
	if (!len)
		return;
	if (bootinfo.nmem == BOOTMEM_MAX) {
		bootinfo.mem_truncated = true;
		return;
	}
	if (len > ~0ull - base)
		len = ~0ull - base;
	bootinfo.mem[bootinfo.nmem++] = (struct bootmem){base, len, type};
}

static int compare_u64(const void *a, const void *b, void *)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

// Appends to the finished map, joined to the last range if it can be.
static void emit(u64 start, u64 end, enum bootmem_type type)
{
	struct bootmem *last = bootinfo.nmem ? &bootinfo.mem[bootinfo.nmem - 1] : nullptr;

	if (last && last->type == type && last->base + last->len == start)
		last->len = end - last->base;
	else
		bootinfo_add_mem(start, end - start, type);
}

void bootinfo_finish(void)
{
	static struct bootmem ranges[RANGES_MAX];
	static u64 edges[2 * RANGES_MAX];
	u32 n = bootinfo.nmem, nedges = 0;

	for (u32 i = 0; i < n; i++)
		ranges[i] = bootinfo.mem[i];
	if (bootinfo.kernel_size) // the map of the door may call it reserved: then that stands
		ranges[n++] = (struct bootmem){bootinfo.kernel_phys.addr, bootinfo.kernel_size, BOOTMEM_KERNEL};
	if (bootinfo.initrd_len)
		ranges[n++] = (struct bootmem){bootinfo.initrd.addr, bootinfo.initrd_len, BOOTMEM_INITRD};
	for (u32 i = 0; i < n; i++) {
		edges[nedges++] = ranges[i].base;
		edges[nedges++] = ranges[i].base + ranges[i].len;
	}
	sort(edges, nedges, sizeof(edges[0]), compare_u64, nullptr);

	// Between two neighbouring edges every range either covers all or nothing.
	bootinfo.nmem = 0;
	for (u32 e = 0; e + 1 < nedges; e++) {
		const struct bootmem *best = nullptr;

		if (edges[e] == edges[e + 1])
			continue;
		for (u32 i = 0; i < n; i++) {
			const struct bootmem *r = &ranges[i];

			if (r->base <= edges[e] && edges[e] - r->base < r->len &&
			    (!best || strength(r->type) > strength(best->type)))
				best = r;
		}
		if (best)
			emit(edges[e], edges[e + 1], best->type);
	}
	assert(bootinfo.nmem <= BOOTMEM_MAX);
}
