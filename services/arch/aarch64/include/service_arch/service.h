// SPDX-License-Identifier: MIT
// What services need of the CPU (AArch64): elevation, barriers, device registers.
#pragma once
#include "abi/native.h"
#include "base/types.h"

// In loops that wait for another thread.
static __always_inline void service_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

// Is this the caller's kernel stack? A service that is not privileged runs on a stack in its own
// slot of address space (512 GiB), where its code lies too. (EL0 cannot read the exception level.)
static __always_inline bool service_on_kernel_stack(void)
{
	u64 sp, here;

	__asm__ volatile("mov %0, sp\n\tadr %1, ." : "=r"(sp), "=r"(here));
	return (sp ^ here) >> 39;
}

// elevate() at a place that the linker records: the service goes on at EL1, in core's own view. 1:
// lower again; 0: it is at EL1 already (a privileged service, or elevated before); -EPERM: the
// service is isolated. Always inlined: the record names the place.
static __always_inline int service_elevate(void)
{
	register u64 nr __asm__("x8") = HALYARD_NR_ELEVATE;
	register s64 r __asm__("x0");

	if (service_on_kernel_stack())
		return 0;
	__asm__ volatile("svc #0\n"
			 "1:\n\t"
			 ".pushsection elevate_sites,\"aw\",@progbits\n\t"
			 ".quad 1b\n\t"
			 ".popsection"
			 : "=r"(r)
			 : "r"(nr)
			 : "memory");
	return r < 0 ? (int)r : r == 0; // 1: it was elevated before
}

static __always_inline void service_lower(void)
{
	register u64 nr __asm__("x8") = HALYARD_NR_LOWER;

	__asm__ volatile("svc #0" ::"r"(nr) : "x0", "memory");
}

// Order between memory that a device shares and what follows or came before. Devices are in the
// outer shareable domain; accesses to their registers are ordered with memory by these too.
static __always_inline void service_wmb(void)
{
	__asm__ volatile("dmb oshst" ::: "memory");
}
static __always_inline void service_rmb(void)
{
	__asm__ volatile("dmb oshld" ::: "memory");
}
static __always_inline void service_mb(void)
{
	__asm__ volatile("dmb osh" ::: "memory");
}
