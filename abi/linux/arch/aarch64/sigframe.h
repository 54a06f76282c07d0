// SPDX-License-Identifier: MIT
// The frame of a signal handler on AArch64: siginfo, ucontext_t, and the records in it.
#pragma once
#include "abi/linux/signal.h"

// What mcontext_t begins with; records follow, each a multiple of 16 bytes long, the last one a
// head of zeroes.
struct linux_sigcontext {
	u64 fault_address;
	u64 regs[31];
	u64 sp, pc, pstate;
	u64 pad;
};
static_assert(sizeof(struct linux_sigcontext) == 288);
constexpr u32 SIGCONTEXT_RECORDS = 4096; // bytes behind it

struct linux_ucontext {
	u64 flags;
	u64 link;
	struct linux_stack stack;
	u64 sigmask;
	u8 sigmask_rest[120]; // for more signals than there are
	u64 pad;
	struct linux_sigcontext mcontext;
};
static_assert(sizeof(struct linux_ucontext) == 176 + 288);

struct linux_rt_sigframe { // less the records
	struct siginfo info;
	u8 info_rest[LINUX_SIGINFO_SIZE - sizeof(struct siginfo)];
	struct linux_ucontext uc;
};
static_assert(sizeof(struct linux_rt_sigframe) == 592);

struct linux_context_head {
	u32 magic; // 0: the end
	u32 size;  // of the record, this included; of the end: 0
};
constexpr u32 FPSIMD_MAGIC = 0x46508001;
constexpr u32 ESR_MAGIC = 0x45535201;

struct linux_fpsimd_context {
	struct linux_context_head head;
	u32 fpsr, fpcr;
	u64 vregs[32][2];
};
static_assert(sizeof(struct linux_fpsimd_context) == 528);

struct linux_esr_context { // after a fault: why (ESR_EL1)
	struct linux_context_head head;
	u64 esr;
};
static_assert(sizeof(struct linux_esr_context) == 16);
