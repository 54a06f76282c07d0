// SPDX-License-Identifier: MIT
// Registers as ptrace(2) shows them on x86-64.
#pragma once
#include "base/types.h"

struct linux_user_regs {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
	u64 rip, cs, rflags, rsp, ss;
	u64 fs_base, gs_base, ds, es, fs, gs;
};
static_assert(sizeof(struct linux_user_regs) == 27 * 8);

// PTRACE_PEEKUSER's offsets.
constexpr u64 LINUX_USER_SIZE = 912;
constexpr u64 LINUX_USER_DEBUGREG = 848;

// Requests that only x86-64 has.
enum {
	PTRACE_GETREGS = 12,
	PTRACE_SETREGS = 13,
	PTRACE_GETFPREGS = 14,
	PTRACE_SETFPREGS = 15,
};

constexpr u32 AUDIT_ARCH_X86_64 = 0xc000003e;
