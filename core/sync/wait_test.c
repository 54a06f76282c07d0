// SPDX-License-Identifier: MIT
// wait_test.c: wait queues, RCU and deferred work.
#include "core/ktest.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/threads_test.h"
#include "core/work.h"

// ---- wait queues ----

static struct wait_queue queue = WAIT_QUEUE_INIT(queue);
static atomic_u32 tokens, taken;

static bool take_token(void)
{
	u32 n = atomic_load(&tokens);

	while (n)
		if (atomic_try_cmpxchg(&tokens, &n, n - 1))
			return true;
	return false;
}

static void consume(void *)
{
	for (u32 i = 0; i < 200; i++) {
		if (wait_event_interruptible_exclusive(&queue, take_token()) == 0)
			atomic_inc(&taken);
		if (atomic_load(&tokens))
			wake_one(&queue);
	}
}

static void produce(void *)
{
	for (u32 i = 0; i < 200; i++) {
		atomic_inc(&tokens);
		wake_one(&queue);
		if (i % 8 == 0)
			sched_yield();
	}
}

KTEST(wait, exclusive_wakeups_are_not_lost)
{
	static struct test_threads consumers, producers;

	atomic_store(&tokens, 0);
	atomic_store(&taken, 0);
	ASSERT_TRUE(test_threads_start(&consumers, 4, consume, nullptr));
	ASSERT_TRUE(test_threads_start(&producers, 4, produce, nullptr));
	EXPECT_TRUE(test_threads_join(&producers));
	EXPECT_TRUE(test_threads_join(&consumers));
	EXPECT_EQ(atomic_load(&taken), 800u);
	EXPECT_EQ(atomic_load(&tokens), 0u);
	EXPECT_FALSE(wait_queue_active(&queue));
}

KTEST(wait, time_out)
{
	u64 start = clock_monotonic_ns();

	EXPECT_EQ(wait_event_until(&queue, false, start + 5'000'000), -ETIMEDOUT);
	EXPECT_GE(clock_monotonic_ns(), start + 5'000'000);
	EXPECT_EQ(wait_event_until(&queue, true, 0), 0);
	EXPECT_EQ(wait_event_until(&queue, false, 0), -ETIMEDOUT);
	EXPECT_FALSE(wait_queue_active(&queue));
}

struct counting_waiter {
	struct waiter waiter;
	u32 calls;
	u32 key;
};

static bool count_call(struct waiter *w, u32 key)
{
	struct counting_waiter *c = container_of(w, struct counting_waiter, waiter);

	c->calls++;
	c->key = key;
	return true;
}

KTEST(wait, callbacks)
{
	struct wait_queue q;
	struct counting_waiter all = {.waiter.fn = count_call};
	struct counting_waiter one = {.waiter = {.fn = count_call, .exclusive = true}};
	struct counting_waiter two = {.waiter = {.fn = count_call, .exclusive = true}};

	wait_queue_init(&q);
	list_init(&all.waiter.link);
	list_init(&one.waiter.link);
	list_init(&two.waiter.link);
	wait_queue_add(&q, &one.waiter);
	wait_queue_add(&q, &two.waiter);
	wait_queue_add(&q, &all.waiter);
	wait_queue_wake(&q, 1, 5);
	EXPECT_EQ(all.calls, 1u);
	EXPECT_EQ(all.key, 5u);
	EXPECT_EQ(one.calls, 1u);
	EXPECT_EQ(two.calls, 0u);
	wake_all(&q);
	EXPECT_EQ(all.calls, 2u);
	EXPECT_EQ(two.calls, 1u);
	EXPECT_TRUE(wait_queue_remove(&q, &one.waiter));
	EXPECT_FALSE(wait_queue_remove(&q, &one.waiter));
	EXPECT_TRUE(wait_queue_remove(&q, &two.waiter));
	EXPECT_TRUE(wait_queue_remove(&q, &all.waiter));
	EXPECT_FALSE(wait_queue_active(&q));
}

static void wait_interruptible(void *result)
{
	*(int *)result = wait_event_interruptible(&queue, false);
}

static void wait_until_killed(void *result)
{
	*(int *)result = wait_event_killable(&queue, false);
}

static struct thread *first_waiter(void)
{
	struct thread *t = nullptr;

	for (u32 i = 0; i < 1000 && !t; i++) {
		test_sleep_ms(1);
		irqflags_t flags = spin_lock_irqsave(&queue.lock);
		if (!list_empty(&queue.waiters))
			t = list_first_entry(&queue.waiters, struct waiter, link)->thread;
		spin_unlock_irqrestore(&queue.lock, flags);
	}
	return t;
}

KTEST(wait, interrupts_and_kills)
{
	static struct test_threads threads;
	static int result;
	struct thread *t;

	result = 1;
	ASSERT_TRUE(test_threads_start(&threads, 1, wait_interruptible, &result));
	t = first_waiter();
	ASSERT_NOT_NULL(t);
	thread_interrupt(t, false);
	ASSERT_TRUE(test_threads_join(&threads));
	EXPECT_EQ(result, -ERESTARTSYS);

	result = 1;
	ASSERT_TRUE(test_threads_start(&threads, 1, wait_until_killed, &result));
	t = first_waiter();
	ASSERT_NOT_NULL(t);
	thread_interrupt(t, false); // no kill: it goes on waiting
	test_sleep_ms(10);
	EXPECT_EQ(READ_ONCE(result), 1);
	thread_interrupt(t, true);
	ASSERT_TRUE(test_threads_join(&threads));
	EXPECT_EQ(result, -EINTR);
}

// ---- RCU ----

struct guarded {
	u64 value, inverse; // inverse == ~value while readers may see it
	struct rcu_head rcu;
};

