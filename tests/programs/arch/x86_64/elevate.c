// SPDX-License-Identifier: MIT
// Elevation of programs, from the inside (x86-64). Run with halyard.elevate=<path of this program>
// on the kernel's command line; the argument "refused" checks the opposite in a program without the
// grant.
#define _GNU_SOURCE
#include "tests/programs/elevate_check.h"

static unsigned cs(void)
{
	unsigned v;
	__asm__ volatile("mov %%cs, %0" : "=r"(v));
	return v;
}
int elevated_now(void)
{
	return !(cs() & 3);
}
void privileged_instruction(void)
{
	uint64_t cr0;
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0)); // #GP in ring 3
	CHECK(cr0 & 1);
}

static void absent_stack_in_interrupts(void) // fresh stack pages while the timer ticks
{
	size_t len = 8 << 20;
	char *s = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(s != MAP_FAILED);
	with_privilege
	{
		// RSP itself on a page that is not present: the next interrupt must not use it
		uint64_t out;
		for (int i = 1; i < 400; i++)
			__asm__ volatile(
				"mov %%rsp, %%rbx\n mov %1, %%rsp\n mov $20000, %%ecx\n 1: dec %%ecx\n jnz 1b\n"
				"push %%rcx\n pop %%rax\n mov %%rbx, %%rsp\n"
				: "=a"(out)
				: "r"(s + len - (size_t)i * 16384)
				: "rbx", "rcx", "memory", "cc");
		CHECK(out == 0);
	}
	CHECK(!elevated_now());
	munmap(s, len);
}

static void red_zone(void) // interrupts must not write below RSP of elevated code
{
	int bad = 0;
	with_privilege
	{
		for (int i = 0; i < 300 && !bad; i++) {
			uint64_t a;
			__asm__ volatile(
				"movq %1, -8(%%rsp)\n movq %2, -128(%%rsp)\n mov $100000, %%ecx\n"
				"1: dec %%ecx\n jnz 1b\n movq -8(%%rsp), %0\n xorq -128(%%rsp), %0"
				: "=&r"(a)
				: "r"(0x1122334455667788ull), "r"(0x99aabbccddeeff00ull)
				: "rcx", "memory", "cc");
			bad |= a != (0x1122334455667788ull ^ 0x99aabbccddeeff00ull);
		}
	}
	CHECK(!bad);
}

static void hostile_gs(void)
{
	uint64_t bases[] = {0,
			    1,
			    0x7fffffffe000,
			    0x00007fffffffffff,
			    0xffffffff80000000,
			    0xffff800000000000,
			    (uint64_t)&bases};
	for (unsigned i = 0; i < sizeof bases / sizeof *bases; i++) {
		uint64_t got;
		__asm__ volatile("wrgsbase %0" ::"r"(bases[i]));
		CHECK(getppid() >= 0);
		CHECK(halyard_elevate() == 0);
		CHECK(getppid() >= 0);
		for (volatile int k = 0; k < 300000; k++) // interrupts come
			;
		halyard_lower();
		__asm__ volatile("rdgsbase %0" : "=r"(got));
		CHECK(got == bases[i]);
	}
	__asm__ volatile("wrgsbase %0" ::"r"(0ul));
}

static volatile sig_atomic_t traps;
static void on_trap(int s)
{
	(void)s;
	traps++;
}
#define SINGLE_STEPS()                                                                                  \
	__asm__ volatile(                                                                               \
		"pushfq; orq $0x100, (%%rsp); popfq; nop; nop; pushfq; andq $~0x100, (%%rsp); popfq" :: \
			: "memory", "cc")

static void debug_exceptions(void) // single steps, of elevated code too, are signals
{
	struct sigaction a = {.sa_handler = on_trap};
	CHECK(sigaction(SIGTRAP, &a, NULL) == 0);
	traps = 0;
	SINGLE_STEPS();
	int lowered = traps;
	CHECK(lowered > 1);
	with_privilege
	{
		SINGLE_STEPS();
		CHECK(traps == 2 * lowered);
		CHECK(elevated_now());
	}
	signal(SIGTRAP, SIG_DFL);
}

int main(int argc, char **argv)
{
	elevate_arguments(argc, argv);
	elevate_common(argv[0]);
	RUN(absent_stack_in_interrupts);
	RUN(red_zone);
	RUN(hostile_gs);
	RUN(debug_exceptions);
	return 0;
}
