// SPDX-License-Identifier: MIT
// Every way into the kernel and out of it: interrupts, faults, SYSCALL, context switch (x86-64). Privileged.
//
// Who called, and whose GS base is live:
//   SYSCALL     RFLAGS.IOPL in R11: 0, a program, user GS; 1, elevated code, core's GS. Ring 3 cannot change IOPL.
//   interrupts  CS.RPL: 3, a program or a service, user GS; 0, kernel or elevated code, core's GS. Elevated is a service with IOPL=1,
//               and a program with its RIP in the lower half and thread.elevated set.
//   NMI, #DB, #MC, #DF on stacks of their own: trust nothing; core's GS comes from the top of that stack.
//
// Every vector has an IST, because elevated code runs in ring 0 on a stack that may not be there. The entry leaves the IST at once,
// with interrupts off, for the thread's kernel stack: thread.entry_top when a program, a service or elevated code was interrupted,
// below the interrupted RSP when it was the kernel (which has no red zone).
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/frame.inc"

	.section .text.entry, "ax"

.macro POP_REGS			// leaves RSP at orig_rax
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
.endm

// ---- interrupts and faults ----

	.macro STUB vec
	.balign 16
	.if (\vec == 8) || (\vec >= 10 && \vec <= 14) || (\vec == 17) || (\vec == 21) || (\vec == 29) || (\vec == 30)
	// the CPU pushed an error code
	.else
	pushq $0
	.endif
	pushq $\vec
	.if (\vec == 1) || (\vec == 2) || (\vec == 8) || (\vec == 18)
	jmp paranoid_entry
	.else
	jmp trap_entry
	.endif
	.endm

	.balign 16
	.globl trap_stubs
trap_stubs:
	.set v, 0
	.rept 256
	STUB v
	.set v, v + 1
	.endr

	// IST: vector, error, rip, cs, rflags, rsp, ss
	.balign 16
trap_entry:
	cld
	clac			// a program may have set AC
	testb $3, 24(%rsp)
	jz 1f
	swapgs
trap_entry_from_program:
	pushq %rax
	pushq %rdi
	movq %rsp, %rax
	movq %gs:cpu_kstack_top, %rsp
	jmp 2f
1:	cmpq $0, 16(%rsp)	// ring 0
	jns trap_entry_lower_half
	testb $(RFLAGS_IOPL1 >> 8), 33(%rsp)
	jnz trap_entry_from_elevated
trap_entry_from_kernel:
	pushq %rax
	pushq %rdi
	movq %rsp, %rax
	movq 56(%rsp), %rsp
	cmpq %gs:cpu_kstack_limit, %rsp
	jb kernel_stack_overflow	// its guard page: a frame there would fault for ever
	andq $-16, %rsp
	subq $8, %rsp
2:	pushq 64(%rax)
	pushq 56(%rax)
	pushq 48(%rax)
	pushq 40(%rax)
	pushq 32(%rax)
	pushq $-1
	pushq (%rax)		// rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq 8(%rax)		// rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq 16(%rax), %rsi	// vector
	movq 24(%rax), %rdx	// error code
	movq %rsp, %rdi
	leaq FRAME_RBP(%rsp), %rbp
	cmpl $14, %esi
	jne 3f
	movq %cr2, %rcx		// before anything else may fault
3:	call trap_dispatch	// (frame, vector, error, cr2), returns with interrupts off

	.globl trap_return
trap_return:			// RSP = frame; whatever had to be done before a program runs is done
	testb $3, FRAME_CS(%rsp)
	jz 1f
	POP_REGS
	addq $8, %rsp
	swapgs
	iretq
1:	POP_REGS
	addq $8, %rsp
iret_to_kernel:
	iretq

trap_entry_lower_half:		// elevated code of a program, or the kernel jumped to where it has no business
	pushq %rax
	movq %gs:cpu_current, %rax
	cmpl $0, THREAD_ELEVATED(%rax)
	popq %rax
	je trap_entry_from_kernel
trap_entry_from_elevated:	// core itself never runs with IOPL=1, so that it is not taken for a service
	pushfq
	andl $~RFLAGS_IOPL1, (%rsp)
	popfq
	jmp trap_entry_from_program

kernel_stack_overflow:
	movq %rax, %rsp
	popq %rdi
	popq %rax
	movq $VECTOR_STACK_OVERFLOW, (%rsp)
	jmp paranoid_kernel

	// NMI, #DB, #MC, #DF: on their own stacks, at any instruction, with any GS. The stack's top word is this CPU's offset.
	.balign 16
paranoid_entry:
	cld
	clac
	cmpb $1, (%rsp)		// a single step or watchpoint of a program or of elevated code: the ordinary way
	jne paranoid_kernel
	testb $3, 24(%rsp)
	jnz 1f
	cmpq $0, 16(%rsp)
	jns trap_entry_lower_half
	testb $(RFLAGS_IOPL1 >> 8), 33(%rsp)
	jnz trap_entry_from_elevated
	jmp paranoid_kernel
