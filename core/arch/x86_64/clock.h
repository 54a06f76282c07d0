// SPDX-License-Identifier: MIT
// clock.h: counters behind the clock (TSC, HPET, ACPI timer, PIT, CMOS clock). Privileged.
#pragma once

#include "base/types.h"

// Busy-waits at least ns; usable from the first instruction on (by port reads of about 1 us until
// the clock runs).
void delay_ns(u64 ns);

// A counter of known frequency that time_init measures the TSC against. read gives the raw value,
// modulo mask + 1.
struct clock_reference {
	const char *name;
	u64 hz;
	u64 mask;
	u64 (*read)(void);
};

// Finds, starts and describes one; false: this machine has none. Boot CPU.
bool hpet_init(struct clock_reference *ref);
bool acpi_timer_init(struct clock_reference *ref);
bool pit_init(struct clock_reference *ref);

// The HPET as the system's clock, widened to 64 bits: needs at least one call in every half of its
// 32-bit period, which at the fastest rate in use is 21 s (clock.c keeps a timer for that). After
// hpet_init.
u64 hpet_read(void);
u64 hpet_hz(void); // 0: this machine has none

// Is the TSC's rate constant, whatever the CPU does? *why_not: for the log.
bool tsc_is_steady(const char **why_not);
// The rate as the CPU or the hypervisor states it; 0: it does not.
u64 tsc_stated_hz(void);

// Seconds since 1970 by the CMOS clock, taken as UTC; -1 when there is none or it shows nonsense.
s64 rtc_read_unix(void);

// Compares the TSCs of two CPUs while the second one starts. The boot CPU calls _source while the
// new CPU is in time_init_cpu(), and may stop calling when the CPU is online. What they find
// decides in the new CPU whether the TSC stays the clock.
void clock_sync_source(void);
