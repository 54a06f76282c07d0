// SPDX-License-Identifier: MIT
// eventfd.c: eventfd(2): a counter that can be waited for. Privileged.
//
// The counter is changed by compare-and-exchange alone; the queue is looked at after a full barrier
// (core/wait.h).
#include "abi/linux/epoll.h"
#include "abi/linux/fcntl.h"
#include "base/fmt.h"
#include "core/slab.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/syscalls.h"

constexpr u64 COUNT_MAX = ~0ull - 1;

struct eventfd {
	u64 count;		// atomic
	bool semaphore;		// immutable
	u32 id;			// immutable; for /proc/PID/fdinfo
	struct wait_queue wait; // readers and writers
};

static atomic_u32 next_id;

// Takes the count, or one of it: 0 when there is none.
static u64 count_take(struct eventfd *e)
{
	u64 old = load_once(&e->count), n;

	do {
		if (!old)
			return 0;
		n = e->semaphore ? 1 : old;
	} while (!try_cmpxchg(&e->count, &old, old - n));
	return n;
}

static bool count_add(struct eventfd *e, u64 n)
{
	u64 old = load_once(&e->count);

	do {
		if (n > COUNT_MAX - old)
			return false;
	} while (!try_cmpxchg(&e->count, &old, old + n));
	return true;
}

static ssize_t eventfd_read(struct file *f, struct io *io)
{
	struct eventfd *e = f->private_data;
	u64 n;

	if (io->left < sizeof(n))
		return -EINVAL;
	n = count_take(e);
	if (!n) {
		if (io->flags & IO_NONBLOCK)
			return -EAGAIN;
		int r = wait_event_interruptible(&e->wait, (n = count_take(e)) != 0);
		if (r)
			return r;
	}
	wait_queue_wake_sync(&e->wait, ~0u, POLLOUT | POLLWRNORM);
	return io_copy_to(io, &n, sizeof(n)) == sizeof(n) ? (ssize_t)sizeof(n) : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct io *io)
{
	struct eventfd *e = f->private_data;
	u64 n;

	if (io->left < sizeof(n))
		return -EINVAL;
	if (io_copy_from(io, &n, sizeof(n)) != sizeof(n))
		return -EFAULT;
	if (n == ~0ull)
		return -EINVAL;
	if (!count_add(e, n)) {
		if (io->flags & IO_NONBLOCK)
			return -EAGAIN;
		int r = wait_event_interruptible(&e->wait, count_add(e, n));
		if (r)
			return r;
	}
	if (n)
		wait_queue_wake_sync(&e->wait, ~0u, POLLIN | POLLRDNORM);
	return sizeof(n);
}

static u32 eventfd_poll(struct file *f, struct poll_table *table)
{
	struct eventfd *e = f->private_data;

	poll_wait(f, &e->wait, table);
	u64 n = load_acquire(&e->count);
	return (n ? POLLIN | POLLRDNORM : 0) | (n < COUNT_MAX ? POLLOUT | POLLWRNORM : 0) |
	       (n == ~0ull ? POLLERR : 0);
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->private_data;

	wait_queue_wake(&e->wait, ~0u, POLLHUP);
	kfree(e);
}

static int eventfd_fdinfo(struct file *f, char *buf, size_t cap)
{
	struct eventfd *e = f->private_data;
	return snprintf(buf, cap, "eventfd-count: %16llx\neventfd-id: %u\neventfd-semaphore: %d\n",
			load_once(&e->count), e->id, e->semaphore);
}

static const struct file_ops eventfd_ops = {
	.release = eventfd_release,
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.fdinfo = eventfd_fdinfo,
};

static long eventfd_create(u32 count, int flags)
{
	if (flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC))
		return -EINVAL;
	struct eventfd *e = kmalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct eventfd){.count = count,
			      .semaphore = flags & EFD_SEMAPHORE,
			      .id = atomic_fetch_add(&next_id, 1)};
	wait_queue_init(&e->wait);
	struct file *f =
		pseudo_file_create("eventfd", &eventfd_ops, e, O_RDWR | (flags & EFD_NONBLOCK));
	if (is_err(f)) {
		kfree(e);
		return ptr_err(f);
	}
	f->mode |= FILE_STREAM;
	return fd_install_new(f, flags & EFD_CLOEXEC);
}

SYSCALL(eventfd, u32 count)
{
	return eventfd_create(count, 0);
}

SYSCALL(eventfd2, u32 count, int flags)
{
	return eventfd_create(count, flags);
}
