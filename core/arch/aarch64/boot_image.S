// SPDX-License-Identifier: MIT
// Image door and the start of the other CPUs (AArch64): with the MMU off, at EL2 or EL1, to core's code at its linked address.
// Privileged.
//
// The flat file made of the kernel begins with the header of arm64's Image format (Linux's Documentation/arch/arm64/booting.rst). Who
// loads it puts it at any multiple of 2 MiB, with the physical address of the device tree in X0 and caches clean.
//
// The first page tables lie in .bss. Their lower half maps the image where it lies; the upper half has the image where it is linked
// (by 2 MiB, all rights, until mmu_init), and the direct map of 512 GiB: device memory, but for the GiB of the image and of the device
// tree, until image.c knows where memory is.
#include "core/arch/aarch64/asm_offsets.h"
#include "core/arch/aarch64/boot_offsets.h"

	.section .text.image_header, "ax"
	.globl image_header
image_header:
	b image_entry
	.long 0
	.quad 0					// text_offset
	.quad image_size			// with .bss
	.quad 0xa				// little-endian, pages of 4 KiB, anywhere in memory
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long 0

	.section .text.boot, "ax"

	// To EL1 with interrupts and MMU off. Clobbers X9 to X11.
	.macro DROP_TO_EL1
	msr daifset, #15
	mrs x9, currentel
	cmp x9, #(2 << 2)
	b.ne 2f
	mov x9, #(1 << 31)		// HCR_EL2.RW: EL1 is AArch64
	msr hcr_el2, x9
	isb
	mov x9, #3			// EL1 may use the physical counter and timer
	msr cnthctl_el2, x9
	msr cntvoff_el2, xzr
	mov x9, #0x33ff			// no traps of vector registers
	msr cptr_el2, x9
	msr hstr_el2, xzr
	mrs x9, midr_el1
	msr vpidr_el2, x9
	mrs x9, mpidr_el1
	msr vmpidr_el2, x9
	msr vttbr_el2, xzr
	mrs x9, id_aa64dfr0_el1
	ubfx x10, x9, #8, #4		// a PMU: all its counters belong to EL1
	mov x11, xzr
	cbz x10, 1f
	cmp x10, #15
	b.eq 1f
	mrs x11, pmcr_el0
	ubfx x11, x11, #11, #5
1:	msr mdcr_el2, x11
	mrs x9, id_aa64pfr0_el1
	ubfx x9, x9, #24, #4		// GICv3: EL1 uses its system registers
	cbz x9, 1f
	mrs x9, s3_4_c12_c9_5		// ICC_SRE_EL2
	orr x9, x9, #1			// SRE
	orr x9, x9, #8			// Enable
	msr s3_4_c12_c9_5, x9
	isb
	msr s3_4_c12_c11_0, xzr		// ICH_HCR_EL2
1:	mrs x9, id_aa64mmfr0_el1
	ubfx x9, x9, #56, #4		// fine-grained traps: none
	cbz x9, 1f
	msr s3_4_c1_c1_4, xzr		// HFGRTR_EL2
	msr s3_4_c1_c1_5, xzr		// HFGWTR_EL2
	msr s3_4_c1_c1_6, xzr		// HFGITR_EL2
1:	mov x9, #(SCTLR_OFF & 0xffff)
	movk x9, #(SCTLR_OFF >> 16), lsl #16
	msr sctlr_el1, x9
	mov x9, #(PSTATE_DAIF_ | PSTATE_EL1H_)
	msr spsr_el2, x9
	adr x9, 2f
	msr elr_el2, x9
	eret
