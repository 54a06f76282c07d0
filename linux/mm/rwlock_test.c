// SPDX-License-Identifier: MIT
// rwlock_test.c: reader-writer locks among several threads.
#include "core/ktest.h"
#include "core/threads_test.h"
#include "linux/rwlock.h"

constexpr u32 THREADS = 6;
constexpr u32 ROUNDS = 300;

static rwlock_t rwlock;
static atomic_u32 overlaps, failures;
static u32 counter; // under rwlock
static atomic_ptr waiting_thread;

static void reset(void)
{
	atomic_store(&overlaps, 0);
	atomic_store(&failures, 0);
	counter = 0;
	rwlock_init(&rwlock, LOCK_test_outer);
}

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
