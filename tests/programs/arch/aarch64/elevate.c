// SPDX-License-Identifier: MIT
// Elevation of programs, from the inside (AArch64). Run with halyard.elevate=<path of this program>
// on the kernel's command line; the argument "refused" checks the opposite in a program without the
// grant.
#define _GNU_SOURCE
#define PRIVILEGED_SIGNAL SIGILL
#include "tests/programs/elevate_check.h"
#include <ucontext.h>

// EL0 cannot read its exception level: the instruction is undefined there, and on_undefined steps
// over it with what X0 held before.
int elevated_now(void)
{
	register uint64_t v __asm__("x0") = 0;

	__asm__ volatile("mrs x0, CurrentEL" : "+r"(v));
	return v >> 2 == 1;
}

static void on_undefined(int s, siginfo_t *si, void *context)
{
	(void)s, (void)si;
	((ucontext_t *)context)->uc_mcontext.pc += 4;
}

static void step_over(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(sig, &a, NULL) == 0);
}

void privileged_instruction(void)
{
	uint64_t sctlr, vbar;

	__asm__ volatile("mrs %0, sctlr_el1; mrs %1, vbar_el1" : "=r"(sctlr), "=r"(vbar));
	CHECK(sctlr & 1);
	CHECK(*(volatile uint32_t *)vbar); // core's code can be read
}

static void absent_stack_in_interrupts(void) // fresh stack pages while the timer ticks
{
	size_t len = 8 << 20;
	char *s = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(s != MAP_FAILED);
	with_privilege
	{
		// SP itself on a page that is not present: the next interrupt must not use it
		uint64_t out;
		for (int i = 1; i < 400; i++)
			__asm__ volatile("mov x19, sp\n mov sp, %1\n mov x20, #20000\n"
					 "1: subs x20, x20, #1\n b.ne 1b\n"
					 "str x20, [sp, #-16]!\n ldr %0, [sp], #16\n mov sp, x19\n"
					 : "=&r"(out)
					 : "r"(s + len - (size_t)i * 16384)
					 : "x19", "x20", "memory", "cc");
		CHECK(out == 0);
	}
	CHECK(!elevated_now());
	munmap(s, len);
}

static void below_the_stack(void) // interrupts must not write below SP of elevated code
{
	int bad = 0;

	with_privilege
	{
		for (int i = 0; i < 300 && !bad; i++) {
			uint64_t a, b;
			__asm__ volatile("stp %2, %3, [sp, #-256]\n mov x20, #131072\n"
					 "1: subs x20, x20, #1\n b.ne 1b\n ldp %0, %1, [sp, #-256]"
					 : "=&r"(a), "=&r"(b)
					 : "r"(0x1122334455667788ull), "r"(0x99aabbccddeeff00ull)
					 : "x20", "memory", "cc");
			bad |= a != 0x1122334455667788ull || b != 0x99aabbccddeeff00ull;
		}
	}
	CHECK(!bad);
}

// Native calls and one of Linux's with anything in the thread pointer, in SP and in all registers
// that the calling convention lets nobody change.
static void hostile_registers(void)
{
	static const uint64_t odd[] = {0,
				       1,
				       8,
				       0x7fffffffe000,
				       0x0000800000000000,
				       0xffff800000000000,
				       0xffffd00000000000,
				       0xffffffff80000000,
				       ~0ull};

	for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
		uint64_t el = 9, tp = 0, sp = 0, kept = 1;
		__asm__ volatile(
			"mrs x19, tpidr_el0\n mov x20, sp\n msr tpidr_el0, %4\n mov x21, %4\n"
			"mov x16, %4\n mov x17, %4\n mov x9, %4\n mov sp, %4\n"
			"mov x8, #0x10000\n svc #0\n" // elevate
			"mrs x22, CurrentEL\n"
			"mov x8, #173\n svc #0\n" // getppid
			"mov x23, #30000\n 1: subs x23, x23, #1\n b.ne 1b\n"
			"mov x8, #1\n movk x8, #1, lsl #16\n svc #0\n" // lower
			"mov %2, sp\n mov sp, x20\n mrs %1, tpidr_el0\n msr tpidr_el0, x19\n mov %0, x22\n"
			"eor x21, x21, x16\n eor x16, x16, x17\n eor x17, x17, x9\n"
			"orr x21, x21, x16\n orr %3, x21, x17\n"
			: "=&r"(el), "=&r"(tp), "=&r"(sp), "=&r"(kept)
			: "r"(odd[i])
			: "x0", "x8", "x9", "x16", "x17", "x19", "x20", "x21", "x22", "x23",
			  "memory", "cc");
		CHECK(el >> 2 == 1);
		CHECK(tp == odd[i] && sp == odd[i] && kept == 0);
		CHECK(!elevated_now());
	}
}

static volatile sig_atomic_t breaks;
static void on_break(int s, siginfo_t *si, void *context)
{
	(void)s, (void)si;
	breaks++;
	((ucontext_t *)context)->uc_mcontext.pc += 4;
}

static void breakpoints(void) // of elevated code, too, are signals
{
	step_over(SIGTRAP, on_break);
	breaks = 0;
	__asm__ volatile("brk #1" ::: "memory");
	CHECK(breaks == 1);
	with_privilege
	{
		__asm__ volatile("brk #1" ::: "memory");
		CHECK(breaks == 2);
		CHECK(elevated_now());
		__asm__ volatile("udf #1" ::: "memory"); // on_undefined
		CHECK(elevated_now());
	}
	signal(SIGTRAP, SIG_DFL);
}

// EL1 never executes what EL0 may write. Elevated by switching roots the page is EL1's, and works;
// else it is a signal. It must not be a fault without end, and read-only code must work.
static void writable_code(void)
{
	static const uint32_t ret = 0xd65f03c0;
	uint32_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(code != MAP_FAILED);
	*code = ret;
	__builtin___clear_cache((char *)code, (char *)(code + 1));
	((void (*)(void))code)();
	step_over(SIGSEGV, on_segv);
	if (!sigsetjmp(out, 1)) {
		with_privilege((void (*)(void))code)();
	} else {
		CHECK(fault_addr == (unsigned long)code);
		halyard_reset();
	}
	CHECK(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
	int done = 0;
	with_privilege
	{
		((void (*)(void))code)();
		done = elevated_now();
	}
	CHECK(done && !elevated_now());
	signal(SIGSEGV, SIG_DFL);
	munmap(code, 4096);
}

int main(int argc, char **argv)
{
	step_over(SIGILL, on_undefined);
	elevate_arguments(argc, argv);
	elevate_common(argv[0]);
	step_over(SIGILL, on_undefined);
	RUN(absent_stack_in_interrupts);
	RUN(below_the_stack);
	RUN(hostile_registers);
	RUN(breakpoints);
	RUN(writable_code);
	return 0;
}
