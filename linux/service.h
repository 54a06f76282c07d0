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

// The sources of random numbers that /dev/hwrng may read, the current one first; nullptr after the
// last. The name lives for ever. (entropy.c)
const char *hwrng_name(u32 index);
