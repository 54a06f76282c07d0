// SPDX-License-Identifier: MIT
// Resource limits and usage as programs see them.
#pragma once
#include "abi/linux/time.h"
struct linux_rlimit {
	u64 cur, max;
};
enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
struct linux_rusage {
	struct linux_timeval utime, stime;
	s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv,
		nsignals, nvcsw, nivcsw;
};
static_assert(sizeof(struct linux_rusage) == 144);
enum { PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2 };
