// SPDX-License-Identifier: MIT
// file.c: block devices as files: read, write, seek, sync, and the ioctls of <linux/fs.h>.
// Privileged.
#include "abi/linux/fcntl.h"
#include "base/string.h"
#include "core/log.h"
#include "linux/block/cache.h"
#include "linux/cred.h"
#include "linux/signal.h"

constexpr u32 AHEAD_MAX = RUN_PAGES;

struct bdev_file {
	struct bdev *bdev; // immutable
	u64 next;	   // page after the last one read; racy
	u32 ahead;	   // pages that the next sequential read brings; racy
	u32 errors_seen;   // of the cache's; racy
};

static struct bdev *file_bdev(const struct file *f)
{
	return ((struct bdev_file *)f->private_data)->bdev;
}

static u64 bdev_bytes(const struct bdev *b)
{
	return load_once(&b->sectors) * BLOCK_SECTOR;
}

// ---- reading and writing ----

// How many pages to read when the page at index is not there, for a read that wants `wanted`.
static u32 read_ahead(struct bdev_file *bf, u64 index, u64 wanted)
{
	bool sequential = index == load_once(&bf->next);
	u32 ahead = sequential ? min(max(load_once(&bf->ahead) * 2, 4u), AHEAD_MAX) : 1;

	store_once(&bf->ahead, ahead);
	return (u32)min(max((u64)ahead, wanted), (u64)AHEAD_MAX);
}

static ssize_t cached_read(struct file *f, struct io *io)
{
	struct bdev_file *bf = f->private_data;
	struct cache *c = bdev_cache(bf->bdev);
	size_t done = 0;

	while (io->left) {
		u64 end = bdev_bytes(bf->bdev), pos = (u64)io->pos, index = pos >> PAGE_SHIFT;
		struct page *p;

		if (pos >= end)
			break;
		u32 off = (u32)(pos & (PAGE_SIZE - 1));
		size_t want = min(min(io->left, (size_t)(PAGE_SIZE - off)), (size_t)(end - pos));
		int err = cache_page_get(
			c, index, read_ahead(bf, index, div_round_up(off + io->left, PAGE_SIZE)),
			&p);

		if (err)
			return done ? (ssize_t)done : err;
		size_t moved = io_copy_to(io, (u8 *)page_ptr(p) + off, want);

		page_put(p);
		store_once(&bf->next, index + (off + moved == PAGE_SIZE));
		io->pos += (s64)moved;
		done += moved;
		if (moved < want)
			return done ? (ssize_t)done : -EFAULT;
		if (io->left && signal_fatal_pending())
			break;
	}
	return (ssize_t)done;
}

// A whole page that is not in memory need not be read first. 0: it is there by now, or the
// program's memory is not all there: the other way.
static ssize_t write_new_page(struct cache *c, struct io *io, u64 index)
{
	struct page *p = cache_page_alloc();
	struct io before = *io;

	if (!p)
		return -ENOMEM;
	if (io_copy_from(io, page_ptr(p), PAGE_SIZE) == PAGE_SIZE) {
		page_get(p); // the other is the tree's
		int err = vm_object_insert(&c->object, index, p);

		if (!err) {
			err = cache_page_dirty(c, index, p);
			page_put(p);
			return err ?: (ssize_t)PAGE_SIZE;
		}
		page_put(p);
	}
	page_put(p);
	*io = before;
	return 0;
}

// -EAGAIN: nothing came of it, once more.
static ssize_t write_page_once(struct cache *c, struct io *io, u64 index, u32 off, size_t want)
{
	struct page *p = vm_object_lookup(&c->object, index);
	int err = 0;

	if (!p && want == PAGE_SIZE) {
		ssize_t n = write_new_page(c, io, index);

		if (n)
			return n;
	}
	if (!p)
		err = cache_page_get(c, index, 1, &p);
	if (err)
		return err;
	size_t moved = io_copy_from(io, (u8 *)page_ptr(p) + off, want);

	if (moved)
		err = cache_page_dirty(c, index, p);
	page_put(p);
	return err ?: moved ? (ssize_t)moved : -EFAULT;
}

