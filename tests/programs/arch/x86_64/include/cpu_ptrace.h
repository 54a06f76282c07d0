// SPDX-License-Identifier: MIT
// The number of the system call that a tracee stands at (x86-64).
#pragma once
#include "tests/programs/check.h"
#include <linux/ptrace.h>
#include <sys/syscall.h>

static inline long cpu_call_number(pid_t pid)
{
	long nr = -1;
	CHECK_EQ(syscall(SYS_ptrace, PTRACE_PEEKUSR, pid, 15 * 8, (unsigned long)&nr), 0);
	return nr;
}

static inline void cpu_call_number_set(pid_t pid, long nr)
{
	CHECK_EQ(syscall(SYS_ptrace, PTRACE_POKEUSR, pid, 15 * 8, (unsigned long)nr), 0);
}
