// SPDX-License-Identifier: MIT
// From the firmware's exception level and address space into the kernel's.
#include "boot/arch/aarch64/jump.h"

// Memory attributes and the size of the halves cannot change under code that runs on them, so the
// MMU goes off in between; this code lies at the same address for both. While it is off nothing is
// read or written: what comes later is in registers before. Caches stay coherent with tables, which
// are walked through them.
//
// The way on, then, is over a bridge: for the lower half tables that map only the code below, where
// it lies. From there it jumps to its own alias in the direct map, which covers the loader's memory
// and is executable there, and the bridge goes.
//
// x0: struct jump, by its physical address. At EL2 all that it decides for EL1 has been set up.

#define MASKED_EL1H 0x3c5
#define MASKED_EL1T 0x3c4
#define SCTLR_M_C   0x5

	.text
	.balign	4
	.globl	jump_to_kernel, jump_end
jump_to_kernel:
	msr	daifset, #15
	ldp	x19, x20, [x0, #JUMP_BRIDGE_ROOT]	// and JUMP_EMPTY_ROOT
	ldp	x21, x22, [x0, #JUMP_ROOT]		// and JUMP_HHDM
	ldp	x23, x24, [x0, #JUMP_MAIR]		// and JUMP_TCR
	ldp	x25, x26, [x0, #JUMP_ENTRY]		// and JUMP_STACK_TOP
	ldr	x27, [x0, #JUMP_LEFTOVERS]
	ldr	w28, =SCTLR_ON
	mov	x2, #SCTLR_M_C
	dsb	sy
	mrs	x1, currentel
	cmp	x1, #2 << 2
	b.eq	1f

	// EL1: the firmware's MMU off.
	mrs	x1, sctlr_el1
	bic	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	b	2f

	// EL2: the same, and down. The kernel's MMU is off there too.
1:	mrs	x1, sctlr_el2
	bic	x1, x1, x2
	msr	sctlr_el2, x1
	isb
	mov	x1, #MASKED_EL1H
	msr	spsr_el2, x1
	adr	x1, 2f
	msr	elr_el2, x1
	eret

2:	msr	mair_el1, x23
	msr	tcr_el1, x24
	msr	ttbr0_el1, x19
	msr	ttbr1_el1, x21
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	msr	sctlr_el1, x28
	isb
	adr	x1, 3f
	add	x1, x1, x22
	br	x1

3:	msr	ttbr0_el1, x20
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	// Nothing of the firmware's is in use any more, so that its memory can be cleared.
	msr	spsel, #0
	mov	sp, x26
	mov	x29, xzr
	mov	x30, xzr
	mov	x0, x27
	mov	x1, x22
	bl	leftovers_clear
	// An exception's return needs no register for where it goes.
	msr	elr_el1, x25
	mov	x0, #MASKED_EL1T
	msr	spsr_el1, x0
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	mov	x\n, xzr
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
	mov	x\n, xzr
	.endr
	eret
	.ltorg
jump_end:
