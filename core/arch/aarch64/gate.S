// SPDX-License-Identifier: MIT
// Crossing into services and back, and the short way to elevate (AArch64). Privileged. entry.S comes here from its first
// instructions, when the number of a system call is that of a native call.
//
// SP_EL1 stays at thread.entry_top while a program, a service or elevated code runs, so an entry builds its frame there without
// looking for it. For a thread inside a service that is below what it has on its kernel stack. The frame's word `native` at that
// place says what the thread may do by the short ways below (arch/frame.h).
#include "core/arch/aarch64/asm_offsets.h"

	.section .text.entry, "ax"

.macro PERCPU_LOAD reg, name	// reg: an x register, whose place is found by X18
	adrp \reg, \name
	add \reg, \reg, x18
	ldr \reg, [\reg, :lo12:\name]
.endm

// What lies on the kernel stack while the service runs, from saved_sp up (arch_gate_caller knows it):
//	entry_top, syscalls, X19 to X28, X29, X30
#define GATE_KEPT 112

// X0 port, W1 op, X2 to X6 arguments, X10 thread, X12 stack, claimed. Up to where the service's registers are set.
//
// The program's TLS base, which a service may change, is noted at its outermost gate, the first since the program ran (later ones
// find what a service left); space_reload puts it back on the way to the program.
//
// The order of the roots: what is walked between the two writes is remembered under the id that TTBR0 has then. So a service's
// upper half is never loaded together with another id than its own.
.macro GATE_ENTER
	stp x29, x30, [sp, #-16]!
	stp x27, x28, [sp, #-16]!
	stp x25, x26, [sp, #-16]!
	stp x23, x24, [sp, #-16]!
	stp x21, x22, [sp, #-16]!
	stp x19, x20, [sp, #-16]!
	ldp x14, x15, [x10, #THREAD_ENTRY_TOP]	// and THREAD_SYSCALLS
	stp x14, x15, [sp, #-16]!
	ldr x13, [x10, #THREAD_GATE]
	stp x13, x0, [x12, #STACK_OUTER]	// and STACK_PORT
	mov w14, w1
	stp x14, xzr, [x12, #STACK_OP]		// ticks = 0, STACK_DEADLINE
	ldr x14, [x12, #STACK_CALLS_IN]
	add x14, x14, #1
	str x14, [x12, #STACK_CALLS_IN]
	str x12, [x10, #THREAD_GATE]
	mov x14, sp
	str x14, [x12, #STACK_SAVED_SP]
	msr daifset, #7
	stp x14, xzr, [x10, #THREAD_ENTRY_TOP]	// no system calls of Linux's, from now on
	stp x10, xzr, [sp, #(FRAME_NATIVE - FRAME_SIZE)]
	cbnz x13, 1f
	ldr w13, [x10, #THREAD_WORK]	// after a gate of the same system call it is noted, and the register the service's
	tbnz w13, #WORK_ROOT_SHIFT, 1f
	mrs x13, tpidr_el0
	str x13, [x10, #THREAD_GATE_TLS]
1:	ldr x13, [x12, #STACK_ROOT]
	adrp x14, cpu_service_root
	add x14, x14, x18
	ldr x15, [x14, :lo12:cpu_service_root]
	cmp x13, x15
	b.eq 3f
	str x13, [x14, :lo12:cpu_service_root]
	cbz x15, 2f
	adrp x15, kernel_root_upper
	ldr x15, [x15, :lo12:kernel_root_upper]
	msr ttbr1_el1, x15
	isb
2:	msr ttbr0_el1, x13
	isb
	ubfx x13, x13, #0, #48
	add x13, x13, #ROOT_UPPER
	msr ttbr1_el1, x13
3:	add x13, x0, w1, uxtw #3
	ldr x13, [x13, #PORT_ENTRY]
	ldr x14, [x12, #STACK_TOP]
	msr elr_el1, x13
	msr spsr_el1, xzr		// EL0, nothing masked
	msr sp_el0, x14
	ldr x0, [x0, #PORT_COOKIE]
	mov x1, x2
	mov x2, x3
	mov x3, x4
	mov x4, x5
	mov x5, x6
	mov x29, #0			// where its chain of frames ends
	mov x30, #GATE_STUBS
.endm

// long gate_call(port x0, op w1, a1 x2, a2 x3, a3 x4, a4 x5, a5 x6): the way that is taken nearly always, when this CPU's stack
// inside the service is free and ready. Else gate_call_slow (gate.c) finds one, and comes by arch_gate_enter.
	.globl gate_call
	.balign 32
gate_call:
	ldr x9, [x0, #PORT_SERVICE]
	cbz x9, gate_call_leave_it
	PERCPU_LOAD x10, cpu_current
	ldr w11, [x10, #THREAD_CPU]
	add x12, x9, x11, lsl #STACK_SHIFT
	add x12, x12, #SERVICE_STACKS
1:	ldaxr x13, [x12]		// STACK_THREAD
	cbnz x13, gate_call_taken
	stlxr w13, x10, [x12]
	cbnz w13, 1b
	ldar w14, [x9]			// SERVICE_LIVE. Either we see that it died, or its end sees us
	ldr w13, [x0, #PORT_FAST]
	ldr w15, [x12, #STACK_GENERATION]
	cmp w13, w14
	ccmp w13, w15, #0, eq
	b.ne gate_call_give_back
	GATE_ENTER
	eret
gate_call_give_back:
	stlr xzr, [x12]
gate_call_leave_it:
	b gate_call_slow
gate_call_taken:
	clrex
	b gate_call_slow

// long arch_gate_enter(st x0, port x1, op w2, a1 x3, a2 x4, a3 x5, a4 x6, a5 x7): st is claimed. Nothing of core's is left in
// registers.
	.globl arch_gate_enter
	.balign 16
arch_gate_enter:
	PERCPU_LOAD x10, cpu_current
	mov x12, x0
	mov x0, x1
	mov w1, w2
	mov x2, x3
	mov x3, x4
	mov x4, x5
	mov x5, x6
	mov x6, x7
	GATE_ENTER
	msr tpidr_el0, xzr
	.irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
	mov x\n, xzr
	.endr
	msr nzcv, xzr
	eret

// void arch_gate_leave(st x0, result x1): by force. Interrupts off.
	.globl arch_gate_leave
arch_gate_leave:
	PERCPU_LOAD x10, cpu_current
	mov x12, x0
	ldr x13, [x12, #STACK_SAVED_SP]
	mov sp, x13
	mov x0, x1
	b gate_left

// ---- native calls ----
// From entry.S, when the short ways there did not do: X0 the frame's word `native`; SP at the frame, in which are X0 and X1; all
// other registers are the caller's; interrupts off. X8, the number, has NR_HALYARD_BIT. What is not known here either goes to
// svc_from_el0 and svc_from_el1t (entry.S), which save all registers and come back to native_call.

	.globl native_from_el0
	.balign 16
native_from_el0:
	tbz x0, #63, svc_from_el0	// a program
	tbnz w8, #NR_GATE_CALL_BIT, gate_up
	sub x1, x8, #(NR_GATE_RETURN >> 12), lsl #12
	cmp x1, #(NR_GATE_RETURN & 0xfff)
	b.ne 2f
gate_return:				// a service's function returned, X0 its result
	mov x10, x0
	ldr x0, [sp, #FRAME_X0]
	mrs x18, tpidr_el1
	ldr x12, [x10, #THREAD_GATE]
	add sp, sp, #FRAME_SIZE		// STACK_SAVED_SP
gate_left:				// X10 thread, X12 stack, X0 the result, X18 right, interrupts off
	ldp x13, x14, [sp], #16
	stp x13, x14, [x10, #THREAD_ENTRY_TOP]
	ldr x13, [x12, #STACK_OUTER]
	str x13, [x10, #THREAD_GATE]
	msr daifclr, #6
	ldr w13, [x10, #THREAD_WORK]	// only this thread takes the bit away
	tbnz w13, #WORK_ROOT_SHIFT, 5f
4:	ldxr w13, [x10]			// THREAD_WORK
	orr w13, w13, #WORK_ROOT_BIT
	stxr w14, w13, [x10]
	cbnz w14, 4b
5:	ldr x9, [x12, #STACK_SERVICE]
	stlr xzr, [x12]			// STACK_THREAD
	dmb ish				// either we see who waits, or it sees that the stack is free
	ldr w13, [x9, #SERVICE_STACK_WAITERS]
	cbnz w13, gate_stack_wanted
6:	ldp x19, x20, [sp], #16
	ldp x21, x22, [sp], #16
	ldp x23, x24, [sp], #16
	ldp x25, x26, [sp], #16
	ldp x27, x28, [sp], #16
	ldp x29, x30, [sp], #16
	ret
gate_stack_wanted:
	mov x19, x0
	mov x0, x9
	bl gate_stack_wake
	mov x0, x19
	b 6b
2:	ldr x1, [sp, #(FRAME_X0 + 8)]
	b svc_from_el0

	.globl native_from_el1t
	.balign 16
native_from_el1t:
	tbz x0, #63, svc_from_el1t
	tbnz w8, #NR_GATE_CALL_BIT, gate_up_elevated
	sub x1, x8, #(NR_GATE_RETURN >> 12), lsl #12
	cmp x1, #(NR_GATE_RETURN & 0xfff)
	b.ne 2f
	str wzr, [x0, #THREAD_ELEVATED]	// it forgot to lower: done for it
	b gate_return
2:	ldr x1, [sp, #(FRAME_X0 + 8)]
	b svc_from_el1t

// A call from a service: X0 the thread, X8 NR_GATE_CALL + number, arguments in X0 (in the frame) to X5.
gate_up_elevated:
	str wzr, [x0, #THREAD_ELEVATED]	// until it goes back there: core is nobody's elevated code
gate_up:
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
	mrs x9, sp_el0
	mrs x10, elr_el1
	mrs x11, spsr_el1
	stp x30, x9, [sp, #FRAME_X30]	// and FRAME_SP
	stp x10, x11, [sp, #FRAME_PC]	// and FRAME_PSTATE
	mov x19, x0
	ldr x0, [sp, #FRAME_X0]
	stp x0, x8, [sp, #FRAME_ORIG_X0]	// and FRAME_NUMBER
	mrs x18, tpidr_el1
	add x29, sp, #FRAME_X29
	ldr x20, [x19, #THREAD_GATE]
	msr daifclr, #6
	sub x9, x8, #(NR_GATE_CALL >> 12), lsl #12
	sub x9, x9, #(NR_GATE_CALL & 0xfff)
	ldr x21, [x20, #STACK_SERVICE]
	cmp x9, #GATE_CALLS_MAX_
	b.hs gate_up_strange
	lsr x10, x9, #6
	add x10, x21, x10, lsl #3
	ldr x10, [x10, #SERVICE_IMPORTS]
	lsr x10, x10, x9
	tbz x10, #0, gate_up_strange
	ldr x10, [x20, #STACK_CALLS_OUT]
	add x10, x10, #1
	str x10, [x20, #STACK_CALLS_OUT]
	adrp x10, gate_functions
	add x10, x10, :lo12:gate_functions
	ldr x10, [x10, x9, lsl #3]
	blr x10
	.globl gate_up_called
gate_up_called:
	str x0, [sp, #FRAME_X0]
	msr daifset, #7
	ldr w9, [x19, #THREAD_WORK]
	tbnz w9, #0, gate_up_slow	// WORK_RESCHED_BIT
	ldr w9, [x20, #STACK_GENERATION]
	ldr w10, [x21, #SERVICE_LIVE]
	cmp w9, w10
	b.ne gate_up_slow
	ldr x9, [x20, #STACK_ROOT]
	PERCPU_LOAD x10, cpu_service_root
	cmp x9, x10
	b.ne gate_up_slow
	ldp x9, x10, [sp, #FRAME_PC]
	tbnz w10, #2, gate_up_slow	// EL1t
	msr elr_el1, x9
	msr spsr_el1, x10
	ldr x9, [sp, #FRAME_SP]
	msr sp_el0, x9
	ldp x29, x30, [sp, #FRAME_X29]
	ldr x1, [sp, #(FRAME_X0 + 8)]
	ldp x2, x3, [sp, #FRAME_X2]	// nothing of core's stays in them
	ldp x4, x5, [sp, #FRAME_X4]
	ldp x6, x7, [sp, #FRAME_X6]
	ldp x8, x9, [sp, #FRAME_X8]
	ldp x10, x11, [sp, #FRAME_X10]
	ldp x12, x13, [sp, #FRAME_X12]
	ldp x14, x15, [sp, #FRAME_X14]
	ldp x16, x17, [sp, #FRAME_X16]
	ldp x18, x19, [sp, #FRAME_X18]	// X22 to X28 are as they were
	ldp x20, x21, [sp, #FRAME_X20]
	add sp, sp, #FRAME_SIZE
	eret
gate_up_strange:
	mov x0, sp
	bl gate_strange_call		// (frame): does not return to the service
	brk #0
gate_up_slow:
	mov x0, sp
	bl gate_up_resume		// (frame), interrupts off
	b trap_return

// Native calls in full, from entry.S: all registers are in the frame at SP, X18 is right, interrupts off.
	.globl native_call
native_call:
	mov x0, sp
	bl native_slow_path		// (frame): true when it was one
	tbnz w0, #0, trap_return
	ldp x0, x1, [sp, #FRAME_X0]
	ldp x2, x3, [sp, #FRAME_X2]
	ldp x4, x5, [sp, #FRAME_X4]
	ldr x8, [sp, #FRAME_NUMBER]
	b syscall_saved
