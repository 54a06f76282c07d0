// SPDX-License-Identifier: MIT
// seccomp: filters of system calls (seccomp.c) and the programs that they are (seccomp_bpf.c).
// Privileged.
#pragma once
#include "abi/linux/seccomp.h"

struct task;
struct trap_frame;

// May the system call that f stands at be made? false: it is skipped, its result is in f. Of the
// current task, which has a mode; may not return (the task or process is killed).
bool seccomp_call(struct trap_frame *f);
// prctl(PR_SET_SECCOMP)
long seccomp_prctl(u64 mode, u64 uprogram);
// The child, which is being made by current, has the same filters. Signal lock of the process whose
// threads could be given others meanwhile; and the end of a task.
void seccomp_inherit_locked(struct task *child);
void seccomp_free(struct task *t);

// A program of n instructions, for seccomp: 0 or -EINVAL. Nothing that passed can read or write
// outside of its data and memory, divide by a constant zero, or fail to end.
int seccomp_program_check(const struct sock_filter *program, u32 n);
u32 seccomp_program_run(const struct sock_filter *program, const struct seccomp_data *d);
