// SPDX-License-Identifier: MIT
// PVH door: QEMU's -kernel, Firecracker and Cloud Hypervisor enter here in 32-bit protected mode without paging, EBX = start info.
// Builds first page tables (direct map of 4 GiB, kernel in the top 2 GiB), enters long mode and calls pvh_start(). Privileged.
#define PHYS(x) ((x) - 0xffffffff80000000)

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18		// name "Xen", 4 bytes of data, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long PHYS(pvh_entry)

	.section .text.boot, "ax"
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	movl $PHYS(boot_stack_top), %esp
	movl %ebx, %esi			// start info
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx		// LM
	jz no_long_mode
	testl $(1 << 20), %edx		// NX
	jz no_nx

	// PML4[0] and PML4[256] -> pdpt of four page directories of 2 MiB pages; PML4[511] -> the first two again
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4)
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8
	movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
	movl $PHYS(boot_pd) + 0x1003, PHYS(boot_pdpt_high) + 511 * 8
	movl $PHYS(boot_pd) + 3, %eax
	xorl %ecx, %ecx
1:	movl %eax, PHYS(boot_pdpt)(, %ecx, 8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	movl $0x83, %eax		// present, writable, 2 MiB
	xorl %ecx, %ecx
2:	movl %eax, PHYS(boot_pd)(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 2b

	movl %cr4, %eax
	orl $0x20, %eax			// PAE
	movl %eax, %cr4
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		// EFER: LME, NXE
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80010001, %eax		// PG, WP, PE
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_ptr)
	ljmp $8, $PHYS(long_mode)

no_long_mode:
	movl $PHYS(text_no_long_mode), %esi
	jmp complain
no_nx:
	movl $PHYS(text_no_nx), %esi
complain:				// a sentence on COM1, whatever state it is in
	movb (%esi), %bl
	testb %bl, %bl
	jz 3f
	movw $0x3fd, %dx
	movl $100000, %ecx
4:	inb %dx, %al
	testb $0x20, %al
	jnz 5f
	decl %ecx
	jnz 4b
5:	movw $0x3f8, %dx
	movb %bl, %al
	outb %al, %dx
	incl %esi
	jmp complain
3:	hlt
	jmp 3b

	.code64
long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq $boot_stack_top, %rsp
	movabsq $6f, %rax
	jmp *%rax
6:	xorl %ebp, %ebp
	movl %esi, %edi
	call pvh_start
	ud2

	.section .rodata.boot, "a"
text_no_long_mode:
	.asciz "Halyard: this CPU has no 64-bit mode; an x86-64 processor is needed.\r\n"
text_no_nx:
	.asciz "Halyard: this CPU cannot forbid execution of data (NX); an x86-64 processor with NX is needed.\r\n"
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_ptr:
	.word 23
	.long PHYS(boot_gdt)

	.section .bss.boot, "aw", @nobits
	.balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd: .skip 4 * 4096
	.globl boot_stack, boot_stack_top
boot_stack:
	.skip 16384
boot_stack_top:
