// SPDX-License-Identifier: MIT
// bootmem.c: the map of physical memory that a machine boots with.
#include "base/bootmem.h"

#include "base/compiler.h"

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

static bool holds(const struct bootmem *m, u64 addr)
{
	return addr >= m->base && addr - m->base < m->len;
}

const struct bootmem *bootmem_find(const struct bootmem *map, u32 n, u64 addr)
{
	for (u32 i = 0; i < n; i++)
		if (holds(&map[i], addr))
			return &map[i];
	return nullptr;
}

static const struct bootmem *strongest_at(const struct bootmem *ranges, u32 n, u64 addr)
{
	const struct bootmem *best = nullptr;

	for (u32 i = 0; i < n; i++)
		if (holds(&ranges[i], addr) &&
		    (!best || strength(ranges[i].type) > strength(best->type)))
			best = &ranges[i];
	return best;
}

// The lowest place from `from` on where a range begins or ends; false: there is none.
static bool edge_find(const struct bootmem *ranges, u32 n, u64 from, u64 *edge)
{
	bool found = false;

	for (u32 i = 0; i < 2 * n; i++) {
		const struct bootmem *m = &ranges[i / 2];
		u64 at = i % 2 ? m->base + m->len : m->base;

		if (at >= from && (!found || at < *edge)) {
			*edge = at;
			found = true;
		}
	}
	return found;
}

u32 bootmem_resolve(const struct bootmem *ranges, u32 n, struct bootmem *out, u32 max,
		    bool *truncated)
{
	u64 start, end;
	u32 nout = 0;

	if (!edge_find(ranges, n, 0, &start))
		return 0;
	// Between two neighbouring edges every range covers either all or nothing.
	for (; start < ~0ull && edge_find(ranges, n, start + 1, &end); start = end) {
		const struct bootmem *best = strongest_at(ranges, n, start);

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

bool bootmem_clip(const struct bootmem *m, u64 lo, u64 hi, u64 align, u64 *start, u64 *end)
{
	if (!align_up_checked(max(m->base, lo), align, start))
		return false;
	*end = align_down(min(m->base + m->len, hi), align);
	return *start < *end;
}

u64 bootmem_place(const struct bootmem *map, u32 n, u64 len, u64 lo, u64 hi, u64 align)
{
	u64 best = 0, best_len = ~0ull, start, end;

	for (u32 i = 0; i < n; i++) {
		if (map[i].type != BOOTMEM_USABLE ||
		    !bootmem_clip(&map[i], lo, hi, align, &start, &end) || end - start < len ||
		    end - start >= best_len)
			continue;
		best = start;
		best_len = end - start;
	}
	return best;
}
