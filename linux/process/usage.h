// SPDX-License-Identifier: MIT
// Conversions of times and usage into what programs see. Private to linux/.
#pragma once
#include "abi/linux/resource.h"
#include "core/uaccess.h"
#include "linux/task.h"

static inline struct linux_timespec timespec_from_ns(u64 ns)
{
	return (struct linux_timespec){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC)};
}
static inline struct linux_timeval timeval_from_ns(u64 ns)
{
	return (struct linux_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}
// A program's duration or time: false when it is no valid one. Saturates at what 63 bits of ns can
// hold (292 years).
static inline bool timespec_to_ns(const struct linux_timespec *t, u64 *ns)
{
	if (t->sec < 0 || t->nsec < 0 || t->nsec >= (s64)NSEC_PER_SEC)
		return false;
	u64 v;
	if (__builtin_mul_overflow((u64)t->sec, NSEC_PER_SEC, &v) || v > ~0ull >> 1 ||
	    (v += (u64)t->nsec) > ~0ull >> 1)
		v = ~0ull >> 1;
	*ns = v;
	return true;
}
static inline bool timeval_to_ns(const struct linux_timeval *t, u64 *ns)
{
	if (t->usec < 0 || t->usec >= 1000000)
		return false;
	return timespec_to_ns(&(struct linux_timespec){t->sec, t->usec * 1000}, ns);
}
static inline u64 clock_ticks_from_ns(u64 ns)
{
	return ns / (NSEC_PER_SEC / USER_HZ);
}
// The monotonic time at which a wait ends that a program bounds by *ut: from now when relative,
// else a time of the real or the monotonic clock. nullptr: ~0, never. 0, -EFAULT or -EINVAL.
int deadline_from_user(const struct linux_timespec __user *ut, bool relative, bool realtime,
		       u64 *deadline);
int rusage_to_user(const struct rusage_sums *s, struct linux_rusage __user *out); // 0 or -EFAULT
