// SPDX-License-Identifier: MIT
// What the layer that programs see (linux/) gives to the core. Privileged.
// The core knows no system call: it enters through the table here, and asks here what a program's
// fault means.
#pragma once
#include "base/types.h"
#include "core/mmu_space.h"
#include "core/thread.h"
#include <arch/frame.h> // struct trap_frame

// A program's fault as the CPU reported it. What it means to the program, the personality decides.
struct exception {
	u32 vector; // the CPU's number of it (<arch/exception.h>)
	u64 error;  // the CPU's error code (x86: of debug exceptions, DR6)
	u64 addr;   // page faults: what was touched; else 0
	int result; // page faults: what fault() said; else 0
};

struct personality {
	const char *name;
	const void *const *syscalls; // functions of up to six register arguments returning long
	u32 nsyscalls;
	// A number outside the table or (native calls) not claimed by core. Returns what the
	// program gets.
	long (*syscall_unknown)(struct trap_frame *f, u64 nr);
	// WORK_TRACE_ENTRY is set: runs around the call. nr may be changed; false: skip the call,
	// result already in the frame.
	bool (*syscall_enter)(struct trap_frame *f);
	void (*syscall_leave)(struct trap_frame *f);
	// The current thread, or the kernel on its behalf (uaccess), touched addr, below USER_TOP,
	// in s, its own space, and the CPU found no entry or not the right to do that. access: enum
	// vm_access. Interrupts on; may sleep. 0: try again. -EFAULT: nothing is mapped; -EACCES:
	// rights; -EIO: behind the end of what is mapped; -ENOMEM. Who fails gets the exception
	// below, or the kernel's copy ends there.
	int (*fault)(struct mmu_space *s, u64 addr, u32 access);
	// A program's fault, in the faulting thread, interrupts on; may sleep; arranges for a
	// signal.
	void (*exception)(struct trap_frame *f, const struct exception *e);
	// Before returning to a program with WORK_SIGNAL or WORK_NOTIFY set; interrupts on, may
	// sleep, may not return (exit). in_syscall: the frame belongs to a system call, which may
	// have to be restarted.
	void (*exit_to_user)(struct trap_frame *f, bool in_syscall);
	void (*tick)(bool user); // scheduler tick in a program's thread, interrupts off: CPU-time
				 // timers and limits
	// Starts the first program; runs in a kernel thread after boot.
	void (*start)(void);
};
extern const struct personality *personality;		// set once before the first program runs
void personality_register(const struct personality *p); // linux calls it from its initcall
