// SPDX-License-Identifier: MIT
// Limine door: our own UEFI loader and any other for the protocol enter here in long mode, on page tables of theirs. Privileged.

	.section .text.boot, "ax"
	.globl limine_entry
limine_entry:
	// The loader's stack is memory that the core will give away.
	movq $boot_stack_top, %rsp
	xorl %ebp, %ebp
	call limine_start
	ud2
