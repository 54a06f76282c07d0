// SPDX-License-Identifier: MIT
// Owns the system calls that read and set clocks, and those that sleep.
#include "core/smp.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

// Clock ids below 0 stand for the CPU time of a process or thread: ~pid << 3, bit 2 for a thread,
// bits 0..1 for what is measured.
constexpr u32 CPUCLOCK_PERTHREAD = 4, CPUCLOCK_KIND = 3, CPUCLOCK_VIRT = 1, CPUCLOCK_SCHED = 2;

int deadline_from_user(const struct linux_timespec __user *ut, bool relative, bool realtime,
		       u64 *deadline)
{
	struct linux_timespec ts;
	u64 ns;
	*deadline = ~0ull;
	if (!ut)
		return 0;
	if (copy_from_user(&ts, ut, sizeof(ts)))
		return -EFAULT;
	if (!timespec_to_ns(&ts, &ns))
		return -EINVAL;
	u64 mono = clock_monotonic_ns();
	if (relative) {
		*deadline = mono + ns;
	} else if (realtime) {
		u64 now = clock_realtime_ns();
		*deadline = ns <= now ? mono : mono + (ns - now);
	} else {
		*deadline = ns;
	}
	return 0;
}

static u64 process_cpu_ns(struct process *p, bool user_only)
{
	u64 user, system;
	process_times(p, &user, &system);
	return user_only ? user : user + system;
}

static int cpu_clock_read(int clock, u64 *ns)
{
	u32 id = ~((u32)(clock >> 3)), kind = (u32)clock & CPUCLOCK_KIND;
	if (kind > CPUCLOCK_SCHED)
		return -EINVAL;
	if ((u32)clock & CPUCLOCK_PERTHREAD) {
		struct task *t = id ? task_find(id) : task_get(current_task());
		if (!t)
			return -EINVAL;
		bool mine = t->process == current_process();
		u64 user, system;
		task_times(t, &user, &system);
		*ns = kind == CPUCLOCK_VIRT ? user : user + system;
		task_put(t);
		return mine ? 0 : -EINVAL;
	}
	struct process *p = id ? process_find(id) : process_get(current_process());
	if (!p)
		return -EINVAL;
	*ns = process_cpu_ns(p, kind == CPUCLOCK_VIRT);
	process_put(p);
	return 0;
}

static int clock_read(int clock, u64 *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: // no leap seconds are known
		*ns = clock_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME: // the machine does not suspend
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_monotonic_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_cpu_ns(current_process(), false);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = thread_runtime_ns(current());
		return 0;
	}
	return clock < 0 ? cpu_clock_read(clock, ns) : -EINVAL;
}

SYSCALL(clock_gettime, int clock, struct linux_timespec __user *out)
{
	u64 ns;
	int r = clock_read(clock, &ns);
	if (r)
		return r;
	struct linux_timespec ts = timespec_from_ns(ns);
	return copy_to_user(out, &ts, sizeof(ts));
}

SYSCALL(clock_getres, int clock, struct linux_timespec __user *out)
{
	u64 ns;
	int r = clock_read(clock, &ns);
	if (r)
		return r;
	bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	struct linux_timespec ts = {0, coarse ? 4000000 : 1};
	return out ? copy_to_user(out, &ts, sizeof(ts)) : 0;
}

SYSCALL(clock_settime, int clock, const struct linux_timespec __user *in)
{
	struct linux_timespec ts;
	u64 ns;
	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (copy_from_user(&ts, in, sizeof(ts)))
		return -EFAULT;
	if (!timespec_to_ns(&ts, &ns))
		return -EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	clock_set_realtime(ns);
	return 0;
}

SYSCALL(gettimeofday, struct linux_timeval __user *tv, struct linux_timezone __user *tz)
{
	if (tv) {
		struct linux_timeval v = timeval_from_ns(clock_realtime_ns());
		if (copy_to_user(tv, &v, sizeof(v)))
			return -EFAULT;
	}
	if (tz && clear_user_partial(tz, sizeof(struct linux_timezone)))
		return -EFAULT;
	return 0;
}

SYSCALL(settimeofday, const struct linux_timeval __user *tv, const struct linux_timezone __user *tz)
{
	struct linux_timeval v;
	struct linux_timezone z;
	u64 ns = 0;
	if (tv && (copy_from_user(&v, tv, sizeof(v))))
		return -EFAULT;
	if (tv && !timeval_to_ns(&v, &ns))
		return -EINVAL;
	if (tz && copy_from_user(&z, tz, sizeof(z)))
		return -EFAULT;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	if (tz && (z.minuteswest > 15 * 60 || z.minuteswest < -15 * 60))
		return -EINVAL;
	if (tv)
		clock_set_realtime(ns);
	return 0;
}

SYSCALL(time, s64 __user *out)
{
	s64 now = (s64)(clock_realtime_ns() / NSEC_PER_SEC);
	return out && put_user(now, out) ? -EFAULT : now;
}

