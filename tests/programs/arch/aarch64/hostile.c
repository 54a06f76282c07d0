// SPDX-License-Identifier: MIT
// A program that tries what the CPU lets it try (AArch64): every system register and instruction of
// the system class, exceptions of every kind, pointers of every kind, forged signal frames, random
// code. That it comes to its end, without privilege and with the kernel still there, is the test.
// For a machine that may be lost: random code makes any system call.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "tests/programs/check.h"

typedef uint64_t u64;
typedef uint32_t u32;

static sigjmp_buf back;
static unsigned char altstack[1 << 16];

static u64 rng = 88172645463325252;
static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	return rng ^= rng << 17;
}

static const u64 odd_addresses[] = {
	0,
	1,
	8,
	0x1000,
	0x10000,
	0x7fffffffe000,
	0x7fffffffeff8,
	0x7ffffffff000,
	0x7ffffffffff8,
	0x800000000000,
	0x800000000008,
	0x0100000000010000,
	0x8000000000000000,
	0xff007fffffff0000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffffc00000000000,
	0xffffd00000000000,
	0xfffff00000000000,
	0xffffffff80000000,
	0xffffffff80200000,
	0xfffffffffffff000,
	0xfffffffffffffff8,
	~0ull,
};
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};

static void faults_go_to(void (*handler)(int, siginfo_t *, void *))
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	struct sigaction sa = {.sa_sigaction = handler,
			       .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO};

	sigaltstack(&ss, NULL);
	for (unsigned i = 0; i < COUNT(faults); i++)
		sigaction(faults[i], &sa, NULL);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	siglongjmp(back, 1);
}

static void step_over(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	((ucontext_t *)context)->uc_mcontext.pc += 4;
}

static void default_action(void)
{
	for (unsigned i = 0; i < COUNT(faults); i++)
		signal(faults[i], SIG_DFL);
}

// Nobody who runs with faults going to step_over or on_fault is at EL1.
static void check_lowered(void)
{
	faults_go_to(on_fault);
	if (!sigsetjmp(back, 1)) {
		u64 el;
		__asm__ volatile("mrs %0, CurrentEL" : "=r"(el));
		CHECK(!"privileged");
	}
}

// What the kernel did to us shows when we call it, are interrupted, and are switched out and in.
static void poke_kernel(void)
{
	CHECK(syscall(SYS_getpid) > 0);
	syscall(SYS_sched_yield);
}

// Runs fn(arg) in a child, which may die of anything; ends it when it hangs.
static int in_child(void (*fn)(u64), u64 arg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		default_action();
		fn(arg);
		_exit(0);
	}
	CHECK(pid > 0);
	for (int i = 0;; i++) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		if (i == 400)
			kill(pid, SIGKILL);
		if (i > 20)
			usleep(1000);
		else
			sched_yield();
	}
}

// ---- instructions ----

enum { CODE_LEN = 64 << 10 };
static u32 *code;
static size_t filled;

static void code_begin(void)
{
	mprotect(code, CODE_LEN, PROT_READ | PROT_WRITE);
	filled = 0;
}

static void code_run(void)
{
	static u64 buffer[64];

	code[filled++] = 0xd65f03c0; // ret
	__builtin___clear_cache((char *)code, (char *)(code + filled));
	mprotect(code, CODE_LEN, PROT_READ | PROT_EXEC);
	__asm__ volatile("mrs x19, tpidr_el0\n\tmov x20, %1\n\tblr %0\n\t"
			 "msr tpidr_el0, x19\n\tmsr fpcr, xzr\n\tmsr fpsr, xzr" ::"r"(code),
			 "r"(buffer)
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x19", "x20", "x30",
			   "memory", "cc");
	poke_kernel();
}

// X0 is the address of a buffer when it runs.
static void code_add(u32 insn)
{
	code[filled++] = 0xaa1403e0; // mov x0, x20
	code[filled++] = insn;
	if (filled + 3 > CODE_LEN / 4) {
		code_run();
		code_begin();
	}
}

static int waits(u32 insn)
{
	return (insn & 0xfffff01f) == 0xd503201f && (insn >> 5 & 0x7f) >= 2 &&
	       (insn >> 5 & 0x7f) <= 3; // WFE, WFI
}

// All 2^17 encodings: MRS, MSR, SYS (cache, TLB and address translation instructions), hints.
static void system_instructions(void)
{
	faults_go_to(step_over);
	code_begin();
	for (u32 i = 0; i < 1 << 17; i++) {
		u32 insn = 0xd5000000 | (i >> 16) << 21 | (i & 0xffff) << 5;
		if (!(insn >> 19 & 3))
			insn |= 31;
		if (!waits(insn))
			code_add(insn);
	}
	code_run();
	check_lowered();
}

