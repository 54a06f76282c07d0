// SPDX-License-Identifier: MIT
// What the x86-64 files share about descriptor tables and entry. Privileged.
#pragma once
#include "core/percpu.h"
#include "core/thread.h"
#include <arch/cpu.h>
#include <arch/frame.h>

DECLARE_PERCPU(
	uintptr_t,
	cpu_kstack_top); // of the running thread: where entries from programs build their frame
// An interrupted kernel RSP below this is an overflow of the running thread's kernel stack. 0: no
// check.
DECLARE_PERCPU(uintptr_t, cpu_kstack_limit);
DECLARE_PERCPU(u64, cpu_user_rsp); // scratch of the system-call entry
DECLARE_PERCPU(u64, cpu_elevations);
DECLARE_PERCPU(u64, cpu_elevations_refused);

constexpr u64 RFLAGS_TF = 0x100;
// What a program may set in its own RFLAGS through frames: CF PF AF ZF SF TF DF OF NT RF? AC ID
constexpr u64 RFLAGS_USER =
	0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x4000 | 0x40000 | 0x200000;

// Descriptor tables and control registers of this CPU; stacks: 5 interrupt stacks (see cpu.c), from
// cpu_stacks_alloc().
void cpu_tables_load(u32 cpu, void *stacks);
void *cpu_stacks_alloc(void);
void cpu_controls_init(void); // CR0, CR4, EFER, SYSCALL MSRs, XCR0
void cpu_set_smep(bool on);   // this CPU
// The early console: finds serial ports, gives those that console= names (ttyS0 without any
// console=) to the log, and makes all of them platform devices. Boot CPU, with nothing but bootinfo
// set up.
void uart_early_init(void);
void fpu_init(void); // boot CPU: sizes and initial image
void fpu_init_cpu(void);
void fpu_switch(struct thread *prev, struct thread *next); // interrupts off
void *fpu_area_alloc(void);				   // nullptr: no memory
void fpu_area_free(void *area);
void *fpu_area_exchange(void *area, bool fresh);

// Entered from entry.S.
void trap_dispatch(struct trap_frame *f, u64 vector, u64 error, u64 cr2);
struct cpu_words {
	u64 rip, cs, rflags, rsp, ss;
};
void trap_paranoid(struct trap_frame *f, u64 vector, u64 error, const struct cpu_words *w);
void syscall_slow_path(struct trap_frame *f);
void syscall_exit_slow(struct trap_frame *f);
void thread_first_return(struct trap_frame *f);
void elevate_ungranted(struct trap_frame *f);
[[noreturn]] void gate_strange_call(struct trap_frame *f);
extern u32 elevate_rflags;
void space_reload(void);
void elevate_activate_view(void);
void lower_activate_view(void);
void smp_handle_call(void);
void smp_handle_stop(const struct cpu_words *w, u64 rbp);
extern u64 syscall_count;
extern const void *const *syscall_table;
