// SPDX-License-Identifier: MIT
// A program that tries what the CPU lets it try: selectors, flags, gates, bases, forged signal
// frames, random code. That it comes to its end, with the kernel still there, is the test. For a
// machine that may be lost: random code makes any system call.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <ucontext.h>

#include "tests/programs/hostile_check.h"

// ---- selectors ----

static void load_selector(int which, unsigned sel)
{
	switch (which) {
	case 0:
		__asm__ volatile("movl %0, %%ds" ::"r"(sel));
		break;
	case 1:
		__asm__ volatile("movl %0, %%es" ::"r"(sel));
		break;
	case 2:
		__asm__ volatile("movl %0, %%gs" ::"r"(sel));
		break;
	case 3:
		__asm__ volatile("movl %0, %%ss" ::"r"(sel));
		break;
	case 4: { // FS holds libc's thread pointer: it comes back at once
		u64 base;
		__asm__ volatile("rdfsbase %0" : "=r"(base));
		__asm__ volatile("movl %1, %%fs\n\twrfsbase %0" ::"r"(base), "r"(sel));
		break;
	}
	}
}

static void selectors(void)
{
	for (int which = 0; which < 5; which++) {
		for (unsigned i = 0; i < 0x300; i++) {
			unsigned sel = i < 0x200   ? i
				       : i < 0x210 ? 0xfff0 | (i & 15)
						   : rnd() & 0xffff;
			if (!sigsetjmp(back, 1)) {
				load_selector(which, sel);
				poke_kernel();
			}
		}
	}
	for (int which = 0; which < 3; which++)
		load_selector(which, 0);
}

// A selector stays over a switch to somebody who uses others, and a fork.
static void selectors_stay(void)
{
	unsigned ds, user_ds;

	__asm__ volatile("movl %%ss, %0" : "=r"(user_ds));
	__asm__ volatile("movl %0, %%ds; movl %0, %%es" ::"r"(user_ds));
	int status = 0;
	pid_t pid = fork();
	for (int i = 0; i < 20; i++)
		sched_yield();
	__asm__ volatile("movl %%ds, %0" : "=r"(ds));
	if (!pid)
		_exit(ds != user_ds);
	CHECK_EQ(ds, user_ds);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	__asm__ volatile("movl %0, %%ds; movl %0, %%es" ::"r"(0));
}

// ---- far transfers ----

static void far_jump(u64 sel)
{
	struct {
		u64 offset;
		uint16_t sel;
	} __attribute__((packed)) to = {0, (uint16_t)sel};
	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; rex.w ljmp *%0; 1:"
			 : "+m"(to)::"rax");
	poke_kernel();
}

static void far_return(u64 sel)
{
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::"r"(sel)
			 : "rax", "memory");
	poke_kernel();
}

static void iret_to(u64 cs, u64 ss, u64 flags)
{
	__asm__ volatile(
		"movq %%rsp, %%rcx; pushq %1; pushq %%rcx; pushq %2; pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; iretq; 1:" ::
			"r"(cs),
		"r"(ss), "r"(flags)
		: "rax", "rcx", "memory", "cc");
	poke_kernel();
}

static u64 selector_now(int stack)
{
	u64 cs, ss;
	__asm__ volatile("movq %%cs, %0; movq %%ss, %1" : "=r"(cs), "=r"(ss));
	return stack ? ss : cs;
}

static void iret_cs(u64 sel)
{
	iret_to(sel, selector_now(1), 0x202);
}
static void iret_ss(u64 sel)
{
	iret_to(selector_now(0), sel, 0x202);
}
static void iret_flags(u64 flags)
{
	iret_to(selector_now(0), selector_now(1), flags);
}

static void far_transfers(void)
{
	static void (*const ways[])(u64) = {far_jump, far_return, iret_cs, iret_ss};

	for (unsigned w = 0; w < COUNT(ways); w++)
		for (volatile u64 sel = 0; sel < 0x90; sel++)
			if (!sigsetjmp(back, 1))
				ways[w](sel);
	for (volatile int bit = 0; bit < 64; bit++)
		if (!sigsetjmp(back, 1))
			iret_flags(0x202 | 1ull << bit);
	for (volatile int i = 0; i < 200; i++)
		if (!sigsetjmp(back, 1))
			iret_flags(rnd() & 0xffffff);
	__asm__ volatile("pushq $0x202; popfq" ::: "memory", "cc");
}

