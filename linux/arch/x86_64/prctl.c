// SPDX-License-Identifier: MIT
// Owns arch_prctl: the bases of FS and GS.
#include "core/uaccess.h"
#include "linux/syscalls.h"
#include <arch/thread.h>

enum {
	ARCH_SET_GS = 0x1001,
	ARCH_SET_FS,
	ARCH_GET_FS,
	ARCH_GET_GS,
	ARCH_GET_CPUID = 0x1011,
	ARCH_SET_CPUID = 0x1012
};

SYSCALL(arch_prctl, int code, u64 addr)
{
	switch (code) {
	case ARCH_SET_FS:
		return arch_tls_set(false, addr);
	case ARCH_SET_GS:
		return arch_tls_set(true, addr);
	case ARCH_GET_FS:
		return put_user(arch_tls_get(false), user_ptr(u64, addr));
	case ARCH_GET_GS:
		return put_user(arch_tls_get(true), user_ptr(u64, addr));
	case ARCH_GET_CPUID: // the instruction is not intercepted
		return 1;
	}
	return -EINVAL;
}
