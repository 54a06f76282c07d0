// SPDX-License-Identifier: MIT
// Crossing into services and back (x86-64). Privileged. entry.S comes here from its first instructions, when the number of a
// system call is that of a gate.
//
// A service runs in ring 3 with the program's GS base in GS, as programs do, so entries need not know the one from the other:
// thread.gate tells. While a service runs, thread.entry_top (where entries build their frames) lies below what the thread has
// on its kernel stack.
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/frame.inc"

	.section .text.entry, "ax"

// long gate_call(port rdi, op esi, a1 rdx, a2 rcx, a3 r8, a4 r9, a5 on the stack): the way that is taken nearly always, when
// this CPU's stack inside the service is free and ready. Else gate_call_slow (gate.c) finds one, and comes by arch_gate_enter.
//
// What lies on the kernel stack while the service runs, from saved_sp up (arch_gate_caller knows it):
//	entry_top, syscalls, R15, R14, R13, R12, RBX, RBP, return address
//
// The program's TLS bases, which a service may change, are noted at its outermost gate, the first since the program ran (later
// ones find what a service left); space_reload puts them back on the way to the program.
	.globl gate_call
	.balign 32
gate_call:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq PORT_SERVICE(%rdi), %r13
	testq %r13, %r13
	jz gate_call_leave_it
	movq %gs:cpu_current, %rbx
	cmpl $0, THREAD_ELEVATED(%rbx)
	jne gate_call_leave_it
	movl %gs:cpu_number, %r12d
	shlq $STACK_SHIFT, %r12
	leaq SERVICE_STACKS(%r13, %r12), %r12
	xorl %eax, %eax
	lock cmpxchgq %rbx, STACK_THREAD(%r12)
	jne gate_call_leave_it
	// The barrier that this was: either we see that the service died, or its end sees us.
	movl PORT_FAST(%rdi), %eax
	cmpl %eax, SERVICE_LIVE(%r13)
	jne gate_call_give_back
	cmpl %eax, STACK_GENERATION(%r12)
	jne gate_call_give_back
	movq 16(%rbp), %r11	// a5
	movl %esi, %esi
gate_enter:			// RDI port, ESI op, RDX, RCX, R8, R9, R11 arguments, RBX thread, R12 stack, claimed
	movq THREAD_GATE(%rbx), %rax
	movq %rax, STACK_OUTER(%r12)
	movq %rdi, STACK_PORT(%r12)
	movq %rsi, STACK_OP(%r12)	// and ticks = 0
	movq $0, STACK_DEADLINE(%r12)
	incq STACK_CALLS_IN(%r12)
	movq %r12, THREAD_GATE(%rbx)
	pushq THREAD_SYSCALLS(%rbx)
	movq $0, THREAD_SYSCALLS(%rbx)	// none of Linux's, from now on
	pushq THREAD_ENTRY_TOP(%rbx)
	movq %rsp, STACK_SAVED_SP(%r12)
	cli
	movq STACK_ROOT(%r12), %rax
	cmpq %gs:cpu_service_root, %rax
	je 1f
	movq %rax, %gs:cpu_service_root
	movq %rax, %cr3
1:	movq PORT_ENTRY(%rdi, %rsi, 8), %rax
	movq PORT_COOKIE(%rdi), %rdi
	movq %rdx, %rsi
	movq %rcx, %rdx
	movq %r8, %r10
	movq %r9, %r8
	movq %r11, %r9
	movabsq $GATE_STUBS, %rcx
	movl $(RFLAGS_IF | 2), %r11d
	movq %rsp, THREAD_ENTRY_TOP(%rbx)
	movq %rsp, %gs:cpu_kstack_top
	swapgs
	cmpq $0, STACK_OUTER(%r12)
	jne 2f
	testl $WORK_ROOT_BIT, THREAD_WORK(%rbx)	// after a gate of the same system call they are noted, and now the service's
	jnz 2f
	rdfsbase %r14
	movq %r14, THREAD_GATE_TLS(%rbx)
	rdgsbase %r14
	movq %r14, THREAD_GATE_TLS + 8(%rbx)
2:	movq STACK_TOP(%r12), %rsp
	xorl %ebp, %ebp		// where its chain of frames ends
	sysretq
gate_call_give_back:
	movq $0, STACK_THREAD(%r12)
gate_call_leave_it:
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	jmp gate_call_slow

// long arch_gate_enter(st rdi, port rsi, op edx, a1 rcx, a2 r8, a3 r9, a4 and a5 on the stack): st is claimed
	.globl arch_gate_enter
	.balign 16
arch_gate_enter:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %gs:cpu_current, %rbx
	movq %rdi, %r12
	movq %rsi, %rdi
	movl %edx, %esi
	movq %rcx, %rdx
	movq %r8, %rcx
	movq %r9, %r8
	movq 16(%rbp), %r9
	movq 24(%rbp), %r11
	jmp gate_enter

// A service's function returned: RDX is its result. From syscall_entry: core's GS, interrupts off.
	.globl gate_return, gate_return_elevated
gate_return:
	movq %rcx, %gs:cpu_user_rsp
	movq %gs:cpu_current, %rcx
	cmpq $0, THREAD_GATE(%rcx)
	je gate_return_by_program
