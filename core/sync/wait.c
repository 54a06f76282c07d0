// SPDX-License-Identifier: MIT
// wait.c: wait queues: who waits for what, and waking them. Privileged. core/wait.h says why no
// wake-up is lost.
//
// A thread's waiter lies in its stack frame. The waker wakes the thread first and takes the waiter
// off the queue last, with a store that a waiter on its way out checks without the lock
// (wait_queue_remove): once the link is empty, its frame may go. A waiter that goes on waiting
// instead asks under the queue's lock whether it is still queued (wait_queue_readd): without the
// lock it could take its place in the queue for granted just before the waker takes it away.
#include "core/wait.h"
#include "core/panic.h"

void wait_queue_init(struct wait_queue *q)
{
	spin_lock_init(&q->lock, LOCK_wait_queue);
	list_init(&q->waiters);
}

static void add_locked(struct wait_queue *q, struct waiter *w)
{
	if (w->exclusive)
		list_add_tail(&q->waiters, &w->link);
	else
		list_add_head(&q->waiters, &w->link);
}

void wait_queue_add(struct wait_queue *q, struct waiter *w)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);

	add_locked(q, w);
	spin_unlock_irqrestore(&q->lock, flags);
	if (w->fn)
		smp_mb();
}

void wait_queue_readd(struct wait_queue *q, struct waiter *w)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);

	if (list_empty(&w->link))
		add_locked(q, w);
	spin_unlock_irqrestore(&q->lock, flags);
}

bool wait_queue_remove_slow(struct wait_queue *q, struct waiter *w)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);
	bool queued = !list_empty(&w->link);

	list_del_init(&w->link);
	spin_unlock_irqrestore(&q->lock, flags);
	return queued;
}

// The store to link.next is the last access to w.
static void unlink_woken(struct waiter *w)
{
	w->link.next->prev = w->link.prev;
	WRITE_ONCE(w->link.prev->next, w->link.next);
	w->link.prev = &w->link;
	store_release(&w->link.next, &w->link);
}

void wait_queue_wake_slow(struct wait_queue *q, u32 n, u32 key, bool sync)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);
	struct waiter *w, *next;

	list_for_each_entry_safe(w, next, &q->waiters, link) {
		bool exclusive = w->exclusive, woken;

		if (exclusive && !n)
			break; // those behind are exclusive too
		if (w->fn) {
			woken = w->fn(w, key);
		} else {
			// One that was not asleep stays: it may be on its way from queueing up to
			// sleeping, and must not sleep unqueued.
			woken = sync ? thread_wake_sync(w->thread) : thread_wake(w->thread);
			if (woken)
				unlink_woken(w);
		}
		if (exclusive && woken)
			n--;
	}
	spin_unlock_irqrestore(&q->lock, flags);
}
