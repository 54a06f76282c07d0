// SPDX-License-Identifier: MIT
// panic.c: the end: says why, shows what every CPU did, stops them, and restarts if the command
// line says so. Privileged.
//
// The first CPU that comes here reports; others that follow, also while it reports, wait with
// interrupts off for its NMI, which makes them print their own calls. A CPU that panics while it
// reports prints one line and goes straight to the end; if even that fails, it halts.
#include <stdarg.h>

#include "core/panic.h"
#include "core/acpi.h"
#include "core/cmdline.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/smp.h"
#include "core/sync/lockcheck.h"
#include "core/thread.h"
#include "core/time.h"
#include <arch/cpu.h>
#include <arch/frame.h>

#include "base/fmt.h"
#include "base/parse.h"

constexpr size_t TEXT_MAX = 320;

static u32 panic_cpu;	// atomic; CPU number + 1 of the one that reports
static u32 panic_depth; // that CPU only

// Nothing that could fail again: no logging of malformed values.
static s64 seconds_until_restart(void)
{
	const char *value = cmdline_value("panic");
	s64 seconds;

	return value && strtos64(value, 10, &seconds) == 0 ? seconds : 0;
}

[[noreturn]] static void finish(void)
{
	s64 seconds = seconds_until_restart();

	if (seconds > 0) {
		u64 start = clock_monotonic_ns();

		klog(LOG_EMERG, "Rebooting in %lld seconds..", seconds);
		while ((clock_monotonic_ns() - start) / 1'000'000'000 < (u64)seconds)
			cpu_relax();
	}
	if (seconds != 0)
		power_restart();
	cpu_halt_forever();
}

// Interrupts go off; returns only on the CPU that reports, and there only the first time.
static void panic_begin(const char *again)
{
	u32 self = this_cpu_id() + 1, nobody = 0;

	irq_disable();
	if (!try_cmpxchg(&panic_cpu, &nobody, self) && load_once(&panic_cpu) != self)
		for (;;)
			cpu_relax(); // the NMI will come
	if (++panic_depth > 2)
		cpu_halt_forever();
	lockcheck_off();
	console_set_panic();
	if (panic_depth == 2) {
		klog(LOG_EMERG, "Kernel panic while reporting a panic: %s", again);
		finish();
	}
}

[[noreturn]] static void panic_end(const char *text)
{
	smp_stop_others();
	klog(LOG_EMERG, "---[ end Kernel panic - not syncing: %s ]---", text);
	finish();
}

static void print_where(void)
{
	const struct thread *t = current();

	if (!t || !arch_kernel_range_readable((uintptr_t)t, sizeof(*t)))
		klog(LOG_EMERG, "CPU: %u, before threads", this_cpu_id());
	else
		klog(LOG_EMERG, "CPU: %u PID: %u Comm: %.16s%s", this_cpu_id(), t->id, t->name,
		     in_interrupt() ? ", in an interrupt" : "");
}

void panic(const char *fmt, ...)
{
	static char text[TEXT_MAX]; // the reporting CPU's
	char mine[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vscnprintf(mine, sizeof(mine), fmt, args);
	va_end(args);
	panic_begin(mine);
	scnprintf(text, sizeof(text), "%s", mine);
	klog(LOG_EMERG, "Kernel panic - not syncing: %s", text);
	print_where();
	backtrace_here();
	lockcheck_print_held();
	panic_end(text);
}

void oops(const struct trap_frame *frame, const char *what)
{
	panic_begin(what);
	klog(LOG_EMERG, "Oops: %s", what);
	print_where();
	arch_frame_print(frame);
	backtrace_print(LOG_ERR, frame_ip(frame), frame_fp(frame), frame_link(frame));
	lockcheck_print_held();
	klog(LOG_EMERG, "Kernel panic - not syncing: %s", what);
	panic_end(what);
}

void assert_failed(const char *what, const char *file, int line)
{
	panic("assertion failed: %s, %s:%d", what, file, line);
}
