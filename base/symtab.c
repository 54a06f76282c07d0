// SPDX-License-Identifier: MIT
// symtab.c: finds the symbol of an address.
#include "base/symtab.h"

#include "base/string.h"

// The name of symbol i, or nullptr when it is not a terminated string inside the blob: the table is
// read while the kernel reports its own crash, so nothing in it is taken on trust.
static const char *symbol_name(const struct symtab *table, size_t i)
{
	u32 at = table->name_offsets[i];

	if (at >= table->names_len || !memchr(table->names + at, '\0', table->names_len - at))
		return nullptr;
	return table->names + at;
}

const char *symtab_lookup(const struct symtab *table, u64 addr, u64 *offset)
{
	if (!table->count || addr < table->base || addr >= table->end)
		return nullptr;
	u64 distance = addr - table->base;
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table->offsets[mid] <= distance)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return nullptr;
	*offset = distance - table->offsets[low - 1];
	return symbol_name(table, low - 1);
}

u64 symtab_find(const struct symtab *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *candidate = symbol_name(table, i);

		if (candidate && str_equal(candidate, name))
			return table->base + table->offsets[i];
	}
	return 0;
}