// ---- instructions ----

static unsigned char *code;

static void run_code(const unsigned char *bytes, size_t len)
{
	mprotect(code, 4096, PROT_READ | PROT_WRITE);
	memset(code, 0x90, 64);
	memcpy(code, bytes, len);
	code[len] = 0xc3;
	mprotect(code, 4096, PROT_READ | PROT_EXEC);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile(
			"movl $0x10, %%ecx; xorl %%edx, %%edx; movq %1, %%rbx; xorl %%eax, %%eax; call *%0" ::
				"r"((u64)code),
			"r"((u64)altstack)
			: "rax", "rbx", "rcx", "rdx", "r11", "memory", "cc");
		poke_kernel();
	}
}

static void software_interrupts(void)
{
	for (volatile int n = 0; n < 256; n++) {
		const unsigned char bytes[] = {0xcd, (unsigned char)n};
		run_code(bytes, 2);
	}
}

static void privileged_instructions(void)
{
	static const struct {
		unsigned char len, bytes[7];
	} insns[] = {
		{1, {0xf4}},
		{1, {0xfa}},
		{1, {0xfb}},
		{1, {0xf1}},
		{1, {0xcc}},
		{1, {0xec}},
		{1, {0xee}},
		{1, {0x6c}},
		{1, {0x6e}},
		{2, {0xe4, 0x60}},
		{2, {0xe6, 0x80}},
		{2, {0x0f, 0x06}},
		{2, {0x0f, 0x08}},
		{2, {0x0f, 0x09}},
		{2, {0x0f, 0x30}},
		{2, {0x0f, 0x32}},
		{2, {0x0f, 0x33}},
		{2, {0x0f, 0x34}},
		{2, {0x0f, 0x35}},
		{3, {0x48, 0x0f, 0x35}},
		{2, {0x0f, 0x07}},
		{3, {0x48, 0x0f, 0x07}},
		{3, {0x0f, 0x01, 0xf8}},
		{3, {0x0f, 0x01, 0xca}},
		{3, {0x0f, 0x01, 0xcb}},
		{3, {0x0f, 0x01, 0xd1}},
		{3, {0x0f, 0x01, 0xc1}},
		{3, {0x0f, 0x01, 0xd9}},
		{3, {0x0f, 0x01, 0xc8}},
		{3, {0x0f, 0x01, 0xc9}},
		{3, {0x0f, 0x01, 0x13}},
		{3, {0x0f, 0x01, 0x1b}},
		{3, {0x0f, 0x01, 0x03}},
		{3, {0x0f, 0x01, 0x0b}},
		{3, {0x0f, 0x01, 0x3b}},
		{3, {0x0f, 0x01, 0xf0}},
		{3, {0x0f, 0x01, 0xe0}},
		{3, {0x0f, 0x00, 0xd1}},
		{3, {0x0f, 0x00, 0xd9}},
		{3, {0x0f, 0x00, 0xc0}},
		{3, {0x0f, 0x00, 0xc8}},
		{3, {0x0f, 0x20, 0xc0}},
		{3, {0x0f, 0x20, 0xd8}},
		{3, {0x0f, 0x20, 0xe0}},
		{3, {0x0f, 0x22, 0xc0}},
		{3, {0x0f, 0x22, 0xd8}},
		{3, {0x0f, 0x22, 0xe0}},
		{3, {0x0f, 0x21, 0xf8}},
		{3, {0x0f, 0x23, 0xf8}},
		{2, {0x0f, 0x0b}},
		{2, {0x0f, 0xff}},
		{2, {0x0f, 0xa2}},
		{2, {0x0f, 0xaa}},
		{2, {0xf7, 0xf2}},
		{3, {0xf0, 0x0f, 0xc7}},
		{1, {0xce}},
		{1, {0x9b}},
		{1, {0xcf}},
		{1, {0xcb}},
		{3, {0x0f, 0xae, 0x33}},
		{4, {0x48, 0x0f, 0xc7, 0x1b}},
		{3, {0x0f, 0xc7, 0x2b}},
		{4, {0x66, 0x0f, 0x38, 0x82}},
		{2, {0xdb, 0xe3}},
		{4, {0x8e, 0xd0, 0xcd, 0x03}},
		{4, {0x8e, 0xd0, 0x0f, 0x05}},
	};

	for (volatile unsigned i = 0; i < COUNT(insns); i++)
		run_code(insns[i].bytes, insns[i].len);
}

