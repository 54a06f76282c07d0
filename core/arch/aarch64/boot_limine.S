// SPDX-License-Identifier: MIT
// Limine door: our own UEFI loader and any other for the protocol enter here at EL1t with the MMU on, on page tables of theirs. Privileged.

	.section .text.boot, "ax"
	.globl limine_entry
limine_entry:
	// The loader's stack is memory that the core will give away; and the core has SP_EL1.
	msr	spsel, #1
	adrp	x0, boot_stack_top
	add	x0, x0, :lo12:boot_stack_top
	mov	sp, x0
	mov	x18, xzr		// the boot CPU's variables are the linked ones
	msr	tpidr_el1, xzr
	mov	x29, xzr
	mov	x30, xzr
	bl	limine_start
	brk	#0
