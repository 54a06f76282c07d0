// SPDX-License-Identifier: MIT
// pipe.c owns pipes and FIFOs. Privileged.
//
// A pipe is a ring of page buffers. A small write is appended to the last page if it fits as a
// whole (which keeps writes of up to PIPE_BUF bytes atomic), else it begins a new one. Emptied
// pages are kept, up to SPARE_PAGES, for the next writes.
//
// The pipe's mutex guards everything; it is not held while sleeping for room or data, but it is
// while copying from or to a program, which may fault. Readers and writers sleep exclusively: each
// wake-up lets one of them go on, and whoever leaves data or room behind wakes the next. Wake-ups
// are made only at the edges (empty to not empty, full to not full), after the mutex was released.
#include "linux/fs/fs_priv.h"
#include "abi/linux/ioctl.h"
#include "base/fmt.h"
#include "linux/poll.h"

constexpr u32 PIPE_SLOTS_DEFAULT = 16;
constexpr u32 PIPE_SIZE_MAX = 1 << 20; // without CAP_SYS_RESOURCE
constexpr u64 PIPE_SIZE_LIMIT = 1u << 31;
constexpr u32 SPARE_PAGES = 2;

struct pipe_buf {
	struct page *page;
	u32 offset, len;
};

struct pipe {
	mutex_t lock;		     // LOCK_pipe; guards all but the queues
	u32 head, tail;		     // slots written and read so far; head - tail are in use
	u32 nslots;		     // power of two
	u32 readers, writers;	     // open ends
	u32 opens_read, opens_write; // ever, for FIFOs waiting for the other side
	u32 nspare;
	u32 files; // references: the files, and the inode of a FIFO while in open
	struct pipe_buf *slots;
	struct page *spare[SPARE_PAGES];
	struct wait_queue read_wait, write_wait;
	struct pipe_buf first[PIPE_SLOTS_DEFAULT];
};

static struct slab_cache pipe_cache;

static bool pipe_empty(const struct pipe *p)
{
	return load_once(&p->head) == load_once(&p->tail);
}

static bool pipe_full(const struct pipe *p)
{
	return load_once(&p->head) - load_once(&p->tail) >= load_once(&p->nslots);
}

static struct pipe_buf *pipe_slot(struct pipe *p, u32 i)
{
	return &p->slots[i & (p->nslots - 1)];
}

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = slab_alloc(&pipe_cache);
	if (!p)
		return nullptr;
	mutex_init(&p->lock, LOCK_pipe);
	p->head = p->tail = 0;
	p->nslots = PIPE_SLOTS_DEFAULT;
	p->readers = p->writers = p->opens_read = p->opens_write = 0;
	p->nspare = 0;
	p->files = 0;
	p->slots = p->first;
	wait_queue_init(&p->read_wait);
	wait_queue_init(&p->write_wait);
	return p;
}

static void pipe_free(struct pipe *p)
{
	for (; p->tail != p->head; p->tail++)
		page_put(pipe_slot(p, p->tail)->page);
	while (p->nspare)
		page_put(p->spare[--p->nspare]);
	if (p->slots != p->first)
		kfree(p->slots);
	slab_free(&pipe_cache, p);
}

// ---- pages ----

static struct page *pipe_page_alloc(struct pipe *p)
{
	if (likely(p->nspare))
		return p->spare[--p->nspare];
	return page_alloc(0, OWNER_SHARED, 0);
}

static void pipe_page_free(struct pipe *p, struct page *page)
{
	if (likely(p->nspare < SPARE_PAGES && __atomic_load_n(&page->refs, __ATOMIC_RELAXED) == 1))
		p->spare[p->nspare++] = page;
	else
		page_put(page);
}

// ---- waking ----

static void wake_readers(struct pipe *p, bool all)
{
	smp_mb();
	if (wait_queue_active(&p->read_wait))
		wait_queue_wake_sync(&p->read_wait, all ? ~0u : 1,
				     POLLIN | POLLRDNORM | (all ? POLLHUP : 0));
}

static void wake_writers(struct pipe *p, bool all)
{
	smp_mb();
	if (wait_queue_active(&p->write_wait))
		wait_queue_wake_sync(&p->write_wait, all ? ~0u : 1,
				     POLLOUT | POLLWRNORM | (all ? POLLERR : 0));
}

// ---- reading ----

