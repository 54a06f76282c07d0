// SPDX-License-Identifier: MIT
// A program that tries what the CPU lets it try: privileged and undefined instructions, all system
// registers, cache operations on the kernel's addresses, bases, forged signal frames, random code.
// That it comes to its end, with the kernel still there, is the test. For a machine that may be
// lost: random code makes any system call.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "tests/programs/hostile_check.h"

enum { PAGE = 4096, CODE_WORDS = PAGE / 4 };
static const unsigned RET = 0xd65f03c0, NOP = 0xd503201f;

static unsigned *code;

// ---- instructions ----

static void code_write(const unsigned *words, unsigned n)
{
	mprotect(code, PAGE, PROT_READ | PROT_WRITE);
	memcpy(code, words, n * 4);
	mprotect(code, PAGE, PROT_READ | PROT_EXEC);
	__builtin___clear_cache((char *)code, (char *)code + n * 4);
}

// The instruction, with X0 an address of ours or another, and no system call's number in X8.
static void run_insn(unsigned insn, u64 x0)
{
	const unsigned words[] = {insn, NOP, RET};

	code_write(words, COUNT(words));
	if (!sigsetjmp(back, 1)) {
		register u64 r0 __asm__("x0") = x0;
		register u64 r8 __asm__("x8") = 999;
		__asm__ volatile("blr %2"
				 : "+r"(r0), "+r"(r8)
				 : "r"(code)
				 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x9", "x10", "x30",
				   "memory", "cc");
	}
	poke_kernel();
}

// MSR and MRS of every register that there could be, and every SYS operation. Not TPIDR_EL0, by
// which libc lives, is written.
static void system_registers(void)
{
	for (volatile unsigned i = 0; i < 1u << 16; i++) {
		unsigned encoding = (i & 0x7fff) << 5 | 1u << 20; // op0 2 or 3 by bit 14; Rt X0
		unsigned read = i >> 15;
		if ((i & 0x7fff) == (0x4000 | 3 << 11 | 13 << 7 | 0 << 3 | 2) && !read)
			continue;
		if (i % 7 && !read) // enough is enough
			continue;
		run_insn(0xd5000000 | encoding | read << 21, (u64)altstack);
	}
}

static void privileged_instructions(void)
{
	static const unsigned insns[] = {
		0xd69f03e0, 0xd6bf03e0,		    // eret, drps
		0xd4000002, 0xd4000003,		    // hvc, smc
		0xd4200000, 0xd4400000,		    // brk, hlt
		0xd4a00001, 0xd4a00002, 0xd4a00003, // dcps1, 2, 3
		0x00000000, 0xffffffff, 0xd50342df,
		0xd50342ff, 0xd5034fdf, 0xd5034fff, // msr daifset, daifclr
		0xd500409f, 0xd500419f,		    // msr pan
		0xd50040bf, 0xd50041bf,		    // msr spsel
		0xd503207f, 0xd503205f,		    // wfi, wfe
		0xd503203f, 0xd503209f,		    // yield, sev
		0xd5033f5f,			    // clrex
		0x04a00000, 0x25a00000,		    // of SVE
		0xd503477f, 0xd503467f,		    // smstart, smstop
		0xd65f0bff, 0xd65f0fff,		    // retaa, retab
		0xdac10000, 0xdac11000,		    // pacia, autia
		0x1e200000, 0x0ea0b800,		    // vectors
		0xf8be0000, 0xc8207c00, 0x48207c20, // atomics and pairs
		0xd5380000, 0xd5380000,		    // mrs midr_el1
	};

	for (volatile unsigned i = 0; i < COUNT(insns); i++)
		for (volatile unsigned j = 0; j < COUNT(odd_addresses); j++)
			run_insn(insns[i], j & 1 ? odd_addresses[j] : (u64)altstack);
	for (volatile unsigned imm = 1; imm < 0x10000; imm = imm * 3 + 1)
		run_insn(0xd4000001 | imm << 5, 0); // svc #imm
}

// Cache operations that programs may make (DC ZVA, CVAU, CVAC, CIVAC, CVAP; IC IVAU), and address
// translations, which they may not.
static void cache_operations(void)
{
	static const unsigned insns[] = {0xd50b7420, 0xd50b7b20, 0xd50b7a20, 0xd50b7e20,
					 0xd50b7c20, 0xd50b7520, 0xd5087620, 0xd5087800,
					 0xd50c7800, 0xd508871f};

	for (volatile unsigned i = 0; i < COUNT(insns); i++)
		for (volatile unsigned j = 0; j < COUNT(odd_addresses); j++)
			run_insn(insns[i] & ~31u, odd_addresses[j]);
}

// Whatever bytes; in a child, because they may be a loop or overwrite us, and with nothing open.
static void random_code(u64 seed)
{
	rng += seed * 0x9e3779b97f4a7c15;
	closefrom(0);
	mprotect(code, PAGE, PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < CODE_WORDS; i++) // half of all words would be undefined at once
		code[i] = rnd() % 4 ? (unsigned)rnd() : NOP;
	mprotect(code, PAGE, PROT_READ | PROT_EXEC);
	__builtin___clear_cache((char *)code, (char *)code + PAGE);
	__asm__ volatile("mov x8, #999\n mov sp, %1\n br %0" ::"r"(code), "r"(altstack + PAGE)
			 : "memory");
}

static void random_codes(void)
{
	for (u64 i = 0; i < 300; i++)
		in_child(random_code, i);
}

// ---- addresses ----

// A system call in the last words of the address space.
static void at_the_end(u64 nr)
{
	unsigned *end = mmap((void *)0x7fffffffe000, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (end == MAP_FAILED)
		_exit(3);
	end[CODE_WORDS - 1] = 0xd4000001;
	mprotect(end, PAGE, PROT_READ | PROT_EXEC);
	__builtin___clear_cache((char *)end, (char *)end + PAGE);
	register u64 x8 __asm__("x8") = nr;
	__asm__ volatile("br %0" ::"r"(end + CODE_WORDS - 1), "r"(x8));
}

// Calls with this stack: getpid, sched_yield, kill(getpid(), SIGUSR1), rt_sigreturn.
static void stack_pointer(u64 sp)
{
	__asm__ volatile("mov sp, %0\n mov x8, #172\n svc #0\n mov x8, #124\n svc #0\n"
			 "mov x8, #172\n svc #0\n mov x1, #10\n mov x8, #129\n svc #0\n"
			 "mov x8, #139\n svc #0\n udf #0" ::"r"(sp)
			 : "x0", "x1", "x8", "memory");
}

static void jump_to(u64 address)
{
	__asm__ volatile("br %0" ::"r"(address));
}

static void ignore(int sig)
{
	(void)sig;
}

static void altstack_at(u64 sp)
{
	stack_t ss = {.ss_sp = (void *)sp, .ss_size = 8192};
	struct sigaction sa = {.sa_handler = ignore, .sa_flags = SA_ONSTACK};

	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
}

static void addresses(void)
{
	static const u64 calls[] = {172, 124, 139, 999, 0x10000, 0x10001, ~0ull};

	for (unsigned i = 0; i < COUNT(calls); i++) {
		int status = in_child(at_the_end, calls[i]);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	for (unsigned i = 0; i < COUNT(odd_addresses); i++) {
		CHECK(WIFSIGNALED(in_child(stack_pointer, odd_addresses[i])));
		CHECK(WIFSIGNALED(in_child(jump_to, odd_addresses[i])));
		in_child(altstack_at, odd_addresses[i]);
		in_child(altstack_at, odd_addresses[i] - 8192);
	}
}

// ---- the base of TLS ----

static void bases(void)
{
	u64 old, now;

	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(old));
	for (volatile unsigned i = 0; i < COUNT(odd_addresses); i++) {
		register u64 x8 __asm__("x8") = 124; // sched_yield
		register u64 x0 __asm__("x0");
		__asm__ volatile(
			"msr tpidr_el0, %2\n svc #0\n mrs %0, tpidr_el0\n msr tpidr_el0, %3"
			: "=&r"(now), "=&r"(x0)
			: "r"(odd_addresses[i]), "r"(old), "r"(x8)
			: "memory");
		CHECK(now == odd_addresses[i]);
	}
}

// ---- forged signal frames ----

static void scribble(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	ucontext_t *uc = context;
	unsigned char *records = uc->uc_mcontext.__reserved;
	u64 odd = odd_addresses[rnd() % COUNT(odd_addresses)];

	for (u64 n = rnd() % 12; n; n--) {
		switch (rnd() % 8) {
		case 0:
			((unsigned char *)uc)[rnd() % sizeof(*uc)] = (unsigned char)rnd();
			break;
		case 1:
			uc->uc_mcontext.regs[rnd() % 31] = odd;
			break;
		case 2:
			uc->uc_mcontext.pstate = rnd();
			break;
		case 3: // EL1, EL2, AArch32
			uc->uc_mcontext.pstate ^= (u64[]){4, 5, 8, 9, 0x10, 0x13, 0x3c0}[rnd() % 7];
			break;
		case 4:
			records[rnd() % 1024] = (unsigned char)rnd();
			break;
		case 5: // a record's head
			((unsigned *)records)[rnd() % 2] ^= 1u << rnd() % 32;
			break;
		case 6:
			*(rnd() & 1 ? &uc->uc_mcontext.sp : &uc->uc_mcontext.pc) = odd;
			break;
		case 7: // a record that says it lies elsewhere
			((unsigned *)records)[528 / 4] = 0x45585401;
			((unsigned *)records)[528 / 4 + 1] = 32;
			((u64 *)records)[528 / 8 + 1] = odd;
			((unsigned *)records)[528 / 4 + 4] = (unsigned)rnd();
			break;
		}
	}
}

static void forged_frame(u64 seed)
{
	struct sigaction sa = {.sa_sigaction = scribble, .sa_flags = SA_SIGINFO};

	rng += seed * 0x9e3779b97f4a7c15;
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 20; i++) {
		raise(SIGUSR1);
		poke_kernel();
	}
}

