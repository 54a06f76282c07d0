// SPDX-License-Identifier: MIT
// Facts about the CPU, and single instructions of it that common code needs (AArch64). Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

struct trap_frame;

// Found on the boot CPU; a CPU that lacks one of them is not started.
enum cpu_feature : u32 {
	CPU_PAN,     // privileged access never
	CPU_ASID16,  // address-space ids of 16 bits
	CPU_ATOMICS, // LSE
	CPU_RNDR,
	CPU_SVE,
	CPU_DC_ZVA, // clears blocks of memory
};
extern u64 cpu_features; // bit n: enum cpu_feature n; immutable after cpu_early_init()
static inline bool cpu_has(enum cpu_feature f)
{
	return cpu_features >> f & 1;
}

#define cpu_sysreg_read(name)                                  \
	({                                                     \
		u64 sr_;                                       \
		__asm__ volatile("mrs %0, " name : "=r"(sr_)); \
		sr_;                                           \
	})
#define cpu_sysreg_write(name, v) __asm__ volatile("msr " name ", %0" ::"r"((u64)(v)) : "memory")
static __always_inline void cpu_isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

// Enables interrupts and sleeps until one comes, in one step. Called with interrupts off: WFI wakes
// for an interrupt that is masked, which is taken when it is no longer.
static __always_inline void cpu_idle(void)
{
	__asm__ volatile("dsb sy\n\twfi\n\tmsr daifclr, #6" ::: "memory");
}

// Whole pages, in any context (uaccess.S). Addresses in the direct map, page-aligned.
void arch_page_clear(void *page);
void arch_page_copy(void *dst, const void *src);
void arch_pages_clear(void *first, size_t npages);

// In loops that wait for another CPU.
static __always_inline void cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

// A counter that ticks fast, for entropy and rough distances only. Not ordered with its neighbours.
static __always_inline u64 cpu_cycles(void)
{
	return cpu_sysreg_read("cntvct_el0");
}

// For ever, interrupts off.
[[noreturn]] static inline void cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("msr daifset, #15\n\twfi" ::: "memory");
}

// Can [addr, addr + len) be read without a fault? Walks the live page tables; any context, takes no
// lock. Kernel half only: false for a program's addresses. (pagewalk.c)
bool arch_kernel_range_readable(uintptr_t addr, size_t len);

// Logs the registers, a few to a line.
void arch_frame_print(const struct trap_frame *f);
