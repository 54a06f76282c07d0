// SPDX-License-Identifier: MIT
// The registers of a program (or interrupted kernel code) as entry saves them (x86-64). Privileged.
// The order is that of Linux's user_regs_struct, which ptrace and core dumps show.
#pragma once
#include "base/types.h"
struct trap_frame {
	u64 r15, r14, r13, r12, rbp, rbx; // system calls: saved, not restored on the fast way out
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 orig_rax; // system-call number, or ~0 for interrupts and faults (their error code was
		      // consumed)
	u64 rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(struct trap_frame) == 21 * 8);
static inline u64 frame_ip(const struct trap_frame *f)
{
	return f->rip;
}
static inline void frame_set_ip(struct trap_frame *f, u64 ip)
{
	f->rip = ip;
}
static inline u64 frame_fp(const struct trap_frame *f)
{
	return f->rbp;
}
// Where the function returns to, as long as that is nowhere but in a register. 0: not on this CPU.
static inline u64 frame_link(const struct trap_frame *f)
{
	(void)f;
	return 0;
}
static inline u64 frame_sp(const struct trap_frame *f)
{
	return f->rsp;
}
static inline u64 frame_syscall_nr(const struct trap_frame *f)
{
	return f->orig_rax;
}
static inline long frame_result(const struct trap_frame *f)
{
	return (long)f->rax;
}
static inline void frame_set_result(struct trap_frame *f, long v)
{
	f->rax = (u64)v;
}
static inline u64 frame_arg(const struct trap_frame *f, u32 n) // of a system call
{
	switch (n) {
	case 0:
		return f->rdi;
	case 1:
		return f->rsi;
	case 2:
		return f->rdx;
	case 3:
		return f->r10;
	case 4:
		return f->r8;
	default:
		return f->r9;
	}
}
// Goes back to the system-call instruction, so that the call is made again with its number and
// arguments.
static inline void frame_restart_syscall(struct trap_frame *f)
{
	f->rax = f->orig_rax;
	f->rip -= 2;
}