2:	msr spsel, #1
	.endm

	// Turns the MMU on with the roots in X9 (TTBR0) and X10 (TTBR1). Clobbers X11 and X12. The code is mapped where it runs.
	.macro MMU_ON
	msr ttbr0_el1, x9
	msr ttbr1_el1, x10
	ldr x11, =MAIR_VALUE_
	msr mair_el1, x11
	ldr x11, =TCR_VALUE_
	mrs x12, id_aa64mmfr0_el1
	and x9, x12, #0xf		// physical addresses: at most 48 bits of them
	cmp x9, #5
	mov x10, #5
	csel x9, x9, x10, lo
	bfi x11, x9, #32, #3		// IPS
	ubfx x9, x12, #4, #4
	cmp x9, #2
	cset x9, eq
	bfi x11, x9, #36, #1		// AS
	msr tcr_el1, x11
	tlbi vmalle1
	dsb nsh
	isb
	ldr x11, =SCTLR_ON
	msr sctlr_el1, x11
	isb
	ic iallu
	dsb nsh
	isb
	.endm

image_entry:
	mov x20, x0			// device tree
	DROP_TO_EL1
	adrp x21, __kernel_start	// where the image lies
	mov x18, xzr			// the boot CPU's variables are the linked ones
	msr tpidr_el1, xzr

	// Clear what the file does not contain.
	adrp x0, __bss_start
	adrp x1, __kernel_end
1:	stp xzr, xzr, [x0], #16
	cmp x0, x1
	b.lo 1b

	adrp x22, early_root
	// lower half: the GiB of the image, for the instructions until the jump
	adrp x1, early_identity
	orr x2, x1, #3
	ubfx x3, x21, #39, #8
	str x2, [x22, x3, lsl #3]
	ubfx x3, x21, #30, #9
	lsl x4, x3, #30
	ubfx x5, x21, #39, #8
	orr x4, x4, x5, lsl #39
	mov x5, #BLOCK_NORMAL
	orr x6, x4, x5
	str x6, [x1, x3, lsl #3]
	// the direct map
	adrp x1, early_direct
	orr x2, x1, #3
	str x2, [x22, #(256 * 8)]
	mov x2, xzr
	ldr x3, =BLOCK_DEVICE
1:	orr x4, x3, x2, lsl #30
	str x4, [x1, x2, lsl #3]
	add x2, x2, #1
	cmp x2, #512
	b.lo 1b
	ldr x3, =BLOCK_NORMAL_DATA
	ubfx x2, x21, #30, #9
	orr x4, x3, x2, lsl #30
	str x4, [x1, x2, lsl #3]
	ubfx x2, x20, #30, #9
	orr x4, x3, x2, lsl #30
	str x4, [x1, x2, lsl #3]
	// the image
	adrp x1, early_image_upper
	orr x2, x1, #3
	str x2, [x22, #(511 * 8)]
	adrp x2, early_image
	orr x3, x2, #3
	str x3, [x1, #(510 * 8)]
	orr x3, x21, x5
	mov x4, #1			// it is linked 2 MiB above the base
1:	str x3, [x2, x4, lsl #3]
	add x3, x3, #0x200000
	add x4, x4, #1
	cmp x4, #EARLY_IMAGE_BLOCKS
	b.lo 1b
	// stale lines of a loader's that was less clean than it says
	dsb sy
	mov x9, x22
	add x10, x22, #0x800
	MMU_ON
	ldr x9, =1f
	br x9
1:	ldr x9, =boot_stack_top
	mov sp, x9
	mov x29, xzr
	mov x30, xzr
	mov x0, x20
	mov x1, x21
	b image_start

// Another CPU, started by firmware at this place's physical address with X0 = physical address of struct secondary_boot (smp.c).
	.globl secondary_entry
secondary_entry:
	mov x20, x0
	DROP_TO_EL1
	ldp x9, x10, [x20, #SECONDARY_TTBR0]
	MMU_ON
	ldr x9, =1f
	br x9
1:	ldr x9, =secondary_boot
	ldr x18, [x9, #SECONDARY_PERCPU]
	msr tpidr_el1, x18
	ldr x10, [x9, #SECONDARY_STACK]
	mov sp, x10
	mov x29, xzr
	mov x30, xzr
	b secondary_start
	.ltorg

	.section .bss.boot, "aw", %nobits
	.balign 4096
	.globl early_root, early_direct
early_root:	.skip 4096
early_identity:	.skip 4096
early_direct:	.skip 4096
early_image_upper: .skip 4096
early_image:	.skip 4096
	.globl boot_stack_top
	.skip 16384
boot_stack_top:
