// SPDX-License-Identifier: MIT
// Where every CPU but the first begins: real mode, at the page that smp.c copied this to. Privileged.
// Position: AP_BASE. The fields at the end are filled in by smp.c before each start.
#define AP_BASE 0x8000

	.section .rodata, "a"
	.globl ap_code, ap_code_end, ap_cr3, ap_stack, ap_entry
	.balign 16
ap_code:
	.code16
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl ap_gdt_ptr - ap_code + AP_BASE
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $(ap_32 - ap_code + AP_BASE)
	.code32
ap_32:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl ap_cr3 - ap_code + AP_BASE, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80010000, %eax
	movl %eax, %cr0
	ljmpl $0x08, $(ap_64 - ap_code + AP_BASE)
	.code64
ap_64:
	movq ap_stack - ap_code + AP_BASE, %rsp
	movq ap_entry - ap_code + AP_BASE, %rax
	xorl %ebp, %ebp
	pushq $0
	jmp *%rax
	.balign 8
ap_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
ap_gdt_ptr:
	.word 31
	.long ap_gdt - ap_code + AP_BASE
	.balign 8
ap_cr3: .quad 0
ap_stack: .quad 0
ap_entry: .quad 0
ap_code_end:
