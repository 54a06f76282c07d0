// SPDX-License-Identifier: MIT
// What signals need of the CPU: frames on the program's stack, restarted calls (AArch64).
// Privileged.
#pragma once
#include "linux/signal.h"
#include <arch/frame.h>

struct exception;
struct task;

// Builds the frame of a handler on the program's stack and makes f enter the handler. mask is what
// sigreturn restores. 0 or -EFAULT.
int signal_frame_push(struct trap_frame *f, struct task *t, const struct linux_sigaction *a,
		      const struct siginfo *info, sigset_t mask);
// Smallest alternate stack that a frame fits on (AT_MINSIGSTKSZ), bytes.
u32 signal_frame_size(void);

// A fault of the current thread's program (personality.exception): the signal that it is.
// Interrupts on; may sleep.
void signal_exception(struct trap_frame *f, const struct exception *e);

// A tracer that is told of a signal finds the registers such that the call will be made again.
constexpr bool SIGNAL_RESTARTS_EARLY = true;
// Makes f call restart_syscall(2) instead of what was interrupted.
static inline void frame_restart_by_block(struct trap_frame *f)
{
	f->x[8] = 128;
	f->pc -= 4;
}
// From now on it is not.
static inline void frame_forget_syscall(struct trap_frame *f)
{
	f->number = ~0ull;
}
// Is f a system call whose result may be a restart code? (Not after sigreturn.)
static inline bool frame_is_syscall(const struct trap_frame *f)
{
	return f->number != ~0ull;
}
