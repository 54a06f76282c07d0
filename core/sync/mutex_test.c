// SPDX-License-Identifier: MIT
// mutex_test.c: mutexes and reader-writer locks among several threads.
#include "core/ktest.h"
#include "core/lock.h"
#include "core/threads_test.h"

constexpr u32 THREADS = 6;
constexpr u32 ROUNDS = 300;

static mutex_t mutex;
static atomic_u32 inside, overlaps, failures;
static u32 counter; // under mutex or rwlock

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
	EXPECT_FALSE(mutex_is_held(&m));
	ASSERT_TRUE(mutex_trylock(&m));
	EXPECT_TRUE(mutex_is_held(&m));
	EXPECT_FALSE(mutex_trylock(&m));
	mutex_unlock(&m);
	EXPECT_FALSE(mutex_is_held(&m));
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

static rwlock_t rwlock;
static atomic_u32 readers, readers_most, writers;

static void use_rwlock(void *)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if (i % 5 == 0) {
			write_lock(&rwlock);
			if (atomic_fetch_add(&writers, 1) != 0 || atomic_load(&readers) != 0)
				atomic_inc(&overlaps);
			u32 seen = READ_ONCE(counter);
			if (i % 10 == 0)
				thread_sleep_ns(20'000);
			WRITE_ONCE(counter, seen + 1);
			atomic_dec(&writers);
			if (i % 20 == 0) {
				write_downgrade(&rwlock);
				if (READ_ONCE(counter) != seen + 1)
					atomic_inc(&overlaps);
				read_unlock(&rwlock);
			} else {
				write_unlock(&rwlock);
			}
		} else {
			read_lock(&rwlock);
			u32 n = atomic_add_return(&readers, 1);
			if (atomic_load(&writers) != 0)
				atomic_inc(&overlaps);
			if (i % 7 == 0)
				thread_sleep_ns(20'000);
			if (n > atomic_load(&readers_most))
				atomic_store(&readers_most, n);
			atomic_dec(&readers);
			read_unlock(&rwlock);
		}
	}
}

KTEST(rwlock, writers_are_alone_readers_are_not)
{
	static struct test_threads threads;

	reset();
	atomic_store(&readers_most, 0);
	rwlock_init(&rwlock, LOCK_test_outer);
	ASSERT_TRUE(test_threads_run(&threads, THREADS, use_rwlock, nullptr));
	EXPECT_EQ(atomic_load(&overlaps), 0u);
	EXPECT_EQ(counter, THREADS * (ROUNDS / 5));
	EXPECT_GT(atomic_load(&readers_most), 1u);
	EXPECT_EQ(rwlock.state, 0u);
}

static void write_killable(void *)
{
	atomic_store(&waiting_thread, current());
	if (write_lock_killable(&rwlock) == 0) {
		write_unlock(&rwlock);
		atomic_inc(&failures);
	}
}

static void read_once(void *)
{
	read_lock(&rwlock);
	atomic_inc(&readers);
	read_unlock(&rwlock);
}

KTEST(rwlock, a_waiting_writer_holds_readers_off_until_it_is_killed)
{
	static struct test_threads writer, reader;

	reset();
	atomic_store(&readers, 0);
	rwlock_init(&rwlock, LOCK_test_outer);
	read_lock(&rwlock);
	ASSERT_TRUE(test_threads_start(&writer, 1, write_killable, nullptr));
	for (u32 i = 0; i < 1000 && !(READ_ONCE(rwlock.state) & RW_WAITERS); i++)
		test_sleep_ms(1);
	EXPECT_FALSE(read_trylock(&rwlock));
	ASSERT_TRUE(test_threads_start(&reader, 1, read_once, nullptr));
	test_sleep_ms(20);
	EXPECT_EQ(atomic_load(&readers), 0u);
	thread_interrupt(atomic_load(&waiting_thread), true);
	EXPECT_TRUE(test_threads_join(&writer));
	EXPECT_TRUE(test_threads_join(&reader)); // beside us: we still hold it for reading
	EXPECT_EQ(atomic_load(&failures), 0u);
	EXPECT_EQ(atomic_load(&readers), 1u);
	read_unlock(&rwlock);
	EXPECT_EQ(rwlock.state, 0u);
}
