// SPDX-License-Identifier: MIT
// timerfd.c: timerfd_create(2): timers that are read and polled. Privileged.
//
// The kernel's timer runs on the monotonic clock. A timer on the realtime clock is converted when
// it is set; a step of that clock afterwards does not move it. Missed periods are counted when
// somebody looks: only the first expiry of each look costs an interrupt.
#include "abi/linux/epoll.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/time.h"
#include "base/fmt.h"
#include "core/slab.h"
#include "core/time.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/syscalls.h"

struct timerfd {
	spinlock_t lock; // LOCK_eventfd, interrupts off: all below but the queue
	struct timer timer;
	u64 expires_ns;	 // monotonic, of the next expiry; 0: not set
	u64 interval_ns; // 0: once
	u64 ticks;	 // expiries that were not read; read racily
	int clock;	 // immutable
	int flags;	 // of the last setting
	struct wait_queue wait;
};

static const struct file_ops timerfd_ops;

static void timerfd_expired(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	bool due = false;

	spin_lock(&t->lock); // interrupts are off
	if (t->expires_ns && clock_monotonic_ns() >= t->expires_ns) {
		due = true;
		store_once(&t->ticks, t->ticks + 1);
		t->expires_ns = t->interval_ns ? t->expires_ns + t->interval_ns : 0;
		// A periodic timer goes on by itself only until somebody looks again: ticks_update
		// starts it then.
	}
	spin_unlock(&t->lock);
	if (due)
		wait_queue_wake(&t->wait, ~0u, POLLIN | POLLRDNORM);
}

// Counts the periods that have passed since the last look, and starts the timer for the next one.
// Lock held.
static void ticks_update_locked(struct timerfd *t)
{
	u64 now = clock_monotonic_ns();

	if (!t->expires_ns || !t->interval_ns)
		return;
	if (now >= t->expires_ns) {
		u64 n = (now - t->expires_ns) / t->interval_ns + 1;
		store_once(&t->ticks, t->ticks + n);
		t->expires_ns += n * t->interval_ns;
	}
}

static u64 ticks_take(struct timerfd *t)
{
	irqflags_t flags = spin_lock_irqsave(&t->lock);

	if (t->ticks)
		ticks_update_locked(t);
	u64 n = t->ticks;
	store_once(&t->ticks, 0);
	u64 next = n && t->interval_ns ? t->expires_ns : 0;
	if (next)
		timer_start(&t->timer, next);
	spin_unlock_irqrestore(&t->lock, flags);
	return n;
}

static ssize_t timerfd_read(struct file *f, struct io *io)
{
	struct timerfd *t = f->private_data;
	u64 n;

	if (io->left < sizeof(n))
		return -EINVAL;
	n = ticks_take(t);
	if (!n) {
		if (io->flags & IO_NONBLOCK)
			return -EAGAIN;
		int r = wait_event_interruptible(&t->wait, (n = ticks_take(t)) != 0);
		if (r)
			return r;
	}
	return io_copy_to(io, &n, sizeof(n)) == sizeof(n) ? (ssize_t)sizeof(n) : -EFAULT;
}

static u32 timerfd_poll(struct file *f, struct poll_table *table)
{
	struct timerfd *t = f->private_data;

	poll_wait(f, &t->wait, table);
	return load_once(&t->ticks) ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private_data;

	timer_cancel_sync(&t->timer);
	kfree(t);
}

static int timerfd_fdinfo(struct file *f, char *buf, size_t cap)
{
	struct timerfd *t = f->private_data;
	return snprintf(buf, cap, "clockid: %d\nticks: %llu\nsettime flags: 0%o\n", t->clock,
			load_once(&t->ticks), t->flags);
}

static const struct file_ops timerfd_ops = {
	.release = timerfd_release,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.fdinfo = timerfd_fdinfo,
};