gate_return_sure:
	movq THREAD_GATE(%rcx), %rbx
	movq STACK_SAVED_SP(%rbx), %rsp
	movq %rdx, %rax
gate_left:			// RCX thread, RBX stack, RAX the result
	popq %r12
	movq %r12, THREAD_ENTRY_TOP(%rcx)
	movq %r12, %gs:cpu_kstack_top
	popq THREAD_SYSCALLS(%rcx)
	sti
	movq STACK_OUTER(%rbx), %r12
	movq %r12, THREAD_GATE(%rcx)
	cmpq $0, THREAD_SPACE(%rcx)
	je 1f
	lock orl $WORK_ROOT_BIT, THREAD_WORK(%rcx)
1:	xorl %r12d, %r12d
	movq STACK_SERVICE(%rbx), %rdx
	xchgq %r12, STACK_THREAD(%rbx)
	cmpl $0, SERVICE_STACK_WAITERS(%rdx)
	jne gate_stack_wanted
2:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
gate_stack_wanted:
	movq %rax, %rbx
	movq %rdx, %rdi
	subq $8, %rsp
	call gate_stack_wake
	addq $8, %rsp
	movq %rbx, %rax
	jmp 2b
gate_return_by_program:		// it tries its luck
	movq %gs:cpu_user_rsp, %rcx
	jmp syscall_program
gate_return_elevated:		// a service that forgot to lower: done for it
	movq %rcx, %gs:cpu_user_rsp
	movq %gs:cpu_current, %rcx
	cmpq $0, THREAD_GATE(%rcx)
	movl $0, THREAD_ELEVATED(%rcx)
	jne gate_return_sure
	movl $1, THREAD_ELEVATED(%rcx)
	movq %gs:cpu_user_rsp, %rcx
	jmp syscall_elevated

// void arch_gate_leave(st rdi, result rsi): by force. Interrupts off.
	.globl arch_gate_leave
arch_gate_leave:
	movq %gs:cpu_current, %rcx
	movq %rdi, %rbx
	movq STACK_SAVED_SP(%rbx), %rsp
	movq %rsi, %rax
	jmp gate_left

// A call from a service: EAX is NR_GATE_CALL + number, arguments in RDI, RSI, RDX, R10, R8, R9.
.macro GATE_FRAME cs, ss
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	pushq $\ss
	pushq %gs:cpu_user_rsp
	pushq %r11
	pushq $\cs
	pushq %rcx
	pushq %rax
	PUSH_REGS_AFTER_ORIG
.endm

	.globl gate_up, gate_up_elevated
	.balign 16
gate_up:
	GATE_FRAME USER_CS, USER_DS
gate_up_saved:
	movq %gs:cpu_current, %rbx
	movq THREAD_GATE(%rbx), %r12
	leaq FRAME_RBP(%rsp), %rbp
	testq %r12, %r12
	jz syscall_saved	// a program: there is no such system call
	sti
	subl $NR_GATE_CALL, %eax
	movq STACK_SERVICE(%r12), %r13
	cmpl $GATE_CALLS_MAX_, %eax
	jae gate_up_strange
	btq %rax, SERVICE_IMPORTS(%r13)
	jnc gate_up_strange
	incq STACK_CALLS_OUT(%r12)
	movq %r10, %rcx
	call *gate_functions(, %rax, 8)
	.globl gate_up_called
gate_up_called:
	movq %rax, FRAME_RAX(%rsp)
	cli
	testl $WORK_RESCHED_BIT, THREAD_WORK(%rbx)
	jnz gate_up_slow
	movl STACK_GENERATION(%r12), %ecx
	cmpl %ecx, SERVICE_LIVE(%r13)
	jne gate_up_slow
	movq STACK_ROOT(%r12), %rcx
	cmpq %gs:cpu_service_root, %rcx
	jne gate_up_slow
	movq FRAME_RFLAGS(%rsp), %r11
	testl $RFLAGS_IOPL1, %r11d
	jnz gate_up_slow
	movq FRAME_RIP(%rsp), %rcx
	movq FRAME_R13(%rsp), %r13
	movq FRAME_R12(%rsp), %r12
	movq FRAME_RBX(%rsp), %rbx
	movq FRAME_RBP(%rsp), %rbp
	movq FRAME_R10(%rsp), %r10
	movq FRAME_R9(%rsp), %r9
	movq FRAME_R8(%rsp), %r8
	movq FRAME_RDX(%rsp), %rdx
	movq FRAME_RSI(%rsp), %rsi
	movq FRAME_RDI(%rsp), %rdi
	movq FRAME_RSP(%rsp), %rsp
	swapgs
	sysretq
gate_up_elevated:
	GATE_FRAME KERNEL_CS, KERNEL_DS
	jmp gate_up_saved
gate_up_strange:
	movq %rsp, %rdi
	call gate_strange_call	// (frame): does not return to the service
	ud2
gate_up_slow:
	movq %rsp, %rdi
	call gate_resume	// (frame), interrupts off
	jmp trap_return

// elevate() by somebody to whom nothing was granted: a service, or a program in vain. Core's GS, interrupts off.
	.globl elevate_unsure
elevate_unsure:
	GATE_FRAME USER_CS, USER_DS
	leaq FRAME_RBP(%rsp), %rbp
	movq %rsp, %rdi
	call elevate_ungranted	// (frame): result in the frame, and its ring
	jmp trap_return
