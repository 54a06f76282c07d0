// SPDX-License-Identifier: MIT
// bootinfo.c: what the doors tell about the machine, and the clean memory map made of it.
// Privileged; immutable after boot.
#include "core/bootinfo.h"
#include "core/boot/bootmem.h"
#include "core/panic.h"

#include "base/sort.h"

struct bootinfo bootinfo;

// Of two types for the same memory the one with the higher strength wins.
static u32 strength(enum bootmem_type type)
{
	switch (type) {
	case BOOTMEM_USABLE:
		return 1;
	case BOOTMEM_LOADER:
		return 2;
	case BOOTMEM_ACPI_RECLAIM:
		return 3;
	case BOOTMEM_ACPI_NVS:
		return 4;
	case BOOTMEM_FRAMEBUFFER:
		return 5;
	case BOOTMEM_INITRD:
		return 6;
	case BOOTMEM_KERNEL:
		return 7;
	case BOOTMEM_RESERVED:
		return 8;
	case BOOTMEM_BAD:
		return 9;
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

static const struct bootmem *strongest_at(const struct bootmem *ranges, u32 n, u64 addr)
{
	const struct bootmem *best = nullptr;

	for (u32 i = 0; i < n; i++)
		if (ranges[i].base <= addr && addr - ranges[i].base < ranges[i].len &&
		    (!best || strength(ranges[i].type) > strength(best->type)))
			best = &ranges[i];
	return best;
}

u32 bootmem_resolve(const struct bootmem *ranges, u32 n, struct bootmem *out, u32 max,
		    bool *truncated)
{
	static u64 edges[2 * BOOTMEM_RANGES_MAX]; // boot CPU only
	u32 nedges = 0, nout = 0;

	assert(n <= BOOTMEM_RANGES_MAX);
	for (u32 i = 0; i < n; i++) {
		edges[nedges++] = ranges[i].base;
		edges[nedges++] = ranges[i].base + ranges[i].len;
	}
	sort(edges, nedges, sizeof(edges[0]), compare_u64, nullptr);
	// Between two neighbouring edges every range covers either all or nothing.
	for (u32 e = 0; e + 1 < nedges; e++) {
		u64 start = edges[e], end = edges[e + 1];
		const struct bootmem *best = start < end ? strongest_at(ranges, n, start) : nullptr;

		if (!best)
			continue;
		if (nout && out[nout - 1].type == best->type &&
		    out[nout - 1].base + out[nout - 1].len == start) {
			out[nout - 1].len += end - start;
		} else if (nout < max) {
			out[nout++] = (struct bootmem){start, end - start, best->type};
		} else {
			*truncated = true;
			break;
		}
	}
	return nout;
}

void bootinfo_finish(void)
{
	static struct bootmem ranges[BOOTMEM_RANGES_MAX];
	u32 n = bootinfo.nmem;

	if (!n) // QEMU's -kernel, for one, overwrites what it has prepared
		panic("The boot loader gave no memory map; perhaps the command line is longer than its %u bytes",
		      CMDLINE_MAX - 1);
	for (u32 i = 0; i < n; i++)
		ranges[i] = bootinfo.mem[i];
	if (bootinfo.kernel_size)
		ranges[n++] = (struct bootmem){bootinfo.kernel_phys.addr, bootinfo.kernel_size,
					       BOOTMEM_KERNEL};
	if (bootinfo.initrd_len)
		ranges[n++] =
			(struct bootmem){bootinfo.initrd.addr, bootinfo.initrd_len, BOOTMEM_INITRD};
	bootinfo.nmem =
		bootmem_resolve(ranges, n, bootinfo.mem, BOOTMEM_MAX, &bootinfo.mem_truncated);
}
