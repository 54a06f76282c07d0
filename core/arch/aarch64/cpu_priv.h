// SPDX-License-Identifier: MIT
// What the AArch64 files share about CPUs, entry and the devices that core itself drives.
// Privileged.
#pragma once
#include "core/percpu.h"
#include "core/smp.h"
#include "core/thread.h"
#include <arch/cpu.h>
#include <arch/frame.h>

DECLARE_PERCPU(uintptr_t,
	       cpu_kstack_limit); // a kernel stack pointer below it is an overflow. 0: no check
// Where the frame of such an overflow is built: the top of a stack of EMERGENCY_STACK_SIZE.
DECLARE_PERCPU(uintptr_t, cpu_emergency_top);
constexpr u32 EMERGENCY_STACK_SIZE = 8192;
DECLARE_PERCPU(u64, cpu_elevations);
DECLARE_PERCPU(u64, cpu_elevations_refused);

// ---- this CPU (cpu.c) ----
void cpu_vectors_load(u32 cpu);	       // this CPU's vectors and per-CPU offset
void cpu_controls_init(void);	       // SCTLR_EL1, CPACR_EL1, timers' rights
bool cpu_features_present(void);       // has this CPU all that the boot CPU has?
void *cpu_emergency_stack_alloc(void); // nullptr: no memory
void fpu_init_cpu(void);
void fpu_switch(struct thread *prev, struct thread *next); // interrupts off
struct fpu_state *fpu_area_alloc(void);			   // nullptr: no memory
void fpu_area_free(struct fpu_state *area);
// The current thread goes on with another area, in its initial state if fresh. Returns the one it
// had.
struct fpu_state *fpu_area_exchange(struct fpu_state *area, bool fresh);

// ---- entered from entry.S ----
void trap_dispatch(struct trap_frame *f, u64 kind, u64 esr, u64 far);
// The virtual timer's interrupt came, while f ran. Called by irq_handle().
void trap_timer_interrupt(struct trap_frame *f);
void syscall_slow_path(struct trap_frame *f);
void syscall_exit_slow(struct trap_frame *f);
void thread_first_return(struct trap_frame *f);
extern u64 syscall_count;
extern const void *const *syscall_table;
// Native calls, whose number has NR_HALYARD_BIT, come to `native_call` (gate.S): all registers
// saved in the frame at SP, X18 per-CPU offset, X19 the frame's number, interrupts off. It goes on
// at syscall_saved (no native call after all: it becomes ENOSYS), at trap_return (all registers
// from the frame; whatever had to be done before is done), or elsewhere.
void space_reload(void); // gate.c; interrupts off

// ---- messages between CPUs (smp.c handles them; the interrupt controller's file sends) ----
enum ipi : u32 { IPI_RESCHEDULE, IPI_CALL, IPI_STOP }; // SGI numbers
void smp_handle_call(void);
void smp_handle_stop(const struct trap_frame *f);

// ---- interrupt controller (irq.c, gic*.c) ----
// irq_init() of core/irq.h finds and programs it, for the boot CPU too.
void irq_init_cpu(void);		  // every other CPU, once, interrupts off
void irq_send_ipi(u32 cpu, enum ipi ipi); // any context
// An interrupt came: asks the controller which, handles all that are pending: calls
// sched_kicked(), smp_handle_call(), smp_handle_stop(f), timer_interrupt(), or the handlers of
// lines and messages; ends each at the controller before a handler that may switch (there is none:
// switching happens after it returns). Interrupts off.
void irq_handle(struct trap_frame *f);
void delay_ns(u64 ns); // clock.c: busy-waits at least ns; from the first instruction on
void irq_timer_enable(
	void); // this CPU's virtual timer interrupt; called by time_init, time_init_cpu

// ---- what firmware says (machine.c) ----
// MPIDR affinities (Aff3..Aff0 as in MPIDR_EL1) of all usable CPUs, the boot CPU's first. Returns
// how many were stored, at least 1.
u32 firmware_cpu_list(u64 *mpidrs, u32 max);
u64 smp_mpidr(u32 cpu); // smp.c

// ---- PSCI (psci.c) ----
// Starts a CPU at a physical address with X0 = context, MMU off. 0 or a negative errno.
int psci_cpu_on(u64 mpidr, u64 entry, u64 context);

// ---- early console (pl011.c) ----
// Finds the serial port by device tree or ACPI (SPCR), gives it to the log and makes it a platform
// device. Boot CPU, with nothing but bootinfo set up, before the kernel's own page tables.
void uart_early_init(void);

s64 rtc_read_unix(void); // seconds since 1970, -1: no clock
