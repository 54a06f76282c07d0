// SPDX-License-Identifier: MIT
// The vDSO's code: clocks read without entering the kernel, and what signal handlers return to.
// Runs in programs, unprivileged.
//
// It is mapped right behind the kernel's clock page, from which time is computed as the kernel
// does. Functions follow Linux's ABI: 0 or a negative errno.
#include "abi/linux/time.h"
#include "core/time.h"
#include <arch/timer.h>

extern const struct clock_page clock_page
	__attribute__((visibility("hidden"))); // placed by vdso.lds

constexpr u32 MODE_VIRTUAL_COUNTER = 2; // clock_page.mode

enum { NR_clock_gettime = 113, NR_clock_getres = 114, NR_gettimeofday = 169 };

// rt_sigreturn(2). Without a table for unwinders, which know these two instructions by their bytes
// and then read the whole frame; a table could not tell them of every register.
__asm__(".pushsection .text.sigreturn, \"ax\"\n"
	"	nop\n" // a return address minus one belongs to no other function
	".globl __kernel_rt_sigreturn\n"
	".type __kernel_rt_sigreturn, %function\n"
	"__kernel_rt_sigreturn:\n"
	"	mov x8, #139\n"
	"	svc #0\n"
	".size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn\n"
	".popsection\n");

static inline long syscall2(long nr, long a, long b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
}

// Not before what was loaded and decided upon before it.
static inline u64 cycles(void)
{
	u64 v;
	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(v)::"memory");
	return v;
}

// Monotonic ns and what to add for real time. false: make the system call.
//
// Once programs run, the counter's scale does not change any more, and what does, the offset of
// real time, is one word: nothing can be read half, so the sequence number is not looked at.
static inline bool clocks_read(u64 *monotonic, u64 *offset)
{
	const struct clock_page *c = &clock_page;
	if (__builtin_expect(*(const volatile u32 *)&c->mode != MODE_VIRTUAL_COUNTER, false))
		return false;
	u64 delta = cycles() - c->cycles_last;
	*monotonic =
		c->monotonic_base_ns + (u64)((unsigned __int128)delta * c->mult >> CLOCK_SHIFT);
	*offset = *(const volatile u64 *)&c->realtime_offset_ns;
	return true;
}

static inline void split(struct linux_timespec *ts, u64 ns)
{
	ts->sec = (s64)(ns / NSEC_PER_SEC);
	ts->nsec = (s64)(ns % NSEC_PER_SEC);
}

int __kernel_clock_gettime(int clock, struct linux_timespec *ts);
int __kernel_clock_gettime(int clock, struct linux_timespec *ts)
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

int __kernel_gettimeofday(struct linux_timeval *tv, struct linux_timezone *tz);
int __kernel_gettimeofday(struct linux_timeval *tv, struct linux_timezone *tz)
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

int __kernel_clock_getres(int clock, struct linux_timespec *ts);
int __kernel_clock_getres(int clock, struct linux_timespec *ts)
{
	return (int)syscall2(NR_clock_getres, clock, (long)ts);
}
