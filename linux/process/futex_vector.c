// SPDX-License-Identifier: MIT
// Owns futex_waitv(2): waiting until one of several words has changed.
//
// A thread has one ordinary waiter a word; whoever takes the first of them off its bucket wakes it,
// and the others are cancelled.
#include "core/slab.h"
#include "linux/process/futex_priv.h"
#include "linux/process/usage.h"

static int vector_read(const struct linux_futex_waitv __user *uv, u32 n, struct futex_waiter *w,
		       struct linux_futex_waitv *v)
{
	if (copy_from_user(v, uv, n * sizeof(*v)))
		return -EFAULT;
	for (u32 i = 0; i < n; i++) {
		if ((v[i].flags & ~(u32)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) ||
		    !(v[i].flags & FUTEX_32) || v[i].reserved)
			return -EINVAL;
		w[i] = (struct futex_waiter){.thread = current(), .bitset = ~0u};
	}
	for (u32 i = 0; i < n; i++) {
		int r = futex_key_get(user_ptr(u32, v[i].uaddr), v[i].flags & FUTEX_PRIVATE_FLAG,
				      &w[i].key);
		if (r)
			return r;
		w[i].bucket = futex_bucket_of(&w[i].key);
	}
	return 0;
}

// The last of n waiters that was woken, or -1; none of them is queued any more.
static int vector_cancel(struct futex_waiter *w, u32 n)
{
	int woken = -1;

	for (u32 i = 0; i < n; i++)
		if (!futex_waiter_cancel(&w[i]))
			woken = (int)i;
	return woken;
}

static bool vector_woken(struct futex_waiter *w, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (atomic_load_acquire(&w[i].woken))
			return true;
	return false;
}

static int vector_queue(struct futex_waiter *w, const struct linux_futex_waitv *v, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		int r = futex_waiter_queue(&w[i], user_ptr(u32, v[i].uaddr), (u32)v[i].val);
		if (r) {
			int woken = vector_cancel(w, i);
			return woken < 0 ? r : woken + 1;
		}
	}
	return 0;
}

static int vector_wait(struct futex_waiter *w, const struct linux_futex_waitv *v, u32 n,
		       u64 deadline)
{
	int r = vector_queue(w, v, n);

	if (r)
		return r < 0 ? r : r - 1;
	current()->wait_reason = "futex";
	while (!r) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (vector_woken(w, n))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			r = -ERESTARTSYS; // the time is absolute
		else if (!schedule_until(deadline))
			r = -ETIMEDOUT;
	}
	thread_finish_sleep();
	int woken = vector_cancel(w, n);
	return woken >= 0 ? woken : r;
}

SYSCALL(futex_waitv, const struct linux_futex_waitv __user *uv, u32 n, u32 flags,
	const struct linux_timespec __user *timeout, int clock)
{
	u64 deadline = ~0ull;

	if (flags || !n || n > FUTEX_WAITV_MAX || !uv)
		return -EINVAL;
	if (timeout) {
		if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
			return -EINVAL;
		int r = deadline_from_user(timeout, false, clock == CLOCK_REALTIME, &deadline);
		if (r)
			return r;
	}
	struct futex_waiter *w = kmalloc(n * (sizeof(*w) + sizeof(struct linux_futex_waitv)));
	if (!w)
		return -ENOMEM;
	struct linux_futex_waitv *v = (void *)(w + n);
	int r = vector_read(uv, n, w, v);
	if (!r)
		r = vector_wait(w, v, n, deadline);
	kfree(w);
	return r;
}
