// SPDX-License-Identifier: MIT
// Threads for the tests in the kernel. Privileged.
#pragma once
#include "core/thread.h"
#include "core/time.h"
#include "core/wait.h"

// Some kernel threads that run one function. Static storage: a thread that hangs in a failed test
// goes on using it.
struct test_threads {
	void (*fn)(void *arg);
	void *arg;
	atomic_u32 running;
	struct wait_queue done;
};

static inline void test_thread_main(void *p)
{
	struct test_threads *t = p;

	t->fn(t->arg);
	if (atomic_dec_and_test(&t->running))
		wake_all(&t->done);
}

// Starts n threads. False when there was no memory for all of them.
static inline bool test_threads_start(struct test_threads *t, u32 n, void (*fn)(void *), void *arg)
{
	t->fn = fn;
	t->arg = arg;
	atomic_store(&t->running, n);
	wait_queue_init(&t->done);
	for (u32 i = 0; i < n; i++) {
		struct thread *thread = kthread_create(test_thread_main, t, "test");

		if (!thread) {
			atomic_sub(&t->running, n - i);
			return false;
		}
		thread_start(thread);
	}
	return true;
}

// False when they are not through after 20 s.
static inline bool test_threads_join(struct test_threads *t)
{
	return wait_event_until(&t->done, atomic_load_acquire(&t->running) == 0,
				clock_monotonic_ns() + 20'000'000'000) == 0;
}

static inline bool test_threads_run(struct test_threads *t, u32 n, void (*fn)(void *), void *arg)
{
	bool started = test_threads_start(t, n, fn, arg);

	return test_threads_join(t) && started;
}

static inline void test_sleep_ms(u64 ms)
{
	thread_sleep_ns(ms * 1'000'000);
}
