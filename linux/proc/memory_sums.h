// SPDX-License-Identifier: MIT
// How memory is used, in the words of /proc/meminfo. Private to linux/.
#pragma once
#include "core/page.h"
#include "core/slab.h"

struct memory_sums { // pages
	u64 total, free, available, anon, cached, slab, tables;
};

static inline void memory_sums_read(struct memory_sums *m)
{
	struct page_stats s;
	page_stats_read(&s);
	*m = (struct memory_sums){
		.total = s.total,
		.free = s.free,
		.available = s.free, // what files in memory hold has no other store: it cannot be
				     // dropped
		.anon = s.owned[OWNER_PROGRAM],
		.cached = s.owned[OWNER_SHARED],
		.slab = slab_pages_used(),
		.tables = s.owned[OWNER_TABLE],
	};
}
