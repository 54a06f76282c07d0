// SPDX-License-Identifier: MIT
// What the providers of class interfaces (linux/service/) give to the rest of linux/. Privileged.
#pragma once
#include "base/types.h"

// A sum over core's code and constants, and over sentinels among its data, its per-CPU data and a
// sleeping thread's stack. It never changes. (test.c)
u64 test_sentinels_sum(void);

// The address of something of core's for a service to damage: "null", "core-data", "core-code",
// "page-table" (the calling program's), "cpu-data", "stack" (another thread's kernel stack),
// "stubs". -EINVAL: another name. (test.c)
s64 test_target_address(const char *name);
