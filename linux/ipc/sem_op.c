// SPDX-License-Identifier: MIT
// sem_op.c: semop(2) and semtimedop(2): operations on a set, all of them or none. Privileged.
//
// Who cannot go on lies in the set's list with the operations that are wanted. Whoever changes a
// value does for them, in the order in which they came, what has become possible, and wakes them
// when it is done: a value cannot be snatched from one that waits by one that comes later and the
// waiter be told that it had its turn. A waiter lies on its thread's stack and is gone as soon as
// its status is set: who sets it holds the thread, and wakes that. So a woken thread need not wait
// for the lock that its waker still has.
#include "abi/linux/time.h"
#include "core/time.h"
#include "linux/ipc/sem.h"

constexpr u32 OPS_FAST = 32;

static void undo_first(struct sem_set *s, const struct sembuf *ops, u32 n, struct sem_undo *u)
{
	while (n--) {
		s->sems[ops[n].num].value -= ops[n].op;
		if (ops[n].flags & SEM_UNDO)
			u->adjust[ops[n].num] = (s16)(u->adjust[ops[n].num] + ops[n].op);
	}
}

// One operation: 0, WAITER_SLEEPS when it has to wait, -ERANGE.
static int do_one(struct sem_set *s, const struct sembuf *op, struct sem_undo *u)
{
	s32 *value = &s->sems[op->num].value, result = *value + op->op;
	if (op->op == 0)
		return *value ? WAITER_SLEEPS : 0;
	if (result < 0)
		return WAITER_SLEEPS;
	if (result > SEMVMX)
		return -ERANGE;
	if (op->flags & SEM_UNDO) {
		s32 adjust = u->adjust[op->num] - op->op;
		if (adjust < -SEMVMX - 1 || adjust > SEMVMX)
			return -ERANGE;
		u->adjust[op->num] = (s16)adjust;
	}
	*value = result;
	return 0;
}

// All: 0; WAITER_SLEEPS or an error: nothing has changed.
static int try_all(struct sem_set *s, struct sem_waiter *w)
{
	for (u32 i = 0; i < w->n; i++) {
		int r = do_one(s, &w->ops[i], w->undo);
		if (!r)
			continue;
		undo_first(s, w->ops, i, w->undo);
		w->blocking = i;
		return r == WAITER_SLEEPS && (w->ops[i].flags & IPC_NOWAIT) ? -EAGAIN : r;
	}
	for (u32 i = 0; i < w->n; i++)
		s->sems[w->ops[i].num].pid = w->pid;
	s->otime = ipc_now();
	return 0;
}

static void waiter_done(struct sem_waiter *w, int status)
{
	struct thread *t = w->thread;
	thread_get(t);
	list_del(&w->link);
	store_release(&w->status, status);
	thread_wake(t);
	thread_put(t);
}

void sem_wake_waiters(struct sem_set *s)
{
	struct sem_waiter *w, *next;
	bool again;
	do {
		again = false;
		list_for_each_entry_safe(w, next, &s->waiters, link) {
			int r = try_all(s, w);
			if (r == WAITER_SLEEPS)
				continue;
			bool altered = !r && w->alters; // w is gone with the next line
			waiter_done(w, r);
			if (altered) { // those before may go on now
				again = true;
				break;
			}
		}
	} while (again);
}

void sem_end_waiters(struct sem_set *s)
{
	struct sem_waiter *w, *next;
	list_for_each_entry_safe(w, next, &s->waiters, link)
		waiter_done(w, -EIDRM);
}

// Until somebody did it for us; -EINTR, -EAGAIN: this long nobody has.
static int sleep_until_done(const struct sem_waiter *w, u64 deadline_ns)
{
	int r = 0;
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (load_acquire(&w->status) != WAITER_SLEEPS)
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -EINTR;
			break;
		}
		if (deadline_ns == ~0ull) {
			schedule();
		} else if (!schedule_until(deadline_ns)) {
			r = -EAGAIN;
			break;
		}
	}
	thread_finish_sleep();
	return r;
}

static int wait_turn(struct sem_set *s, struct sem_waiter *w, u64 deadline_ns)
{
	int r = sleep_until_done(w, deadline_ns);
	if (load_acquire(&w->status) != WAITER_SLEEPS)
		return w->status;
	mutex_lock(&s->lock);
	if (w->status == WAITER_SLEEPS)
		list_del(&w->link);
	else
		r = w->status;
	mutex_unlock(&s->lock);
	return r;
}

// WAITER_SLEEPS: it is in the list.
static int operate_locked(struct sem_set *s, struct sem_waiter *w, bool undo)
{
	if (s->removed)
		return -EIDRM;
	if (undo) {
		w->undo = sem_undo_of(s);
		if (is_err(w->undo))
			return ptr_err(w->undo);
	}
	int r = try_all(s, w);
	if (!r && w->alters)
		sem_wake_waiters(s);
	if (r == WAITER_SLEEPS) {
		w->status = WAITER_SLEEPS;
		list_add_tail(&s->waiters, &w->link);
	}
	return r;
}

static long operate(s32 id, const struct sembuf *ops, u32 n, u64 deadline_ns)
{
	struct sem_waiter w = {.ops = ops, .n = n, .thread = current(), .pid = (s32)current_pid()};
	bool undo = false;
	u32 last = 0;
	for (u32 i = 0; i < n; i++) {
		last = max(last, (u32)ops[i].num);
		w.alters |= ops[i].op != 0;
		undo |= ops[i].flags & SEM_UNDO;
	}
	struct sem_set *s = sem_set_get(id, w.alters ? 0222 : 0444);
	if (is_err(s))
		return ptr_err(s);
	long r = -EFBIG;
	if (last < s->nsems) {
		mutex_lock(&s->lock);
		r = operate_locked(s, &w, undo);
		mutex_unlock(&s->lock);
		if (r == WAITER_SLEEPS)
			r = wait_turn(s, &w, deadline_ns);
	}
	sem_set_put(s);
	return r;
}

static int deadline_from_user(const struct linux_timespec __user *utime, u64 *deadline_ns)
{
	struct linux_timespec t;
	u64 ns;
	*deadline_ns = ~0ull;
	if (!utime)
		return 0;
	if (copy_from_user(&t, utime, sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.nsec < 0 || t.nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	if (!__builtin_mul_overflow((u64)t.sec, NSEC_PER_SEC, &ns) &&
	    !__builtin_add_overflow(ns, (u64)t.nsec + clock_monotonic_ns(), &ns))
		*deadline_ns = ns;
	return 0;
}

SYSCALL(semtimedop, s32 id, const struct sembuf __user *uops, u32 n,
	const struct linux_timespec __user *utime)
{
	struct sembuf fast[OPS_FAST], *ops = fast;
	u64 deadline_ns;
	if (n < 1 || id < 0)
		return -EINVAL;
	if (n > load_once(&sem_max_ops))
		return -E2BIG;
	if (n > OPS_FAST)
		ops = kcalloc(n, sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	long r = copy_from_user(ops, uops, n * sizeof(*ops));
	if (!r)
		r = deadline_from_user(utime, &deadline_ns);
	if (!r)
		r = operate(id, ops, n, deadline_ns);
	if (ops != fast)
		kfree(ops);
	return r;
}

SYSCALL(semop, s32 id, const struct sembuf __user *uops, u32 n)
{
	return sys_semtimedop(id, uops, n, nullptr);
}
