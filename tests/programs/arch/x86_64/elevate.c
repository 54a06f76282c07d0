// SPDX-License-Identifier: MIT
// Elevation of programs, from the inside. Run with halyard.elevate=<path of this program> on the
// kernel's command line; the argument "refused" checks the opposite in a program without the grant.
// Prints "ok NAME" a test; exit status 1 at the first failure.
#define _GNU_SOURCE
#include <halyard.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x)                                                                                \
	do {                                                                                    \
		if (!(x)) {                                                                     \
			printf("FAILED %s:%d: %s (errno %d)\n", __func__, __LINE__, #x, errno); \
			fflush(stdout);                                                         \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

static unsigned cs(void)
{
	unsigned v;
	__asm__ volatile("mov %%cs, %0" : "=r"(v));
	return v;
}
static uint64_t read_cr0(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static void basic(void)
{
	CHECK((cs() & 3) == 3);
	CHECK(halyard_elevate() == 0);
	unsigned inside = cs();
	uint64_t cr0 = read_cr0(); // #GP in ring 3
	halyard_lower();
	CHECK((inside & 3) == 0);
	CHECK(cr0 & 1);
	CHECK((cs() & 3) == 3);
}

static void lowered_cannot(void)
{
	pid_t p = fork();
	if (!p) {
		signal(SIGSEGV, SIG_DFL);
		read_cr0();
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static void nesting(void)
{
	int entered = 0;
	with_privilege
	{
		with_privilege entered += (cs() & 3) == 0;
		entered += (cs() & 3) == 0;
	}
	CHECK(entered == 2);
	CHECK((cs() & 3) == 3 && halyard_elevated() == 0);
	halyard_lower();
	CHECK(halyard_call_(HALYARD_NR_LOWER) == 0); // lower without elevation does nothing
	CHECK((cs() & 3) == 3);
}

static void system_calls_stay_elevated(void)
{
	with_privilege
	{
		CHECK(getpid() == (int)syscall(SYS_getpid));
		CHECK((cs() & 3) == 0);
		char b[64];
		int fd = open("/proc/self/stat", O_RDONLY);
		if (fd >= 0) {
			CHECK(read(fd, b, sizeof b) > 0);
			close(fd);
		}
		struct timespec t = {0, 3000000};
		CHECK(nanosleep(&t, NULL) == 0); // blocks and comes back elevated
		CHECK((cs() & 3) == 0);
		sched_yield();
		CHECK((cs() & 3) == 0);
	}
}

static void preempted(void)
{
	struct timespec a, b;
	uint64_t n = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	with_privilege
	{
		do {
			n++;
			CHECK((cs() & 3) == 0);
			clock_gettime(CLOCK_MONOTONIC, &b);
		} while ((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec < 60000000);
	}
	CHECK(n > 10);
}

// A stack whose next pages are not there yet: pushes of elevated code are demand-filled.
static int deep(int n)
{
	volatile char page[4096];
	memset((void *)page, n, sizeof page);
	return n ? deep(n - 1) + page[17] : page[0];
}
static void absent_stack(void)
{
	int r = 0, want = 0;
	for (int i = 0; i <= 200; i++)
		want += (char)i;
	with_privilege r = deep(200);
	CHECK(r == want);
	CHECK((cs() & 3) == 3);
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
	CHECK((cs() & 3) == 3);
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

static volatile sig_atomic_t handler_cs;
static void on_usr1(int s)
{
	(void)s;
	handler_cs = cs();
}
static void self_signal(void)
{
	struct sigaction a = {.sa_handler = on_usr1};
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	handler_cs = 99;
	with_privilege
	{
		kill(getpid(), SIGUSR1);
		CHECK((cs() & 3) == 0);
	}
	CHECK((handler_cs & 3) == 0); // the handler runs with the thread's privilege
	handler_cs = 99;
	kill(getpid(), SIGUSR1);
	CHECK((handler_cs & 3) == 3);
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
		CHECK((cs() & 3) == 0);
	}
	signal(SIGTRAP, SIG_DFL);
}

static sigjmp_buf out;
static volatile unsigned long fault_addr;
static void on_segv(int s, siginfo_t *si, void *u)
{
	(void)s, (void)u;
	fault_addr = (unsigned long)si->si_addr;
	siglongjmp(out, 1);
}
static void fault_is_a_signal(void)
{
	struct sigaction a = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	CHECK(sigaction(SIGSEGV, &a, NULL) == 0);
	char *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sigsetjmp(out, 1)) {
		halyard_elevate();
		*(volatile char *)hole = 1;
		CHECK(!"reached");
	}
	CHECK(fault_addr == (unsigned long)hole);
	halyard_reset();
	CHECK((cs() & 3) == 3);
	signal(SIGSEGV, SIG_DFL);
	munmap(hole, 4096);
}

static void *counts_in_ring3(void *stop)
{
	unsigned long n = 0;
	while (!*(volatile int *)stop) {
		CHECK((cs() & 3) == 3);
		n++;
	}
	return (void *)n;
}
static void one_thread_of_many(void)
{
	int stop = 0;
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, counts_in_ring3, &stop) == 0);
	for (int i = 0; i < 300; i++) {
		with_privilege
		{
			CHECK((cs() & 3) == 0);
			char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(p != MAP_FAILED);
			memset(p, i, 65536);
			CHECK(p[65535] == (char)i);
			munmap(p, 65536);
		}
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void *new_thread(void *p)
{
	*(unsigned *)p = cs();
	return NULL;
}
static void children_begin_lowered(void)
{
	unsigned seen = 0;
	pthread_t t;
	pid_t p = -1;
	int st = 0;
	with_privilege
	{
		CHECK(pthread_create(&t, NULL, new_thread, &seen) == 0);
		pthread_join(t, NULL);
		p = fork();
		if (!p)
			_exit((cs() & 3) == 3 ? 0 : 1);
		CHECK(waitpid(p, &st, 0) == p);
		CHECK((cs() & 3) == 0);
	}
	CHECK((seen & 3) == 3);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void killed_while_elevated(void)
{
	for (int i = 0; i < 10; i++) {
		pid_t p = fork();
		if (!p) {
			halyard_elevate();
			for (;;)
				;
		}
		struct timespec t = {0, 2000000};
		nanosleep(&t, NULL);
		kill(p, SIGKILL);
		int st;
		CHECK(waitpid(p, &st, 0) == p);
		CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
		p = fork();
		if (!p) {
			halyard_elevate();
			_exit(7);
		}
		CHECK(waitpid(p, &st, 0) == p);
		CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
	}
}

static void exec_lowers(const char *self)
{
	pid_t p = fork();
	if (!p) {
		halyard_elevate();
		execl(self, self, "ring3", NULL);
		_exit(9);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ring3"))
		return (cs() & 3) == 3 ? 0 : 1;
	if (argc > 1 && !strcmp(argv[1], "refused")) {
		CHECK(halyard_elevate() == -EPERM);
		CHECK((cs() & 3) == 3);
		puts("ok refused");
		return 0;
	}
#define RUN(f, ...) (f(__VA_ARGS__), puts("ok " #f), fflush(stdout))
	RUN(basic);
	RUN(lowered_cannot);
	RUN(nesting);
	RUN(system_calls_stay_elevated);
	RUN(preempted);
	RUN(absent_stack);
	RUN(absent_stack_in_interrupts);
	RUN(red_zone);
	RUN(hostile_gs);
	RUN(self_signal);
	RUN(debug_exceptions);
	RUN(fault_is_a_signal);
	RUN(one_thread_of_many);
	RUN(children_begin_lowered);
	RUN(killed_while_elevated);
	RUN(exec_lowers, argv[0]);
	return 0;
}