// Takes what is there into io. Bytes or -EFAULT. Lock held.
static ssize_t pipe_take(struct pipe *p, struct io *io)
{
	size_t done = 0;
	while (io->left && p->head != p->tail) {
		struct pipe_buf *b = pipe_slot(p, p->tail);
		u32 n = (u32)min((size_t)b->len, io->left);
		u32 moved = (u32)io_copy_to(io, (u8 *)page_ptr(b->page) + b->offset, n);
		b->offset += moved;
		b->len -= moved;
		done += moved;
		if (!b->len) {
			pipe_page_free(p, b->page);
			store_once(&p->tail, p->tail + 1);
		}
		if (unlikely(moved < n))
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

// Waits until there is data or no writer. Lock held on entry and exit. 1: data, 0: end of file, or
// an error.
static int pipe_wait_data_locked(struct pipe *p, bool nonblock)
{
	while (pipe_empty(p)) {
		if (!p->writers)
			return 0;
		if (nonblock)
			return -EAGAIN;
		mutex_unlock(&p->lock);
		int err = wait_event_interruptible_exclusive(
			&p->read_wait, !pipe_empty(p) || !load_once(&p->writers));
		mutex_lock(&p->lock);
		if (err)
			return err;
	}
	return 1;
}

static ssize_t pipe_read_io(struct pipe *p, struct io *io)
{
	if (unlikely(!io->left))
		return 0;
	mutex_lock(&p->lock);
	bool slept = pipe_empty(p);
	ssize_t n = pipe_wait_data_locked(p, io->flags & IO_NONBLOCK);
	bool was_full = false;
	if (likely(n > 0)) {
		was_full = pipe_full(p);
		n = pipe_take(p, io);
	}
	bool room = was_full && !pipe_full(p);
	bool more = slept && !pipe_empty(p);
	mutex_unlock(&p->lock);
	if (room)
		wake_writers(p, false);
	if (more) // we were the one woken for it; else it would be a false edge for epoll
		wake_readers(p, false);
	return n;
}

static ssize_t pipe_read(struct file *f, struct io *io)
{
	return pipe_read_io(f->private_data, io);
}

// ---- writing ----

// Appends to the last page what fits there as a whole. Bytes or -EFAULT.
static ssize_t pipe_append(struct pipe *p, struct io *io, size_t tail_bytes)
{
	if (pipe_empty(p))
		return 0;
	struct pipe_buf *b = pipe_slot(p, p->head - 1);
	if (b->offset + b->len + tail_bytes > PAGE_SIZE ||
	    __atomic_load_n(&b->page->refs, __ATOMIC_RELAXED) != 1)
		return 0;
	size_t moved = io_copy_from(io, (u8 *)page_ptr(b->page) + b->offset + b->len, tail_bytes);
	if (unlikely(moved != tail_bytes))
		return -EFAULT;
	b->len += (u32)moved;
	return (ssize_t)moved;
}

// Fills new pages while there is room. Bytes, -EFAULT or -ENOMEM when none.
static ssize_t pipe_put_pages(struct pipe *p, struct io *io)
{
	size_t done = 0;
	while (io->left && !pipe_full(p)) {
		struct page *page = pipe_page_alloc(p);
		if (unlikely(!page))
			return done ? (ssize_t)done : -ENOMEM;
		size_t want = min(io->left, (size_t)PAGE_SIZE);
		size_t moved = io_copy_from(io, page_ptr(page), want);
		if (unlikely(!moved)) {
			pipe_page_free(p, page);
			return done ? (ssize_t)done : -EFAULT;
		}
		*pipe_slot(p, p->head) = (struct pipe_buf){.page = page, .len = (u32)moved};
		store_once(&p->head, p->head + 1);
		done += moved;
		if (unlikely(moved < want))
			break;
	}
	return (ssize_t)done;
}

static int pipe_wait_room_locked(struct pipe *p, bool nonblock)
{
	while (pipe_full(p)) {
		if (!p->readers)
			return -EPIPE;
		if (nonblock)
			return -EAGAIN;
		mutex_unlock(&p->lock);
		int err = wait_event_interruptible_exclusive(
			&p->write_wait, !pipe_full(p) || !load_once(&p->readers));
		mutex_lock(&p->lock);
		if (err)
			return err;
	}
	return p->readers ? 0 : -EPIPE;
}

static ssize_t pipe_write_io(struct pipe *p, struct io *io)
{
	size_t total = io->left, done = 0;
	bool was_empty = false;
	ssize_t err = 0;
	if (unlikely(!total))
		return 0;
	mutex_lock(&p->lock);
	if (unlikely(!p->readers)) {
		err = -EPIPE;
		goto out;
	}
	was_empty = pipe_empty(p);
	size_t tail_bytes = total & (PAGE_SIZE - 1);
	if (tail_bytes && !was_empty) {
		err = pipe_append(p, io, tail_bytes);
		if (err > 0)
			done = (size_t)err;
	}
	while (err >= 0 && io->left) {
		err = pipe_wait_room_locked(p, io->flags & IO_NONBLOCK);
		if (err)
			break;
		was_empty |= pipe_empty(p);
		err = pipe_put_pages(p, io);
		if (err > 0)
			done += (size_t)err;
		else if (!err)
			break;
		if (!io->left || !pipe_full(p))
			continue;
		// Room ran out: the reader must see what is there before we sleep.
		if (was_empty) {
			mutex_unlock(&p->lock);
			wake_readers(p, false);
			mutex_lock(&p->lock);
			was_empty = false;
		}
	}
out:;
	bool room = !pipe_full(p);
	mutex_unlock(&p->lock);
	if (was_empty && done)
		wake_readers(p, false);
	if (room && wait_queue_active(&p->write_wait)) // another writer may go on
		wake_writers(p, false);
	if (unlikely(err == -EPIPE))
		signal_self(SIGPIPE);
	return done ? (ssize_t)done : err;
}

static ssize_t pipe_write(struct file *f, struct io *io)
{
	return pipe_write_io(f->private_data, io);
}

// ---- poll, ioctl, sizes ----

static __always_inline u32 pipe_events(const struct file *f, const struct pipe *p)
{
	u32 ev = 0;
	if (f->mode & FILE_READ) {
		if (!pipe_empty(p))
			ev |= POLLIN | POLLRDNORM;
		// A FIFO opened without a writer yet has not hung up.
		if (!load_once(&p->writers) && (u64)f->pos != load_once(&p->opens_write))
			ev |= POLLHUP;
	}
	if (f->mode & FILE_WRITE) {
		if (!pipe_full(p))
			ev |= POLLOUT | POLLWRNORM;
		if (!load_once(&p->readers))
			ev |= POLLERR;
	}
	return ev;
}

static __noinline void pipe_poll_wait(struct file *f, struct pipe *p, struct poll_table *table)
{
	if (f->mode & FILE_READ)
		poll_wait(f, &p->read_wait, table);
	if (f->mode & FILE_WRITE)
		poll_wait(f, &p->write_wait, table);
}

static u32 pipe_poll(struct file *f, struct poll_table *table)
{
	struct pipe *p = f->private_data;
	if (table)
		pipe_poll_wait(f, p, table);
	return pipe_events(f, p);
}

static long pipe_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pipe *p = f->private_data;
	if (cmd != FIONREAD)
		return -ENOTTY;
	u32 bytes = 0;
	mutex_lock(&p->lock);
	for (u32 i = p->tail; i != p->head; i++)
		bytes += pipe_slot(p, i)->len;
	mutex_unlock(&p->lock);
	return put_user((s32)bytes, user_ptr(s32, arg));
}

struct pipe *file_pipe(struct file *f)
{
	return f->ops == &pipe_ops ? f->private_data : nullptr;
}

long pipe_get_size(struct file *f)
{
	struct pipe *p = file_pipe(f);
	return p ? (long)(load_once(&p->nslots) * PAGE_SIZE) : -EBADF;
}

long pipe_set_size(struct file *f, u64 size)
{
	struct pipe *p = file_pipe(f);
	if (!p)
		return -EBADF;
	if (!size || size > PIPE_SIZE_LIMIT)
		return -EINVAL;
	u64 rounded = round_up_pow2(max(size, PAGE_SIZE));
	if (rounded > PIPE_SIZE_MAX && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	u32 n = (u32)(rounded / PAGE_SIZE);
	struct pipe_buf *slots = kcalloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	mutex_lock(&p->lock);
	u32 used = p->head - p->tail;
	if (used > n) {
		mutex_unlock(&p->lock);
		kfree(slots);
		return -EBUSY;
	}
	for (u32 i = 0; i < used; i++)
		slots[i] = *pipe_slot(p, p->tail + i);
	struct pipe_buf *old = p->slots;
	p->slots = slots;
	p->nslots = n;
	p->tail = 0;
	p->head = used;
	mutex_unlock(&p->lock);
	if (old != p->first)
		kfree(old);
	wake_writers(p, true);
	return (long)rounded;
}

// ---- ends ----

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private_data;
	struct inode *i = f->inode;
	mutex_lock(&i->lock); // openers of a FIFO find the pipe under it
	mutex_lock(&p->lock);
	if (f->mode & FILE_READ)
		store_once(&p->readers, p->readers - 1);
	if (f->mode & FILE_WRITE)
		store_once(&p->writers, p->writers - 1);
	bool last = !--p->files;
	bool no_readers = !p->readers, no_writers = !p->writers;
	mutex_unlock(&p->lock);
	if (last)
		i->special = nullptr;
	else if (no_writers)
		wake_readers(p, true);
	if (!last && no_readers)
		wake_writers(p, true);
	mutex_unlock(&i->lock);
	if (last)
		pipe_free(p);
}

void pipe_free_inode(struct inode *inode)
{
	assert(!inode->special); // the last file's release has taken it
}

// ---- FIFOs ----

// The inode's pipe with one more reference.
static struct pipe *fifo_pipe_get(struct inode *i)
{
	mutex_lock(&i->lock);
	struct pipe *p = i->special;
	if (!p)
		p = i->special = pipe_alloc();
	if (p) {
		mutex_lock(&p->lock);
		p->files++;
		mutex_unlock(&p->lock);
	}
	mutex_unlock(&i->lock);
	return p;
}

static int fifo_open(struct inode *inode, struct file *f)
{
	struct pipe *p = fifo_pipe_get(inode);
	int err = 0;
	if (!p)
		return -ENOMEM;
	bool nonblock = f->flags & O_NONBLOCK;
	// One of pipe(2), by its name in /proc/PID/fd: who wants to open the other end has done so.
	bool meets = !(inode->sb->flags & SB_KERNEL);
	u32 acc = f->mode & (FILE_READ | FILE_WRITE);
	f->ops = &pipe_ops;
	f->private_data = p;
	f->mode |= FILE_STREAM;
	mutex_lock(&p->lock);
	if (acc & FILE_READ) {
		store_once(&p->readers, p->readers + 1);
		store_once(&p->opens_read, p->opens_read + 1);
	}
	if ((acc & FILE_WRITE) && !(acc == FILE_WRITE && meets && nonblock && !p->readers)) {
		store_once(&p->writers, p->writers + 1);
		store_once(&p->opens_write, p->opens_write + 1);
	} else if (acc & FILE_WRITE) {
		err = -ENXIO;
		acc = 0;
	}
	u32 seen_write = p->opens_write, seen_read = p->opens_read;
	bool wait_writer = meets && acc == FILE_READ && !p->writers && !nonblock;
	bool wait_reader = meets && acc == FILE_WRITE && !p->readers;
	f->pos = meets && acc == FILE_READ && !p->writers
			 ? seen_write
			 : -1; // for poll: no hang-up before the first writer
	mutex_unlock(&p->lock);
	if (acc & FILE_READ)
		wake_writers(p, true);
	if (acc & FILE_WRITE)
		wake_readers(p, true);
	if (wait_writer)
		err = wait_event_interruptible(&p->read_wait,
					       load_once(&p->opens_write) != seen_write);
	else if (wait_reader)
		err = wait_event_interruptible(&p->write_wait,
					       load_once(&p->opens_read) != seen_read);
	if (err) {
		f->mode = (f->mode & ~(u32)(FILE_READ | FILE_WRITE)) | acc;
		pipe_release(f);
		return err;
	}
	if (wait_writer)
		f->pos = -1;
	return 0;
}

const struct file_ops pipe_ops = {
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
};
const struct file_ops fifo_ops = {.open = fifo_open};

// ---- pipe(2) ----

int pipe_create_files(struct file *out[2], int flags)
{
	struct path path;
	struct pipe *p = pipe_alloc();
	if (!p)
		return -ENOMEM;
	int err = pseudo_path_create("pipe", S_IFIFO | 0600, &fifo_ops, &path);
	if (err) {
		pipe_free(p);
		return err;
	}
	path.dentry->inode->special = p;
	p->files = 2;
	p->readers = p->writers = p->opens_read = p->opens_write = 1;
	u32 fl = (u32)flags & (O_NONBLOCK | O_DIRECT);
	path_get(&path);
	struct file *r = file_create_on(&path, &pipe_ops, FILE_READ | FILE_STREAM, O_RDONLY | fl);
	if (is_err(r)) {
		path.dentry->inode->special = nullptr;
		path_put(&path);
		pipe_free(p);
		return ptr_err(r);
	}
	r->private_data = p;
	r->pos = -1;
	struct file *w = file_create_on(&path, &pipe_ops, FILE_WRITE | FILE_STREAM, O_WRONLY | fl);
	if (is_err(w)) {
		p->files = 1; // only r's
		p->writers = 0;
		file_put(r);
		return ptr_err(w);
	}
	w->private_data = p;
	out[0] = r;
	out[1] = w;
	return 0;
}

static long make_pipe(s32 __user *fds, int flags)
{
	struct file *f[2];
	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	int err = pipe_create_files(f, flags);
	if (err)
		return err;
	int a = fd_alloc(0, flags), b = a < 0 ? a : fd_alloc(0, flags);
	err = b < 0 ? b : 0;
	if (!err)
		err = put_user((u64)(u32)a | (u64)(u32)b << 32, (u64 __user *)(void __user *)fds);
	if (!err) {
		fd_install(a, f[0]);
		fd_install(b, f[1]);
		return 0;
	}
	if (a >= 0)
		fd_cancel(a);
	if (b >= 0)
		fd_cancel(b);
	file_put(f[0]);
	file_put(f[1]);
	return err;
}

SYSCALL(pipe, s32 __user *fds)
{
	return make_pipe(fds, 0);
}

SYSCALL(pipe2, s32 __user *fds, int flags)
{
	return make_pipe(fds, flags);
}

// ---- splicing ----

int pipe_wait_data(struct pipe *p, bool nonblock)
{
	mutex_lock(&p->lock);
	int r = pipe_wait_data_locked(p, nonblock);
	mutex_unlock(&p->lock);
	return r;
}

ssize_t pipe_drain(struct pipe *p, size_t len, bool nonblock, bool keep,
		   ssize_t (*take)(void *ctx, const void *data, size_t len), void *ctx)
{
	size_t done = 0;
	mutex_lock(&p->lock);
	ssize_t r = pipe_wait_data_locked(p, nonblock);
	bool was_full = pipe_full(p);
	u32 i = p->tail;
	while (r > 0 && done < len && i != p->head) {
		// The consumer may sleep and take other pipes' locks: it gets a counted page
		// without ours.
		struct pipe_buf *b = pipe_slot(p, i);
		struct page *page = b->page;
		size_t n = min((size_t)b->len, len - done);
		page_get(page);
		const u8 *data = (u8 *)page_ptr(page) + b->offset;
		if (!keep) {
			b->offset += (u32)n;
			b->len -= (u32)n;
			if (!b->len) {
				pipe_page_free(p, page);
				store_once(&p->tail, p->tail + 1);
			}
			i = p->tail;
		} else {
			i++;
		}
		mutex_unlock(&p->lock);
		r = take(ctx, data, n);
		page_put(page);
		if (r > 0)
			done += (size_t)r;
		mutex_lock(&p->lock);
		if (keep && (s32)(i - p->tail) < 0)
			break; // others read on meanwhile
		if (r > 0 && (size_t)r < n)
			break;
	}
	bool room = was_full && !pipe_full(p);
	mutex_unlock(&p->lock);
	if (room)
		wake_writers(p, false);
	return done ? (ssize_t)done : r;
}

ssize_t pipe_fill(struct pipe *p, size_t len, bool nonblock,
		  ssize_t (*give)(void *ctx, void *buf, size_t len), void *ctx)
{
	size_t done = 0;
	ssize_t r = 0;
	while (done < len) {
		mutex_lock(&p->lock);
		r = done && pipe_full(p) ? -EAGAIN : pipe_wait_room_locked(p, nonblock);
		mutex_unlock(&p->lock);
		if (r)
			break;
		struct page *page = page_alloc(0, OWNER_SHARED, 0);
		r = page ? give(ctx, page_ptr(page), min(len - done, (size_t)PAGE_SIZE)) : -ENOMEM;
		if (r <= 0) {
			if (page)
				page_put(page);
			break;
		}
		mutex_lock(&p->lock);
		ssize_t room = pipe_wait_room_locked(p, false); // somebody may have been faster
		if (!room) {
			*pipe_slot(p, p->head) = (struct pipe_buf){.page = page, .len = (u32)r};
			store_once(&p->head, p->head + 1);
			done += (size_t)r;
		}
		mutex_unlock(&p->lock);
		if (room) {
			page_put(page);
			r = room;
			break;
		}
		wake_readers(p, false);
		if ((size_t)r < PAGE_SIZE)
			break;
	}
	if (r == -EPIPE)
		signal_self(SIGPIPE);
	return done ? (ssize_t)done : r;
}

void pipe_init(void)
{
	slab_cache_init(&pipe_cache, "pipe", sizeof(struct pipe), 64);
}
