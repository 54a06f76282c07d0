// SPDX-License-Identifier: MIT
// Per-thread CPU state (x86-64). Privileged.
#pragma once
#include "base/types.h"
#include "core/percpu.h"
struct thread;
struct trap_frame;
struct arch_thread {
	u64 gate_tls[2]; // program's FS and GS base as they were at its outermost gate; own thread
	u64 rsp;	 // kernel stack pointer while switched out
	u64 fsbase;	 // program's; saved at switch
	u64 gsbase;	 // program's (in KERNEL_GS_BASE while in the kernel)
	u16 ds, es, fs, gs; // selectors that a program loaded; own thread
	void *fpu;	    // XSAVE area, 64-byte aligned; nullptr: idle thread
	u32 fpu_cpu;	    // whose registers hold this state since the last save, +1; 0: none. Own
			    // thread, switch
	// DR0-3, 6, 7, as a tracer wants them: addresses lie in the program's half. Own thread, or
	// it is asleep
	u64 debug[8];
	bool uses_debug; // any of them is on
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
int arch_thread_alloc(struct thread *t); // FPU area in its initial state; 0 or -ENOMEM
// A kernel thread's first frame: fn(arg) on its kernel stack.
void arch_thread_init_kernel(struct thread *t, void (*fn)(void *), void *arg);
// The current thread, which began in the kernel, goes on in the program that arch_thread_init_user
// prepared.
[[noreturn]] void arch_thread_enter_user(void);
// Leaves prev for next on this CPU; returns in prev when it is next switched to, with the thread
// that ran before. Run-queue lock held.
struct thread *arch_switch(struct thread *prev, struct thread *next);
void arch_thread_free(struct thread *t);
// The current thread's TLS base (gs: the other one), as arch_prctl(2) reads and sets it. -EPERM for
// addresses outside the lower half.
u64 arch_tls_get(bool gs);
int arch_tls_set(bool gs, u64 base);
void arch_thread_exec(void); // current: fresh FPU, segment and debug state

void arch_set_kstack_top(
	uintptr_t top); // of this CPU's running thread (boot only; arch_switch does it otherwise)
bool trap_tick_was_program(
	void); // did the interrupt being served come from a program? Interrupts off

// Vector state in the standard XSAVE format, as signal frames and ptrace show it.
u32 fpu_state_size(void);	       // bytes of an image
u64 fpu_features(void);		       // XCR0
u32 fpu_mxcsr_mask(void);	       // bits that MXCSR may have
void fpu_state_save(struct thread *t); // current: registers -> its area
void *fpu_state_area(
	struct thread *t); // bytes 464..511 are no hardware's: what is written there stays
// The current thread's area was written, anything into it, with preemption off since before that
// (a switch would have saved the registers over it): they become what it holds. What the CPU would
// refuse is cleared. legacy: only the 512 bytes of FXSAVE count.
void fpu_state_load(bool legacy);
// The same, but in vain: the area becomes what the registers hold.
void fpu_state_rewrite(void);
void fpu_state_reset(void); // current: as at a program's start