SYSCALL(times, struct linux_tms __user *out)
{
	struct process *p = current_process();
	if (out) {
		struct linux_tms t;
		u64 user, system;
		process_times(p, &user, &system);
		spin_lock(&p->lock);
		t = (struct linux_tms){(s64)clock_ticks_from_ns(user),
				       (s64)clock_ticks_from_ns(system),
				       (s64)clock_ticks_from_ns(p->children_sums.user_ns),
				       (s64)clock_ticks_from_ns(p->children_sums.system_ns)};
		spin_unlock(&p->lock);
		if (copy_to_user(out, &t, sizeof(t)))
			return -EFAULT;
	}
	return (long)clock_ticks_from_ns(clock_monotonic_ns());
}

// Nothing adjusts the clock's rate: reading says so, setting is refused.
static long timex_read(struct linux_timex __user *ut, int clock)
{
	struct linux_timex t;
	if (copy_from_user(&t, ut, sizeof(t)))
		return -EFAULT;
	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (t.modes & 0x8000) { // ADJ_ADJTIME: 0xa001 is a read
		if (t.modes != 0xa001)
			return capable(CAP_SYS_TIME) ? -EOPNOTSUPP : -EPERM;
	} else if (t.modes) {
		return capable(CAP_SYS_TIME) ? -EOPNOTSUPP : -EPERM;
	}
	constexpr s32 STA_UNSYNC = 0x40, TIME_ERROR = 5;
	t = (struct linux_timex){.maxerror = 16000000,
				 .esterror = 16000000,
				 .status = STA_UNSYNC,
				 .constant = 2,
				 .precision = 1,
				 .tolerance = 32768000,
				 .tick = 10000,
				 .time = timeval_from_ns(clock_realtime_ns())};
	return copy_to_user(ut, &t, sizeof(t)) ? -EFAULT : TIME_ERROR;
}

SYSCALL(adjtimex, struct linux_timex __user *ut)
{
	return timex_read(ut, CLOCK_REALTIME);
}

SYSCALL(clock_adjtime, int clock, struct linux_timex __user *ut)
{
	return timex_read(ut, clock);
}

// ---- sleeping ----

static bool clock_sleeps(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
	       clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

static bool clock_is_real(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM;
}

// Until a monotonic time. false: a signal came first.
static bool sleep_until(u64 deadline)
{
	bool done = false;
	current()->wait_reason = "nanosleep";
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (clock_monotonic_ns() >= deadline) {
			done = true;
			break;
		}
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			break;
		if (!schedule_until(deadline)) {
			done = true;
			break;
		}
	}
	thread_finish_sleep();
	return done;
}

static long sleep_relative(u64 deadline, struct linux_timespec __user *rem);
static long sleep_restart(struct restart_block *r)
{
	return sleep_relative(r->sleep.deadline_ns, (struct linux_timespec __user *)r->sleep.rem);
}

static long sleep_relative(u64 deadline, struct linux_timespec __user *rem)
{
	if (sleep_until(deadline))
		return 0;
	struct restart_block *r = current_restart_block();
	*r = (struct restart_block){.fn = sleep_restart};
	r->sleep.deadline_ns = deadline;
	r->sleep.rem = rem;
	if (rem) {
		u64 now = clock_monotonic_ns();
		struct linux_timespec left = timespec_from_ns(deadline > now ? deadline - now : 0);
		if (copy_to_user(rem, &left, sizeof(left)))
			return -EFAULT;
	}
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_absolute(int clock, u64 ns)
{
	for (;;) {
		u64 deadline = ns;
		if (clock_is_real(clock)) {
			u64 real = clock_realtime_ns();
			if (ns <= real)
				return 0;
			deadline = clock_monotonic_ns() + (ns - real);
		}
		if (!sleep_until(deadline))
			return -ERESTARTNOHAND;
		if (!clock_is_real(clock) || clock_realtime_ns() >= ns)
			return 0;
	}
}

static u64 saturating_add(u64 a, u64 b)
{
	u64 r;
	return __builtin_add_overflow(a, b, &r) || r == ~0ull ? ~0ull - 1 : r;
}

SYSCALL(nanosleep, const struct linux_timespec __user *req, struct linux_timespec __user *rem)
{
	struct linux_timespec ts;
	u64 ns;
	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	if (!timespec_to_ns(&ts, &ns))
		return -EINVAL;
	return sleep_relative(saturating_add(clock_monotonic_ns(), ns), rem);
}

SYSCALL(clock_nanosleep, int clock, int flags, const struct linux_timespec __user *req,
	struct linux_timespec __user *rem)
{
	struct linux_timespec ts;
	u64 ns;
	if (!clock_sleeps(clock))
		return clock == CLOCK_THREAD_CPUTIME_ID || clock > CLOCK_TAI ? -EINVAL
									     : -EOPNOTSUPP;
	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	if (!timespec_to_ns(&ts, &ns))
		return -EINVAL;
	if (flags & TIMER_ABSTIME)
		return sleep_absolute(clock, ns);
	return sleep_relative(saturating_add(clock_monotonic_ns(), ns), rem);
}
