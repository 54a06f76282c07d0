// SPDX-License-Identifier: MIT
// faulty.c (x86-64): what only this CPU can do wrong.
#include "services/test/faulty/faulty.h"

void fault_elevate_unrecorded(void)
{
	u64 r = HALYARD_NR_ELEVATE;

	__asm__ volatile("syscall" : "+a"(r)::"rcx", "r11", "memory");
}

void fault_stack_pointer(u64 sp)
{
	__asm__ volatile("movq %0, %%rsp; pushq %%rax; 1: jmp 1b" ::"r"(sp) : "memory");
	__builtin_unreachable();
}

s64 fault_raw_call(u64 number)
{
	s64 r = (s64)number;

	__asm__ volatile("syscall" : "+a"(r) : "D"(1), "S"("x"), "d"(1) : "rcx", "r11", "memory");
	return r;
}

void fault_gate_return(void)
{
	__asm__ volatile("syscall" ::"a"(HALYARD_NR_GATE_RETURN), "d"(0) : "rcx", "r11", "memory");
	__builtin_unreachable();
}

static void privileged_instruction(u32 number)
{
	u64 zero = 0;
	struct __attribute__((packed)) {
		u16 limit;
		u64 base;
	} table = {};

	switch (number) {
	case 0:
		__asm__ volatile("cli");
		break;
	case 1:
		__asm__ volatile("hlt");
		break;
	case 2:
		__asm__ volatile("movq %0, %%cr3" ::"r"(zero));
		break;
	case 3:
		__asm__ volatile("wrmsr" ::"a"(0), "c"(0xc0000080), "d"(0));
		break;
	case 4:
		__asm__ volatile("outb %b0, %w1" ::"a"(0), "d"(0x80));
		break;
	case 5:
		__asm__ volatile("lgdt %0" ::"m"(table));
		break;
	case 6:
		__asm__ volatile("lidt %0" ::"m"(table));
		break;
	case 7:
		__asm__ volatile("invlpg (%0)" ::"r"(zero));
		break;
	case 8:
		__asm__ volatile("swapgs");
		break;
	case 9:
		__asm__ volatile("clac");
		break;
	case 10:
		__asm__ volatile("movq %0, %%db7" ::"r"(zero));
		break;
	}
}

s64 fault_arch(u32 number)
{
	constexpr u32 INSTRUCTIONS = 11;
	u64 flags;

	number -= FAULT_ARCH;
	if (number < INSTRUCTIONS) {
		privileged_instruction(number);
		return 0;
	}
	switch (number) {
	case 16: // an undefined instruction
		__asm__ volatile("ud2");
		return 0;
	case 17: // a breakpoint
		__asm__ volatile("int3");
		return 0;
	case 18: // a software interrupt
		__asm__ volatile("int $0x80");
		return 0;
	case 19: // single-stepping itself
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop" ::: "memory", "cc");
		return 0;
	case 20: // the bases that programs keep their thread pointer in, and then a fault
		__asm__ volatile("wrfsbase %0; wrgsbase %0; movq %0, (%0)" ::"r"(8ul) : "memory");
		return 0;
	case 21: // the same, and returns as if nothing had happened
		__asm__ volatile("wrfsbase %0; wrgsbase %0" ::"r"(8ul) : "memory");
		return 0;
	case 22: // vector registers
		__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm9, %%xmm9" ::: "memory");
		return 0;
	case 23: // the flags: direction, alignment check, I/O privilege, nested task
		__asm__ volatile("pushfq; orq $0x47400, (%%rsp); popfq; pushfq; popq %0"
				 : "=r"(flags));
		return 0;
	case 24: // a division by zero
		__asm__ volatile("divl %0" ::"r"(0), "a"(1), "d"(0));
		return 0;
	case 25: // a far return into ring 0's code segment
		__asm__ volatile("pushq $8; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::
					 : "rax", "memory");
		return 0;
	case 26: // an interrupt return with privilege
		__asm__ volatile(
			"pushq $0x10; pushq %%rsp; pushq $0x3202; pushq $8; leaq 1f(%%rip), %%rax; pushq "
			"%%rax; iretq; 1:" ::
				: "rax", "memory");
		return 0;
	case 27: // segment registers with nothing in them
		__asm__ volatile(
			"movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %0, %%gs" ::"r"(0));
		return 0;
	default:
		return -ENOSYS;
	}
}
