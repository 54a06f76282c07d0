// SPDX-License-Identifier: MIT
// The registers of a program (or interrupted kernel code) as entry saves them (AArch64).
// Privileged. The first 34 words are those of Linux's user_pt_regs, which ptrace and core dumps
// show.
#pragma once
#include "base/types.h"
struct trap_frame {
	u64 x[31]; // x[29] and x[30] are a frame record, so that chains of frames go on through it
	u64 sp;	   // SP_EL0, or of kernel code the stack pointer that it had
	u64 pc, pstate;
	u64 orig_x0; // a system call's first argument, which its result overwrites
	u64 number;  // of the system call, or ~0 for interrupts and faults
	// In the frame at thread.entry_top only, where they outlive entries, which do not write
	// them. Own thread.
	s64 native; // what native calls may do: 0 nothing by short ways; FRAME_MAY_ELEVATE; below
		    // 0: the thread's address, for it is inside a service
	u64 elevations; // by the short way, not counted elsewhere yet
};
static_assert(sizeof(struct trap_frame) == 38 * 8);
constexpr s64 FRAME_MAY_ELEVATE = 1;

// PSTATE as SPSR_EL1 holds it.
constexpr u64 PSTATE_MODE = 0xf;
constexpr u64 PSTATE_EL0 = 0x0;	 // programs and services
constexpr u64 PSTATE_EL1T = 0x4; // elevated code: EL1 on SP_EL0
constexpr u64 PSTATE_EL1H = 0x5; // core
constexpr u64 PSTATE_AARCH32 = 1 << 4;
constexpr u64 PSTATE_F = 1 << 6, PSTATE_I = 1 << 7, PSTATE_A = 1 << 8, PSTATE_D = 1 << 9;
constexpr u64 PSTATE_SS = 1 << 21, PSTATE_PAN = 1 << 22;
// What a program may set through frames that it hands in: N, Z, C, V, SSBS, DIT, BTYPE.
constexpr u64 PSTATE_USER = 0xf0000000 | 1 << 12 | 1 << 24 | 3 << 10;

static inline u64 frame_ip(const struct trap_frame *f)
{
	return f->pc;
}
static inline void frame_set_ip(struct trap_frame *f, u64 ip)
{
	f->pc = ip;
}
static inline u64 frame_fp(const struct trap_frame *f)
{
	return f->x[29];
}
// Where the function returns to, as long as that is nowhere but in a register: before it makes a
// frame record, and where it has taken it down or makes none.
static inline u64 frame_link(const struct trap_frame *f)
{
	return f->x[30];
}
static inline u64 frame_sp(const struct trap_frame *f)
{
	return f->sp;
}
static inline u64 frame_syscall_nr(const struct trap_frame *f)
{
	return f->number;
}
static inline long frame_result(const struct trap_frame *f)
{
	return (long)f->x[0];
}
static inline void frame_set_result(struct trap_frame *f, long v)
{
	f->x[0] = (u64)v;
}
static inline u64 frame_arg(const struct trap_frame *f, u32 n) // of a system call
{
	return n ? f->x[n < 5 ? n : 5] : f->orig_x0;
}
// Goes back to the system-call instruction, so that the call is made again with its number and
// arguments.
static inline void frame_restart_syscall(struct trap_frame *f)
{
	f->x[0] = f->orig_x0;
	f->pc -= 4;
}
