// SPDX-License-Identifier: MIT
// faulty.c (AArch64): what only this CPU can do wrong.
#include "services/test/faulty/faulty.h"

static s64 call(u64 number, u64 a, u64 b, u64 c)
{
	register u64 nr __asm__("x8") = number;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(nr), "r"(x1), "r"(x2) : "memory");
	return (s64)x0;
}

void fault_elevate_unrecorded(void)
{
	(void)call(HALYARD_NR_ELEVATE, 0, 0, 0);
}

// Aligned, for a stack pointer that is not is another fault.
void fault_stack_pointer(u64 sp)
{
	__asm__ volatile("mov sp, %0; str xzr, [sp]; 1: b 1b" ::"r"(sp & ~15ull) : "memory");
	__builtin_unreachable();
}

s64 fault_raw_call(u64 number)
{
	return call(number, 1, (u64) "x", 1);
}

void fault_gate_return(void)
{
	(void)call(HALYARD_NR_GATE_RETURN, 0, 0, 0);
	__builtin_unreachable();
}

static u64 word; // what instructions by address are given

static void privileged_instruction(u32 number)
{
	u64 v = 0;

	switch (number) {
	case 0:
		__asm__ volatile("msr daifset, #15");
		break;
	case 1:
		__asm__ volatile("msr ttbr0_el1, %0" ::"r"(v));
		break;
	case 2:
		__asm__ volatile("msr sctlr_el1, %0" ::"r"(v));
		break;
	case 3:
		__asm__ volatile("msr vbar_el1, %0" ::"r"(v));
		break;
	case 4:
		__asm__ volatile("msr tpidr_el1, %0" ::"r"(v));
		break;
	case 5:
		__asm__ volatile("msr mdscr_el1, %0" ::"r"(1ull)); // single steps
		break;
	case 6:
		__asm__ volatile("msr cntv_ctl_el0, %0" ::"r"(v)); // core's timer
		break;
	case 7:
		__asm__ volatile("mrs %0, esr_el1" : "=r"(v));
		break;
	case 8:
		__asm__ volatile("mrs %0, pmccntr_el0" : "=r"(v));
		break;
	case 9:
		__asm__ volatile("tlbi vmalle1");
		break;
	case 10:
		__asm__ volatile("dc ivac, %0" ::"r"(&word));
		break;
	case 11:
		__asm__ volatile("ic iallu");
		break;
	case 12:
		__asm__ volatile("at s1e1r, %0" ::"r"(&word));
		break;
	case 13:
		__asm__ volatile("eret");
		break;
	case 14:
		__asm__ volatile("hvc #0" ::: "x0", "x1", "x2", "x3");
		break;
	case 15:
		__asm__ volatile("smc #0" ::: "x0", "x1", "x2", "x3");
		break;
	}
}

s64 fault_arch(u32 number)
{
	constexpr u32 INSTRUCTIONS = 16;
	u64 v;

	number -= FAULT_ARCH;
	if (number < INSTRUCTIONS) {
		privileged_instruction(number);
		return 0;
	}
	switch (number) {
	case 16: // an undefined instruction
		__asm__ volatile("udf #0");
		return 0;
	case 17: // a breakpoint
		__asm__ volatile("brk #7");
		return 0;
	case 18: // a halt for a debugger that is not there
		__asm__ volatile("hlt #7");
		return 0;
	case 19: // a system call with something in its immediate
		__asm__ volatile("mov x8, #64; svc #0x1234" ::: "x0", "x8", "memory");
		return 0;
	case 20: // the register that programs keep their thread pointer in, and then a fault
		__asm__ volatile("msr tpidr_el0, %0; str %0, [%0]" ::"r"(8ull) : "memory");
		return 0;
	case 21: // the same, and returns as if nothing had happened
		__asm__ volatile("msr tpidr_el0, %0" ::"r"(8ull) : "memory");
		return 0;
	case 22: // vector registers
		__asm__ volatile(".arch_extension fp\n\t.arch_extension simd\n\t"
				 "movi v0.16b, #0xff; movi v9.16b, #0xff; movi v31.16b, #0xff" ::
					 : "memory");
		return 0;
	case 23: // the condition flags, and how floating point rounds
		__asm__ volatile(
			"msr nzcv, %0; .arch_extension fp; msr fpcr, %1" ::"r"(0xf0000000ull),
			"r"(0xc00000ull)
			: "cc", "memory");
		return 0;
	case 24: // a stack pointer that is not aligned
		__asm__ volatile("mov %0, sp; add sp, sp, #8; ldr xzr, [sp]; mov sp, %0"
				 : "=&r"(v)::"memory");
		return 0;
	case 25: // a jump between instructions
		__asm__ volatile("adr %0, 1f; add %0, %0, #2; br %0; 1:" : "=&r"(v));
		return 0;
	case 26: // an exclusive access that is not aligned
		__asm__ volatile("ldaxr %0, [%1]; clrex" : "=&r"(v) : "r"((u64)&word | 1));
		return 0;
	case 27: // debug state
		__asm__ volatile("dcps1");
		return 0;
	case 28: // the interrupt mask, read
		__asm__ volatile("mrs %0, daif" : "=r"(v));
		return 0;
	case 29: // stack pointers, chosen
		__asm__ volatile("msr spsel, #1");
		return 0;
	case 30: // cleans a line of core's out of the cache
		v = (u64)gate_test_target(faulty_test, TEST_CORE_DATA, 0);
		__asm__ volatile("dc civac, %0" ::"r"(v) : "memory");
		return 0;
	case 31: // zeroes a block of core's by the instruction for that
		v = (u64)gate_test_target(faulty_test, TEST_CORE_DATA, 0);
		__asm__ volatile("dc zva, %0" ::"r"(v) : "memory");
		return 0;
	case 32: // sleeps without telling anybody
		for (;;)
			__asm__ volatile("wfi");
	default:
		return -ENOSYS;
	}
}
