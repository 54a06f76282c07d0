// SPDX-License-Identifier: MIT
// The vDSO's code: clocks read without entering the kernel. Runs in programs, unprivileged.
//
// It is mapped right behind the kernel's clock page, from which time is computed as the kernel
// does. Functions follow Linux's ABI: 0 or a negative errno.
#include "abi/linux/time.h"
#include "core/time.h"

extern const struct clock_page clock_page
	__attribute__((visibility("hidden"))); // placed by vdso.lds

enum {
	NR_clock_gettime = 228,
	NR_clock_getres = 229,
	NR_gettimeofday = 96,
	NR_time = 201,
	NR_getcpu = 309
};

static inline long syscall2(long nr, long a, long b)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static inline u64 cycles(void)
{
	u32 lo, hi;
	// Ordered after the loads before it, so that the time is not from before seq was read.
	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

// Monotonic ns and what to add for real time. false: make the system call.
static inline bool clocks_read(u64 *monotonic, u64 *offset)
{
	const volatile struct clock_page *c = &clock_page;
	u32 seq;
	do {
		seq = c->seq;
		if (__builtin_expect(c->mode != 1, false))
			return false;
		__asm__ volatile("" ::: "memory");
		u64 delta = cycles() - c->cycles_last;
		delta = (s64)delta < 0 ? 0 : delta; // another CPU's counter may be a little behind
		*monotonic = c->monotonic_base_ns +
			     (u64)((unsigned __int128)delta * c->mult >> c->shift);
		*offset = c->realtime_offset_ns;
		__asm__ volatile("" ::: "memory");
	} while (__builtin_expect((seq & 1) || seq != c->seq, false));
	return true;
}

static inline void split(struct linux_timespec *ts, u64 ns)
{
	ts->sec = (s64)(ns / NSEC_PER_SEC);
	ts->nsec = (s64)(ns % NSEC_PER_SEC);
}

int __vdso_clock_gettime(int clock, struct linux_timespec *ts);
int __vdso_clock_gettime(int clock, struct linux_timespec *ts)
{
	constexpr u32 real = 1 << CLOCK_REALTIME | 1 << CLOCK_REALTIME_COARSE | 1 << CLOCK_TAI;
	constexpr u32 mono = 1 << CLOCK_MONOTONIC | 1 << CLOCK_MONOTONIC_RAW |
			     1 << CLOCK_MONOTONIC_COARSE | 1 << CLOCK_BOOTTIME;
	u64 ns, offset;
	u32 bit = (u32)clock < 32 ? 1u << clock : 0;
	if (!(bit & (real | mono)) || !clocks_read(&ns, &offset))
		return (int)syscall2(NR_clock_gettime, clock, (long)ts);
	split(ts, bit & real ? ns + offset : ns);
	return 0;
}

int __vdso_gettimeofday(struct linux_timeval *tv, struct linux_timezone *tz);
int __vdso_gettimeofday(struct linux_timeval *tv, struct linux_timezone *tz)
{
	u64 ns, offset;
	if (!clocks_read(&ns, &offset))
		return (int)syscall2(NR_gettimeofday, (long)tv, (long)tz);
	if (tv) {
		ns += offset;
		tv->sec = (s64)(ns / NSEC_PER_SEC);
		tv->usec = (s64)(ns % NSEC_PER_SEC / 1000);
	}
	if (tz)
		*tz = (struct linux_timezone){0, 0};
	return 0;
}

long __vdso_time(s64 *out);
long __vdso_time(s64 *out)
{
	u64 ns, offset;
	if (!clocks_read(&ns, &offset))
		return syscall2(NR_time, (long)out, 0);
	s64 now = (s64)((ns + offset) / NSEC_PER_SEC);
	if (out)
		*out = now;
	return now;
}

int __vdso_clock_getres(int clock, struct linux_timespec *ts);
int __vdso_clock_getres(int clock, struct linux_timespec *ts)
{
	return (int)syscall2(NR_clock_getres, clock, (long)ts);
}

// What the kernel put into each CPU's TSC_AUX is its number; 0 in clock_page.cpu_in_register: it
// could not.
long __vdso_getcpu(u32 *cpu, u32 *node, void *unused);
long __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	(void)unused;
	if (!clock_page.cpu_in_register)
		return syscall2(NR_getcpu, (long)cpu, (long)node);
	u32 aux;
	__asm__ volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
	if (cpu)
		*cpu = aux;
	if (node)
		*node = 0;
	return 0;
}

#define WEAK_ALIAS(name, type) extern typeof(type) name __attribute__((weak, alias(#type)))
WEAK_ALIAS(clock_gettime, __vdso_clock_gettime);
WEAK_ALIAS(gettimeofday, __vdso_gettimeofday);
WEAK_ALIAS(time, __vdso_time);
WEAK_ALIAS(clock_getres, __vdso_clock_getres);
WEAK_ALIAS(getcpu, __vdso_getcpu);