static void garbage_frame(u64 seed)
{
	static u64 frame[1024] __attribute__((aligned(16)));

	rng += seed * 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < COUNT(frame); i++)
		frame[i] = rnd() & 1 ? rnd() : odd_addresses[rnd() % COUNT(odd_addresses)];
	if (rnd() & 1) // the records begin as they should
		frame[592 / 8] = 528ull << 32 | 0x46508001;
	__asm__ volatile("mov sp, %0\n mov x8, #139\n svc #0\n udf #0" ::"r"(
				 (u64)frame + (rnd() % 4 ? 0 : rnd() & 15))
			 : "memory");
}

// The records of a frame end on a page that another thread takes away again and again, so that the
// kernel finds it missing in the middle of its copy.
static unsigned char *torn; // two pages

static void *tear(void *unused)
{
	for (;;)
		madvise(torn + PAGE, PAGE, MADV_DONTNEED);
	return unused;
}

// Goes back by a copy of the frame that ends there.
static void return_by_torn(int sig, siginfo_t *info, void *context)
{
	u64 size = 592 + 560, sp = (u64)torn + PAGE - 592 - 16 * (rnd() % 35);

	(void)sig, (void)context;
	memcpy((void *)sp, info, size); // a frame begins with its siginfo
	__asm__ volatile("mov sp, %0\n mov x8, #139\n svc #0\n udf #0" ::"r"(sp) : "memory");
}

static void torn_frame(u64 unused)
{
	struct sigaction sa = {.sa_sigaction = return_by_torn, .sa_flags = SA_SIGINFO};
	int fd = memfd_create("torn", 0);
	pthread_t thread;

	(void)unused;
	if (ftruncate(fd, 2 * PAGE))
		_exit(1);
	torn = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&thread, NULL, tear, NULL))
		_exit(1);
	for (int i = 0; i < 1000; i++) {
		raise(SIGUSR1);
		if (i % 16 == 0)
			poke_kernel();
	}
	_exit(check_failures != 0);
}

static void signal_frames(unsigned rounds)
{
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(in_child(torn_frame, i), 0);
	for (unsigned i = 0; i < rounds; i++) {
		in_child(forged_frame, i);
		in_child(garbage_frame, i);
	}
}

int main(int argc, char **argv)
{
	int uid = argc > 1 ? atoi(argv[1]) : 0;
	static void (*const parts[])(void) = {privileged_instructions,
					      system_registers,
					      cache_operations,
					      random_codes,
					      addresses,
					      bases};

	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid)))
		return 2;
	code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	faults_go_to(on_fault);
	for (unsigned i = 0; i < COUNT(parts); i++) {
		if (argc > 2 && atoi(argv[2]) != (int)i)
			continue;
		printf("part %u\n", i);
		fflush(stdout);
		parts[i]();
	}
	if (argc <= 2 || atoi(argv[2]) == (int)COUNT(parts)) {
		printf("part %zu\n", COUNT(parts));
		fflush(stdout);
		signal_frames(200);
	}
	return check_done("hostile");
}
