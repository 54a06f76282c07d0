// SPDX-License-Identifier: MIT
// Wait queues. Privileged.
//
// A waiter is a thread or a callback (epoll, poll). wait_event* re-check their condition around
// each sleep, so a wake-up may be spurious.
#pragma once
#include "base/errno.h" // ERESTARTSYS
#include "base/atomic.h"
#include "base/errno.h"
#include "base/list.h"
#include "core/lock.h"
#include "core/thread.h"

struct wait_queue {
	spinlock_t lock; // LOCK_wait_queue
	struct list waiters;
};
#define WAIT_QUEUE_INIT(name) \
	((struct wait_queue){SPINLOCK_INIT(LOCK_wait_queue), {&(name).waiters, &(name).waiters}})

struct waiter {
	struct list link;      // queue's lock; list_empty when not queued
	struct thread *thread; // woken when fn is nullptr
	// Called with the queue's lock held and interrupts off; key is what the waker passed (poll
	// events; 0: anything). Returns true when this counts as the one exclusive wake-up.
	bool (*fn)(struct waiter *w, u32 key);
	// wake_one stops after one exclusive waiter. That one may have found its condition true
	// just before, by itself: who took one of several things by an exclusive wait calls
	// wake_one when there are more.
	bool exclusive;
};

void wait_queue_init(struct wait_queue *q);
void wait_queue_add(struct wait_queue *q,
		    struct waiter *w); // exclusive waiters queue up behind all others
void wait_queue_readd(
	struct wait_queue *q,
	struct waiter *w); // after a wake-up: as wait_queue_add unless it is still queued
bool wait_queue_remove_slow(struct wait_queue *q, struct waiter *w);
// Harmless when not queued. False: w was off the queue already (a waker has taken it off).
// Afterwards no waker touches w.
static inline bool wait_queue_remove(struct wait_queue *q, struct waiter *w)
{
	// The waker's last access to w is the store that makes the link empty.
	if (likely(load_acquire(&w->link.next) == &w->link))
		return false;
	return wait_queue_remove_slow(q, w);
}
static inline bool wait_queue_active(
	const struct wait_queue
		*q) // cheap; the caller has made its change visible (full barrier) before
{
	return READ_ONCE(q->waiters.next) != &q->waiters;
}

// Wake all non-exclusive waiters and up to n exclusive ones. Any context. key: poll events that
// became true, 0 for all. A thread that was asleep is taken off the queue; callbacks stay until
// they are removed.
//
// No wake-up is lost, though the queue is looked at without its lock: the waker changes what the
// condition reads, has a full barrier (here), and then looks at the queue; the waiter adds itself
// to the queue, has a full barrier (thread_prepare_sleep), and then looks at the condition. One of
// the two sees the other. A callback waiter (poll) owes the barrier between wait_queue_add and its
// look; wait_queue_add ends with one for that.
void wait_queue_wake_slow(struct wait_queue *q, u32 n, u32 key, bool sync);
static inline void wait_queue_wake(struct wait_queue *q, u32 n, u32 key)
{
	smp_mb();
	if (wait_queue_active(q))
		wait_queue_wake_slow(q, n, key, false);
}
static inline void wait_queue_wake_sync(struct wait_queue *q, u32 n,
					u32 key) // the caller is about to sleep
{
	smp_mb();
	if (wait_queue_active(q))
		wait_queue_wake_slow(q, n, key, true);
}
static inline void wake_all(struct wait_queue *q)
{
	wait_queue_wake(q, ~0u, 0);
}
static inline void wake_one(struct wait_queue *q)
{
	wait_queue_wake(q, 1, 0);
}

#define WAIT_EVENT_(q, cond, state, excl, deadline, intr_err)                                      \
	({                                                                                         \
		int we_r_ = 0;                                                                     \
		if (!(cond)) {                                                                     \
			struct waiter we_w_ = {.thread = current(), .exclusive = (excl)};          \
			list_init(&we_w_.link);                                                    \
			wait_queue_add((q), &we_w_);                                               \
			for (;;) {                                                                 \
				thread_prepare_sleep(state);                                       \
				if (cond)                                                          \
					break;                                                     \
				if (thread_interrupt_pending(state)) {                             \
					we_r_ = (intr_err);                                        \
					break;                                                     \
				}                                                                  \
				if ((deadline) == ~0ull) {                                         \
					schedule();                                                \
				} else if (!schedule_until(deadline)) {                            \
					we_r_ = (cond) ? 0 : -ETIMEDOUT;                           \
					break;                                                     \
				}                                                                  \
				wait_queue_readd((q), &we_w_);                                     \
			}                                                                          \
			thread_finish_sleep();                                                     \
			if (!wait_queue_remove((q), &we_w_) && (excl) && we_r_)                    \
				wake_one(q); /* the wake-up that we leave unused was meant for one \
					      */                                                   \
		}                                                                                  \
		we_r_;                                                                             \
	})

// cond is evaluated several times, without the queue's lock. deadline_ns: monotonic, ~0 for none.
#define wait_event(q, cond) ((void)WAIT_EVENT_(q, cond, THREAD_UNINTERRUPTIBLE, false, ~0ull, 0))
#define wait_event_exclusive(q, cond) \
	((void)WAIT_EVENT_(q, cond, THREAD_UNINTERRUPTIBLE, true, ~0ull, 0))
#define wait_event_interruptible(q, cond) \
	WAIT_EVENT_(q, cond, THREAD_INTERRUPTIBLE, false, ~0ull, -ERESTARTSYS)
#define wait_event_interruptible_exclusive(q, cond) \
	WAIT_EVENT_(q, cond, THREAD_INTERRUPTIBLE, true, ~0ull, -ERESTARTSYS)
#define wait_event_interruptible_until(q, cond, deadline_ns) \
	WAIT_EVENT_(q, cond, THREAD_INTERRUPTIBLE, false, deadline_ns, -ERESTARTSYS)
#define wait_event_until(q, cond, deadline_ns) \
	WAIT_EVENT_(q, cond, THREAD_UNINTERRUPTIBLE, false, deadline_ns, 0)
#define wait_event_killable_until(q, cond, deadline_ns) \
	WAIT_EVENT_(q, cond, THREAD_KILLABLE, false, deadline_ns, -EINTR)
#define wait_event_killable(q, cond) WAIT_EVENT_(q, cond, THREAD_KILLABLE, false, ~0ull, -EINTR)
