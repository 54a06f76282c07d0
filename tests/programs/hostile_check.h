// SPDX-License-Identifier: MIT
// What the programs share that try what their CPU lets them try: faults that come back, children
// that may die, odd addresses.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/programs/check.h"

typedef uint64_t u64;

static sigjmp_buf back;
static volatile sig_atomic_t caught;
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
	0x8000000000000000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffffffff80000000,
	0xffffffff80200000,
	0xfffffffffffff000,
	0xfffffffffffffff8,
	~0ull,
};
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void on_fault(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

static void faults_go_to(void (*handler)(int))
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_NODEFER};

	sigaltstack(&ss, NULL);
	for (unsigned i = 0; i < COUNT(faults); i++)
		sigaction(faults[i], &sa, NULL);
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
		faults_go_to(SIG_DFL);
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
