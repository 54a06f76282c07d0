// SPDX-License-Identifier: MIT
// What signal_basics and time_clocks try that depends on the CPU (x86-64).
#pragma once
#include "tests/programs/check.h"
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

// Instructions that fault, and the signal of each.
struct cpu_fault {
	void (*provoke)(void);
	int signo, code;
};

static inline void cpu_divide_by_zero(void)
{
	volatile int zero = 0, hundred = 100;
	volatile int r = hundred / zero;
	(void)r;
}
static inline void cpu_undefined(void)
{
	__asm__ volatile("ud2");
}
static inline void cpu_breakpoint(void)
{
	__asm__ volatile("int3");
}
static inline void cpu_privileged(void)
{
	__asm__ volatile("hlt");
}
static inline void cpu_no_address(void)
{
	*(volatile int *)0xdead000000000000 = 1;
}

static const struct cpu_fault cpu_faults[] = {
	{cpu_divide_by_zero, SIGFPE, FPE_INTDIV}, {cpu_undefined, SIGILL, ILL_ILLOPN},
	{cpu_breakpoint, SIGTRAP, SI_KERNEL},	  {cpu_privileged, SIGSEGV, SI_KERNEL},
	{cpu_no_address, SIGSEGV, SI_KERNEL},
};

// For handlers: other values in registers that a handler may change.
static inline void cpu_clobber(void)
{
	__asm__ volatile("pxor %%xmm5, %%xmm5; xorl %%r12d, %%r12d; std; cld" ::: "xmm5", "r12");
}

// Sends itself a signal with known values in a general, a vector and a flag register: is all kept
// when the handler, which calls cpu_clobber(), has returned?
static inline int cpu_keeps_registers(int sig)
{
	long pid = getpid(), r12 = 0, xmm = 0, ret;
	char carry = 0;
	__asm__ volatile("movq $0x1234567, %%r12\n movq %%r12, %%xmm5\n stc\n syscall\n"
			 "setc %3\n movq %%r12, %1\n movq %%xmm5, %2"
			 : "=a"(ret), "=r"(r12), "=r"(xmm), "=r"(carry)
			 : "0"((long)SYS_tgkill), "D"(pid), "S"(pid), "d"((long)sig)
			 : "r12", "xmm5", "rcx", "r11", "memory");
	return ret == 0 && r12 == 0x1234567 && xmm == 0x1234567 && carry;
}

// What the vDSO has.
static const char *const cpu_vdso_names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday",
					     "__vdso_time", "__vdso_clock_getres", "__vdso_getcpu"};
// Of these, those that only this CPU has. now: the time in seconds.
static inline void cpu_vdso_check(void *(*symbol)(const char *name), long now)
{
	long (*getcpu_fn)(unsigned *, unsigned *, void *) =
		(long (*)(unsigned *, unsigned *, void *))symbol("__vdso_getcpu");
	unsigned cpu = 99, node = 99;
	CHECK_EQ(getcpu_fn(&cpu, &node, NULL), 0);
	CHECK(cpu < 64);
	CHECK_EQ(node, 0);
	long (*time_fn)(long *) = (long (*)(long *))symbol("__vdso_time");
	long secs = 0;
	CHECK(labs(time_fn(&secs) - now) <= 1);
	CHECK(secs >= now);
}
