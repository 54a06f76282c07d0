// SPDX-License-Identifier: MIT
// work.c: deferred work: one queue, and a few kernel threads that run what is in it. Privileged.
//
// A piece of work is idle, queued (on the list), running (a worker's `running` names it), or queued
// and running when it was queued again meanwhile; a worker passes over work that another worker is
// running. Once fn was called the worker does not touch the work again, which may be freed by then;
// `running` is compared, never followed.
//
// All workers are equal. An idle worker takes itself off the list of idle ones, or is taken off by
// who wakes it; last come, first woken: its stack is the warmest. Work that sleeps holds other work
// up only when as many sleep at once as there are workers; work that waits for other work has to be
// made another way.
#include "core/work.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/thread.h"
#include "core/wait.h"

#include "base/fmt.h"

constexpr u32 WORKERS = 4;

static struct worker {
	struct thread *thread; // immutable once started
	struct work *running;  // queue_lock
	struct list idle_link; // queue_lock; in `idle` while it may sleep
} workers[WORKERS];

static spinlock_t queue_lock = SPINLOCK_INIT(LOCK_work_queue);
static struct list queue = LIST_INIT(queue); // queue_lock
static struct list idle = LIST_INIT(idle);   // queue_lock
static struct wait_queue flushers = WAIT_QUEUE_INIT(flushers);

void work_init(struct work *w, void (*fn)(struct work *))
{
	list_init(&w->link);
	w->fn = fn;
	w->queued = false;
}

bool work_queue(struct work *w)
{
	irqflags_t flags = spin_lock_irqsave(&queue_lock);
	bool added = !w->queued;

	if (added) {
		w->queued = true;
		list_add_tail(&queue, &w->link);
		if (!list_empty(&idle)) {
			struct worker *worker = list_first_entry(&idle, struct worker, idle_link);

			list_del_init(&worker->idle_link);
			thread_wake(worker->thread);
		}
	}
	spin_unlock_irqrestore(&queue_lock, flags);
	return added;
}

// queue_lock held.
static bool is_running(const struct work *w)
{
	for (u32 i = 0; i < WORKERS; i++)
		if (workers[i].running == w)
			return true;
	return false;
}

// queue_lock held. The first piece that nobody is running.
static struct work *take_locked(void)
{
	struct work *w;

	list_for_each_entry(w, &queue, link) {
		if (is_running(w))
			continue;
		list_del_init(&w->link);
		w->queued = false;
		return w;
	}
	return nullptr;
}

static void worker_main(void *arg)
{
	struct worker *self = arg;
	irqflags_t flags = spin_lock_irqsave(&queue_lock);

	for (;;) {
		struct work *w = take_locked();

		if (!w) {
			list_add_head(&idle, &self->idle_link);
			thread_prepare_sleep(THREAD_UNINTERRUPTIBLE);
			spin_unlock_irqrestore(&queue_lock, flags);
			schedule();
			thread_finish_sleep();
			flags = spin_lock_irqsave(&queue_lock);
			if (!list_empty(&self->idle_link)) // woken by nobody in particular
				list_del_init(&self->idle_link);
			continue;
		}
		self->running = w;
		spin_unlock_irqrestore(&queue_lock, flags);
		w->fn(w);
		flags = spin_lock_irqsave(&queue_lock);
		self->running = nullptr;
		if (unlikely(wait_queue_active(&flushers))) {
			spin_unlock_irqrestore(&queue_lock, flags);
			wake_all(&flushers);
			flags = spin_lock_irqsave(&queue_lock);
		}
	}
}

static bool is_done(const struct work *w)
{
	irqflags_t flags = spin_lock_irqsave(&queue_lock);
	bool done = !w->queued && !is_running(w);

	spin_unlock_irqrestore(&queue_lock, flags);
	return done;
}

void work_flush(struct work *w)
{
	assert(workers[0].thread);
	wait_event(&flushers, is_done(w));
}

static void delayed_work_due(struct timer *t)
{
	work_queue(&container_of(t, struct delayed_work, timer)->work);
}

void delayed_work_init(struct delayed_work *w, void (*fn)(struct work *))
{
	work_init(&w->work, fn);
	timer_init(&w->timer, delayed_work_due);
}

void delayed_work_start(struct delayed_work *w, u64 delay_ns)
{
	timer_start(&w->timer, clock_monotonic_ns() + delay_ns);
}

static void dequeue(struct work *w)
{
	irqflags_t flags = spin_lock_irqsave(&queue_lock);
	bool was_queued = w->queued;

	if (was_queued) {
		list_del_init(&w->link);
		w->queued = false;
	}
	spin_unlock_irqrestore(&queue_lock, flags);
	if (was_queued)
		wake_all(&flushers);
}

void delayed_work_cancel(struct delayed_work *w)
{
	// fn may have started it again while we waited for it.
	do {
		timer_cancel_sync(&w->timer);
		dequeue(&w->work);
		work_flush(&w->work);
	} while (timer_cancel(&w->timer) || !is_done(&w->work));
}

void work_init_all(void)
{
	for (u32 i = 0; i < WORKERS; i++) {
		char name[16];

		scnprintf(name, sizeof(name), "worker/%u", i);
		list_init(&workers[i].idle_link);
		workers[i].thread = kthread_create(worker_main, &workers[i], name);
		if (!workers[i].thread)
			panic("no memory for the threads of deferred work");
	}
	for (u32 i = 0; i < WORKERS; i++)
		thread_start(workers[i].thread);
}
