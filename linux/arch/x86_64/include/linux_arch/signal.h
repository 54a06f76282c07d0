// SPDX-License-Identifier: MIT
// What signals need of the CPU: frames on the program's stack, restarted calls (x86-64).
// Privileged.
#pragma once
#include "linux/signal.h"
#include <arch/frame.h>

struct exception;
struct task;

// CF PF AF ZF SF TF DF OF RF AC: what a program may choose in a signal frame, and a tracer in
// registers. (Not NT: it is of no use to a 64-bit program.)
constexpr u64 SIGNAL_FLAGS_RESTORED =
	0x40000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 0x4 | 0x1 | 0x10000;
constexpr u64 SIGNAL_FLAGS_HIDDEN = 0x3000; // IOPL: privilege is not shown as a flag

// Builds the frame of a handler on the program's stack and makes f enter the handler. mask is what
// sigreturn restores. 0 or -EFAULT.
int signal_frame_push(struct trap_frame *f, struct task *t, const struct linux_sigaction *a,
		      const struct siginfo *info, sigset_t mask);
// Smallest alternate stack that a frame fits on (AT_MINSIGSTKSZ), bytes.
u32 signal_frame_size(void);

// A fault of the current thread's program (personality.exception): the signal that it is.
// Interrupts on; may sleep.
void signal_exception(struct trap_frame *f, const struct exception *e);

// A tracer that is told of a signal finds the result of the call, a restart code.
constexpr bool SIGNAL_RESTARTS_EARLY = false;
// Makes f call restart_syscall(2) instead of what was interrupted.
static inline void frame_restart_by_block(struct trap_frame *f)
{
	f->rax = 219;
	f->rip -= 2;
}
// From now on it is not.
static inline void frame_forget_syscall(struct trap_frame *f)
{
	f->orig_rax = ~0ull;
}
// Is f a system call whose result may be a restart code? (Not after sigreturn.)
static inline bool frame_is_syscall(const struct trap_frame *f)
{
	return f->orig_rax != ~0ull;
}
