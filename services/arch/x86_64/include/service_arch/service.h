// SPDX-License-Identifier: MIT
// What services need of the CPU (x86-64): elevation, barriers, device registers.
#pragma once
#include "abi/native.h"
#include "base/types.h"

// In loops that wait for another thread.
static __always_inline void service_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

// elevate() at a place that the linker records: the service goes on in ring 0, in core's own view.
// 1: lower again; 0: it is in ring 0 already (a privileged service, or elevated before); -EPERM:
// the service is isolated. Always inlined: the record names the place.
static __always_inline int service_elevate(void)
{
	u32 cs;
	u64 r;

	__asm__ volatile("movl %%cs, %0" : "=r"(cs));
	if (!(cs & 3))
		return 0;
	__asm__ volatile("syscall\n"
			 "1:\n\t"
			 ".pushsection elevate_sites,\"aw\",@progbits\n\t"
			 ".quad 1b\n\t"
			 ".popsection"
			 : "=a"(r)
			 : "a"(HALYARD_NR_ELEVATE)
			 : "rcx", "r11", "memory", "cc");
	return r ? (int)r : 1;
}

static __always_inline void service_lower(void)
{
	__asm__ volatile("syscall" ::"a"(HALYARD_NR_LOWER) : "rcx", "r11", "memory", "cc");
}

// Order between memory that a device shares and what follows or came before. x86 keeps stores in
// order, and loads; a store and a later load need a fence.
static __always_inline void service_wmb(void)
{
	__asm__ volatile("" ::: "memory");
}
static __always_inline void service_rmb(void)
{
	__asm__ volatile("" ::: "memory");
}
static __always_inline void service_mb(void)
{
	__asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}