static ssize_t write_page(struct cache *c, struct io *io, u64 index, u32 off, size_t want)
{
	struct io before = *io;
	ssize_t n;

	while ((n = write_page_once(c, io, index, off, want)) == -EAGAIN)
		*io = before;
	return n;
}

static ssize_t cached_write(struct file *f, struct io *io)
{
	struct cache *c = bdev_cache(file_bdev(f));
	size_t done = 0;
	ssize_t n = 0;

	while (io->left) {
		u64 end = bdev_bytes(c->bdev), pos = (u64)io->pos;
		u32 off = (u32)(pos & (PAGE_SIZE - 1));

		if (pos >= end) {
			n = -ENOSPC;
			break;
		}
		size_t want = min(min(io->left, (size_t)(PAGE_SIZE - off)), (size_t)(end - pos));

		n = write_page(c, io, pos >> PAGE_SHIFT, off, want);
		if (n < 0)
			break;
		io->pos += n;
		done += (size_t)n;
		cache_write_throttle(c);
		if (io->left && signal_fatal_pending())
			break;
	}
	return done ? (ssize_t)done : n;
}

// ---- fsync ----

// An error is told once to each file that was open when it happened.
static int error_report(struct bdev_file *bf)
{
	struct cache *c = bdev_cache(bf->bdev);
	u32 errors = load_once(&c->errors), seen = xchg(&bf->errors_seen, errors);

	return errors != seen ? load_once(&c->error) ?: -EIO : 0;
}

static int bdev_sync(struct bdev_file *bf, s64 first, s64 last)
{
	struct bdev *b = bf->bdev;
	int err = cache_write(bdev_cache(b), (u64)first >> PAGE_SHIFT, (u64)last >> PAGE_SHIFT);
	int flushed = disk_flush(b->disk), reported = error_report(bf);

	return reported ?: err ?: flushed;
}

static int bdev_fsync(struct file *f, s64 first, s64 last, bool data_only)
{
	(void)data_only;
	return bdev_sync(f->private_data, first, last);
}

static ssize_t bdev_read(struct file *f, struct io *io)
{
	struct bdev *b = file_bdev(f);
	u64 end = bdev_bytes(b);

	if (!io->left || (u64)io->pos >= end)
		return 0;
	if (!(load_once(&f->flags) & O_DIRECT) || io->kind != IO_USER)
		return cached_read(f, io);
	if (io->left > end - (u64)io->pos)
		io_truncate(io, end - (u64)io->pos);
	return direct_transfer(b, io, false);
}

static ssize_t bdev_write(struct file *f, struct io *io)
{
	struct bdev *b = file_bdev(f);
	s64 from = io->pos;
	ssize_t n;

	if (!io->left)
		return 0;
	if (disk_limits(b->disk)->flags & BLOCK_READ_ONLY)
		return -EPERM;
	if (!(load_once(&f->flags) & O_DIRECT) || io->kind != IO_USER) {
		n = cached_write(f, io);
	} else if ((u64)from >= bdev_bytes(b)) {
		n = -ENOSPC;
	} else {
		io_truncate(io, bdev_bytes(b) - (u64)from);
		n = direct_transfer(b, io, true);
	}
	if (n > 0 && (io->flags & IO_DSYNC)) {
		int err = bdev_sync(f->private_data, from, from + n - 1);

		if (err)
			return err;
	}
	return n;
}

static s64 bdev_lseek(struct file *f, s64 offset, int whence)
{
	s64 size = (s64)bdev_bytes(file_bdev(f)), pos;

	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		pos = f->pos + offset;
		break;
	case SEEK_END:
		pos = size + offset;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0 || pos > size)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

static int bdev_mmap(struct file *f, struct vm_map_args *a)
{
	a->object = &bdev_cache(file_bdev(f))->object;
	return 0;
}

// ---- ioctls ----

