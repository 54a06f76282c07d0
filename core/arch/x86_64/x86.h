// SPDX-License-Identifier: MIT
// x86.h: single x86-64 instructions (ports, MSRs, CR4, TSC, device registers) as C functions.
// Privileged.
#pragma once

#include "base/compiler.h"
#include "base/types.h"
#include <arch/cpuid.h>

static __always_inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static __always_inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static __always_inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static __always_inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static __always_inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static __always_inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static __always_inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}
static __always_inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static __always_inline u64 read_cr4(void)
{
	u64 v;
	__asm__ volatile("movq %%cr4, %0" : "=r"(v));
	return v;
}
static __always_inline void write_cr4(u64 v)
{
	__asm__ volatile("movq %0, %%cr4" ::"r"(v) : "memory");
}

// Not ordered with the instructions around it.
static __always_inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
// Read after everything before it in program order has completed: what one CPU read, another cannot
// undercut after it has seen the first one's later store.
static __always_inline u64 rdtsc_ordered(void)
{
	u32 lo, hi;
	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}
static __always_inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

// Device registers: exactly one access of exactly this width, in program order.
static __always_inline u32 mmio_read32(const volatile void *p)
{
	return *(const volatile u32 *)p;
}
static __always_inline void mmio_write8(volatile void *p, u8 v)
{
	*(volatile u8 *)p = v;
}
static __always_inline void mmio_write32(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

// Intel SDM volume 4, AMD APM volume 2 appendix A.
enum msr : u32 {
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_PAT = 0x277,
	MSR_X2APIC = 0x800, // + register number (MMIO offset / 16)
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_SYSCALL_MASK = 0xc0000084,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
};
