// SPDX-License-Identifier: MIT
// Clearing and copying of memory, programs' included, with a fix-up for each instruction that may fault (AArch64). Privileged.
#include "core/arch/aarch64/asm_offsets.h"

	.section .text.hot, "ax"

.macro EXTABLE insn, fixup
	.pushsection .extable, "a"
	.balign 4
	.long \insn - .
	.long \fixup - .
	.popsection
.endm

// void arch_page_clear(void *page), void arch_pages_clear(void *first, size_t npages)
	.globl arch_pages_clear, arch_page_clear
	.balign 32
arch_page_clear:
	mov x1, #1
arch_pages_clear:
	add x1, x0, x1, lsl #12
	mrs x2, dczid_el0
	tbnz w2, #4, 2f			// DC ZVA is forbidden
	mov x3, #4
	and w2, w2, #0xf
	lsl x3, x3, x2			// bytes of a block: a power of two, at most 2 KiB
1:	dc zva, x0
	add x0, x0, x3
	cmp x0, x1
	b.lo 1b
	ret
2:	stp xzr, xzr, [x0]
	stp xzr, xzr, [x0, #16]
	stp xzr, xzr, [x0, #32]
	stp xzr, xzr, [x0, #48]
	add x0, x0, #64
	cmp x0, x1
	b.lo 2b
	ret

// void arch_page_copy(void *dst, const void *src)
	.globl arch_page_copy
	.balign 32
arch_page_copy:
	mov x2, #4096
	// falls into arch_copy_user, which cannot fault here

// size_t arch_copy_user(void *dst, const void *src, size_t len): bytes not copied. PAN is the caller's.
	.globl arch_copy_user
arch_copy_user:
	subs x2, x2, #64
	b.lo copy_words
1:
10:	ldp x4, x5, [x1]
11:	ldp x6, x7, [x1, #16]
12:	ldp x8, x9, [x1, #32]
13:	ldp x10, x11, [x1, #48]
14:	stp x4, x5, [x0]
15:	stp x6, x7, [x0, #16]
16:	stp x8, x9, [x0, #32]
17:	stp x10, x11, [x0, #48]
	add x1, x1, #64
	add x0, x0, #64
	subs x2, x2, #64
	b.hs 1b
	.irp n, 10, 11, 12, 13, 14, 15, 16, 17
	EXTABLE \n\()b, big_fault
	.endr
copy_words:				// X2 = bytes left - 64
	adds x2, x2, #56		// bytes left - 8
	b.mi copy_tail
1:
20:	ldr x4, [x1]
21:	str x4, [x0]
	add x1, x1, #8
	add x0, x0, #8
	subs x2, x2, #8
	b.pl 1b
	EXTABLE 20b, words_fault
	EXTABLE 21b, words_fault
copy_tail:
	adds x2, x2, #8			// bytes left, below 8
	b.eq 2f
copy_bytes:
1:
30:	ldrb w4, [x1]
31:	strb w4, [x0]
	add x1, x1, #1
	add x0, x0, #1
	subs x2, x2, #1
	b.ne 1b
	EXTABLE 30b, copy_done
	EXTABLE 31b, copy_done
2:
copy_done:
	mov x0, x2
	ret
big_fault:				// this round of 64 may be half done: do it again by bytes
	add x2, x2, #64
	b copy_bytes
words_fault:
	add x2, x2, #8
	b copy_bytes

// size_t arch_clear_user(void *dst, size_t len): bytes not cleared
	.globl arch_clear_user
	.balign 16
arch_clear_user:
	subs x1, x1, #8
	b.lo 2f
1:
50:	str xzr, [x0]
	add x0, x0, #8
	subs x1, x1, #8
	b.hs 1b
	EXTABLE 50b, clear_fault
2:	adds x1, x1, #8
	b.eq clear_done
clear_bytes:
1:
51:	strb wzr, [x0]
	add x0, x0, #1
	subs x1, x1, #1
	b.ne 1b
	EXTABLE 51b, clear_done
clear_done:
	mov x0, x1
	ret
clear_fault:
	add x1, x1, #8
	b clear_bytes

// int arch_user_cmpxchg(u32 *p, u32 expected, u32 desired, u32 *old): 0 or -EFAULT
	.globl arch_user_cmpxchg
arch_user_cmpxchg:
1:
60:	ldaxr w4, [x0]
	cmp w4, w1
	b.ne 2f
61:	stlxr w5, w2, [x0]
	cbnz w5, 1b
	dmb ish
2:	str w4, [x3]
	mov w0, #0
	ret
	EXTABLE 60b, user_atomic_fault
	EXTABLE 61b, user_atomic_fault
user_atomic_fault:
	mov w0, #-14			// -EFAULT
	ret
