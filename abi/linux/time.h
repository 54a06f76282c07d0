// SPDX-License-Identifier: MIT
// Times and clocks as programs see them.
#pragma once
#include "base/types.h"
struct linux_timespec {
	s64 sec, nsec;
};
struct linux_timeval {
	s64 sec, usec;
};
struct linux_itimerspec {
	struct linux_timespec interval, value;
};
struct linux_itimerval {
	struct linux_timeval interval, value;
};
struct linux_timezone {
	s32 minuteswest, dsttime;
};
struct linux_tms {
	s64 utime, stime, cutime, cstime;
};
enum {
	CLOCK_REALTIME = 0,
	CLOCK_MONOTONIC,
	CLOCK_PROCESS_CPUTIME_ID,
	CLOCK_THREAD_CPUTIME_ID,
	CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE,
	CLOCK_MONOTONIC_COARSE,
	CLOCK_BOOTTIME,
	CLOCK_REALTIME_ALARM,
	CLOCK_BOOTTIME_ALARM,
	CLOCK_SGI_CYCLE,
	CLOCK_TAI,
};
enum { TIMER_ABSTIME = 1 };
enum { ITIMER_REAL = 0, ITIMER_VIRTUAL = 1, ITIMER_PROF = 2 };
constexpr u32 USER_HZ = 100; // clock ticks of times(2) and /proc
constexpr u64 NSEC_PER_SEC = 1000000000;
struct linux_timex {
	u32 modes, pad0;
	s64 offset, freq, maxerror, esterror;
	s32 status, pad1;
	s64 constant, precision, tolerance;
	struct linux_timeval time;
	s64 tick, ppsfreq, jitter;
	s32 shift, pad2;
	s64 stabil, jitcnt, calcnt, errcnt, stbcnt;
	s32 tai, pad3[11];
};
static_assert(sizeof(struct linux_timex) == 208);
