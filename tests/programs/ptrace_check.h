// SPDX-License-Identifier: MIT
// What the programs about tracing share: requests by the raw call, stops, and tracees.
#pragma once
#include "tests/programs/check.h"
#include <linux/ptrace.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static inline long trace(int request, pid_t pid, unsigned long addr, unsigned long data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

#define STOP_STATUS(sig) ((sig) << 8 | 0x7f)

static inline int wait_status(pid_t pid)
{
	int status = -1;
	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	return status;
}
#define EXPECT(pid, status) CHECK_EQ(wait_status(pid), status)

static inline void finish(pid_t pid) // whatever it does
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) > 0)
		;
}

// A child that is traced and stands in the stop of its own SIGSTOP, then runs body and exits
// with 7.
static inline pid_t spawn(void (*body)(void))
{
	pid_t pid = fork();
	if (!pid) {
		if (trace(PTRACE_TRACEME, 0, 0, 0))
			_exit(99);
		raise(SIGSTOP);
		body();
		_exit(7);
	}
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	return pid;
}

// si_code of the signal that the tracee stands at.
static inline int code_of(pid_t pid)
{
	siginfo_t si = {};
	CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), 0);
	return si.si_code;
}
