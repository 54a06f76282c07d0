// SPDX-License-Identifier: MIT
// symtab.h: finds the symbol of an address in a compact sorted table.
#pragma once

#include "base/types.h"

// Symbol i starts at base + offsets[i] and is called names + name_offsets[i].
struct symtab {
	u64 base;
	size_t count;
	const u32 *offsets;	 // ascending
	const u32 *name_offsets; // into names
	const char *names;	 // NUL-terminated strings
	size_t names_len;
	u64 end; // end of the text: addresses from here on have no symbol
};

// The last symbol at or below addr: its name, or nullptr when addr lies outside the table or the
// table is damaged. *offset gets the distance from the symbol's start.
const char *symtab_lookup(const struct symtab *table, u64 addr, u64 *offset);

// The address of a named symbol (linear search); 0 when there is none.
u64 symtab_find(const struct symtab *table, const char *name);