// SVC, HVC, SMC, BRK, HLT, DCPS and what is not allocated beside them; ERET and its kin.
static void exceptions(void)
{
	static const u32 others[] = {
		0xd69f03e0, 0xd69f0bff, 0xd69f0fff, // ERET, ERETAA, ERETAB
		0xd6bf03e0,			    // DRPS
		0x00000000, 0x0000ffff, 0xffffffff, // UDF, nothing
		0x885ffc21, 0xc85ffc21,		    // exclusive loads from X1
		0x04e0e3e0, 0x25b8c000,		    // SVE
		0xd503467f, 0xd503477f,		    // SMSTOP, SMSTART
	};
	static const u32 immediates[] = {0, 1, 7, 0x1234, 0x8000, 0xf000, 0xffff};

	faults_go_to(step_over);
	code_begin();
	for (u32 opc = 0; opc < 8; opc++)
		for (u32 low = 0; low < 32; low++)
			for (unsigned i = 0; i < COUNT(immediates); i++) {
				code[filled++] = 0xd2800008 | 172 << 5; // mov x8, #getpid
				code_add(0xd4000000 | opc << 21 | immediates[i] << 5 | low);
			}
	for (unsigned i = 0; i < COUNT(others); i++)
		code_add(others[i]);
	code_run();
	check_lowered();
}

// The immediate means nothing, and of the number its low half counts. Native calls are refused.
static void call_numbers(void)
{
	static const u64 numbers[] = {0x10000, 0x10001, 0x10002, 0x10003, 0x100ff, 0x10100, 0x10101,
				      0x1017f, 0x10180, 0x1ffff, 0x20000, 0x30000, 0x90100, ~0ull,
				      1ull << 32 | 0x10000, 1ull << 63 | 0x10002, 0x7fffffff};

	for (unsigned i = 0; i < COUNT(numbers); i++) {
		register u64 x8 __asm__("x8") = numbers[i];
		register u64 x0 __asm__("x0") = 0;
		register u64 x1 __asm__("x1") = 0x1111;
		register u64 x16 __asm__("x16") = 0x1616;
		__asm__ volatile("svc #0x77" : "+r"(x0), "+r"(x1), "+r"(x16) : "r"(x8) : "memory");
		CHECK(x1 == 0x1111 && x16 == 0x1616);
		if ((u32)numbers[i] == 0x10000)
			CHECK_EQ(x0, -EPERM);
		else if ((u32)numbers[i] == 0x10001)
			CHECK_EQ(x0, 0);
		else
			CHECK_EQ(x0, -ENOSYS);
		check_lowered();
	}
	register u64 x8 __asm__("x8") = 0xdead00000000 | 172;
	register u64 x0 __asm__("x0");
	__asm__ volatile("svc #0xffff" : "=r"(x0) : "r"(x8) : "memory");
	CHECK_EQ(x0, getpid());
}

// Whatever words; in a child, because they may be a loop or overwrite us, and with nothing open.
static void random_code(u64 seed)
{
	rng += seed * 0x9e3779b97f4a7c15;
	closefrom(0);
	code_begin();
	for (unsigned i = 0; i < 1024; i++)
		// many of the words that mean nothing are spared
		code[i] = rnd() & 3 ? (u32)rnd() : 0xd5000000 | (u32)(rnd() & 0x3fffff);
	__builtin___clear_cache((char *)code, (char *)(code + 1024));
	mprotect(code, CODE_LEN, PROT_READ | PROT_EXEC);
	__asm__ volatile("mov x8, #999; mov sp, %1; br %0" ::"r"(code),
			 "r"((u64)altstack + 4096)
			 : "memory");
}

static void random_codes(void)
{
	for (u64 i = 0; i < 300; i++)
		in_child(random_code, i);
}

// ---- addresses ----

