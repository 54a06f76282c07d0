// SPDX-License-Identifier: MIT
// The page cache of block devices, as the files that fill, write and use it share it. Private to
// linux/.
#pragma once
#include "linux/block/block_priv.h"

constexpr u32 RUN_PAGES = BLOCK_SEGMENTS; // read or written at once, at most

struct cache {
	struct vm_object object;     // its pages; its reference is never dropped
	struct bdev *bdev;	     // immutable
	struct list all;	     // of caches; immutable once linked
	spinlock_t lock;	     // LOCK_block_cache: what follows
	struct list reading;	     // struct read_range: being read
	struct radix_tree dirty;     // index -> page, with a reference
	u64 ndirty;		     // atomic read
	atomic_u64 unwritten;	     // pages that are dirty or being written
	u64 dirty_since_ns;	     // when ndirty became 1
	u32 errors;		     // write-backs that failed, ever; atomic read
	int error;		     // of the last one
	struct wait_queue read_wait; // a range was read
	mutex_t sync_lock; // LOCK_block_sync: one write-back at a time, and who must not meet one
	u64 shrink_at;	   // atomic: where the next look for unused pages begins
};

static inline struct cache *bdev_cache(struct bdev *b)
{
	return b->cache;
}
struct cache *cache_next(struct cache *after); // nullptr: first

// The page at index, up to date, with a reference: read with the n - 1 pages behind it when it is
// not there. -EIO, -ENOMEM.
int cache_page_get(struct cache *c, u64 index, u32 n, struct page **out);
// Its contents were changed, after which this is called.
// 0; -ENOMEM; -EAGAIN: the page was dropped meanwhile, and what was changed is lost: once more.
int cache_page_dirty(struct cache *c, u64 index, struct page *p);
struct page *cache_page_alloc(void); // drops others when memory gets scarce
// Sectors of the disk that a page holds: fewer at the device's end.
u32 cache_page_sectors(const struct cache *c, u64 index);

// Writes dirty pages [first, last] and waits for them. 0, or the last error, which stays noted in
// c.
int cache_write(struct cache *c, u64 first, u64 last);
void cache_write_throttle(struct cache *c); // after writing: too much is dirty: write some
// Writes what is dirty of pages [first, last] and drops them, so that what is read next comes from
// the disk; but what is made dirty meanwhile stays. 0, or the error of writing.
int cache_clear(struct cache *c, u64 first, u64 last);
// Drops all pages, dirty ones too: what they belong to is no more.
void cache_forget(struct cache *c);

// The program's memory as the device reads or writes it. (linux/mm)
ssize_t direct_transfer(struct bdev *b, struct io *io, bool write);
