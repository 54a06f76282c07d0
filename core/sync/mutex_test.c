// SPDX-License-Identifier: MIT
// mutex_test.c: mutexes among several threads.
#include "core/ktest.h"
#include "core/lock.h"
#include "core/threads_test.h"

constexpr u32 THREADS = 6;
constexpr u32 ROUNDS = 300;

static mutex_t mutex;
static atomic_u32 inside, overlaps, failures;
static u32 counter; // under mutex

static void reset(void)
{
	atomic_store(&inside, 0);
	atomic_store(&overlaps, 0);
	atomic_store(&failures, 0);
	counter = 0;
}

static void count_under_mutex(void *)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		u32 seen;

		mutex_lock(&mutex);
		if (atomic_fetch_add(&inside, 1) != 0)
			atomic_inc(&overlaps);
		seen = READ_ONCE(counter);
		if (i % 16 == 0)
			thread_sleep_ns(20'000); // the others must sleep too, not only spin
		else if (i % 4 == 0)
			sched_yield();
		WRITE_ONCE(counter, seen + 1);
		atomic_dec(&inside);
		mutex_unlock(&mutex);
	}
}

KTEST(mutex, excludes_and_loses_nobody)
{
	static struct test_threads threads;

	reset();
	mutex_init(&mutex, LOCK_test_outer);
	ASSERT_TRUE(test_threads_run(&threads, THREADS, count_under_mutex, nullptr));
	EXPECT_EQ(atomic_load(&overlaps), 0u);
	EXPECT_EQ(counter, THREADS * ROUNDS);
	EXPECT_EQ(mutex.owner, 0u);
	EXPECT_TRUE(list_empty(&mutex.waiters));
}

KTEST(mutex, try_and_ownership)
{
	mutex_t m;

	mutex_init(&m, LOCK_test_outer);
	ASSERT_TRUE(mutex_trylock(&m));
	assert_held(&m);
	EXPECT_FALSE(mutex_trylock(&m));
	mutex_unlock(&m);
	EXPECT_EQ(m.owner, 0u);
}

static atomic_ptr waiting_thread;

static void wait_killable(void *)
{
	atomic_store(&waiting_thread, current());
	if (mutex_lock_killable(&mutex) == 0) {
		mutex_unlock(&mutex);
		atomic_inc(&failures);
	}
}

KTEST(mutex, a_kill_ends_the_wait)
{
	static struct test_threads threads;

	reset();
	mutex_init(&mutex, LOCK_test_outer);
	atomic_store(&waiting_thread, nullptr);
	mutex_lock(&mutex);
	ASSERT_TRUE(test_threads_start(&threads, 1, wait_killable, nullptr));
	for (u32 i = 0; i < 1000 && list_empty(&mutex.waiters); i++)
		test_sleep_ms(1);
	ASSERT_FALSE(list_empty(&mutex.waiters));
	thread_interrupt(atomic_load(&waiting_thread), true);
	EXPECT_TRUE(test_threads_join(&threads));
	EXPECT_EQ(atomic_load(&failures), 0u);
	EXPECT_EQ(mutex.owner, (uintptr_t)current()); // nobody waits any more
	mutex_unlock(&mutex);
}