// Whatever bytes; in a child, because they may be a loop or overwrite us, and with nothing open.
static void random_code(u64 seed)
{
	rng += seed * 0x9e3779b97f4a7c15;
	closefrom(0);
	mprotect(code, 4096, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 4096; i++)
		code[i] = (unsigned char)rnd();
	mprotect(code, 4096, PROT_READ | PROT_EXEC);
	__asm__ volatile("movl $999, %%eax; movq %1, %%rsp; jmp *%0" ::"r"((u64)code),
			 "r"((u64)altstack + 4096)
			 : "memory");
}

static void random_codes(void)
{
	for (u64 i = 0; i < 300; i++)
		in_child(random_code, i);
}

// ---- flags ----

static void syscall_with_flags(u64 flags)
{
	u64 r = 39; // getpid
	__asm__ volatile("pushfq; orq %1, (%%rsp); popfq; syscall; pushq $0x202; popfq"
			 : "+a"(r)
			 : "r"(flags)
			 : "rcx", "r11", "memory", "cc");
	CHECK(r == (u64)getpid());
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	caught++;
	if (caught > 50)
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
}

static void flags(void)
{
	struct sigaction sa = {.sa_sigaction = on_step, .sa_flags = SA_ONSTACK | SA_SIGINFO}, old;

	sigaction(SIGTRAP, &sa, &old);
	for (volatile u64 bits = 0; bits < 256; bits++) {
		u64 f = 0;
		static const u64 flag[] = {0x100,   0x400,  0x4000,   0x40000,
					   0x10000, 0x3000, 0x200000, 0x180000};
		for (int b = 0; b < 8; b++)
			f |= bits >> b & 1 ? flag[b] : 0;
		caught = 0;
		if (!sigsetjmp(back, 1))
			syscall_with_flags(f);
	}
	sigaction(SIGTRAP, &old, NULL);
	caught = 0; // alignment check, where the CPU does it: SIGBUS, never the kernel's
	if (!sigsetjmp(back, 1)) {
		char path[] = "x/dev/null";
		struct timespec ts[2];
		__asm__ volatile("pushfq; orq $0x40000, (%rsp); popfq");
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (char *)ts + 1);
		syscall(SYS_access, path + 1, 0);
		__asm__ volatile("movl %%eax, (%0)" ::"r"(altstack + 1) : "memory");
	}
	__asm__ volatile("pushq $0x202; popfq" ::: "memory", "cc");
}

// ---- the end of the address space ----

static void at_the_end(u64 nr)
{
	unsigned char *end = mmap((void *)0x7fffffffe000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (end == MAP_FAILED)
		_exit(3);
	memcpy(end + 4094, "\x0f\x05", 2);
	__asm__ volatile("jmp *%1" ::"a"(nr), "r"(end + 4094));
}

static void stack_pointer(u64 sp)
{
	__asm__ volatile(
		"movq %0, %%rsp; movl $39, %%eax; syscall; movl $24, %%eax; syscall; movl $57, %%eax; syscall;"
		"movl $39, %%eax; syscall; movl %%eax, %%edi; movl $10, %%esi; movl $62, %%eax; syscall;"
		"movl $15, %%eax; syscall; ud2" ::"r"(sp)
		: "memory");
}

static void jump_to(u64 address)
{
	__asm__ volatile("jmp *%0" ::"r"(address));
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
	static const u64 calls[] = {39, 24, 15, 999, 0x10000, 0x10001, ~0ull};

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

// ---- bases ----

static void bases(void)
{
	u64 old;

	__asm__ volatile("rdfsbase %0" : "=r"(old));
	for (volatile unsigned i = 0; i < COUNT(odd_addresses); i++) {
		if (!sigsetjmp(back, 1)) {
			__asm__ volatile("wrgsbase %0" ::"r"(odd_addresses[i]));
			poke_kernel();
			usleep(100);
		}
		if (!sigsetjmp(back, 1)) {
			u64 r = 24;
			__asm__ volatile("wrfsbase %1; syscall; wrfsbase %2"
					 : "+a"(r)
					 : "r"(odd_addresses[i]), "r"(old)
					 : "rcx", "r11", "memory");
		}
		syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, odd_addresses[i]);
		poke_kernel();
		syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, odd_addresses[i]);
		syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, odd_addresses[i]);
	}
	__asm__ volatile("wrgsbase %0" ::"r"(0ull));
}

