// SPDX-License-Identifier: MIT
// Tests inside the kernel: KTEST(...) of base/ktest.h, and their runner. Privileged.
#pragma once
#include "base/ktest.h"
#include "core/cmdline.h"
#include "core/panic.h"

// With halyard.ktest or halyard.ktest=FILTER on the command line: runs the tests, prints KTAP on
// the consoles, powers off; a kernel without tests panics. Else returns at once. In a kernel
// thread, all subsystems up.
#if CONFIG_DEBUG
void ktest_run_if_asked(void);
#else
static inline void ktest_run_if_asked(void)
{
	if (cmdline_has("halyard.ktest"))
		panic("halyard.ktest: this kernel was built without tests (RELEASE=1)");
}
#endif
