// SPDX-License-Identifier: MIT
// The page of gate stubs: the only code of core's that runs at EL0 (AArch64). It is mapped at GATE_STUBS_BASE in the views of
// services and lies, read-only, in core's text. Position-independent. A stub has four instructions.
#include "core/arch/aarch64/asm_offsets.h"

	.section .gate_stubs, "ax"
	.balign 4096
	.globl gate_stubs, gate_stubs_end
gate_stubs:
	// A service's function returned, its result in X0.
	movz w8, #(NR_GATE_RETURN & 0xffff)
	movk w8, #(NR_GATE_RETURN >> 16), lsl #16
	svc #0
	udf #0

#define GATE_STUB(number, name)                                 \
	.balign 16;                                             \
	movz w8, #((NR_GATE_CALL + number) & 0xffff);           \
	movk w8, #((NR_GATE_CALL + number) >> 16), lsl #16;     \
	svc #0;                                                 \
	ret;
#include <gate/stubs.def>
	.balign 4096, 0
gate_stubs_end:
