// SPDX-License-Identifier: MIT
// mutex.c: sleeping locks for one holder. Privileged.
//
// The owner word holds everything that the fast paths need: 0 is free; a thread's address is held;
// bit 0 says that threads are in m->waiters, so the unlocker must take the slow path. Bit 0 changes
// only under m->lock; the address changes by compare-exchange from free, or under m->lock by
// hand-off.
//
// A thread that finds the mutex held first spins while the holder is on another CPU, for a short
// time: most sections are shorter than a switch. Then it queues up, first come, first served. An
// unlock frees the mutex and wakes the first waiter, which has to compete with threads that come by
// (they take it without a switch: that is what keeps a contended mutex fast). A waiter that lost
// once asks for hand-off: the next unlock makes it the owner. So nobody waits for more than one
// turn at the head of the queue.
//
// Lifetime: m->lock is taken in the unlock's slow path after a waiter may have got the mutex only
// by hand-off or wake-up under that same lock; whoever frees the object that holds a mutex must
// therefore make sure, as by a reference, that no unlock is still running.
#include "base/errno.h"
#include "core/lock.h"
#include "core/panic.h"
#include "core/thread.h"
#include <arch/cpu.h>

constexpr uintptr_t WAITERS = 1;
constexpr u32 SPIN_TURNS = 200;

struct mutex_waiter {
	struct list link; // mutex.lock
	struct thread *thread;
	bool wants_handoff; // mutex.lock
};

static struct thread *owner_thread(uintptr_t owner)
{
	return (struct thread *)(owner & ~WAITERS);
}

void mutex_init(mutex_t *m, enum lock_class cls)
{
	m->owner = 0;
	spin_lock_init(&m->lock, LOCK_wait_queue);
	list_init(&m->waiters);
	m->cls = cls;
}

// Takes it when no thread owns it, whoever waits. Keeps bit 0.
static bool try_take(mutex_t *m)
{
	uintptr_t owner = load_once(&m->owner);

	while (!owner_thread(owner))
		if (__atomic_compare_exchange_n(&m->owner, &owner, (uintptr_t)current() | owner,
						false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

static bool spin_for_owner(mutex_t *m)
{
	for (u32 i = 0; i < SPIN_TURNS; i++) {
		struct thread *owner = owner_thread(load_once(&m->owner));

		if (!owner) {
			if (try_take(m))
				return true;
			continue;
		}
		// The owner may exit meanwhile. Threads lie in slab memory, which stays readable,
		// and a stale answer only means that we spin or sleep wrongly once.
		if (!load_once(&owner->on_cpu))
			return false;
		cpu_relax();
	}
	return false;
}

// m->lock held. The last waiter takes bit 0 away with it.
static void leave_queue(mutex_t *m, struct mutex_waiter *w)
{
	list_del(&w->link);
	if (list_empty(&m->waiters))
		__atomic_fetch_and(&m->owner, ~WAITERS, __ATOMIC_RELAXED);
}

static int lock_slow(mutex_t *m, u32 state)
{
	struct mutex_waiter w = {.thread = current()};
	irqflags_t flags;
	int err = 0;

	if (spin_for_owner(m))
		return 0;
	flags = spin_lock_irqsave(&m->lock);
	list_add_tail(&m->waiters, &w.link);
	__atomic_fetch_or(&m->owner, WAITERS, __ATOMIC_RELAXED);
	for (;;) {
		if (owner_thread(load_once(&m->owner)) == w.thread || try_take(m))
			break;
		thread_prepare_sleep(state);
		if (thread_interrupt_pending(
			    state)) { // asked after the state is set: a kill from here on wakes us
			err = -EINTR;
			break;
		}
		spin_unlock_irqrestore(&m->lock, flags);
		schedule();
		flags = spin_lock_irqsave(&m->lock);
		w.wants_handoff = true;
	}
	thread_finish_sleep();
	leave_queue(m, &w);
	spin_unlock_irqrestore(&m->lock, flags);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return err;
}

void mutex_lock_slow(mutex_t *m)
{
	(void)lock_slow(m, THREAD_UNINTERRUPTIBLE);
}

int mutex_lock_slow_killable(mutex_t *m)
{
	return lock_slow(m, THREAD_KILLABLE);
}

void mutex_unlock_slow(mutex_t *m)
{
	irqflags_t flags = spin_lock_irqsave(&m->lock);
	struct mutex_waiter *w = list_first_entry_or_null(&m->waiters, struct mutex_waiter, link);
	uintptr_t next = w ? (w->wants_handoff ? (uintptr_t)w->thread : 0) | WAITERS : 0;

	assert(owner_thread(load_once(&m->owner)) == current());
	store_release(&m->owner, next);
	if (w)
		thread_wake(w->thread); // it cannot leave the queue, and its frame, before we drop
					// the lock
	spin_unlock_irqrestore(&m->lock, flags);
}

#if CONFIG_DEBUG
static void lock_checked(mutex_t *m, bool nested, uintptr_t ip)
{
	lockcheck_acquire(m, m->cls, nested, ip);
	if (!mutex_try_fast(m))
		mutex_lock_slow(m);
}

void mutex_lock(mutex_t *m)
{
	lock_checked(m, false, (uintptr_t)__builtin_return_address(0));
}

void mutex_lock_nested(mutex_t *m)
{
	lock_checked(m, true, (uintptr_t)__builtin_return_address(0));
}

bool mutex_trylock(mutex_t *m)
{
	if (!mutex_try_fast(m))
		return false;
	lockcheck_acquired_try(m, m->cls, (uintptr_t)__builtin_return_address(0));
	return true;
}

int mutex_lock_killable(mutex_t *m)
{
	int err = 0;

	lockcheck_acquire(m, m->cls, false, (uintptr_t)__builtin_return_address(0));
	if (!mutex_try_fast(m))
		err = mutex_lock_slow_killable(m);
	if (err)
		lockcheck_release(m, m->cls);
	return err;
}

void mutex_unlock(mutex_t *m)
{
	lockcheck_release(m, m->cls);
	mutex_unlock_fast(m);
}
#else
void mutex_lock_nested(mutex_t *m)
{
	mutex_lock(m);
}
#endif
