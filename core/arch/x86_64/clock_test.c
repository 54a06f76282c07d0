// SPDX-License-Identifier: MIT
// clock_test.c: the clock never goes backwards on or between CPUs, agrees with the HPET, and timers
// fire in time. Privileged.
#include "base/clockscale.h"
#include "base/ktest.h"
#include "core/arch/x86_64/apic.h"
#include "core/arch/x86_64/clock.h"
#include "core/page.h"
#include "core/smp.h"
#include "core/thread.h"
#include "core/time.h"
#include <arch/irqflags.h>

KTEST(clock, monotonic_on_one_cpu)
{
	u64 backwards = 0, last = clock_monotonic_ns();

	for (u32 i = 0; i < 100000; i++) {
		u64 now = clock_monotonic_ns();
		backwards += now < last;
		last = now;
	}
	EXPECT_EQ(backwards, 0);
	EXPECT_GT(last, 0);
}

// CPUs hand one time stamp round; nobody may read less than what he was handed.
static atomic_u64 baton;
static atomic_u32 regressions;

static void baton_run(void *unused)
{
	(void)unused;
	for (u32 i = 0; i < 2000; i++) {
		u64 seen = atomic_load_acquire(&baton), now = clock_monotonic_ns();
		if (now < seen)
			atomic_inc(&regressions);
		else
			atomic_try_cmpxchg(&baton, &seen, now);
	}
}

KTEST(clock, monotonic_between_cpus)
{
	if (smp_ncpus < 2)
		ktest_skip("one CPU");
	atomic_store(&baton, 0);
	atomic_store(&regressions, 0);
	for (u32 i = 0; i < 10; i++) {
		smp_call(cpumask_all(), baton_run, nullptr);
		baton_run(nullptr);
	}
	EXPECT_EQ(atomic_load(&regressions), 0);
	EXPECT_GT(atomic_load(&baton), 0);
}

KTEST(clock, realtime_follows_setting)
{
	u64 was = clock_realtime_ns(), wanted = 1700000000ull * NSEC_PER_SEC;
	const struct clock_page *p = page_ptr(clock_page_get());
	u32 seq = load_acquire(&p->seq);

	EXPECT_EQ(seq % 2, 0);
	u64 start = clock_monotonic_ns();

	clock_set_realtime(wanted);
	u64 now = clock_realtime_ns();

	EXPECT_GE(now, wanted);
	EXPECT_LE(now - wanted, clock_monotonic_ns() - start);
	EXPECT_EQ(load_acquire(&p->seq), seq + 2);
	EXPECT_GE(clock_monotonic_ns() + p->realtime_offset_ns, now);
	clock_set_realtime(was + (clock_monotonic_ns() - start));
}

// What a program computes from the page is what the core says.
KTEST(clock, page_gives_the_same_time)
{
	const struct clock_page *p = page_ptr(clock_page_get());

	if (p->mode != 1)
		ktest_skip("the TSC is not the clock");
	for (u32 i = 0; i < 1000; i++) {
		u64 before = clock_monotonic_ns();
		u64 cycles = rdtsc_ordered() - p->cycles_last;
		u64 between = p->monotonic_base_ns +
			      (u64)((unsigned __int128)cycles * p->mult >> p->shift);
		ASSERT_GE(between, before);
		ASSERT_LE(between, clock_monotonic_ns());
	}
}

struct test_timer {
	struct timer timer;
	u64 fired_ns; // atomic
};

static void test_timer_fired(struct timer *t)
{
	struct test_timer *tt = container_of(t, struct test_timer, timer);

	store_release(&tt->fired_ns, clock_monotonic_ns());
}

static u64 timer_lateness_ns(u64 delay_ns)
{
	struct test_timer tt = {0};
	u64 expires = clock_monotonic_ns() + delay_ns;

	timer_init(&tt.timer, test_timer_fired);
	timer_start(&tt.timer, expires);
	for (u64 end = expires + NSEC_PER_SEC;
	     clock_monotonic_ns() < end && !load_acquire(&tt.fired_ns);)
		cpu_pause();
	timer_cancel_sync(&tt.timer);
	return tt.fired_ns >= expires ? tt.fired_ns - expires : ~0ull; // ~0: too early or never
}

// A virtual CPU may be away at the moment, but not every time.
static bool timer_fires_within_ms(u64 delay_ns)
{
	for (u32 i = 0; i < 50; i++) {
		if (timer_lateness_ns(delay_ns) < NSEC_PER_MSEC)
			return true;
	}
	return false;
}

KTEST(clock, timers_fire_in_time)
{
	EXPECT_TRUE(timer_fires_within_ms(0));
	EXPECT_TRUE(timer_fires_within_ms(100000));
	EXPECT_TRUE(timer_fires_within_ms(5 * NSEC_PER_MSEC));
}

KTEST(clock, timer_never_early)
{
	for (u64 delay = 1000; delay < 3 * NSEC_PER_MSEC; delay *= 3)
		EXPECT_LT(timer_lateness_ns(delay), NSEC_PER_SEC);
}

// The TSC's rate was measured over milliseconds; over a longer time it must still agree with the
// reference.
KTEST(clock, agrees_with_reference)
{
	if (!hpet_hz())
		ktest_skip("no HPET");
	u64 best_error = ~0ull;

	for (u32 i = 0; i < 5; i++) {
		irqflags_t flags = irq_save();
		u64 t0 = clock_monotonic_ns(), r0 = hpet_read();
		delay_ns(20 * NSEC_PER_MSEC);
		u64 t1 = clock_monotonic_ns(), r1 = hpet_read();
		irq_restore(flags);
		u64 ns = mul_div_u64(r1 - r0, NSEC_PER_SEC, hpet_hz()), by_clock = t1 - t0;
		best_error = min(best_error, ns > by_clock ? ns - by_clock : by_clock - ns);
	}
	EXPECT_LT(best_error, 20000); // 1000 ppm of 20 ms
}
