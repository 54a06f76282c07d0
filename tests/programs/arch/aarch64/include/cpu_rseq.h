// SPDX-License-Identifier: MIT
// The critical sections of rseq_sections (AArch64).
#pragma once
#include "tests/programs/check.h"
#include "tests/programs/rseq_check.h"

#define CPU_CONTEXT_IP(context) ((uint64_t)(context)->uc_mcontext.pc)

// A section of its own place: label names end in `n`. `body` runs between start and commit.
#define SECTION(n)                                                                 \
	".pushsection .data.rseq_cs, \"aw\"\n.balign 32\n.globl cs_" #n "\ncs_" #n \
	": .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
#define ENTER(n) "adrp x9, cs_" #n "\nadd x9, x9, :lo12:cs_" #n "\nstr x9, %[field]\n"
#define ABORT                                                                          \
	".pushsection .text.abort, \"ax\"\n.inst 0xd428bc00\n4: mov %w[aborted], #1\n" \
	"b 3f\n.popsection\n3:\n"

// Spins inside of a section until it is aborted.
__attribute__((noinline)) static void spin(void)
{
	int aborted = 0;
	__asm__ volatile(SECTION(spin) ENTER(spin) "1: yield\nb 1b\n2:\n" ABORT
			 : [aborted] "+r"(aborted), [field] "=m"(area()->rseq_cs)::"x9", "memory");
	CHECK_EQ(aborted, 1);
	CHECK_EQ(area()->rseq_cs, 0);
}

// *counters[cpu] += 1, or false when it was disturbed. The cell is read first and written last.
__attribute__((noinline)) static int add(long *cells, uint32_t cpu, int delay)
{
	int aborted = 0;
	__asm__ volatile(
		SECTION(add) ENTER(
			add) "1: ldr w9, %[now]\ncmp w9, %w[cpu]\nb.ne 5f\nldr x9, [%[cell]]\n"
			     "mov w10, %w[delay]\n6: subs w10, w10, #1\nb.gt 6b\n"
			     "add x9, x9, #1\nstr x9, [%[cell]]\n2:\nb 3f\n5: mov %w[aborted], #1\n" ABORT
		: [aborted] "+r"(aborted), [field] "=m"(area()->rseq_cs)
		: [cpu] "r"(cpu), [now] "m"(area()->cpu_id), [cell] "r"(&cells[cpu * 16]),
		  [delay] "r"(delay)
		: "x9", "x10", "memory", "cc");
	return !aborted;
}
