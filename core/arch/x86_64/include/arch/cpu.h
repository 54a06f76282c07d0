// SPDX-License-Identifier: MIT
// Facts about the CPU, and single instructions of it that common code needs (x86-64). Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

struct trap_frame;

enum cpu_feature : u32 {
	CPU_PCID,
	CPU_PGE,
	CPU_SMAP,
	CPU_UMIP,
	CPU_TSC_INVARIANT,
	CPU_RDTSCP,
	CPU_RDRAND,
	CPU_RDSEED,
	CPU_XSAVEOPT,
	CPU_HYPERVISOR,
	CPU_TCG,
};
extern u64 cpu_features; // bit n: enum cpu_feature n; immutable after cpu_early_init()
static inline bool cpu_has(enum cpu_feature f)
{
	return cpu_features >> f & 1;
}

// Enables interrupts and sleeps until one comes, in one step. Called with interrupts off.
static __always_inline void cpu_idle(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

// Whole pages, in any context (uaccess.S). Addresses in the direct map, page-aligned.
void arch_page_clear(void *page);
void arch_page_copy(void *dst, const void *src);
void arch_pages_clear(void *first, size_t npages);

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

// Can [addr, addr + len) be read without a fault? Walks the live page tables; any context, takes no
// lock. Kernel half only: false for a program's addresses. (pagewalk.c)
bool arch_kernel_range_readable(uintptr_t addr, size_t len);

// Logs the registers, a few to a line.
void arch_frame_print(const struct trap_frame *f);
