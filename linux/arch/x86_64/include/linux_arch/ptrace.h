// SPDX-License-Identifier: MIT
// What tracing needs of the CPU (x86-64). Privileged.
//
// Registers of another task: with the signal lock of its process held, while it stands in a stop
// and is on no CPU.
#pragma once
#include "abi/linux/arch/x86_64/user.h"
#include "abi/linux/ptrace.h"
#include "base/errno.h"
#include <arch/frame.h>
#include <arch/thread.h>

struct task;

constexpr u32 PTRACE_AUDIT_ARCH = AUDIT_ARCH_X86_64;
constexpr u32 REGSET_UNIT = 8; // lengths are multiples of it

// Bytes of a set of registers (REGSET_*); 0: there is no such set.
u32 regset_size(u32 type);
// Must a program write it as a whole?
static inline bool regset_is_whole(u32 type)
{
	return type != REGSET_GENERAL;
}
void regset_read(struct task *t, u32 type, void *out);	    // regset_size() bytes
int regset_write(struct task *t, u32 type, const void *in); // 0, -EIO, -EINVAL
int user_area_read(struct task *t, u64 offset, u64 *out);   // PTRACE_PEEKUSER: 0 or -EIO
int user_area_write(struct task *t, u64 offset, u64 value);

// A request of this CPU's own that is one of the common ones in other words: the same with *type
// (of a set of registers), else 0.
int ptrace_request_translate(int request, u32 *type);
// The tracee about to stop: its registers are brought to where the tracer looks for them.
// The registers as they were before the call.
static inline void ptrace_call_undo(struct trap_frame *f)
{
	frame_set_result(f, (long)frame_syscall_nr(f));
}
static inline void ptrace_call_begins(struct trap_frame *f)
{
	frame_set_result(f, -ENOSYS);
}
// RAX tells a stop before a call, -ENOSYS, from one after it.
static inline u64 ptrace_call_mark(struct trap_frame *, bool)
{
	return 0;
}
static inline void ptrace_call_unmark(struct trap_frame *, u64)
{
}

static inline void ptrace_arch_settle(void)
{
	(void)arch_tls_get(false);
}

constexpr u64 FRAME_STEP_FLAG = 0x100; // RFLAGS.TF
// After one instruction of the program comes a debug exception. false: the program did that itself.
static inline bool frame_step_set(struct trap_frame *f)
{
	bool set = f->rflags & FRAME_STEP_FLAG;
	f->rflags |= FRAME_STEP_FLAG;
	return !set;
}
static inline void frame_step_clear(struct trap_frame *f)
{
	f->rflags &= ~FRAME_STEP_FLAG;
}
