// SPDX-License-Identifier: MIT
// What the providers of class interfaces (linux/service/) give to the rest of linux/. Privileged.
#pragma once
#include "base/types.h"

// A sum over core's code and constants, and over sentinels among its data, its per-CPU data and a
// sleeping thread's stack. It never changes. (test.c)
u64 test_sentinels_sum(void);
