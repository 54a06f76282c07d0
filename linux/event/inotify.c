// SPDX-License-Identifier: MIT
// inotify.c: inotify(7): instances, their queues of events, and the calls. Privileged.
//
// A program makes an instance (a file) and puts watches into it, each on one inode. The file layer
// calls the hooks of linux/notify.h; for each watch that wants the event, a copy is queued in the
// watch's instance, to be read in order. An event equal to the last one in the queue is not queued
// again. A queue that is full ends with one IN_Q_OVERFLOW and takes nothing more until it was read;
// so it does when memory is out, or when all queues together hold more than their part of memory.
//
// A watch lies in two places: in its instance by number (the instance's lock) and on its inode's
// list (the watch lock, inotify_watch.c). It ends by inotify_rm_watch, by the instance's end, by
// the inode's end (last name and last user gone), by unmounting, or by its first event
// (IN_ONESHOT). Whoever takes it out of its instance ends it: it unlinks it from the inode, queues
// IN_IGNORED and drops the references. An event is queued with the watch lock held, so none comes
// after IN_IGNORED.
//
// Locks: inotify.change (sleeping: adding and removing), then the watch lock, then the instance's,
// then the wait queue's. References: a file and each of its watches count the instance, a watch
// counts its inode. Nothing here fails but by memory and limits, which programs see as Linux's
// errors.
#include "linux/event/inotify_priv.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/ioctl.h"
#include "base/string.h"
#include "core/init.h"
#include "core/page.h"
#include "core/slab.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/syscalls.h"

u32 inotify_max_instances = 128, inotify_max_events = 16384;

// What all queues hold, in bytes of kernel memory, and how much that may be.
static atomic_u64 queued_bytes;
static u64 queued_limit; // immutable after init

static u32 name_size(u32 len) // as read: padded with at least one zero
{
	return len ? (u32)align_up(len + 1, sizeof(struct inotify_event)) : 0;
}

static u64 event_size(const struct inotify_queued *e)
{
	return sizeof(struct inotify_event) + name_size(e->len);
}

// ---- the queue ----

static void event_free(struct inotify *n, struct inotify_queued *e)
{
	if (e == &n->overflow)
		return;
	atomic_sub(&queued_bytes, sizeof(*e) + e->len);
	kfree(e);
}

static void append_locked(struct inotify *n, struct inotify_queued *e)
{
	list_add_tail(&n->events, &e->link);
	n->nevents++;
	n->bytes += event_size(e);
}

static struct inotify_queued *take_locked(struct inotify *n)
{
	struct inotify_queued *e = list_first_entry(&n->events, struct inotify_queued, link);
	list_del(&e->link);
	n->nevents--;
	n->bytes -= event_size(e);
	if (e == &n->overflow)
		n->overflowed = false;
	return e;
}

// IN_IGNORED is never told twice, and never left out.
static bool repeats_last_locked(struct inotify *n, s32 wd, const struct notify_event *e)
{
	if (list_empty(&n->events) || e->mask & IN_IGNORED)
		return false;
	struct inotify_queued *last = list_last_entry(&n->events, struct inotify_queued, link);
	return last->wd == wd && last->mask == e->mask && last->len == e->len &&
	       !memcmp(last->name, e->name ? e->name : "", e->len);
}

static struct inotify_queued *event_make(s32 wd, const struct notify_event *e)
{
	size_t size = sizeof(struct inotify_queued) + e->len;
	if (atomic_add_return(&queued_bytes, size) > queued_limit) {
		atomic_sub(&queued_bytes, size);
		return nullptr;
	}
	struct inotify_queued *q = kmalloc(size);
	if (!q) {
		atomic_sub(&queued_bytes, size);
		return nullptr;
	}
	*q = (struct inotify_queued){.wd = wd, .mask = e->mask, .cookie = e->cookie, .len = e->len};
	memcpy(q->name, e->name ? e->name : "", e->len);
	return q;
}

// true: there is something new to read.
static bool queue_locked(struct inotify *n, s32 wd, const struct notify_event *e)
{
	if (repeats_last_locked(n, wd, e))
		return false;
	struct inotify_queued *q =
		n->nevents < n->max_events && !n->overflowed ? event_make(wd, e) : nullptr;
	if (!q) {
		if (n->overflowed)
			return false;
		n->overflowed = true;
		q = &n->overflow;
	}
	append_locked(n, q);
	return true;
}

void inotify_queue(struct inotify *n, s32 wd, const struct notify_event *e)
{
	spin_lock(&n->lock);
	bool added = queue_locked(n, wd, e);
	spin_unlock(&n->lock);
	if (added)
		wait_queue_wake(&n->wait, ~0u, POLLIN | POLLRDNORM);
}

// ---- reading ----

static bool any_event(struct inotify *n)
{
	return !list_empty(&n->events);
}

// The next event when it fits into room bytes; nullptr: none, or err_ptr(-EINVAL): too long.
static struct inotify_queued *event_take(struct inotify *n, size_t room)
{
	struct inotify_queued *e = nullptr;
	spin_lock(&n->lock);
	if (any_event(n)) {
		e = list_first_entry(&n->events, struct inotify_queued, link);
		e = event_size(e) > room ? err_ptr(-EINVAL) : take_locked(n);
	}
	spin_unlock(&n->lock);
	return e;
}

static ssize_t event_copy(struct inotify_queued *e, struct io *io)
{
	struct inotify_event out = {
		.wd = e->wd, .mask = e->mask, .cookie = e->cookie, .len = name_size(e->len)};
	u32 pad = out.len - e->len;
	if (io_copy_to(io, &out, sizeof(out)) != sizeof(out) ||
	    io_copy_to(io, e->name, e->len) != e->len || io_clear(io, pad) != pad)
		return -EFAULT;
	return (ssize_t)event_size(e);
}

