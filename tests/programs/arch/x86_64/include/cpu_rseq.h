// SPDX-License-Identifier: MIT
// The critical sections of rseq_sections (x86-64).
#pragma once
#include "tests/programs/check.h"
#include "tests/programs/rseq_check.h"

#define CPU_CONTEXT_IP(context) ((uint64_t)(context)->uc_mcontext.gregs[REG_RIP])

// A section of its own place: label names end in `n`. `body` runs between start and commit.
#define SECTION(n)                                                                 \
	".pushsection .data.rseq_cs, \"aw\"\n.balign 32\n.globl cs_" #n "\ncs_" #n \
	": .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
#define ABORT                                                                             \
	".pushsection .text.abort, \"ax\"\n.byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n4: " \
	"movl $1, %[aborted]\njmp 3f\n.popsection\n3:\n"

// Spins inside of a section until it is aborted.
__attribute__((noinline)) static void spin(void)
{
	int aborted = 0;
	__asm__ volatile(SECTION(spin) "leaq cs_spin(%%rip), %%rax\nmovq %%rax, %[field]\n"
				       "1: pause\njmp 1b\n2:\n" ABORT
			 : [aborted] "+r"(aborted), [field] "=m"(area()->rseq_cs)::"rax", "memory");
	CHECK_EQ(aborted, 1);
	CHECK_EQ(area()->rseq_cs, 0);
}

// *counters[cpu] += 1, or false when it was disturbed. The cell is read first and written last.
__attribute__((noinline)) static int add(long *cells, uint32_t cpu, int delay)
{
	int aborted = 0;
	__asm__ volatile(
		SECTION(add) "leaq cs_add(%%rip), %%rax\nmovq %%rax, %[field]\n"
			     "1: cmpl %[cpu], %[now]\njne 5f\nmovq (%[cell]), %%rax\n"
			     "movl %[delay], %%edx\n6: subl $1, %%edx\njg 6b\n"
			     "incq %%rax\nmovq %%rax, (%[cell])\n2:\njmp 3f\n5: movl $1, %[aborted]\n" ABORT
		: [aborted] "+r"(aborted), [field] "=m"(area()->rseq_cs)
		: [cpu] "r"(cpu), [now] "m"(area()->cpu_id), [cell] "r"(&cells[cpu * 16]),
		  [delay] "r"(delay)
		: "rax", "rdx", "memory", "cc");
	return !aborted;
}
