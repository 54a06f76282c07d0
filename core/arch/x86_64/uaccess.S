// SPDX-License-Identifier: MIT
// Clearing and copying of memory, programs' included, with a fix-up for each instruction that may fault (x86-64). Privileged.
//
// Big moves go through vector registers, which are saved on the stack and put back: preemption and interrupts meanwhile are harmless
// because every switch saves a thread's whole vector state and interrupts restore exactly what they found. Only idle threads have no
// place for that state: they call these functions with preemption off.
//
// AVX registers are used only where no AVX-512 state is enabled: writing YMM would clear the upper halves of ZMM.
#include "core/arch/x86_64/asm_offsets.h"

	.section .text.hot, "ax"

.macro EXTABLE insn, fixup
	.pushsection .extable, "a"
	.balign 4
	.long \insn - .
	.long \fixup - .
	.popsection
.endm

// size_t arch_clear_pages(void *page /* rdi */, size_t npages /* rsi */)
	.globl arch_pages_clear, arch_page_clear
	.balign 32
arch_page_clear:
	movl $1, %esi
arch_pages_clear:
	shlq $12, %rsi
	leaq (%rdi, %rsi), %rsi
	cmpb $0, copy_uses_avx(%rip)
	je 2f
	movq %rsp, %rax
	subq $32, %rsp
	vmovdqu %ymm0, (%rsp)
	vpxor %xmm0, %xmm0, %xmm0
1:
	.set i, 0
	.rept 32
	vmovdqa %ymm0, i(%rdi)
	.set i, i + 32
	.endr
	addq $1024, %rdi
	cmpq %rsi, %rdi
	jne 1b
	vmovdqu (%rsp), %ymm0
	movq %rax, %rsp
	ret
2:	movq %rsp, %rax
	subq $16, %rsp
	movups %xmm0, (%rsp)
	xorps %xmm0, %xmm0
3:
	.set i, 0
	.rept 32
	movaps %xmm0, i(%rdi)
	.set i, i + 16
	.endr
	addq $512, %rdi
	cmpq %rsi, %rdi
	jne 3b
	movups (%rsp), %xmm0
	movq %rax, %rsp
	ret

// void arch_page_copy(void *dst, const void *src)
	.globl arch_page_copy
	.balign 32
arch_page_copy:
	movl $4096, %edx
	// falls into arch_copy_user, which cannot fault here

// size_t arch_copy_user(void *dst, const void *src, size_t len): bytes not copied. stac/clac are the caller's.
	.globl arch_copy_user
arch_copy_user:
	cmpq $128, %rdx
	jae copy_big
copy_words:
	cmpq $8, %rdx
	jb copy_tail
	movq %rdx, %rcx
	shrq $3, %rcx
	andl $7, %edx
1:
10:	movq (%rsi), %rax
11:	movq %rax, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
	decq %rcx
	jnz 1b
	EXTABLE 10b, words_fault
	EXTABLE 11b, words_fault
copy_tail:
	testl $4, %edx
	jz 2f
12:	movl (%rsi), %eax
13:	movl %eax, (%rdi)
	addq $4, %rsi
	addq $4, %rdi
	EXTABLE 12b, tail_fault
	EXTABLE 13b, tail_fault
2:	andl $3, %edx
	jz 4f
3:
14:	movb (%rsi), %al
15:	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decl %edx
	jnz 3b
	EXTABLE 14b, copy_done
	EXTABLE 15b, copy_done
4:	xorl %eax, %eax
	ret
words_fault:			// rcx words and rdx bytes are left: find the exact byte
	leaq (%rdx, %rcx, 8), %rdx
	jmp copy_bytes
tail_fault:
	andl $7, %edx
copy_bytes:
16:	movb (%rsi), %al
17:	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jnz copy_bytes
copy_done:
	movq %rdx, %rax
	ret
	EXTABLE 16b, copy_done
	EXTABLE 17b, copy_done

copy_big:
	movq %rsp, %r8
	cmpb $0, copy_uses_avx(%rip)
	je copy_big_sse
	subq $64, %rsp
	vmovdqu %ymm0, (%rsp)
	vmovdqu %ymm1, 32(%rsp)
	movq %rdx, %rcx
	shrq $7, %rcx
	andl $127, %edx
