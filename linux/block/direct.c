// SPDX-License-Identifier: MIT
// direct.c: reads and writes past the page cache (O_DIRECT): the device works on the program's own
// pages. Privileged.
//
// The pages are held by references while the device has them, so they stay even when the program
// unmaps them. What the cache holds of the range is written before, and dropped around a write.
#include "linux/block/cache.h"

// A run of the program's memory, as a request's vector.
struct pinned {
	u32 n;	    // of vec
	u32 npages; // of counted
	u32 nbytes;
	struct block_vec vec[BLOCK_SEGMENTS];
	struct page *counted[BLOCK_SEGMENTS];
};

static void pinned_put(struct pinned *p)
{
	for (u32 i = 0; i < p->npages; i++)
		page_put(p->counted[i]);
}

// Takes the next pages of io, up to max bytes, whole blocks: 0, -EFAULT, -EINVAL (ill-aligned).
static int pin_next(struct io *io, struct pinned *p, u64 max, u32 segments, u32 block, bool write)
{
	*p = (struct pinned){};
	while (p->n < segments && p->nbytes < max && io->left) {
		u64 addr = user_addr(io->ubuf);
		u32 n = (u32)min(min(PAGE_SIZE - addr % PAGE_SIZE, (u64)io->seg_left),
				 max - p->nbytes);
		struct page *page, *counted;

		if ((addr | n) % block)
			return -EINVAL;
		// the device writes memory when a file is read
		int err = vm_page_pin(current_space(), addr, !write, &page, &counted);

		if (err)
			return err;
		p->counted[p->npages++] = counted;
		p->vec[p->n++] = (struct block_vec){
			.at = phys_add(page_phys(page), addr % PAGE_SIZE), .len = n};
		p->nbytes += n;
		if (!io_skip(io, n))
			break;
	}
	return 0;
}

static u64 last_page(u64 pos, u64 len)
{
	return (pos + len - 1) >> PAGE_SHIFT;
}

ssize_t direct_transfer(struct bdev *b, struct io *io, bool write)
{
	const struct block_limits *l = disk_limits(b->disk);
	struct cache *c = bdev_cache(b);
	u32 block = l->flags & BLOCK_CPU_DATA ? (u32)PAGE_SIZE : l->logical_block;
	u64 first = (u64)io->pos >> PAGE_SHIFT, last = last_page((u64)io->pos, io->left);
	size_t done = 0;
	int err = 0;

	if ((u64)io->pos % block || io->left % block)
		return -EINVAL;
	if (write)
		err = cache_clear(c, first, last);
	else if (atomic_load(&c->unwritten))
		err = cache_write(c, first, last);
	while (!err && io->left) {
		struct pinned p;
		struct block_request r = {
			.op = write ? BLOCK_WRITE : BLOCK_READ, .vec = p.vec, .bdev = b};

		err = pin_next(io, &p, min(l->max_sectors, 65536u) * (u64)BLOCK_SECTOR,
			       min(l->segments, BLOCK_SEGMENTS), block, write);
		if (!err) {
			r.nvec = p.n;
			r.nsectors = p.nbytes / BLOCK_SECTOR;
			r.sector = b->start + (u64)io->pos / BLOCK_SECTOR;
			err = disk_execute(b->disk, &r);
		}
		pinned_put(&p);
		if (err)
			break;
		io->pos += p.nbytes;
		done += p.nbytes;
	}
	if (write) // who read meanwhile may have what was there before
		cache_invalidate(b, first, last);
	return done ? (ssize_t)done : err;
}