static struct guarded *published;
static atomic_u32 rcu_stop, rcu_bad, rcu_reads, rcu_freed;

static void rcu_reader(void *)
{
	while (!atomic_load(&rcu_stop)) {
		rcu_read_lock();
		struct guarded *g = rcu_load(published);
		u64 value = READ_ONCE(g->value);
		for (u32 i = 0; i < 50; i++)
			barrier();
		if (READ_ONCE(g->inverse) != ~value)
			atomic_inc(&rcu_bad);
		rcu_read_unlock();
		if (atomic_add_return(&rcu_reads, 1) % 64 == 0)
			sched_yield();
	}
}

static struct guarded *make_guarded(u64 value)
{
	struct guarded *g = kmalloc(sizeof(*g));

	if (g)
		*g = (struct guarded){.value = value, .inverse = ~value};
	return g;
}

static void free_guarded(struct rcu_head *h)
{
	struct guarded *g = container_of(h, struct guarded, rcu);

	g->inverse = g->value; // a reader that is still there notices
	kfree(g);
	atomic_inc(&rcu_freed);
}

KTEST(rcu, readers_never_see_freed_objects)
{
	static struct test_threads threads;
	u32 replaced = 0;

	atomic_store(&rcu_stop, 0);
	atomic_store(&rcu_bad, 0);
	atomic_store(&rcu_freed, 0);
	published = make_guarded(0);
	ASSERT_NOT_NULL(published);
	ASSERT_TRUE(test_threads_start(&threads, max(smp_ncpus, 2u), rcu_reader, nullptr));
	for (u32 i = 1; i <= 400; i++) {
		struct guarded *old = published, *new = make_guarded(i);

		if (!new)
			break;
		rcu_store(published, new);
		if (i % 40 == 0) {
			rcu_synchronize();
			free_guarded(&old->rcu);
		} else {
			rcu_call(&old->rcu, free_guarded);
		}
		replaced++;
		if (i % 20 == 0)
			test_sleep_ms(1);
	}
	atomic_store(&rcu_stop, 1);
	EXPECT_TRUE(test_threads_join(&threads));
	rcu_barrier();
	EXPECT_EQ(replaced, 400u);
	EXPECT_EQ(atomic_load(&rcu_freed), replaced);
	EXPECT_EQ(atomic_load(&rcu_bad), 0u);
	kfree(published);
}

static u32 hold_started, hold_ended;

static void hold_read_section(void *)
{
	rcu_read_lock();
	store_release(&hold_started, 1u);
	u64 end = clock_monotonic_ns() + 30'000'000;
	while (clock_monotonic_ns() < end)
		barrier();
	store_release(&hold_ended, 1u);
	rcu_read_unlock();
}

KTEST(rcu, a_grace_period_waits_for_a_long_reader)
{
	static struct test_threads threads;

	hold_started = hold_ended = 0;
	ASSERT_TRUE(test_threads_start(&threads, 1, hold_read_section, nullptr));
	while (!load_acquire(&hold_started))
		sched_yield();
	rcu_synchronize();
	EXPECT_EQ(load_acquire(&hold_ended), 1u);
	EXPECT_TRUE(test_threads_join(&threads));
}

// ---- deferred work ----

static atomic_u32 work_runs, work_inside, work_overlaps;

static void count_work(struct work *)
{
	if (atomic_fetch_add(&work_inside, 1) != 0)
		atomic_inc(&work_overlaps);
	test_sleep_ms(2);
	atomic_inc(&work_runs);
	atomic_dec(&work_inside);
}

KTEST(work, runs_once_for_each_queueing)
{
	static struct work w;

	atomic_store(&work_runs, 0);
	atomic_store(&work_overlaps, 0);
	work_init(&w, count_work);
	EXPECT_TRUE(work_queue(&w));
	work_flush(&w);
	EXPECT_EQ(atomic_load(&work_runs), 1u);
	for (u32 i = 0; i < 5;
	     i++) { // queued again while it runs, it runs again, but not beside itself
		work_queue(&w);
		test_sleep_ms(1);
	}
	work_flush(&w);
	EXPECT_GE(atomic_load(&work_runs), 2u);
	EXPECT_LE(atomic_load(&work_runs), 6u);
	EXPECT_EQ(atomic_load(&work_overlaps), 0u);
	EXPECT_FALSE(w.queued);
}

static void free_work(struct work *w)
{
	kfree(w);
	atomic_inc(&work_runs);
}

KTEST(work, may_free_itself)
{
	atomic_store(&work_runs, 0);
	for (u32 i = 0; i < 50; i++) {
		struct work *w = kmalloc(sizeof(*w));

		ASSERT_NOT_NULL(w);
		work_init(w, free_work);
		EXPECT_TRUE(work_queue(w));
	}
	for (u32 i = 0; i < 1000 && atomic_load(&work_runs) < 50; i++)
		test_sleep_ms(1);
	EXPECT_EQ(atomic_load(&work_runs), 50u);
}

KTEST(work, delayed)
{
	static struct delayed_work w;
	u64 start = clock_monotonic_ns();

	atomic_store(&work_runs, 0);
	delayed_work_init(&w, count_work);
	delayed_work_start(&w, 10'000'000);
	for (u32 i = 0; i < 1000 && !atomic_load(&work_runs); i++)
		test_sleep_ms(1);
	EXPECT_EQ(atomic_load(&work_runs), 1u);
	EXPECT_GE(clock_monotonic_ns(), start + 10'000'000);
	delayed_work_start(&w, 10'000'000);
	delayed_work_cancel(&w);
	test_sleep_ms(20);
	EXPECT_EQ(atomic_load(&work_runs), 1u);
}
