// SPDX-License-Identifier: MIT
// What programs that test elevation share: whatever does not depend on the CPU. The file that
// includes it says before how to tell (elevated_now), what only privilege may do
// (privileged_instruction), and which signal a lowered thread gets for that, if not SIGSEGV.
// Prints "ok NAME" a test; exit status 1 at the first failure.
#pragma once
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

#ifndef PRIVILEGED_SIGNAL
#define PRIVILEGED_SIGNAL SIGSEGV
#endif

#define CHECK(x)                                                                                \
	do {                                                                                    \
		if (!(x)) {                                                                     \
			printf("FAILED %s:%d: %s (errno %d)\n", __func__, __LINE__, #x, errno); \
			fflush(stdout);                                                         \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

int elevated_now(void);
void privileged_instruction(void);

static void basic(void)
{
	CHECK(!elevated_now());
	CHECK(halyard_elevate() == 0);
	int inside = elevated_now();
	privileged_instruction();
	halyard_lower();
	CHECK(inside);
	CHECK(!elevated_now());
}

static void lowered_cannot(void)
{
	pid_t p = fork();
	if (!p) {
		signal(PRIVILEGED_SIGNAL, SIG_DFL);
		privileged_instruction();
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == PRIVILEGED_SIGNAL);
}

static void nesting(void)
{
	int entered = 0;
	with_privilege
	{
		with_privilege entered += elevated_now();
		entered += elevated_now();
	}
	CHECK(entered == 2);
	CHECK(!elevated_now() && halyard_elevated() == 0);
	halyard_lower();
	CHECK(halyard_call_(HALYARD_NR_LOWER) == 0); // lower without elevation does nothing
	CHECK(!elevated_now());
}

static void system_calls_stay_elevated(void)
{
	with_privilege
	{
		CHECK(getpid() == (int)syscall(SYS_getpid));
		CHECK(elevated_now());
		char b[64];
		int fd = open("/proc/self/stat", O_RDONLY);
		if (fd >= 0) {
			CHECK(read(fd, b, sizeof b) > 0);
			close(fd);
		}
		struct timespec t = {0, 3000000};
		CHECK(nanosleep(&t, NULL) == 0); // blocks and comes back elevated
		CHECK(elevated_now());
		sched_yield();
		CHECK(elevated_now());
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
			CHECK(elevated_now());
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
	CHECK(!elevated_now());
}
static volatile sig_atomic_t handler_elevated;
static void on_usr1(int s)
{
	(void)s;
	handler_elevated = elevated_now();
}
static void self_signal(void)
{
	struct sigaction a = {.sa_handler = on_usr1};
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	handler_elevated = 99;
	with_privilege
	{
		kill(getpid(), SIGUSR1);
		CHECK(elevated_now());
	}
	CHECK(handler_elevated == 1); // the handler runs with the thread's privilege
	handler_elevated = 99;
	kill(getpid(), SIGUSR1);
	CHECK(handler_elevated == 0);
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
	CHECK(!elevated_now());
	signal(SIGSEGV, SIG_DFL);
	munmap(hole, 4096);
}

static void *counts_lowered(void *stop)
{
	unsigned long n = 0;
	while (!*(volatile int *)stop) {
		CHECK(!elevated_now());
		n++;
	}
	return (void *)n;
}
static void one_thread_of_many(void)
{
	int stop = 0;
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, counts_lowered, &stop) == 0);
	for (int i = 0; i < 300; i++) {
		with_privilege
		{
			CHECK(elevated_now());
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
	*(int *)p = elevated_now();
	return NULL;
}
static void children_begin_lowered(void)
{
	int seen = -1;
	pthread_t t;
	pid_t p = -1;
	int st = 0;
	with_privilege
	{
		CHECK(pthread_create(&t, NULL, new_thread, &seen) == 0);
		pthread_join(t, NULL);
		p = fork();
		if (!p)
			_exit(elevated_now());
		CHECK(waitpid(p, &st, 0) == p);
		CHECK(elevated_now());
	}
	CHECK(seen == 0);
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
		execl(self, self, "lowered", NULL);
		_exit(9);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

#define RUN(f, ...) (f(__VA_ARGS__), puts("ok " #f), fflush(stdout))

// What the program's main begins with: the arguments by which it calls itself.
static void elevate_arguments(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "lowered"))
		exit(elevated_now());
	if (argc > 1 && !strcmp(argv[1], "refused")) {
		CHECK(halyard_elevate() == -EPERM);
		CHECK(!elevated_now());
		puts("ok refused");
		exit(0);
	}
}

static void elevate_common(const char *self)
{
	RUN(basic);
	RUN(lowered_cannot);
	RUN(nesting);
	RUN(system_calls_stay_elevated);
	RUN(preempted);
	RUN(absent_stack);
	RUN(self_signal);
	RUN(fault_is_a_signal);
	RUN(one_thread_of_many);
	RUN(children_begin_lowered);
	RUN(killed_while_elevated);
	RUN(exec_lowers, self);
}
