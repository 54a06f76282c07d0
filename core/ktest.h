// SPDX-License-Identifier: MIT
// Tests inside the kernel: KTEST(...) of base/ktest.h, and their runner. Privileged.
#pragma once
#include "base/ktest.h"

// With halyard.ktest or halyard.ktest=FILTER on the command line: runs the tests, prints KTAP on
// the consoles, powers off. Else returns at once. In a kernel thread, all subsystems up.
void ktest_run_if_asked(void);