static void at_the_end(u64 nr)
{
	unsigned char *end = mmap((void *)0x7fffffffe000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	static const u32 svc = 0xd4000001;
	if (end == MAP_FAILED)
		_exit(3);
	memcpy(end + 4092, &svc, 4);
	__builtin___clear_cache((char *)end + 4092, (char *)end + 4096);
	__asm__ volatile("mov x8, %0; br %1" ::"r"(nr), "r"(end + 4092) : "x8");
}

static void stack_pointer(u64 sp)
{
	__asm__ volatile("mov sp, %0; mov x8, #172; svc #0; mov x8, #124; svc #0\n\t"
			 "mov x8, #220; mov x0, #17; mov x1, xzr; mov x2, xzr; mov x3, xzr; svc #0\n\t"
			 "mov x8, #172; svc #0; mov x1, #10; mov x8, #129; svc #0\n\t"
			 "mov x8, #139; svc #0; udf #0" ::"r"(sp)
			 : "memory");
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

// Odd values in every register that no convention protects, and the thread pointer.
static void registers(void)
{
	for (unsigned i = 0; i < COUNT(odd_addresses); i++) {
		u64 sp = 0, tp = 0, pid = 0;
		__asm__ volatile("mrs x19, tpidr_el0; mov x20, sp; mov x21, %3; msr tpidr_el0, %3\n\t"
				 "mov x16, %3; mov x17, %3; mov x18, %3; mov x30, %3; mov sp, %3\n\t"
				 "mov x8, #172; svc #0; mov x22, x0; mov x8, #124; svc #0\n\t"
				 "mov x9, #20000; 1: subs x9, x9, #1; b.ne 1b\n\t"
				 "mov %0, sp; mov sp, x20; mrs %1, tpidr_el0; msr tpidr_el0, x19\n\t"
				 "mov %2, x22"
				 : "=&r"(sp), "=&r"(tp), "=&r"(pid)
				 : "r"(odd_addresses[i])
				 : "x0", "x8", "x9", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
				   "x30", "memory", "cc");
		CHECK(sp == odd_addresses[i] && tp == odd_addresses[i]);
		CHECK_EQ(pid, getpid());
	}
}

// ---- forged signal frames ----

static int flipped; // bit of PSTATE

static void flip(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	((ucontext_t *)context)->uc_mcontext.pstate ^= 1ull << flipped;
}

static void forged_mode(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	((ucontext_t *)context)->uc_mcontext.pstate = (u64)flipped;
}

// No frame gives privilege, masks interrupts or switches to another execution state.
static void processor_states(void)
{
	struct sigaction sa = {.sa_sigaction = flip, .sa_flags = SA_SIGINFO};

	sigaction(SIGUSR1, &sa, NULL);
	for (flipped = 0; flipped < 64; flipped++) {
		raise(SIGUSR1);
		check_lowered();
		poke_kernel();
	}
	sa.sa_sigaction = forged_mode;
	sigaction(SIGUSR1, &sa, NULL);
	for (flipped = 0; flipped < 0x400; flipped++) {
		raise(SIGUSR1);
		check_lowered();
	}
	signal(SIGUSR1, SIG_DFL);
}

static void scribble(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	ucontext_t *uc = context;
	unsigned char *records = (unsigned char *)uc->uc_mcontext.__reserved;

	for (u64 n = rnd() % 12; n; n--) {
		switch (rnd() % 7) {
		case 0:
			((unsigned char *)uc)[rnd() % sizeof(*uc)] = (unsigned char)rnd();
			break;
		case 1:
			uc->uc_mcontext.regs[rnd() % 31] = odd_addresses[rnd() % COUNT(odd_addresses)];
			break;
		case 2:
			uc->uc_mcontext.pstate = rnd();
			break;
		case 3:
			uc->uc_mcontext.sp = odd_addresses[rnd() % COUNT(odd_addresses)];
			break;
		case 4:
			((u32 *)records)[rnd() % 2] = (u32)rnd(); // the first record's head
			break;
		case 5:
			records[rnd() % 1024] = (unsigned char)rnd();
			break;
		case 6:
			((u32 *)records)[132 + rnd() % 16] = rnd() & 1 ? (u32)rnd() : 16;
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
	if (rnd() & 1) // a record of vector registers at the right place
		frame[(128 + offsetof(ucontext_t, uc_mcontext.__reserved)) / 8] =
			0x0000021046508001;
	__asm__ volatile("mov sp, %0; mov x8, #139; svc #0; udf #0" ::"r"(
				 (u64)frame + (rnd() & 3 ? 0 : rnd() & 15))
			 : "memory");
}

// A frame whose end another thread takes away again and again, so that the kernel finds it missing in
// the middle of its copies.
static unsigned char *torn; // two pages

static void *tear(void *unused)
{
	for (;;)
		madvise(torn + 4096, 4096, MADV_DONTNEED);
	return unused;
}

static void return_by_torn(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	size_t len = 128 + sizeof(ucontext_t);
	unsigned char *at = torn + 4096 - 1024 + (rnd() % 32) * 16;

	memcpy(at, info, len < (size_t)(torn + 8192 - at) ? len : (size_t)(torn + 8192 - at));
	__asm__ volatile("mov sp, %0; mov x8, #139; svc #0" ::"r"(at) : "memory");
}

static void torn_frame(u64 unused)
{
	struct sigaction sa = {.sa_sigaction = return_by_torn, .sa_flags = SA_SIGINFO};
	int fd = memfd_create("torn", 0);
	pthread_t thread;

	(void)unused;
	if (ftruncate(fd, 8192))
		_exit(1);
	torn = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&thread, NULL, tear, NULL))
		_exit(1);
	for (int i = 0; i < 3000; i++) {
		raise(SIGUSR1);
		if (i % 16 == 0)
			poke_kernel();
	}
	_exit(0);
}

static void signal_frames(void)
{
	for (unsigned i = 0; i < 8; i++)
		in_child(torn_frame, i);
	for (unsigned i = 0; i < 200; i++) {
		in_child(forged_frame, i);
		in_child(garbage_frame, i);
	}
}

int main(int argc, char **argv)
{
	int uid = argc > 1 ? atoi(argv[1]) : 0;
	static void (*const parts[])(void) = {system_instructions, exceptions,	     call_numbers,
					      random_codes,	   addresses,	     registers,
					      processor_states,	   signal_frames};

	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid)))
		return 2;
	code = mmap(NULL, CODE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < COUNT(parts); i++) {
		if (argc > 2 && atoi(argv[2]) != (int)i)
			continue;
		printf("part %u\n", i);
		fflush(stdout);
		parts[i]();
	}
	return check_done("hostile");
}
