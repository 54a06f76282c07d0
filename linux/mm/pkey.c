// SPDX-License-Identifier: MIT
// Owns protection keys as they are on a CPU on which the kernel has not enabled them: core leaves
// CR4.PKE off, so CPUID says that there are none, no key can be had, and every key is wrong.
#include "base/errno.h"
#include "linux/mm/mm.h"
#include "linux/syscalls.h"

constexpr u64 PKEY_RIGHTS = 3; // PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE

SYSCALL(pkey_alloc, u64 flags, u64 rights)
{
	return flags || (rights & ~PKEY_RIGHTS) ? -EINVAL : -ENOSPC;
}

SYSCALL(pkey_free, int key)
{
	(void)key;
	return -EINVAL;
}

long sys_mprotect(u64 addr, u64 len, u64 prot); // linux/mm/map_calls.c

SYSCALL(pkey_mprotect, u64 addr, u64 len, u64 prot, int key)
{
	return key == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}
