// SPDX-License-Identifier: MIT
// crash_test.c: halyard.crash=KIND breaks the kernel on purpose, so that system tests can look at
// the report. DEBUG=1 builds only.
#include "core/cmdline.h"
#include "core/init.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/smp.h"
#include "core/thread.h"
#include "core/time.h"
#include <arch/cpu.h>

#include "base/string.h"

static __noinline void write_to_nowhere(void)
{
	u8 *volatile nowhere = (u8 *)0xffffb00000000123; // a top-level slot that nobody owns

	*nowhere = 1;
}

static void in_timer(struct timer *)
{
	write_to_nowhere();
}

static void fault_in_interrupt(void)
{
	static struct timer timer;

	timer_init(&timer, in_timer);
	timer_start(&timer, clock_monotonic_ns() + 1'000'000);
	thread_sleep_ns(1'000'000'000);
}

static void take_locks_in_wrong_order(void)
{
	mutex_t outer, inner;

	mutex_init(&outer, LOCK_test_outer);
	mutex_init(&inner, LOCK_test_inner);
	mutex_lock(&inner);
	mutex_lock(&outer);
}

static void panic_there(void *)
{
	panic("on purpose, on CPU %u", this_cpu_id());
}

static void on_another_cpu(void)
{
	if (smp_ncpus > 1)
		smp_call(1ull << (this_cpu_id() ? 0 : 1), panic_there, nullptr);
}

static void write_faulting(const char *, size_t)
{
	write_to_nowhere();
}

// The report itself faults.
static void while_reporting(void)
{
	static struct console broken = {.name = "broken", .write = write_faulting};

	console_set_panic();
	console_register(&broken);
	panic("on purpose, with a broken console");
}

static void jump_to_nowhere(void)
{
	void (*volatile fn)(void) = (void (*)(void))0xffffb00000000456;

	fn();
}

static void wait_for_own_lock(void)
{
	spinlock_t lock = SPINLOCK_INIT(LOCK_test_spin);

	lock.locked = 1; // as if another CPU had it and never came back
	spin_lock(&lock);
}

static u32 recurse(u32 depth)
{
	volatile u8 room[256];

	room[depth % sizeof(room)] = (u8)depth;
	return depth == ~0u ? 0 : recurse(depth + 1) + room[0]; // far deeper than any stack
}

static void overflow_stack(void)
{
	log_info("%u", recurse(0));
}

static void panic_plainly(void)
{
	panic("on purpose");
}

static void fail_assertion(void)
{
	assert(smp_ncpus == 0);
}

static void crash_if_asked(void)
{
	static const struct {
		const char *kind;
		void (*fn)(void);
	} kinds[] = {
		{"panic", panic_plainly},	   {"assert", fail_assertion},
		{"fault", write_to_nowhere},	   {"jump", jump_to_nowhere},
		{"interrupt", fault_in_interrupt}, {"lock-order", take_locks_in_wrong_order},
		{"other-cpu", on_another_cpu},	   {"reporting", while_reporting},
		{"stuck", wait_for_own_lock},	   {"stack", overflow_stack},
	};
	const char *wanted = cmdline_value("halyard.crash");

	if (!wanted)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_equal(kinds[i].kind, wanted))
			kinds[i].fn();
	log_warn("halyard.crash=%s did nothing.", wanted);
}
INITCALL(4, crash_if_asked);
