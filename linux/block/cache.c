// SPDX-License-Identifier: MIT
// cache.c: the page cache of block devices: pages appear when they are read, and go when memory
// gets scarce. Privileged.
//
// Purpose. Each bdev has a vm_object with the pages of it that are in memory; reads, writes and
// mappings share them. A page is in the tree only when its contents are right, so lookups need no
// further check. What is being read is listed meanwhile (cache.reading), and whoever wants some of
// it waits for the list to change.
//
// States of a page: absent; being read (not in the tree); clean; dirty (in cache.dirty too, with a
// reference of its own); being written (out of cache.dirty, the writer has the reference). A write
// that comes while the page is being written makes it dirty again.
//
// Locks. cache.lock (a spinlock): the list of what is read, the tree of dirty pages. The object's
// own lock: its tree. sync_lock (a mutex) holds write-backs apart. None is held while a program's
// memory is touched.
//
// Lifetime. Caches live as long as their bdev: for ever. Failure: -EIO from the disk, -ENOMEM; a
// page that could not be written is lost, and the error is told once to every open file (file.c).
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/block/cache.h"

struct read_range {
	struct list link; // cache.lock
	u64 first, end;
};

static struct list caches = LIST_INIT(caches);
static spinlock_t caches_lock = SPINLOCK_INIT(LOCK_block_caches);

struct cache *cache_next(struct cache *after)
{
	struct list *next = after ? load_acquire(&after->all.next) : load_acquire(&caches.next);

	return next == &caches ? nullptr : list_entry(next, struct cache, all);
}

// ---- memory ----

static bool memory_is_scarce(void)
{
	return page_free_count() < page_managed_count() / 16;
}

struct page *cache_page_alloc(void)
{
	if (unlikely(memory_is_scarce()))
		block_cache_shrink(64);
	return page_alloc(0, OWNER_SHARED, 0);
}

// ---- reading ----

static u64 cache_pages(const struct cache *c)
{
	return div_round_up(load_once(&c->bdev->sectors), PAGE_SIZE / BLOCK_SECTOR);
}

u32 cache_page_sectors(const struct cache *c, u64 index)
{
	constexpr u32 IN_PAGE = PAGE_SIZE / BLOCK_SECTOR;
	u64 sectors = load_once(&c->bdev->sectors), at = index * IN_PAGE;

	return at >= sectors ? 0 : (u32)min(sectors - at, (u64)IN_PAGE);
}

static bool overlaps_locked(const struct cache *c, u64 first, u64 end)
{
	const struct read_range *r;

	list_for_each_entry(r, &c->reading, link) {
		if (r->first < end && first < r->end)
			return true;
	}
	return false;
}

// Announces that [first, end) is going to be read. False: some of it is being read by another; that
// is over now.
static bool range_begin(struct cache *c, struct read_range *r)
{
	spin_lock(&c->lock);
	bool taken = overlaps_locked(c, r->first, r->end);

	if (!taken)
		list_add_tail(&c->reading, &r->link);
	spin_unlock(&c->lock);
	if (taken)
		wait_event(&c->read_wait, ({
			spin_lock(&c->lock);
			bool still = overlaps_locked(c, r->first, r->end);
			spin_unlock(&c->lock);
			!still;
		}));
	return !taken;
}

static void range_end(struct cache *c, struct read_range *r)
{
	spin_lock(&c->lock);
	list_del(&r->link);
	spin_unlock(&c->lock);
	wake_all(&c->read_wait);
}

// How many pages from first on are absent.
static u32 absent(struct cache *c, u64 first, u32 n)
{
	u32 i = 0;

	for (; i < n; i++) {
		struct page *p = vm_object_lookup(&c->object, first + i);

		if (p) {
			page_put(p);
			break;
		}
	}
	return i;
}

static u32 run_limit(const struct cache *c)
{
	const struct block_limits *l = disk_limits(c->bdev->disk);

	return max(
		min(min(l->segments, RUN_PAGES), l->max_sectors / (u32)(PAGE_SIZE / BLOCK_SECTOR)),
		1u);
}

// Reads n pages that are not there into pages[], which are in the tree afterwards, or have been
// put.
static int run_read(struct cache *c, u64 first, u32 n, struct page **pages)
{
	struct block_vec vec[RUN_PAGES];
	struct block_request r = {
		.op = BLOCK_READ,
		.nvec = n,
		.sector = c->bdev->start + first * (PAGE_SIZE / BLOCK_SECTOR),
		.vec = vec,
		.bdev = c->bdev,
	};

	for (u32 i = 0; i < n; i++) {
		u32 sectors = cache_page_sectors(c, first + i);

		vec[i] = (struct block_vec){.at = page_phys(pages[i]),
					    .len = sectors * BLOCK_SECTOR};
		r.nsectors += sectors;
		if (sectors < PAGE_SIZE / BLOCK_SECTOR)
			memset(page_ptr(pages[i]), 0, PAGE_SIZE);
	}
	int err = disk_execute(c->bdev->disk, &r);

	for (u32 i = 0; i < n; i++)
		if (err || vm_object_insert(&c->object, first + i, pages[i]))
			page_put(pages[i]);
	return err;
}

