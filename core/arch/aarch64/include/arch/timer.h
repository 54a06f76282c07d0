// SPDX-License-Identifier: MIT
// The one-shot interrupt of this CPU's timer (AArch64). Privileged. Callers: core/time/.
#pragma once
#include "base/types.h"

constexpr u32 CLOCK_SHIFT = 32; // of the clock page, always

// Calls timer_interrupt() on this CPU once clock_monotonic_ns() has reached expires_ns; at once
// when it already has. ~0: never. The last call wins. It may come early when the time is far (over
// a minute) away: the handler looks at the clock and programs again. Interrupts off.
void arch_timer_program(u64 expires_ns);
