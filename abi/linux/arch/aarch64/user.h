// SPDX-License-Identifier: MIT
// Registers as ptrace(2) shows them on AArch64.
#pragma once
#include "base/types.h"

struct linux_user_regs {
	u64 x[31], sp, pc, pstate;
};
static_assert(sizeof(struct linux_user_regs) == 34 * 8);

struct linux_user_fpsimd {
	u64 v[64]; // V0 to V31, the lower half of each first
	u32 fpsr, fpcr;
	u32 reserved[2];
};
static_assert(sizeof(struct linux_user_fpsimd) == 528);

// Sets of registers that only AArch64 has: TPIDR_EL0; the number of the system call.
enum { REGSET_ARM_TLS = 0x401, REGSET_ARM_SYSTEM_CALL = 0x404 };

constexpr u32 AUDIT_ARCH_AARCH64 = 0xc00000b7;