static ssize_t inotify_read(struct file *f, struct io *io)
{
	struct inotify *n = f->private_data;
	size_t done = 0;
	for (;;) {
		struct inotify_queued *e = event_take(n, io->left);
		if (is_err(e))
			return done ? (ssize_t)done : ptr_err(e);
		if (e) {
			ssize_t size = event_copy(e, io);
			event_free(n, e);
			if (size < 0)
				return size; // the event is lost, as on Linux
			done += (size_t)size;
			continue;
		}
		if (done)
			return (ssize_t)done;
		if (io->flags & IO_NONBLOCK)
			return -EAGAIN;
		int r = wait_event_interruptible(&n->wait, any_event(n));
		if (r)
			return r;
	}
}

static u32 inotify_poll(struct file *f, struct poll_table *table)
{
	struct inotify *n = f->private_data;
	poll_wait(f, &n->wait, table);
	return any_event(n) ? POLLIN | POLLRDNORM : 0;
}

static long inotify_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct inotify *n = f->private_data;
	if (cmd != FIONREAD)
		return -ENOTTY;
	spin_lock(&n->lock);
	u64 bytes = n->bytes;
	spin_unlock(&n->lock);
	return put_user((s32)min(bytes, (u64)INT32_MAX), user_ptr(s32, arg));
}

// ---- instances ----

void inotify_put(struct inotify *n)
{
	if (!refcount_dec_and_test(&n->refs))
		return;
	while (any_event(n))
		event_free(n, take_locked(n)); // nobody else knows it
	atomic_dec(&n->cred->user->inotify_instances);
	cred_put(n->cred);
	kfree(n);
}

static void inotify_release(struct file *f)
{
	struct inotify *n = f->private_data;
	inotify_watches_drop(n);
	inotify_put(n);
}

static int inotify_fdinfo(struct file *f, char *buf, size_t cap)
{
	return inotify_watches_show(f->private_data, buf, cap);
}

static const struct file_ops inotify_ops = {
	.release = inotify_release,
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.fdinfo = inotify_fdinfo,
};

static struct inotify *inotify_make(void)
{
	struct inotify *n = kzalloc(sizeof(*n));
	if (!n)
		return nullptr;
	refcount_set(&n->refs, 1);
	n->cred = cred_get(current_cred());
	n->max_events = load_once(&inotify_max_events);
	mutex_init(&n->change, LOCK_module_misc);
	spin_lock_init(&n->lock, LOCK_inotify);
	list_init(&n->events);
	wait_queue_init(&n->wait);
	n->overflow = (struct inotify_queued){.wd = -1, .mask = IN_Q_OVERFLOW};
	return n;
}

static long inotify_create(int flags)
{
	if (flags & ~(IN_NONBLOCK | IN_CLOEXEC))
		return -EINVAL;
	atomic_s64 *count = &current_cred()->user->inotify_instances;
	if (atomic_add_return(count, 1) > (s64)load_once(&inotify_max_instances)) {
		atomic_dec(count);
		return -EMFILE;
	}
	struct inotify *n = inotify_make();
	if (!n) {
		atomic_dec(count);
		return -ENOMEM;
	}
	struct file *f =
		pseudo_file_create("inotify", &inotify_ops, n, O_RDONLY | (flags & IN_NONBLOCK));
	if (is_err(f)) {
		inotify_put(n);
		return ptr_err(f);
	}
	return fd_install_new(f, flags & IN_CLOEXEC);
}

SYSCALL(inotify_init)
{
	return inotify_create(0);
}

SYSCALL(inotify_init1, int flags)
{
	return inotify_create(flags);
}

// ---- watches ----

static long watch_path(struct inotify *n, const char __user *name, u32 mask)
{
	struct path p;
	u32 lookup = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	long r = path_lookup_user(AT_FDCWD, name, lookup, &p);
	if (r)
		return r;
	r = inode_permission(p.dentry->inode, MAY_READ);
	if (!r) {
		mutex_lock(&n->change);
		r = inotify_watch_add(n, p.dentry->inode, mask);
		mutex_unlock(&n->change);
	}
	path_put(&p);
	return r;
}

SYSCALL(inotify_add_watch, int fd, const char __user *name, u32 mask)
{
	if ((mask & ~IN_KNOWN) || !mask)
		return -EINVAL;
	struct fdref ref = fd_get(fd);
	long r;
	if (!ref.file)
		r = -EBADF;
	else if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
		r = -EINVAL;
	else if (ref.file->ops != &inotify_ops)
		r = -EINVAL;
	else
		r = watch_path(ref.file->private_data, name, mask);
	fd_put(ref);
	return r;
}

SYSCALL(inotify_rm_watch, int fd, s32 wd)
{
	struct fdref ref = fd_get(fd);
	long r = !ref.file ? -EBADF : -EINVAL;
	if (ref.file && ref.file->ops == &inotify_ops)
		r = inotify_watch_remove(ref.file->private_data, wd);
	fd_put(ref);
	return r;
}

static void inotify_init(void)
{
	u64 bytes = page_managed_count() * PAGE_SIZE;
	queued_limit = bytes / 16;
	// A hundredth of memory for watches and the inodes that they hold.
	inotify_max_watches =
		(u32)clamp(bytes / 100 / (sizeof(struct inotify_watch) + 2 * sizeof(struct inode)),
			   8192ull, 1048576ull);
}
INITCALL(3, inotify_init);