1:	swapgs
	jmp trap_entry_from_program
paranoid_kernel:
	pushq $-1		// rearrange: the frame is built below the CPU's words
	PUSH_REGS_AFTER_ORIG
	movl $0xc0000101, %ecx	// GS base
	rdmsr
	movl %eax, %r12d
	movl %edx, %r13d
	movq %rsp, %rax
	orq $(IST_STACK_SIZE - 1), %rax
	movq -7(%rax), %rax	// the word at the stack's very top
	movq %rax, %rdx
	shrq $32, %rdx
	wrmsr
	movq FRAME_SIZE - 40(%rsp), %rsi	// vector (16 saved words lie below it)
	movq FRAME_SIZE - 32(%rsp), %rdx	// error
	leaq FRAME_SIZE - 24(%rsp), %rcx	// CPU's five words
	movq %rsp, %rdi
	leaq FRAME_RBP(%rsp), %rbp
	movq %rsp, %rbx
	andq $-16, %rsp
	call trap_paranoid	// (16 saved words, vector, error, cpu words)
	movq %rbx, %rsp
	movl $0xc0000101, %ecx
	movl %r12d, %eax
	movl %r13d, %edx
	wrmsr
	POP_REGS
	addq $24, %rsp		// -1, vector, error
	iretq

// ---- system calls ----

	.balign 64
	.globl syscall_entry
syscall_entry:
	testl $RFLAGS_IOPL1, %r11d
	jnz syscall_from_elevated
	swapgs
	cmpl $NR_HALYARD_ELEVATE, %eax
	jae native_call		// a native call, or no call at all
	.globl syscall_program
syscall_program:
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	pushq $USER_DS
	pushq %gs:cpu_user_rsp
	pushq %r11
	pushq $USER_CS
	pushq %rcx
	pushq %rax
	PUSH_REGS_AFTER_ORIG
	.globl syscall_saved
syscall_saved:
	sti
	movq %gs:cpu_current, %rbx
	leaq FRAME_RBP(%rsp), %rbp
	testl $WORK_TRACE_ENTRY_BIT, THREAD_WORK(%rbx)
	jnz syscall_slow
	cmpq THREAD_SYSCALLS(%rbx), %rax	// 0 in a thread that is inside a service
	jae syscall_slow
	movq syscall_table(%rip), %r11
	movq %r10, %rcx
	call *(%r11, %rax, 8)
	movq %rax, FRAME_RAX(%rsp)
syscall_exit:
	cli
	cmpl $0, THREAD_WORK(%rbx)
	jne syscall_exit_work
syscall_exit_checked:
	movq FRAME_RFLAGS(%rsp), %r11
	testl $RFLAGS_IOPL1, %r11d
	jnz elevated_exit
	movq FRAME_RIP(%rsp), %rcx
	movq %rcx, %rdx
	shrq $47, %rdx		// SYSRET to a non-canonical address faults in ring 0 on some CPUs
	jnz syscall_exit_far
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

native_call:
	je elevate
	cmpl $NR_GATE_RETURN, %eax
	je gate_return
	ja gate_up
	jmp syscall_program

syscall_slow:
	movq %rsp, %rdi
	call syscall_slow_path	// (frame): table bounds, tracing; sets the result in the frame
	movq FRAME_RAX(%rsp), %rax
	jmp syscall_exit
syscall_exit_work:
	cmpl $WORK_ROOT_BIT, THREAD_WORK(%rbx)
	jne 1f
	call space_reload	// a gate left its service's view loaded: the only work there is
	movq FRAME_RAX(%rsp), %rax
	cmpl $0, THREAD_WORK(%rbx)
	je syscall_exit_checked
1:
syscall_exit_far:
	movq %rsp, %rdi
	call syscall_exit_slow	// (frame), interrupts off; all work done; returns with interrupts off
	jmp trap_return

// ---- elevated code: ring 0 on the program's own stack ----

syscall_from_elevated:
	cmpl $NR_HALYARD_LOWER, %eax
	je lower
	cmpl $NR_HALYARD_ELEVATE, %eax
	je elevate_again
	cmpl $NR_GATE_RETURN, %eax
	je gate_return_elevated
	ja gate_up_elevated
	.globl syscall_elevated
syscall_elevated:
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	pushq $KERNEL_DS
	pushq %gs:cpu_user_rsp
	pushq %r11
	pushq $KERNEL_CS
	pushq %rcx
	pushq %rax
	PUSH_REGS_AFTER_ORIG
	jmp syscall_saved

