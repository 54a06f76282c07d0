// SPDX-License-Identifier: MIT
// How memory is used, in the words of /proc/meminfo. Private to linux/.
#pragma once
#include "core/page.h"
#include "core/slab.h"
#include "linux/block.h"

struct memory_sums { // pages
	u64 total, free, available, anon, cached, slab, tables;
	u64 buffers, dirty, writeback; // of block devices
};

static inline void memory_sums_read(struct memory_sums *m)
{
	struct page_stats s;
	u64 buffers = block_cache_pages(), clean = block_cache_clean_pages();

	page_stats_read(&s);
	*m = (struct memory_sums){
		.total = s.total,
		.free = s.free,
		.available = s.free + clean, // what files in memory hold has no other store: it
					     // cannot be dropped
		.anon = s.owned[OWNER_PROGRAM],
		.cached = s.owned[OWNER_SHARED] - min(buffers, s.owned[OWNER_SHARED]),
		.slab = slab_pages_used(),
		.tables = s.owned[OWNER_TABLE],
		.buffers = buffers,
		.dirty = block_cache_dirty_pages(),
		.writeback = block_cache_writeback_pages(),
	};
}
