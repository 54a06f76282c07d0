// SPDX-License-Identifier: MIT
// timer_test.c: one-shot timers: order, restarting, cancelling, from several CPUs.
#include "core/ktest.h"
#include "core/threads_test.h"
#include <arch/cpu.h>

constexpr u32 TIMERS = 24;

static struct order_timer {
	struct timer timer;
	u32 index;
} timers[TIMERS];
static u32 fired[TIMERS], nfired; // this CPU's interrupt writes
static u32 early;

static void note_order(struct timer *t)
{
	if (clock_monotonic_ns() < t->expires_ns)
		early++;
	fired[nfired] = container_of(t, struct order_timer, timer)->index;
	store_release(&nfired, nfired + 1);
}

static void wait_for(u32 *value, u32 wanted)
{
	u64 give_up = clock_monotonic_ns() + 5'000'000'000;

	while (load_acquire(value) < wanted && clock_monotonic_ns() < give_up)
		cpu_relax();
}

KTEST(timer, fire_in_order_of_expiry)
{
	u64 start = clock_monotonic_ns() + 5'000'000;

	nfired = early = 0;
	preempt_disable(); // all on one CPU
	for (u32 i = 0; i < TIMERS; i++) {
		u32 rank = i * 7 % TIMERS; // started in another order than they expire

		timers[i].index = rank;
		timer_init(&timers[i].timer, note_order);
		timer_start(&timers[i].timer, start + rank * 100'000);
	}
	wait_for(&nfired, TIMERS);
	preempt_enable();
	ASSERT_EQ(nfired, TIMERS);
	EXPECT_EQ(early, 0u);
	for (u32 i = 0; i < TIMERS; i++)
		EXPECT_EQ(fired[i], i);
}

KTEST(timer, cancel_and_restart)
{
	struct timer *t = &timers[0].timer;

	nfired = 0;
	timers[0].index = 0;
	timer_init(t, note_order);
	EXPECT_FALSE(timer_cancel(t));
	timer_start(t, clock_monotonic_ns() + 10'000'000);
	EXPECT_TRUE(timer_cancel(t));
	EXPECT_FALSE(timer_cancel(t));
	test_sleep_ms(20);
	EXPECT_EQ(nfired, 0u);
	timer_start(t, clock_monotonic_ns() + 1'000'000'000'000);
	timer_start(t, clock_monotonic_ns() + 1'000'000); // moved, not doubled
	wait_for(&nfired, 1);
	timer_cancel_sync(t);
	EXPECT_EQ(nfired, 1u);
	timer_start(t, 0); // long past: at once
	wait_for(&nfired, 2);
	timer_cancel_sync(t);
	EXPECT_EQ(nfired, 2u);
}

static struct timer chain_timer;
static u32 chain_runs;

static void run_again(struct timer *t)
{
	store_release(&chain_runs, chain_runs + 1);
	timer_start(t, clock_monotonic_ns() + 50'000);
}

KTEST(timer, restarts_itself_until_cancelled)
{
	u32 runs;

	chain_runs = 0;
	timer_init(&chain_timer, run_again);
	timer_start(&chain_timer, 0);
	wait_for(&chain_runs, 20);
	timer_cancel_sync(&chain_timer);
	runs = load_acquire(&chain_runs);
	EXPECT_GE(runs, 20u);
	test_sleep_ms(5);
	EXPECT_EQ(load_acquire(&chain_runs), runs);
}

static struct timer shared_timer;
static u32 shared_inside, shared_overlaps; // atomic

static void check_alone(struct timer *)
{
	if (__atomic_fetch_add(&shared_inside, 1, __ATOMIC_SEQ_CST) != 0)
		__atomic_fetch_add(&shared_overlaps, 1, __ATOMIC_RELAXED);
	for (u32 i = 0; i < 100; i++)
		cpu_relax();
	__atomic_fetch_sub(&shared_inside, 1, __ATOMIC_SEQ_CST);
}

static void fight_over_timer(void *)
{
	for (u32 i = 0; i < 2000; i++) {
		timer_start(&shared_timer, i % 3 ? clock_monotonic_ns() + i % 7 * 1000 : 0);
		if (i % 5 == 0)
			timer_cancel(&shared_timer);
		if (i % 50 == 0)
			timer_cancel_sync(&shared_timer);
		if (i % 16 == 0)
			sched_yield();
	}
}

KTEST(timer, started_and_cancelled_by_all_cpus)
{
	static struct test_threads threads;

	timer_init(&shared_timer, check_alone);
	ASSERT_TRUE(test_threads_run(&threads, 4, fight_over_timer, nullptr));
	timer_cancel_sync(&shared_timer);
	EXPECT_EQ(shared_overlaps, 0u);
	EXPECT_EQ(shared_inside, 0u);
	EXPECT_FALSE(shared_timer.queued);
}
