// SPDX-License-Identifier: MIT
// rwlock.c: sleeping locks for many readers or one writer. Privileged.
//
// The state word: RW_WRITER, or the number of readers; RW_WAITERS while threads are in l->waiters.
// While RW_WAITERS is set the fast paths take nothing, so a waiting writer is not starved by new
// readers, and whoever brings the rest of the word to 0 comes here. RW_WAITERS changes only under
// l->lock.
//
// The lock is handed over: under l->lock grant_locked() makes the first waiter the holder (a writer
// alone, readers all up to the next writer) and wakes it. A woken thread therefore holds the lock
// already. Order is first come, first served.
#include "linux/rwlock.h"
#include "base/errno.h"
#include "core/panic.h"
#include "core/thread.h"
#include <arch/cpu.h>

constexpr u32 READERS = RW_WAITERS - 1;
constexpr u32 SPIN_TURNS = 200;

struct rwlock_waiter {
	struct list link; // rwlock.lock
	struct thread *thread;
	bool writer;
	bool granted; // rwlock.lock
};

void rwlock_init(rwlock_t *l, enum lock_class cls)
{
	l->state = 0;
	l->writer = nullptr;
	spin_lock_init(&l->lock, LOCK_wait_queue);
	list_init(&l->waiters);
	l->cls = cls;
}

// A waiter's frame, and the waiter, stay until it has seen `granted` under l->lock.
static void grant_one(rwlock_t *l, struct rwlock_waiter *w)
{
	list_del(&w->link);
	w->granted = true;
	if (list_empty(&l->waiters))
		__atomic_fetch_and(&l->state, ~RW_WAITERS, __ATOMIC_RELAXED);
	thread_wake(w->thread);
}

// l->lock held. Gives the lock to those at the head of the queue who may have it now. While
// RW_WAITERS is set the holders can only become fewer behind our back, so what may be granted may
// still be granted a moment later.
static void grant_locked(rwlock_t *l)
{
	while (!list_empty(&l->waiters)) {
		struct rwlock_waiter *w = list_first_entry(&l->waiters, struct rwlock_waiter, link);
		u32 state = __atomic_load_n(&l->state, __ATOMIC_ACQUIRE);

		if (state & RW_WRITER)
			return;
		if (w->writer) {
			if (state & READERS)
				return;
			__atomic_fetch_or(&l->state, RW_WRITER, __ATOMIC_ACQUIRE);
			store_once(&l->writer, w->thread);
			grant_one(l, w);
			return;
		}
		__atomic_fetch_add(&l->state, 1, __ATOMIC_ACQUIRE);
		grant_one(l, w);
	}
}

// While the holder is a writer on another CPU that will be done soon.
static bool spin_for_writer(rwlock_t *l, bool write)
{
	for (u32 i = 0; i < SPIN_TURNS; i++) {
		if (write ? write_try_fast(l) : read_try_fast(l))
			return true;
		struct thread *writer = load_once(&l->writer);
		// A stale pointer is harmless here, see core/sync/mutex.c.
		if ((load_once(&l->state) & RW_WAITERS) || !writer || !load_once(&writer->on_cpu))
			return false;
		cpu_relax();
	}
	return false;
}

static int wait_for_grant(rwlock_t *l, bool write, u32 thread_state)
{
	struct rwlock_waiter w = {.thread = current(), .writer = write};
	irqflags_t flags;
	int err = 0;

	if (spin_for_writer(l, write))
		return 0;
	flags = spin_lock_irqsave(&l->lock);
	list_add_tail(&l->waiters, &w.link);
	__atomic_fetch_or(&l->state, RW_WAITERS, __ATOMIC_SEQ_CST);
	ATOMIC_FENCE_AFTER();
	grant_locked(l); // the holder may have left before it could see that we wait
	while (!w.granted) {
		thread_prepare_sleep(thread_state);
		if (thread_interrupt_pending(thread_state)) { // asked after the state is set: a
							      // kill from here on wakes us
			list_del(&w.link);
			if (list_empty(&l->waiters))
				__atomic_fetch_and(&l->state, ~RW_WAITERS, __ATOMIC_RELAXED);
			grant_locked(l); // readers behind us waited only for us
			err = -EINTR;
			break;
		}
		spin_unlock_irqrestore(&l->lock, flags);
		schedule();
		flags = spin_lock_irqsave(&l->lock);
	}
	thread_finish_sleep();
	spin_unlock_irqrestore(&l->lock, flags);
	return err;
}

void read_lock_slow(rwlock_t *l)
{
	(void)wait_for_grant(l, false, THREAD_UNINTERRUPTIBLE);
}

int write_lock_slow(rwlock_t *l, u32 thread_state)
{
	return wait_for_grant(l, true, thread_state);
}

void rwlock_unlock_slow(rwlock_t *l)
{
	irqflags_t flags = spin_lock_irqsave(&l->lock);

	grant_locked(l);
	spin_unlock_irqrestore(&l->lock, flags);
}

void write_downgrade(rwlock_t *l)
{
	assert(load_once(&l->writer) == current());
	store_once(&l->writer, nullptr);
	if (__atomic_sub_fetch(&l->state, RW_WRITER - 1, __ATOMIC_RELEASE) & RW_WAITERS)
		rwlock_unlock_slow(l);
}

#if CONFIG_DEBUG
#define CALLER ((uintptr_t)__builtin_return_address(0))
static inline void check(rwlock_t *l, uintptr_t ip)
{
	lockcheck_acquire(l, l->cls, false, ip);
}

void read_lock(rwlock_t *l)
{
	check(l, CALLER);
	if (!read_try_fast(l))
		read_lock_slow(l);
}

bool read_trylock(rwlock_t *l)
{
	if (!read_try_fast(l))
		return false;
	lockcheck_acquired_try(l, l->cls, CALLER);
	return true;
}

void read_unlock(rwlock_t *l)
{
	assert(load_once(&l->state) & READERS);
	lockcheck_release(l, l->cls);
	read_unlock_fast(l);
}

void write_unlock(rwlock_t *l)
{
	assert(load_once(&l->writer) == current());
	lockcheck_release(l, l->cls);
	write_unlock_fast(l);
}
#else
#define CALLER			  ((uintptr_t)0)
#define lockcheck_release(l, cls) ((void)0)
static inline void check(rwlock_t *, uintptr_t)
{
}
#endif

void write_lock(rwlock_t *l)
{
	check(l, CALLER);
	if (!write_try_fast(l))
		(void)write_lock_slow(l, THREAD_UNINTERRUPTIBLE);
}

int write_lock_killable(rwlock_t *l)
{
	int err;

	check(l, CALLER);
	if (write_try_fast(l))
		return 0;
	err = write_lock_slow(l, THREAD_KILLABLE);
	if (err)
		lockcheck_release(l, l->cls);
	return err;
}