enum block_ioctl : u32 { // <linux/fs.h>, <linux/hdreg.h>
	BLKROSET = 0x125d,
	BLKROGET = 0x125e,
	BLKRRPART = 0x125f,
	BLKGETSIZE = 0x1260,
	BLKFLSBUF = 0x1261,
	BLKRASET = 0x1262,
	BLKRAGET = 0x1263,
	BLKSSZGET = 0x1268,
	BLKBSZGET = 0x80081270,
	BLKBSZSET = 0x40081271,
	BLKGETSIZE64 = 0x80081272,
	BLKDISCARD = 0x1277,
	BLKIOMIN = 0x1278,
	BLKIOOPT = 0x1279,
	BLKALIGNOFF = 0x127a,
	BLKPBSZGET = 0x127b,
	BLKDISCARDZEROES = 0x127c,
	BLKSECDISCARD = 0x127d,
	BLKROTATIONAL = 0x127e,
	BLKZEROOUT = 0x127f,
	HDIO_GETGEO = 0x0301,
};

// A range that a program named, in bytes, for discarding or zeroing.
static int range_get(const struct bdev *b, u64 arg, u64 *sector, u64 *n)
{
	u64 range[2], end;

	if (copy_from_user(range, user_ptr(const void, arg), sizeof(range)))
		return -EFAULT;
	if ((range[0] | range[1]) % disk_limits(b->disk)->logical_block ||
	    __builtin_add_overflow(range[0], range[1], &end) || end > bdev_bytes(b))
		return -EINVAL;
	*sector = range[0] / BLOCK_SECTOR;
	*n = range[1] / BLOCK_SECTOR;
	return 0;
}

static int range_execute(struct bdev *b, enum block_op op, u64 sector, u64 n, u32 max)
{
	u64 first = sector * BLOCK_SECTOR >> PAGE_SHIFT,
	    last = ((sector + n) * BLOCK_SECTOR - 1) >> PAGE_SHIFT;
	// What is dirty beside the range in its first and last page must not be lost with them.
	int err = cache_clear(bdev_cache(b), first, last);

	while (n && !err) {
		struct block_request r = {.op = op, .sector = b->start + sector, .bdev = b};

		r.nsectors = (u32)min(n, (u64)max);
		err = disk_execute(b->disk, &r);
		sector += r.nsectors;
		n -= r.nsectors;
		if (signal_fatal_pending())
			err = err ?: -EINTR;
	}
	cache_invalidate(b, first, last); // what was read meanwhile
	return err;
}

// Without help of the device: pages of zeroes are written through the cache.
static int zeroes_write(struct bdev *b, u64 sector, u64 n)
{
	struct cache *c = bdev_cache(b);
	u64 pos = sector * BLOCK_SECTOR, end = pos + n * BLOCK_SECTOR;

	while (pos < end) {
		u32 off = (u32)(pos & (PAGE_SIZE - 1)), len = (u32)min(PAGE_SIZE - off, end - pos);
		struct page *p;
		int err = cache_page_get(c, pos >> PAGE_SHIFT, 1, &p);

		if (err)
			return err;
		memset((u8 *)page_ptr(p) + off, 0, len);
		err = cache_page_dirty(c, pos >> PAGE_SHIFT, p);
		page_put(p);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;
		pos += len;
		cache_write_throttle(c);
	}
	return cache_write(c, 0, ~0ull);
}

static long range_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct bdev *b = file_bdev(f);
	const struct block_limits *l = disk_limits(b->disk);
	u64 sector, n;
	int err;

	if (!(f->mode & FILE_WRITE))
		return -EBADF;
	if (l->flags & BLOCK_READ_ONLY)
		return -EPERM;
	if (cmd == BLKDISCARD && !l->max_discard_sectors)
		return -EOPNOTSUPP;
	err = range_get(b, arg, &sector, &n);
	if (err || !n)
		return err;
	if (cmd == BLKDISCARD)
		return range_execute(b, BLOCK_DISCARD, sector, n, l->max_discard_sectors);
	if (l->max_write_zeroes_sectors)
		return range_execute(b, BLOCK_WRITE_ZEROES, sector, n, l->max_write_zeroes_sectors);
	return zeroes_write(b, sector, n);
}

static long flush_ioctl(struct file *f)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	int err = bdev_sync(f->private_data, 0, INT64_MAX);

	cache_invalidate(file_bdev(f), 0, ~0ull);
	return err;
}

