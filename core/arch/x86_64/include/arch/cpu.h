// SPDX-License-Identifier: MIT
// Single instructions of the CPU that common code needs (x86-64). Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

struct trap_frame;

// In loops that wait for another CPU.
static __always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

// A counter that ticks fast, for entropy and rough distances only. Not ordered with its neighbours.
static __always_inline u64 cpu_cycles(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

// For ever, interrupts off.
[[noreturn]] static inline void cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

// One number from the CPU's own generator. Result: bits of entropy in *out that may be counted on, 0 when there is no such
// generator or it had nothing to give. Any context. (rdrand.c)
u32 arch_random_seed(u64 *out);

// Can [addr, addr + len) be read without a fault? Walks the live page tables; any context, takes no lock. Kernel half only:
// false for a program's addresses. (pagewalk.c)
bool arch_kernel_range_readable(uintptr_t addr, size_t len);

// For backtraces (backtrace.c): ip returns into code that saved a whole trap frame, at frame pointer fp. Fills in where the
// interrupted code was; *from_program when it was not the kernel. False when ip is ordinary code.
bool arch_backtrace_trap(uintptr_t ip, uintptr_t fp, uintptr_t *next_ip, uintptr_t *next_fp, bool *from_program);
// Logs the registers, a few to a line.
void arch_frame_print(const struct trap_frame *f);
