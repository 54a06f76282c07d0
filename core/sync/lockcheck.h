// SPDX-License-Identifier: MIT
// What the lock checker shows to its tests and to panic. Privileged.
#pragma once
#include "base/types.h"

#if CONFIG_DEBUG
// While set, violations found by this thread are handed to fn instead of stopping the machine; the
// lock is then taken all the same. nullptr ends it. Tests only, one at a time.
void lockcheck_test_hook(void (*fn)(const char *text));
// Panic: the locks are no longer worth checking. For good.
void lockcheck_off(void);
// Logs what this CPU and thread hold. Any context.
void lockcheck_print_held(void);
#else
static inline void lockcheck_off(void)
{
}
static inline void lockcheck_print_held(void)
{
}
#endif
