// SPDX-License-Identifier: MIT
// From the firmware's address space into the kernel's.
#include "boot/arch/x86_64/jump.h"

// The kernel's tables have no identity map, so the code that loads them would vanish under itself.
// It therefore goes over a bridge: tables with the firmware's lower half and the kernel's upper
// half. On them it jumps to its own alias in the direct map, which covers the loader's memory and is
// executable there, and from that alias loads the kernel's.
//
// rcx: struct jump, by its physical address. Interrupts are off, EFER.NXE is set.

#define CR0_WP (1 << 16)
#define CR4_PGE (1 << 7)
#define SELECTOR_CODE 0x28
#define SELECTOR_DATA 0x30

	.text
	.globl	jump_to_kernel
jump_to_kernel:
	cld
	movq	JUMP_BRIDGE_ROOT(%rcx), %rax
	movq	JUMP_HHDM(%rcx), %rdx
	movq	JUMP_ROOT(%rcx), %rbx
	addq	%rdx, %rcx
	// Global entries of the firmware would survive the change of tables.
	movq	%cr4, %rsi
	andq	$~CR4_PGE, %rsi
	movq	%rsi, %cr4
	movq	%rax, %cr3
	leaq	1f(%rip), %rax
	addq	%rdx, %rax
	jmpq	*%rax
1:
	movq	%rbx, %cr3
	movq	%cr0, %rax
	orq	$CR0_WP, %rax
	movq	%rax, %cr0
	lgdt	JUMP_GDT(%rcx)
	movl	$SELECTOR_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movq	JUMP_STACK_TOP(%rcx), %rsp
	// Nothing of the firmware's is in use any more, so that its memory can be cleared.
	movq	%rcx, %rbx
	movq	JUMP_HHDM(%rbx), %rdx
	movq	JUMP_LEFTOVERS(%rbx), %rcx
	subq	$32, %rsp		// the callee's home space, as the calling convention has it
	call	leftovers_clear
	addq	$32, %rsp
	movq	%rbx, %rcx
	pushq	$0			// the return address of the kernel's entry function
	movq	%rsp, %rax
	// IRETQ loads code segment, flags and stack at once and leaves no register in use.
	pushq	$SELECTOR_DATA
	pushq	%rax
	pushq	$2
	pushq	$SELECTOR_CODE
	pushq	JUMP_ENTRY(%rcx)
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	iretq
