// SPDX-License-Identifier: MIT
// What the tests of strace and gdb look at: a program with functions, threads, a child, a signal
// and a program that it executes. By itself it just ends well.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

volatile int counter; // watched by gdb
static volatile int signals;

__attribute__((noinline)) int add_one(int value)
{
	__asm__ volatile("" ::: "memory");
	counter = value + 1;
	return counter;
}

static void on_signal(int sig)
{
	signals += sig;
}

__attribute__((noinline)) void *thread_body(void *arg)
{
	add_one((int)(long)arg);
	return arg;
}

__attribute__((noinline)) void child_body(void)
{
	execl("/proc/self/exe", "ptrace_debuggee", "child", NULL);
	_exit(1);
}

static void with_threads(void)
{
	pthread_t t[3];
	for (long i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread_body, (void *)(i + 10)), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void with_child(void)
{
	int status = -1;
	pid_t pid = fork();
	if (!pid)
		child_body();
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 4 << 8);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return 4;
	if (argc > 1 && !strcmp(argv[1], "loop")) // to be attached to
		for (;;) {
			add_one(100);
			usleep(20000);
		}
	signal(SIGUSR1, on_signal);
	CHECK_ERR(open("/no/such/file", O_RDONLY), ENOENT);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(add_one(i), i + 1);
	raise(SIGUSR1);
	CHECK_EQ(signals, SIGUSR1);
	with_threads();
	with_child();
	return check_done("ptrace_debuggee");
}