1:
20:	vmovdqu (%rsi), %ymm0
21:	vmovdqu 32(%rsi), %ymm1
22:	vmovdqu %ymm0, (%rdi)
23:	vmovdqu %ymm1, 32(%rdi)
24:	vmovdqu 64(%rsi), %ymm0
25:	vmovdqu 96(%rsi), %ymm1
26:	vmovdqu %ymm0, 64(%rdi)
27:	vmovdqu %ymm1, 96(%rdi)
	subq $-128, %rsi
	subq $-128, %rdi
	decq %rcx
	jnz 1b
	vmovdqu (%rsp), %ymm0
	vmovdqu 32(%rsp), %ymm1
	movq %r8, %rsp
	testl %edx, %edx
	jnz copy_words
	xorl %eax, %eax
	ret
avx_fault:
	vmovdqu (%rsp), %ymm0
	vmovdqu 32(%rsp), %ymm1
	jmp big_fault
	.irp n, 20, 21, 22, 23, 24, 25, 26, 27
	EXTABLE \n\()b, avx_fault
	.endr

copy_big_sse:
	subq $32, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movq %rdx, %rcx
	shrq $7, %rcx
	andl $127, %edx
1:
30:	movups (%rsi), %xmm0
31:	movups 16(%rsi), %xmm1
32:	movups %xmm0, (%rdi)
33:	movups %xmm1, 16(%rdi)
34:	movups 32(%rsi), %xmm0
35:	movups 48(%rsi), %xmm1
36:	movups %xmm0, 32(%rdi)
37:	movups %xmm1, 48(%rdi)
38:	movups 64(%rsi), %xmm0
39:	movups 80(%rsi), %xmm1
40:	movups %xmm0, 64(%rdi)
41:	movups %xmm1, 80(%rdi)
42:	movups 96(%rsi), %xmm0
43:	movups 112(%rsi), %xmm1
44:	movups %xmm0, 96(%rdi)
45:	movups %xmm1, 112(%rdi)
	subq $-128, %rsi
	subq $-128, %rdi
	decq %rcx
	jnz 1b
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movq %r8, %rsp
	testl %edx, %edx
	jnz copy_words
	xorl %eax, %eax
	ret
sse_fault:
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
big_fault:			// this round of 128 may be half done: do it again by bytes
	movq %r8, %rsp
	shlq $7, %rcx
	addq %rcx, %rdx
	jmp copy_bytes
	.irp n, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45
	EXTABLE \n\()b, sse_fault
	.endr

// size_t arch_clear_user(void *dst, size_t len): bytes not cleared
	.globl arch_clear_user
	.balign 16
arch_clear_user:
	xorl %eax, %eax
	movq %rsi, %rcx
	shrq $3, %rcx
	andl $7, %esi
	jrcxz 2f
1:
50:	movq %rax, (%rdi)
	addq $8, %rdi
	decq %rcx
	jnz 1b
	EXTABLE 50b, clear_fault
2:	testl %esi, %esi
	jz 4f
3:
51:	movb %al, (%rdi)
	incq %rdi
	decl %esi
	jnz 3b
	EXTABLE 51b, clear_done
4:	ret
clear_fault:
	leaq (%rsi, %rcx, 8), %rsi
1:
52:	movb %al, (%rdi)
	incq %rdi
	decq %rsi
	jnz 1b
	EXTABLE 52b, clear_done
clear_done:
	movq %rsi, %rax
	ret

// int arch_user_cmpxchg(u32 *p, u32 expected, u32 desired, u32 *old): 0 or -EFAULT
	.globl arch_user_cmpxchg
arch_user_cmpxchg:
	movl %esi, %eax
60:	lock cmpxchgl %edx, (%rdi)
	movl %eax, (%rcx)
	xorl %eax, %eax
	ret
	EXTABLE 60b, user_atomic_fault
user_atomic_fault:
	movl $-14, %eax		// -EFAULT
	ret
