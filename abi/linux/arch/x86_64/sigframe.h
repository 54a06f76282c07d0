// SPDX-License-Identifier: MIT
// The frame of a signal handler on x86-64 (ucontext_t and what surrounds it).
#pragma once
#include "abi/linux/signal.h"

struct linux_sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
		rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2;
	u64 fpstate; // address of the XSAVE image, 0: none
	u64 reserved[8];
};
static_assert(sizeof(struct linux_sigcontext) == 256);

constexpr u64 UC_FP_XSTATE = 1;
constexpr u64 UC_SIGCONTEXT_SS = 2;
constexpr u64 UC_STRICT_RESTORE_SS = 4;

struct linux_ucontext {
	u64 flags;
	u64 link;
	struct linux_stack stack;
	struct linux_sigcontext mcontext;
	u64 sigmask;
};
static_assert(sizeof(struct linux_ucontext) == 304);

struct linux_rt_sigframe {
	u64 restorer; // the handler's return address
	struct linux_ucontext uc;
	struct siginfo info;
	u8 info_rest[LINUX_SIGINFO_SIZE - sizeof(struct siginfo)];
};
static_assert(sizeof(struct linux_rt_sigframe) == 8 + 304 + 128);

// In bytes 464..511 of the FXSAVE image: what follows it.
constexpr u32 FP_SW_RESERVED_OFFSET = 464;
constexpr u32 FP_XSTATE_MAGIC1 = 0x46505853;
constexpr u32 FP_XSTATE_MAGIC2 = 0x46505845;
struct linux_fpx_sw_bytes {
	u32 magic1;
	u32 extended_size; // of the whole, magic2 included
	u64 xfeatures;
	u32 xstate_size;
	u32 padding[7];
};
static_assert(sizeof(struct linux_fpx_sw_bytes) == 48);
