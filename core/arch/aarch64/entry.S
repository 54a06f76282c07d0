// SPDX-License-Identifier: MIT
// Every way into the kernel and out of it: interrupts, faults, SVC, context switch (AArch64). Privileged.
//
// The vector says who was interrupted:
//   EL0          a program or a service
//   EL1 on SP_EL0 (EL1t)   elevated code of either
//   EL1 on SP_EL1 (EL1h)   core
// All but the last arrive on SP_EL1 = thread.entry_top, where the frame is built; core's frames are built where its stack stands.
// X18 is core's own (arch/percpu.h): loaded here, and not put back for core, which may go on on another CPU.
#include "core/arch/aarch64/asm_offsets.h"

	.section .text.entry, "ax"

.macro SAVE_X2_X29
	stp x2, x3, [sp, #FRAME_X2]
	stp x4, x5, [sp, #FRAME_X4]
	stp x6, x7, [sp, #FRAME_X6]
	stp x8, x9, [sp, #FRAME_X8]
	stp x10, x11, [sp, #FRAME_X10]
	stp x12, x13, [sp, #FRAME_X12]
	stp x14, x15, [sp, #FRAME_X14]
	stp x16, x17, [sp, #FRAME_X16]
	stp x18, x19, [sp, #FRAME_X18]
	stp x20, x21, [sp, #FRAME_X20]
	stp x22, x23, [sp, #FRAME_X22]
	stp x24, x25, [sp, #FRAME_X24]
	stp x26, x27, [sp, #FRAME_X26]
	stp x28, x29, [sp, #FRAME_X28]
.endm

.macro SAVE_X0_X29
	stp x0, x1, [sp, #FRAME_X0]
	SAVE_X2_X29
.endm

.macro RESTORE_X0_X17
	ldp x0, x1, [sp, #FRAME_X0]
	ldp x2, x3, [sp, #FRAME_X2]
	ldp x4, x5, [sp, #FRAME_X4]
	ldp x6, x7, [sp, #FRAME_X6]
	ldp x8, x9, [sp, #FRAME_X8]
	ldp x10, x11, [sp, #FRAME_X10]
	ldp x12, x13, [sp, #FRAME_X12]
	ldp x14, x15, [sp, #FRAME_X14]
	ldp x16, x17, [sp, #FRAME_X16]
.endm

// The frame at SP; its stack pointer is that in X20.
.macro SAVE_REST
	mrs x21, elr_el1
	mrs x22, spsr_el1
	stp x30, x20, [sp, #FRAME_X30]
	stp x21, x22, [sp, #FRAME_PC]
	add x29, sp, #FRAME_X29
.endm

.macro ENTRY_LOWER_X0_X1_SAVED
	SAVE_X2_X29
	mrs x20, sp_el0
	mrs x18, tpidr_el1
	SAVE_REST
.endm

.macro ENTRY_LOWER
	sub sp, sp, #FRAME_SIZE
	stp x0, x1, [sp, #FRAME_X0]
	ENTRY_LOWER_X0_X1_SAVED
.endm

.macro ENTRY_CORE
	sub sp, sp, #FRAME_SIZE
	SAVE_X0_X29
	add x20, sp, #FRAME_SIZE
	SAVE_REST
.endm

// ---- vectors ----

.macro VECTOR to
	.balign 128
	b \to
.endm

// elevate(), where that switches no root: 20 instructions with those of the vector. X0 is in the frame.
.macro ELEVATE_SHORT
	ldr x0, [sp, #FRAME_NATIVE]
	tbz x0, #0, native_from_el0	// not FRAME_MAY_ELEVATE
	cmp x8, #(NR_HALYARD_ELEVATE >> 12), lsl #12
	b.ne svc_from_el0
	ldr x0, [sp, #FRAME_ELEVATIONS]
	add x0, x0, #1
	str x0, [sp, #FRAME_ELEVATIONS]
	mrs x0, spsr_el1
	orr x0, x0, #PSTATE_EL1T_
	msr spsr_el1, x0
	mov x0, #0
	add sp, sp, #FRAME_SIZE
	eret
.endm

// lower(): 18 instructions.
.macro LOWER_SHORT
	ldr x0, [sp, #FRAME_NATIVE]
	tbz x0, #0, native_from_el1t
	sub x0, x8, #(NR_HALYARD_LOWER >> 12), lsl #12
	cmp x0, #(NR_HALYARD_LOWER & 0xfff)
	b.ne svc_from_el1t
	mrs x0, spsr_el1
	bic x0, x0, #PSTATE_EL1T_
	msr spsr_el1, x0
	mov x0, #0
	add sp, sp, #FRAME_SIZE
	eret
.endm

// Native calls are told apart before anything else is done.
.macro VECTOR_LOWER_SYNC short
	.balign 128
	sub sp, sp, #FRAME_SIZE
	stp x0, x1, [sp, #FRAME_X0]
	mrs x0, esr_el1
	lsr w0, w0, #ESR_EC_SHIFT
	cmp w0, #EC_SVC64_
	b.ne lower_fault
	tbz w8, #NR_HALYARD_BIT, syscall
	\short
.endm

	.balign 2048
	.globl vectors
vectors:
	VECTOR_LOWER_SYNC LOWER_SHORT	// EL1t
	VECTOR lower_irq
	VECTOR lower_fiq
	VECTOR lower_serror
	VECTOR core_sync	// EL1h
	VECTOR core_irq
	VECTOR core_fiq
	VECTOR core_serror
	VECTOR_LOWER_SYNC ELEVATE_SHORT	// EL0, AArch64
	VECTOR lower_irq
	VECTOR lower_fiq
	VECTOR lower_serror
	VECTOR lower_fiq	// EL0, AArch32: no program has it
	VECTOR lower_fiq
	VECTOR lower_fiq
	VECTOR lower_fiq

lower_irq:
	ENTRY_LOWER
	mov x1, #TRAP_IRQ
	b trap_common
lower_fiq:
	ENTRY_LOWER
	mov x1, #TRAP_FIQ
	b trap_with_syndrome
lower_serror:
	ENTRY_LOWER
	mov x1, #TRAP_SERROR
	b trap_with_syndrome
core_irq:
	ENTRY_CORE
	mov x1, #TRAP_IRQ
	b trap_common
core_fiq:
	ENTRY_CORE
	mov x1, #TRAP_FIQ
	b trap_with_syndrome
core_serror:
	ENTRY_CORE
	mov x1, #TRAP_SERROR
	b trap_with_syndrome

	// Pushing a frame onto a stack that has overflowed would fault for ever: look first. TPIDRRO_EL0 keeps X0 meanwhile; it is zero
	// whenever a program runs.
core_sync:
	msr tpidrro_el0, x0
	adrp x0, cpu_kstack_limit
	add x0, x0, :lo12:cpu_kstack_limit
	ldr x0, [x0, x18]
	cmp sp, x0
	b.lo core_stack_overflow
	mrs x0, tpidrro_el0
	msr tpidrro_el0, xzr
	ENTRY_CORE
	mov x1, #TRAP_SYNC
	b trap_with_syndrome

core_stack_overflow:
	adrp x0, cpu_emergency_top
	add x0, x0, :lo12:cpu_emergency_top
	ldr x0, [x0, x18]
	str x1, [x0, #-8]
	mov x1, sp
	str x1, [x0, #-16]
	ldr x1, [x0, #-8]
	sub x0, x0, #(FRAME_SIZE + 16)
	mov sp, x0
	mrs x0, tpidrro_el0
	msr tpidrro_el0, xzr
	SAVE_X0_X29
	ldr x20, [sp, #FRAME_SIZE]
	SAVE_REST
	mov x1, #TRAP_STACK_OVERFLOW
	b trap_with_syndrome

lower_fault:
	ENTRY_LOWER_X0_X1_SAVED
	mov x1, #TRAP_SYNC
trap_with_syndrome:
	mrs x2, esr_el1
	mrs x3, far_el1
trap_common:
	mov x4, #-1
	str x4, [sp, #FRAME_NUMBER]
	mov x0, sp
	bl trap_dispatch	// (frame, kind, syndrome, address), returns with interrupts off

	.globl trap_return
trap_return:			// SP = frame; whatever had to be done before a program runs is done
	ldp x21, x22, [sp, #FRAME_PC]
	msr elr_el1, x21
	msr spsr_el1, x22
	and w22, w22, #0xf
	cmp w22, #PSTATE_EL1H_
	b.eq 1f
	ldp x30, x20, [sp, #FRAME_X30]
	msr sp_el0, x20
	RESTORE_X0_X17
	ldp x18, x19, [sp, #FRAME_X18]
	ldp x20, x21, [sp, #FRAME_X20]
	ldp x22, x23, [sp, #FRAME_X22]
	ldp x24, x25, [sp, #FRAME_X24]
	ldp x26, x27, [sp, #FRAME_X26]
	ldp x28, x29, [sp, #FRAME_X28]
	add sp, sp, #FRAME_SIZE
	eret
1:	RESTORE_X0_X17
	ldr x19, [sp, #FRAME_X18 + 8]
	ldp x20, x21, [sp, #FRAME_X20]
	ldp x22, x23, [sp, #FRAME_X22]
	ldp x24, x25, [sp, #FRAME_X24]
	ldp x26, x27, [sp, #FRAME_X26]
	ldp x28, x29, [sp, #FRAME_X28]
	ldr x30, [sp, #FRAME_X30]
	add sp, sp, #FRAME_SIZE
	eret

// ---- system calls ----

	// X0 and X1 are in the frame, the rest is the caller's.
	.globl svc_from_el0, svc_from_el1t
svc_from_el0:
svc_from_el1t:
	ENTRY_LOWER_X0_X1_SAVED
	ldr x0, [sp, #FRAME_X0]
	mov w8, w8
	stp x0, x8, [sp, #FRAME_ORIG_X0]
	b native_call

	.balign 64
syscall:
	ENTRY_LOWER_X0_X1_SAVED
	ldr x0, [sp, #FRAME_X0]
	mov w8, w8
	stp x0, x8, [sp, #FRAME_ORIG_X0]
	.globl syscall_saved
syscall_saved:
	msr daifclr, #6
	adrp x28, cpu_current
	add x28, x28, :lo12:cpu_current
	ldr x28, [x28, x18]
	ldr w10, [x28, #THREAD_WORK]
	tbnz w10, #8, syscall_slow	// WORK_TRACE_ENTRY
	ldr x10, [x28, #THREAD_SYSCALLS]
	cmp x8, x10			// 0 in a thread that is inside a service
	b.hs syscall_slow
	adrp x10, syscall_table
	ldr x10, [x10, :lo12:syscall_table]
	ldr x10, [x10, x8, lsl #3]
	blr x10
	str x0, [sp, #FRAME_X0]
syscall_exit:
	msr daifset, #7
	ldr w10, [x28, #THREAD_WORK]
	cbnz w10, syscall_exit_work
syscall_exit_checked:			// X24 to X27 are still the caller's
	ldp x21, x22, [sp, #FRAME_PC]
	ldp x30, x20, [sp, #FRAME_X30]
	msr elr_el1, x21
	msr spsr_el1, x22
	msr sp_el0, x20
	RESTORE_X0_X17
	ldp x18, x19, [sp, #FRAME_X18]
	ldp x20, x21, [sp, #FRAME_X20]
	ldp x22, x23, [sp, #FRAME_X22]
	ldp x28, x29, [sp, #FRAME_X28]
	add sp, sp, #FRAME_SIZE
	eret

syscall_slow:
	mov x0, sp
	bl syscall_slow_path	// (frame): table bounds, tracing; sets the result in the frame
	b syscall_exit
syscall_exit_work:
	cmp w10, #WORK_ROOT_BIT
	b.ne 1f
	bl space_reload		// a gate left its service's view loaded: the only work there is
	ldr w10, [x28, #THREAD_WORK]
	cbz w10, syscall_exit_checked
1:	mov x0, sp
	bl syscall_exit_slow	// (frame), interrupts off; all work done; returns with interrupts off
	b trap_return

// ---- context switch ----

// struct thread *arch_switch_stack(prev, next, &prev->arch.sp, next->arch.sp): returns, on next's stack, the thread that was left.
	.globl arch_switch_stack
	.balign 16
arch_switch_stack:
	stp x29, x30, [sp, #-96]!
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	mov x9, sp
	str x9, [x2]
	mov sp, x3
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp x29, x30, [sp], #96
	ret

// First instruction of a new thread: X0 = the thread that was left, X19 = function (kernel thread) or 0, X20 = its argument.
	.globl thread_trampoline
thread_trampoline:
	mov x29, xzr
	bl sched_thread_begins	// finishes the switch; interrupts on afterwards
	cbz x19, 1f
	mov x0, x20
	blr x19
	bl thread_exit
	brk #0
1:	mov x0, sp
	bl thread_first_return	// (frame): exit work; interrupts off
	b trap_return
	.globl arch_thread_enter_user
arch_thread_enter_user:		// the current thread leaves the kernel by its program's frame
	msr daifset, #2
	adrp x9, cpu_current
	add x9, x9, :lo12:cpu_current
	ldr x9, [x9, x18]
	ldr x9, [x9, #THREAD_ENTRY_TOP]
	and x9, x9, #-16
	sub sp, x9, #FRAME_SIZE
	mov x29, xzr
	b 1b
