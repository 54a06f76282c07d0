// SPDX-License-Identifier: MIT
// What signal_basics and time_clocks try that depends on the CPU (AArch64).
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // TRAP_BRKPT
#endif
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

// Instructions that fault, and the signal of each. (Division by zero is none: it gives zero.)
struct cpu_fault {
	void (*provoke)(void);
	int signo, code;
};

static inline void cpu_undefined(void)
{
	__asm__ volatile("udf #7");
}
static inline void cpu_breakpoint(void)
{
	__asm__ volatile("brk #3");
}
static inline void cpu_privileged(void)
{
	__asm__ volatile("mrs x0, ttbr0_el1" ::: "x0");
}
static inline void cpu_no_address(void)
{
	*(volatile int *)0x00dead0000000000 = 1;
}
static inline void cpu_kernel_address(void)
{
	*(volatile int *)0xffffffff80000000 = 1;
}
static inline void cpu_unaligned_jump(void)
{
	__asm__ volatile("adr x9, .\n add x9, x9, #2\n br x9" ::: "x9");
}
static inline void cpu_unaligned_exclusive(void)
{
	static long words[2];
	__asm__ volatile("ldxr x9, [%0]" ::"r"((char *)words + 3) : "x9", "memory");
}

static const struct cpu_fault cpu_faults[] = {
	{cpu_undefined, SIGILL, ILL_ILLOPC},	       {cpu_breakpoint, SIGTRAP, TRAP_BRKPT},
	{cpu_privileged, SIGILL, ILL_ILLOPC},	       {cpu_no_address, SIGSEGV, SEGV_MAPERR},
	{cpu_kernel_address, SIGSEGV, SEGV_MAPERR},    {cpu_unaligned_jump, SIGBUS, BUS_ADRALN},
	{cpu_unaligned_exclusive, SIGBUS, BUS_ADRALN},
};

// For handlers: other values in registers that a handler may change.
static inline void cpu_clobber(void)
{
	__asm__ volatile("movi v5.2d, #0\n mov x12, #0\n mov x18, #0\n cmp x12, #1" ::
				 : "v5", "x12", "x18", "cc");
}

// Sends itself a signal with known values in general, vector and flag registers: is all kept when
// the handler, which calls cpu_clobber(), has returned?
static inline int cpu_keeps_registers(int sig)
{
	long pid = getpid();
	register long x8 __asm__("x8") = SYS_tgkill;
	register long x0 __asm__("x0") = pid;
	register long x1 __asm__("x1") = pid;
	register long x2 __asm__("x2") = sig;
	long x12 = 0, x18 = 0, low = 0, high = 0, carry = 0;
	__asm__ volatile(
		"mov x12, #0x4567\n mov x18, #0x89\n dup v5.2d, x12\n cmp x12, x12\n svc #0\n"
		"cset %4, cs\n mov %0, x12\n mov %1, x18\n umov %2, v5.d[0]\n umov %3, v5.d[1]"
		: "=&r"(x12), "=&r"(x18), "=&r"(low), "=&r"(high), "=&r"(carry), "+r"(x0)
		: "r"(x8), "r"(x1), "r"(x2)
		: "x12", "x18", "v5", "memory", "cc");
	return x0 == 0 && x12 == 0x4567 && x18 == 0x89 && low == 0x4567 && high == 0x4567 && carry;
}

// What the vDSO has, besides clocks nothing.
static const char *const cpu_vdso_names[] = {"__kernel_clock_gettime", "__kernel_gettimeofday",
					     "__kernel_clock_getres", "__kernel_rt_sigreturn"};
static inline void cpu_vdso_check(void *(*symbol)(const char *name), long now)
{
	(void)symbol, (void)now;
}