static long geometry_ioctl(const struct bdev *b, u64 arg)
{
	struct {
		u8 heads, sectors;
		u16 cylinders;
		u64 start;
	} geometry = {.heads = 16, .sectors = 63, .start = b->start};

	geometry.cylinders = (u16)min(load_once(&b->sectors) / (16 * 63), 0xffffull);
	return copy_to_user(user_ptr(void, arg), &geometry, sizeof(geometry));
}

static long bdev_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct bdev *b = file_bdev(f);
	const struct block_limits *l = disk_limits(b->disk);
	u64 sectors = load_once(&b->sectors);

	switch (cmd) {
	case BLKGETSIZE64:
		return put_user(sectors * BLOCK_SECTOR, user_ptr(u64, arg));
	case BLKGETSIZE:
		return put_user(sectors, user_ptr(u64, arg));
	case BLKSSZGET:
		return put_user(l->logical_block, user_ptr(u32, arg));
	case BLKPBSZGET:
	case BLKIOMIN:
		return put_user(l->physical_block, user_ptr(u32, arg));
	case BLKBSZGET:
		return put_user((u32)PAGE_SIZE, user_ptr(u32, arg));
	case BLKBSZSET: {
		u32 size;

		if (get_user(size, user_ptr(const u32, arg)))
			return -EFAULT;
		return capable(CAP_SYS_ADMIN) ? (size >= l->logical_block && size <= PAGE_SIZE &&
								 is_power_of_two(size)
							 ? 0
							 : -EINVAL)
					      : -EACCES;
	}
	case BLKROGET:
		return put_user(l->flags & BLOCK_READ_ONLY ? 1u : 0u, user_ptr(u32, arg));
	case BLKIOOPT:
	case BLKALIGNOFF:
	case BLKDISCARDZEROES:
		return put_user(0u, user_ptr(u32, arg));
	case BLKROTATIONAL:
		return put_user((u16)0, user_ptr(u16, arg));
	case BLKRAGET:
		return put_user(AHEAD_MAX * (PAGE_SIZE / BLOCK_SECTOR), user_ptr(u64, arg));
	case BLKFLSBUF:
		return flush_ioctl(f);
	case BLKRRPART:
		return !capable(CAP_SYS_ADMIN) ? -EACCES
		       : b->partition	       ? -EINVAL
					       : disk_rescan(b->disk);
	case BLKDISCARD:
	case BLKZEROOUT:
		return range_ioctl(f, cmd, arg);
	case BLKSECDISCARD:
		return -EOPNOTSUPP;
	case HDIO_GETGEO:
		return geometry_ioctl(b, arg);
	default:
		return -ENOTTY;
	}
}

// ---- opening ----

static int bdev_open(struct inode *inode, struct file *f)
{
	struct bdev *b = bdev_find(dev_major(inode->rdev), dev_minor(inode->rdev));

	if (!b || (b->partition && !load_once(&b->sectors)))
		return -ENXIO;
	if ((f->mode & FILE_WRITE) && (disk_limits(b->disk)->flags & BLOCK_READ_ONLY))
		return -EROFS;
	struct bdev_file *bf = kzalloc(sizeof(*bf));

	if (!bf)
		return -ENOMEM;
	bf->bdev = b;
	bf->errors_seen = load_once(&bdev_cache(b)->errors);
	mutex_lock(&b->disk->partitions_lock);
	if (!b->opens++ && xchg(&b->stale, false))
		cache_invalidate(b, 0, ~0ull);
	mutex_unlock(&b->disk->partitions_lock);
	f->private_data = bf;
	return 0;
}

static void bdev_release(struct file *f)
{
	struct bdev *b = file_bdev(f);

	mutex_lock(&b->disk->partitions_lock);
	bool last = !--b->opens;

	mutex_unlock(&b->disk->partitions_lock);
	if (last) // as Linux does: what was written is on its way when nobody has it open
		(void)cache_write(bdev_cache(b), 0, ~0ull);
	kfree(f->private_data);
}

const struct file_ops bdev_file_ops = {
	.open = bdev_open,
	.release = bdev_release,
	.read = bdev_read,
	.write = bdev_write,
	.lseek = bdev_lseek,
	.ioctl = bdev_ioctl,
	.mmap = bdev_mmap,
	.fsync = bdev_fsync,
};