static bool is_realtime(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

SYSCALL(timerfd_create, int clock, int flags)
{
	if (flags & ~(TFD_NONBLOCK | TFD_CLOEXEC))
		return -EINVAL;
	if (!is_realtime(clock) && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !capable(CAP_WAKE_ALARM))
		return -EPERM;
	struct timerfd *t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	spin_lock_init(&t->lock, LOCK_eventfd);
	timer_init(&t->timer, timerfd_expired);
	wait_queue_init(&t->wait);
	t->clock = clock;
	struct file *f =
		pseudo_file_create("[timerfd]", &timerfd_ops, t, O_RDWR | (flags & TFD_NONBLOCK));
	if (is_err(f)) {
		kfree(t);
		return ptr_err(f);
	}
	return fd_install_new(f, flags & TFD_CLOEXEC);
}

static bool to_ns(const struct linux_timespec *t, u64 *out)
{
	if (t->sec < 0 || t->nsec < 0 || t->nsec >= (s64)NSEC_PER_SEC)
		return false;
	*out = t->sec > 9'000'000'000 ? 9'000'000'000 * NSEC_PER_SEC
				      : (u64)t->sec * NSEC_PER_SEC + (u64)t->nsec;
	return true;
}

static struct linux_timespec from_ns(u64 ns)
{
	return (struct linux_timespec){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC)};
}

static void current_value_locked(struct timerfd *t, struct linux_itimerspec *out)
{
	u64 now = clock_monotonic_ns();

	if (t->ticks)
		ticks_update_locked(t);
	u64 left = !t->expires_ns ? 0 : t->expires_ns > now ? t->expires_ns - now : 1;
	*out = (struct linux_itimerspec){from_ns(t->interval_ns), from_ns(left)};
}

// The monotonic time of a setting; 0: switched off.
static u64 expiry(const struct timerfd *t, u64 value, int flags)
{
	u64 now = clock_monotonic_ns();

	if (!value)
		return 0;
	if (!(flags & TFD_TIMER_ABSTIME))
		return now + value;
	if (!is_realtime(t->clock))
		return value;
	u64 real = clock_realtime_ns();
	return value > real ? now + (value - real) : max(now, 1ull);
}

static void set(struct timerfd *t, u64 value, u64 interval, int flags, struct linux_itimerspec *old)
{
	timer_cancel_sync(&t->timer);
	irqflags_t irq = spin_lock_irqsave(&t->lock);
	current_value_locked(t, old);
	t->expires_ns = expiry(t, value, flags);
	t->interval_ns = interval;
	t->flags = flags;
	store_once(&t->ticks, 0);
	if (t->expires_ns)
		timer_start(&t->timer, t->expires_ns);
	spin_unlock_irqrestore(&t->lock, irq);
}

static struct timerfd *timerfd_of(struct fdref ref)
{
	return !ref.file		       ? err_ptr(-EBADF)
	       : ref.file->ops != &timerfd_ops ? err_ptr(-EINVAL)
					       : ref.file->private_data;
}

SYSCALL(timerfd_settime, int fd, int flags, const struct linux_itimerspec __user *unew,
	struct linux_itimerspec __user *uold)
{
	struct linux_itimerspec new, old = {};
	u64 value, interval;

	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	if (copy_from_user(&new, unew, sizeof(new)))
		return -EFAULT;
	if (!to_ns(&new.value, &value) || !to_ns(&new.interval, &interval))
		return -EINVAL;
	struct fdref ref = fd_get(fd);
	struct timerfd *t = timerfd_of(ref);
	long r = ptr_err_or_zero(t);
	if (!r)
		set(t, value, interval, flags, &old);
	fd_put(ref);
	if (!r && uold && copy_to_user(uold, &old, sizeof(old)))
		r = -EFAULT;
	return r;
}

SYSCALL(timerfd_gettime, int fd, struct linux_itimerspec __user *uout)
{
	struct linux_itimerspec now;
	struct fdref ref = fd_get(fd);
	struct timerfd *t = timerfd_of(ref);
	long r = ptr_err_or_zero(t);

	if (!r) {
		irqflags_t irq = spin_lock_irqsave(&t->lock);
		current_value_locked(t, &now);
		spin_unlock_irqrestore(&t->lock, irq);
	}
	fd_put(ref);
	return r ? r : copy_to_user(uout, &now, sizeof(now));
}
