// SPDX-License-Identifier: MIT
// writeback.c: dirty pages of block devices, and when and how they are written. Privileged.
//
// A page is written by fsync and its kin, by the flusher (a thread) when it has been dirty for a
// while, and by a program that writes faster than the disk when too much of memory is dirty. All of
// them go through cache_write(), which holds sync_lock: so no two writes of one page are ever under
// way at the same time, and when a second caller gets the lock, what the first one wrote is on the
// disk.
//
// Pages that programs have mapped for writing stay dirty after they were written, because the next
// store to them would not be noticed.
#include "core/init.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/block/cache.h"

constexpr u64 EXPIRE_NS = 5'000'000'000; // the flusher writes what has been dirty for longer
constexpr u32 BATCHES = 16;		 // requests under way at once

static atomic_u64 dirty_pages, writeback_pages;

u64 block_cache_dirty_pages(void)
{
	return atomic_load(&dirty_pages);
}

u64 block_cache_writeback_pages(void)
{
	return atomic_load(&writeback_pages);
}

int cache_page_dirty(struct cache *c, u64 index, struct page *p)
{
	smp_mb(); // what was written is in the page before the flag is looked at: batch_collect
	if (load_once(&p->flags) & PAGE_DIRTY)
		return 0;
	spin_lock(&c->lock);
	int err = radix_insert(&c->dirty, index, p);

	if (!err && !vm_object_page_dirty(&c->object, p)) {
		radix_erase(&c->dirty, index);
		err = -EAGAIN;
	}
	if (!err) {
		page_get(p);
		if (!c->ndirty++)
			c->dirty_since_ns = clock_monotonic_ns();
		atomic_inc(&c->unwritten);
		atomic_inc(&dirty_pages);
	}
	spin_unlock(&c->lock);
	return err == -EEXIST ? 0 : err;
}

void cache_forget(struct cache *c)
{
	u64 index = 0;
	struct page *p;

	mutex_lock(&c->sync_lock);
	spin_lock(&c->lock);
	while ((p = radix_next(&c->dirty, &index))) {
		radix_erase(&c->dirty, index);
		__atomic_fetch_and(&p->flags, (u16)~PAGE_DIRTY, __ATOMIC_RELAXED);
		page_put(p);
		c->ndirty--;
		atomic_dec(&c->unwritten);
		atomic_dec(&dirty_pages);
	}
	spin_unlock(&c->lock);
	mutex_unlock(&c->sync_lock);
	vm_object_drop(&c->object, 0, ~0ull);
}

// ---- one pass ----

struct batch {
	struct block_request r;
	struct pass *pass;
	u64 first;
	u32 n;
	bool busy; // pass.lock
	struct page *pages[RUN_PAGES];
	struct block_vec vec[RUN_PAGES];
};

struct pass {
	struct cache *cache;
	spinlock_t lock; // LOCK_block_pass
	u32 under_way;	 // lock
	int error;	 // lock
	struct wait_queue wait;
	struct batch batches[BATCHES];
};

static void batch_done(struct block_request *r)
{
	struct batch *b = container_of(r, struct batch, r);
	struct pass *pass = b->pass;

	for (u32 i = 0; i < b->n; i++)
		page_put(b->pages[i]);
	atomic_sub(&writeback_pages, b->n);
	atomic_sub(&pass->cache->unwritten, b->n);
	spin_lock(&pass->lock);
	if (r->status)
		pass->error = r->status;
	b->busy = false;
	pass->under_way--;
	wake_all(&pass->wait); // under the lock: the pass goes when nothing is under way
	spin_unlock(&pass->lock);
}

static struct batch *batch_free(struct pass *pass)
{
	struct batch *found = nullptr;

	spin_lock(&pass->lock);
	for (u32 i = 0; i < BATCHES && !found; i++)
		if (!pass->batches[i].busy)
			found = &pass->batches[i];
	spin_unlock(&pass->lock);
	return found;
}

// Takes the next run of neighbours out of the tree: whether there is one.
static bool batch_collect(struct cache *c, struct batch *b, u64 first, u64 last, u32 limit)
{
	u64 index = first;
	struct page *p;

	b->n = 0;
	spin_lock(&c->lock);
	p = radix_next(&c->dirty, &index);
	b->first = index;
	while (p && index <= last && b->n < limit) {
		radix_erase(&c->dirty, index);
		// Before the disk reads it: a write from now on makes it dirty again.
		__atomic_fetch_and(&p->flags, (u16)~PAGE_DIRTY, __ATOMIC_SEQ_CST);
		ATOMIC_FENCE_AFTER();
		b->pages[b->n++] = p;
		c->ndirty--;
		p = ++index ? radix_lookup(&c->dirty, index) : nullptr;
	}
	if (c->ndirty)
		c->dirty_since_ns = clock_monotonic_ns();
	spin_unlock(&c->lock);
	atomic_sub(&dirty_pages, b->n);
	return b->n;
}