// Reads some of [first, first + n), the first page at least, unless it is there by now.
static int cache_read(struct cache *c, u64 first, u32 n)
{
	struct page *pages[RUN_PAGES];
	struct read_range r = {.first = first};
	int err = 0;

	n = (u32)min((u64)min(n, run_limit(c)), cache_pages(c) - first);
	r.end = first + n;
	if (!range_begin(c, &r))
		return 0;
	n = absent(c, first, n);
	u32 got = 0;

	while (got < n && (pages[got] = cache_page_alloc()))
		got++;
	if (got)
		err = run_read(c, first, got, pages);
	else if (n)
		err = -ENOMEM;
	range_end(c, &r);
	return err;
}

int cache_page_get(struct cache *c, u64 index, u32 n, struct page **out)
{
	if (index >= cache_pages(c))
		return -EIO;
	while (!(*out = vm_object_lookup(&c->object, index))) {
		int err = cache_read(c, index, n);

		if (err)
			return err;
	}
	if (!(load_once(&(*out)->flags) & PAGE_REFERENCED))
		__atomic_fetch_or(&(*out)->flags, PAGE_REFERENCED, __ATOMIC_RELAXED);
	return 0;
}

// ---- mappings ----

static int object_get_page(struct vm_object *o, u64 index, bool write, struct page **out)
{
	struct cache *c = container_of(o, struct cache, object);

	if (index >= cache_pages(c))
		return -EFAULT;
	int err;

	do {
		err = cache_page_get(c, index, 1, out);
		if (!err && write) {
			err = cache_page_dirty(c, index, *out);
			if (err)
				page_put(*out);
		}
	} while (err == -EAGAIN);
	return err;
}

static const struct vm_object_ops cache_object_ops = {.get_page = object_get_page};

// ---- making and shrinking ----

static void *dirty_node_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return kmalloc(size);
}

// The tree of dirty pages is only looked at under cache.lock: no reader can be in the node.
static void dirty_node_free(void *ctx, struct radix_node *node)
{
	(void)ctx;
	kfree(node);
}
static const struct radix_ops dirty_ops = {.alloc = dirty_node_alloc, .free = dirty_node_free};

int cache_create(struct bdev *b)
{
	struct cache *c = kzalloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	vm_object_init(&c->object, &cache_object_ops, b->sectors * BLOCK_SECTOR);
	c->bdev = b;
	spin_lock_init(&c->lock, LOCK_block_cache);
	list_init(&c->reading);
	radix_init(&c->dirty, &dirty_ops, nullptr);
	wait_queue_init(&c->read_wait);
	mutex_init(&c->sync_lock, LOCK_block_sync);
	b->cache = c;
	spin_lock(&caches_lock);
	list_add_tail(&caches, &c->all);
	spin_unlock(&caches_lock);
	return 0;
}

// Only the tree has it, nobody used it since the last look, and the disk has its contents.
static bool may_drop(struct page *p)
{
	u16 flags = __atomic_fetch_and(&p->flags, (u16)~PAGE_REFERENCED, __ATOMIC_RELAXED);

	return !(flags & (PAGE_REFERENCED | PAGE_DIRTY)) && load_once(&p->refs) == 1;
}

// Twice round: what was used lately is spared once.
static u64 cache_shrink(struct cache *c, u64 n)
{
	u64 dropped = 0, at = load_once(&c->shrink_at);

	for (u32 rounds = 0; rounds < 2 && dropped < n; rounds += !at)
		dropped += vm_object_shrink(&c->object, &at, n - dropped, may_drop);
	store_once(&c->shrink_at, at); // two at a time: one's is lost, no harm
	return dropped;
}

u64 block_cache_shrink(u64 n)
{
	u64 dropped = 0;

	for (struct cache *c = cache_next(nullptr); c && dropped < n; c = cache_next(c))
		dropped += cache_shrink(c, n - dropped);
	return dropped;
}

void cache_invalidate(struct bdev *b, u64 first_page, u64 last_page)
{
	struct cache *c = bdev_cache(b);

	if (!load_once(&c->object.npages))
		return;
	// What is just being written is clean, but not on the disk yet: not now.
	mutex_lock(&c->sync_lock);
	vm_object_drop_clean(&c->object, first_page, last_page);
	mutex_unlock(&c->sync_lock);
}

int cache_clear(struct cache *c, u64 first, u64 last)
{
	vm_object_unmap(&c->object, first, last); // stores to mappings are noticed again
	int err = atomic_load(&c->unwritten) ? cache_write(c, first, last) : 0;

	if (!err)
		cache_invalidate(c->bdev, first, last);
	return err;
}

void block_cache_drop(void)
{
	for (struct cache *c = cache_next(nullptr); c; c = cache_next(c))
		cache_invalidate(c->bdev, 0, ~0ull);
}

u64 block_cache_pages(void)
{
	u64 n = 0;

	for (struct cache *c = cache_next(nullptr); c; c = cache_next(c))
		n += load_once(&c->object.npages);
	return n;
}

u64 block_cache_clean_pages(void)
{
	u64 pages = block_cache_pages(), dirty = block_cache_dirty_pages();

	return pages > dirty ? pages - dirty : 0;
}