// ---- forged signal frames ----

static void scribble(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	ucontext_t *uc = context;
	unsigned char *fp = (unsigned char *)uc->uc_mcontext.fpregs;

	for (u64 n = rnd() % 12; n; n--) {
		switch (rnd() % 8) {
		case 0:
			((unsigned char *)uc)[rnd() % sizeof(*uc)] = (unsigned char)rnd();
			break;
		case 1:
			uc->uc_mcontext.gregs[rnd() % NGREG] =
				(long long)odd_addresses[rnd() % COUNT(odd_addresses)];
			break;
		case 2:
			uc->uc_mcontext.gregs[REG_EFL] = (long long)rnd();
			break;
		case 3:
			uc->uc_mcontext.gregs[REG_CSGSFS] = (long long)rnd();
			break;
		case 4:
			fp[rnd() % 1024] = (unsigned char)rnd();
			break;
		case 5:
			memset(fp + 464, (int)rnd(), 176);
			break;
		case 6:
			fp[512 + rnd() % 64] ^= (unsigned char)(1u << rnd() % 8);
			break;
		case 7:
			uc->uc_mcontext.fpregs =
				(void *)(odd_addresses[rnd() % COUNT(odd_addresses)]);
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
	static u64 frame[512];

	rng += seed * 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < COUNT(frame); i++)
		frame[i] = rnd() & 1 ? rnd() : odd_addresses[rnd() % COUNT(odd_addresses)];
	frame[5 + 23] = rnd() & 1 ? (u64)(frame + 128)
				  : frame[5 + 23]; // fpstate, after the siginfo-free head
	__asm__ volatile(
		"movq %0, %%rsp; movl $15, %%eax; syscall; ud2" ::"r"((u64)frame + (rnd() & 15))
		: "memory");
}

// The vector state of a frame, whose header the CPU would refuse, ends on a page that another
// thread takes away again and again, so that the kernel finds it missing in the middle of its copy.
static unsigned char *torn; // two pages; the state begins 576 bytes before the second

static void *tear(void *unused)
{
	for (;;)
		madvise(torn + 4096, 4096, MADV_DONTNEED);
	return unused;
}

static void point_at_torn(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	ucontext_t *uc = context;
	unsigned char *fp = torn + 4096 - 576;

	memcpy(fp, uc->uc_mcontext.fpregs, 4096);
	memset(fp + 520, 0x55, 56);
	uc->uc_mcontext.fpregs = (void *)fp;
}

static void torn_frame(u64 unused)
{
	struct sigaction sa = {.sa_sigaction = point_at_torn, .sa_flags = SA_SIGINFO};
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

static void signal_frames(unsigned rounds)
{
	for (unsigned i = 0; i < 4; i++)
		in_child(torn_frame, i);
	for (unsigned i = 0; i < rounds; i++) {
		in_child(forged_frame, i);
		in_child(garbage_frame, i);
	}
}

int main(int argc, char **argv)
{
	int uid = argc > 1 ? atoi(argv[1]) : 0;
	static void (*const parts[])(void) = {selectors,
					      selectors_stay,
					      far_transfers,
					      software_interrupts,
					      privileged_instructions,
					      random_codes,
					      flags,
					      addresses,
					      bases};

	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid)))
		return 2;
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
