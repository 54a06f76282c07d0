// SPDX-License-Identifier: MIT
// The page of gate stubs: the only code of core's that runs in ring 3 (x86-64). It is mapped at GATE_STUBS_BASE in the views of
// services and lies, read-only, in core's text. Position-independent.
#include "core/arch/x86_64/asm_offsets.h"

	.section .gate_stubs, "ax"
	.balign 4096
	.globl gate_stubs, gate_stubs_end
gate_stubs:
	// Here a service is entered: RAX is the function, R10 the fourth argument (SYSRET needs RCX).
	movq %r10, %rcx
	call *%rax
	.globl gate_stub_returned
gate_stub_returned:
	movq %rax, %rdx
	movl $NR_GATE_RETURN, %eax
	syscall

#define GATE_STUB(number, name)                 \
	.balign 16;                             \
	movl $NR_GATE_CALL + number, %eax;      \
	movq %rcx, %r10;                        \
	syscall;                                \
	ret;
#include <gate/stubs.def>
	.balign 4096, 0xcc
gate_stubs_end:
