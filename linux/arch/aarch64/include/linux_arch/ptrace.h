// SPDX-License-Identifier: MIT
// What tracing needs of the CPU (AArch64). Privileged.
//
// Registers of another task: with the signal lock of its process held, while it stands in a stop
// and is on no CPU.
#pragma once
#include "abi/linux/arch/aarch64/user.h"
#include "abi/linux/ptrace.h"
#include "base/errno.h"
#include <arch/frame.h>
#include <arch/thread.h>

struct task;

constexpr u32 PTRACE_AUDIT_ARCH = AUDIT_ARCH_AARCH64;
constexpr u32 REGSET_UNIT = 4; // lengths are multiples of it

// Bytes of a set of registers (REGSET_*); 0: there is no such set.
u32 regset_size(u32 type);
// Must a program write it as a whole?
static inline bool regset_is_whole(u32)
{
	return false;
}
void regset_read(struct task *t, u32 type, void *out);	    // regset_size() bytes
int regset_write(struct task *t, u32 type, const void *in); // 0, -EIO, -EINVAL

// There is no "struct user" to look into.
static inline int user_area_read(struct task *, u64, u64 *out)
{
	*out = 0;
	return -EIO;
}
static inline int user_area_write(struct task *, u64, u64)
{
	return -EIO;
}
static inline int ptrace_request_translate(int, u32 *type)
{
	*type = 0;
	return 0;
}

// The registers as they were before the call.
static inline void ptrace_call_undo(struct trap_frame *f)
{
	frame_set_result(f, (long)frame_arg(f, 0));
}
// Before a call X0 is its first argument, and stays it when the tracer skips the call.
static inline void ptrace_call_begins(struct trap_frame *f)
{
	if ((s32)frame_syscall_nr(f) == -1)
		frame_set_result(f, -ENOSYS);
}
// At a stop before or after a call X7 says which; the program's own value is back afterwards.
static inline u64 ptrace_call_mark(struct trap_frame *f, bool end)
{
	u64 kept = f->x[7];
	f->x[7] = end;
	return kept;
}
static inline void ptrace_call_unmark(struct trap_frame *f, u64 kept)
{
	f->x[7] = kept;
}

// The tracee about to stop: its registers are brought to where the tracer looks for them.
void ptrace_arch_settle(void);

// After one instruction of the program comes a step exception. false: that is so already. The
// current thread, on its way to the program.
bool frame_step_set(struct trap_frame *f);
void frame_step_clear(struct trap_frame *f);