static void batch_start(struct pass *pass, struct batch *b)
{
	struct cache *c = pass->cache;

	b->pass = pass;
	b->r = (struct block_request){
		.op = BLOCK_WRITE,
		.sector = c->bdev->start + b->first * (PAGE_SIZE / BLOCK_SECTOR),
		.vec = b->vec,
		.bdev = c->bdev,
		.done = batch_done,
	};
	for (u32 i = 0; i < b->n; i++) {
		u32 sectors = cache_page_sectors(c, b->first + i);

		if (!sectors) // the device shrank
			continue;
		b->vec[b->r.nvec++] = (struct block_vec){.at = page_phys(b->pages[i]),
							 .len = sectors * BLOCK_SECTOR};
		b->r.nsectors += sectors;
	}
	atomic_add(&writeback_pages, b->n);
	spin_lock(&pass->lock);
	b->busy = true;
	pass->under_way++;
	spin_unlock(&pass->lock);
	if (b->r.nvec)
		disk_submit(c->bdev->disk, &b->r);
	else
		batch_done(&b->r);
}

// A store by a program that has the page mapped is not noticed: it stays dirty.
static void keep_mapped_dirty(struct cache *c, struct batch *b)
{
	if (list_empty(&c->object.areas))
		return;
	for (u32 i = 0; i < b->n; i++)
		if (load_once(&b->pages[i]->refs) > 2) // the tree's, ours
			(void)cache_page_dirty(c, b->first + i, b->pages[i]);
}

static u32 write_limit(const struct cache *c)
{
	const struct block_limits *l = disk_limits(c->bdev->disk);

	return max(
		min(min(l->segments, RUN_PAGES), l->max_sectors / (u32)(PAGE_SIZE / BLOCK_SECTOR)),
		1u);
}

static void pass_wait(struct pass *pass, u32 until)
{
	wait_event(&pass->wait, load_once(&pass->under_way) <= until);
	spin_lock(&pass->lock); // the last batch_done is out of it
	spin_unlock(&pass->lock);
}

static int pass_run(struct pass *pass, u64 first, u64 last)
{
	u32 limit = write_limit(pass->cache);

	for (u64 at = first; at <= last;) {
		struct batch *b;

		pass_wait(pass, BATCHES - 1);
		b = batch_free(pass);
		if (!batch_collect(pass->cache, b, at, last, limit))
			break;
		at = b->first + b->n;
		keep_mapped_dirty(pass->cache, b);
		batch_start(pass, b);
		if (!at)
			break;
	}
	pass_wait(pass, 0);
	return pass->error;
}

int cache_write(struct cache *c, u64 first, u64 last)
{
	struct pass *pass;
	int err = -ENOMEM;

	mutex_lock(&c->sync_lock);
	if (!load_once(&c->ndirty)) {
		mutex_unlock(&c->sync_lock);
		return 0;
	}
	pass = kmalloc(sizeof(*pass));
	if (pass) {
		pass->cache = c;
		spin_lock_init(&pass->lock, LOCK_block_pass);
		pass->under_way = 0;
		pass->error = 0;
		wait_queue_init(&pass->wait);
		for (u32 i = 0; i < BATCHES; i++)
			pass->batches[i].busy = false;
		err = pass_run(pass, first, last);
		kfree(pass);
	}
	if (err) {
		spin_lock(&c->lock);
		c->error = err;
		store_once(&c->errors, c->errors + 1);
		spin_unlock(&c->lock);
	}
	mutex_unlock(&c->sync_lock);
	return err;
}

// ---- when ----

void cache_write_throttle(struct cache *c)
{
	// A fifth of memory may be dirty, or what is free if that is less.
	u64 limit = min(page_managed_count() / 5, page_free_count() / 2 + 64);

	if (unlikely(block_cache_dirty_pages() > limit))
		(void)cache_write(c, 0, ~0ull);
}

int block_sync_all(bool wait)
{
	int err = 0;

	for (struct cache *c = cache_next(nullptr); c; c = cache_next(c)) {
		int e = cache_write(c, 0, ~0ull);

		if (!e && wait)
			e = disk_flush(c->bdev->disk);
		err = err ?: e;
	}
	return err;
}

static void flusher(void *unused)
{
	constexpr u64 PERIOD_NS = 1'000'000'000;

	(void)unused;
	for (;;) {
		thread_sleep_ns(PERIOD_NS);
		u64 now = clock_monotonic_ns();

		for (struct cache *c = cache_next(nullptr); c; c = cache_next(c))
			if (load_once(&c->ndirty) &&
			    now - load_once(&c->dirty_since_ns) > EXPIRE_NS)
				(void)cache_write(c, 0, ~0ull);
		u64 low = page_managed_count() / 12, free = page_free_count();

		if (free < low)
			block_cache_shrink(low - free);
	}
}

static void writeback_init(void)
{
	struct thread *t = kthread_create(flusher, nullptr, "flusher");

	page_set_reclaimer(block_cache_shrink);
	if (t)
		thread_start(t);
	else
		log_err("block: no memory for the flusher: dirty pages are written by fsync only");
}
INITCALL(3, writeback_init);