elevated_exit:			// as the fast way out, but to ring 0
	movq FRAME_RIP(%rsp), %rcx
	movq FRAME_RBX(%rsp), %rbx
	movq FRAME_RBP(%rsp), %rbp
	movq FRAME_R10(%rsp), %r10
	movq FRAME_R9(%rsp), %r9
	movq FRAME_R8(%rsp), %r8
	movq FRAME_RDX(%rsp), %rdx
	movq FRAME_RSI(%rsp), %rsi
	movq FRAME_RDI(%rsp), %rdi
	// RFLAGS with IOPL (and AC) as they were, interrupts off until RSP is the program's again
	andl $~RFLAGS_IF, %r11d
	movq FRAME_RSP(%rsp), %rsp
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	pushq %r11
	popfq
	movq %gs:cpu_user_rsp, %rsp
	sti
	jmp *%rcx

// elevate(): swapgs is done, interrupts off, RSP the program's. Clobbers what SYSCALL may: RAX, RCX, R11.
elevate:
	movq %gs:cpu_current, %rax
	cmpb $0, THREAD_MAY_ELEVATE(%rax)
	je elevate_unsure
	cmpq $0, THREAD_GATE(%rax)	// the grant is the program's, not a service's
	jne elevate_unsure
	movl $1, THREAD_ELEVATED(%rax)
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	addq $1, %gs:cpu_elevations
	cmpl $0, elevate_switches_root(%rip)
	jne elevate_root
elevate_finish:
	andl $~RFLAGS_IF, %r11d
	orl elevate_rflags(%rip), %r11d		// IOPL=1, and AC for the flat backend
	pushq %r11
	xorl %eax, %eax
	popfq
	movq %gs:cpu_user_rsp, %rsp
	sti
	jmp *%rcx
elevate_root:
	call elevate_switch_root
	jmp elevate_finish
elevate_again:			// nested: the header counts, core does not
	xorl %eax, %eax
	andl $~RFLAGS_IF, %r11d
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	pushq %r11
	popfq
	movq %gs:cpu_user_rsp, %rsp
	sti
	jmp *%rcx

// lower(): from elevated code, core's GS, interrupts off.
lower:
	movq %gs:cpu_current, %rax
	movl $0, THREAD_ELEVATED(%rax)
	cmpl $0, elevate_switches_root(%rip)
	jne lower_root
lower_finish:
	movq %rcx, %rax
	shrq $47, %rax
	jnz lower_far
1:	andl $~(RFLAGS_IOPL1 | RFLAGS_AC), %r11d
	xorl %eax, %eax
	swapgs
	sysretq
lower_far:
	testq %rcx, %rcx
	js 1b			// a service: its addresses lie in the upper half
	movq $0x00007ffffffff000, %rcx	// the SYSCALL lay at the very end: let the program fault there
	jmp 1b
lower_root:
	movq %rsp, %gs:cpu_user_rsp
	movq %gs:cpu_kstack_top, %rsp
	call lower_switch_root
	movq %gs:cpu_user_rsp, %rsp
	jmp lower_finish

	.macro CALL_C_KEEPING_ALL fn	// caller-saved registers but RAX
	pushq %rcx
	pushq %r11
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %rbp
	movq %rsp, %rbp
	andq $-16, %rsp
	call \fn
	movq %rbp, %rsp
	popq %rbp
	popq %r10
	popq %r9
	popq %r8
	popq %rdx
	popq %rsi
	popq %rdi
	popq %r11
	popq %rcx
	.endm
elevate_switch_root:
	CALL_C_KEEPING_ALL elevate_activate_view
	ret
lower_switch_root:
	CALL_C_KEEPING_ALL lower_activate_view
	ret

// ---- context switch ----

// struct thread *arch_switch(prev, next, &prev->arch.rsp, next->arch.rsp): returns, on next's stack, the thread that was left.
	.globl arch_switch_stack
	.balign 16
arch_switch_stack:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdx)
	movq %rcx, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	movq %rdi, %rax
	ret

// First instruction of a new thread: RAX = the thread that was left, RBX = function (kernel thread) or 0, R12 = its argument.
	.globl thread_trampoline
thread_trampoline:
	movq %rax, %rdi
	xorl %ebp, %ebp
	call sched_thread_begins	// finishes the switch; interrupts on afterwards
	testq %rbx, %rbx
	jz 1f
	movq %r12, %rdi
	call *%rbx
	call thread_exit
	ud2
1:	movq %rsp, %rdi
	call thread_first_return	// (frame): exit work; interrupts off
	jmp trap_return
	.globl arch_thread_enter_user
arch_thread_enter_user:		// the current thread leaves the kernel by its program's frame
	cli
	movq %gs:cpu_kstack_top, %rsp
	subq $FRAME_SIZE, %rsp
	xorl %ebp, %ebp
	jmp 1b
