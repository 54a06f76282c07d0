// SPDX-License-Identifier: MIT
// Per-thread CPU state (AArch64). Privileged.
#pragma once
#include "base/types.h"
#include "core/percpu.h"
struct thread;
struct trap_frame;

// Vector and floating-point registers.
struct fpu_state {
	u64 v[64]; // V0 to V31, the lower half of each first
	u32 fpsr, fpcr;
} __aligned(16);

struct arch_thread {
	u64 gate_tls;	       // program's TPIDR_EL0 as it was at its outermost gate; own thread
	u64 sp;		       // kernel stack pointer while switched out
	u64 tls;	       // program's TPIDR_EL0; saved at switch
	struct fpu_state *fpu; // nullptr: idle thread
	bool step;	       // MDSCR_EL1.SS is set while it runs; own thread
	u32 fpu_cpu; // whose registers hold this state since the last save, +1; 0: none. Own
		     // thread, switch
};
DECLARE_PERCPU(struct thread *, cpu_current);
static inline struct thread *current(void)
{
	return this_cpu_read(cpu_current);
}

// The frame of a program's thread: at the top of its kernel stack.
struct trap_frame *thread_user_frame(struct thread *t);
// The frame of the innermost entry into the kernel: the same, or below what enclosing gates keep.
struct trap_frame *thread_entry_frame(struct thread *t);
// First entry into a program: registers zero, at ip with stack sp. Own thread (exec) or before
// thread_start.
void arch_thread_init_user(struct thread *t, u64 ip, u64 sp);
// A child that returns 0 from the parent's current system call, on stack sp (0: the parent's), with
// TLS base tls if set_tls.
int arch_thread_fork(struct thread *child, struct thread *parent, const struct trap_frame *f,
		     u64 sp, bool set_tls, u64 tls);
int arch_thread_alloc(struct thread *t); // FPU state in its initial state; 0 or -ENOMEM
// A kernel thread's first frame: fn(arg) on its kernel stack.
void arch_thread_init_kernel(struct thread *t, void (*fn)(void *), void *arg);
// The current thread, which began in the kernel, goes on in the program that arch_thread_init_user
// prepared.
[[noreturn]] void arch_thread_enter_user(void);
// Leaves prev for next on this CPU; returns in prev when it is next switched to, with the thread
// that ran before. Run-queue lock held.
struct thread *arch_switch(struct thread *prev, struct thread *next);
void arch_thread_free(struct thread *t);
// The current thread: its TLS base is brought to arch_thread.tls; programs' instructions are
// stepped over singly where PSTATE.SS says so.
void arch_tls_settle(void);
void arch_step_set(bool on);
void arch_thread_exec(void); // current: fresh vector and TLS state

void arch_set_kstack_top(
	uintptr_t top); // of this CPU's running thread (boot only; arch_switch does it otherwise)
bool trap_tick_was_program(
	void); // did the interrupt being served come from a program? Interrupts off

// Vector state, as signal frames and ptrace show it.
void fpu_state_save(struct thread *t);		    // current: registers -> its state
struct fpu_state *fpu_state_area(struct thread *t); // what is written there, fpu_state_load loads
// The current thread's state was written, with preemption off since before that (a switch would
// have saved the registers over it): the registers become what it holds.
void fpu_state_load(void);
void fpu_state_reset(void); // current: as at a program's start
