// SPDX-License-Identifier: MIT
// The number of the system call that a tracee stands at (AArch64).
#pragma once
#include "tests/programs/check.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static inline long cpu_call_number(pid_t pid)
{
	int nr = -1;
	struct iovec iov = {&nr, sizeof(nr)};
	CHECK_EQ(
		syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_ARM_SYSTEM_CALL, (unsigned long)&iov),
		0);
	return nr;
}

static inline void cpu_call_number_set(pid_t pid, long nr)
{
	int number = (int)nr;
	struct iovec iov = {&number, sizeof(number)};
	CHECK_EQ(
		syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, (unsigned long)&iov),
		0);
}
