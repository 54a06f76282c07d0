// SPDX-License-Identifier: MIT
// kernel_test.c: runs the tests inside the kernel. Privileged.
#include "core/ktest.h"
#include "core/acpi.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/thread.h"
#include "core/time.h"

#include "base/fmt.h"

extern const struct ktest_case *const __ktests_start[];
extern const struct ktest_case *const __ktests_end[];

// One write a line: whatever else goes to the consoles comes before or after it.
static void print_line(const char *line)
{
	static char buf[512];
	int len = scnprintf(buf, sizeof(buf) - 1, "%s", line);

	buf[len++] = '\n';
	console_write(buf, (size_t)len);
}

void ktest_run_if_asked(void)
{
	const char *filter = cmdline_value("halyard.ktest");
	u64 start = clock_monotonic_ns();
	int failed;

	if (!filter)
		return;
	failed = ktest_run_range(__ktests_start, __ktests_end, filter, print_line);
	log_info("Tests: %d failed, in %llu ms.", failed,
		 (clock_monotonic_ns() - start) / 1'000'000);
	power_off();
	for (;;) // there is no way to power off: whoever started us sees that the tests are done
		thread_sleep_ns(1'000'000'000);
}
