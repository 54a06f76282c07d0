// SPDX-License-Identifier: MIT
// clone flags and scheduling structures as programs see them.
#pragma once
#include "base/types.h"

constexpr u64 CSIGNAL = 0xff;
constexpr u64 CLONE_VM = 0x100;
constexpr u64 CLONE_FS = 0x200;
constexpr u64 CLONE_FILES = 0x400;
constexpr u64 CLONE_SIGHAND = 0x800;
constexpr u64 CLONE_PIDFD = 0x1000;
constexpr u64 CLONE_PTRACE = 0x2000;
constexpr u64 CLONE_VFORK = 0x4000;
constexpr u64 CLONE_PARENT = 0x8000;
constexpr u64 CLONE_THREAD = 0x10000;
constexpr u64 CLONE_NEWNS = 0x20000;
constexpr u64 CLONE_SYSVSEM = 0x40000;
constexpr u64 CLONE_SETTLS = 0x80000;
constexpr u64 CLONE_PARENT_SETTID = 0x100000;
constexpr u64 CLONE_CHILD_CLEARTID = 0x200000;
constexpr u64 CLONE_DETACHED = 0x400000;
constexpr u64 CLONE_UNTRACED = 0x800000;
constexpr u64 CLONE_CHILD_SETTID = 0x1000000;
constexpr u64 CLONE_NEWCGROUP = 0x2000000;
constexpr u64 CLONE_NEWUTS = 0x4000000;
constexpr u64 CLONE_NEWIPC = 0x8000000;
constexpr u64 CLONE_NEWUSER = 0x10000000;
constexpr u64 CLONE_NEWPID = 0x20000000;
constexpr u64 CLONE_NEWNET = 0x40000000;
constexpr u64 CLONE_IO = 0x80000000;
constexpr u64 CLONE_NEWTIME = 0x80;
constexpr u64 CLONE_CLEAR_SIGHAND = 0x100000000;
constexpr u64 CLONE_INTO_CGROUP = 0x200000000;

struct linux_clone_args {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};
constexpr u32 CLONE_ARGS_SIZE_VER0 = 64;
static_assert(sizeof(struct linux_clone_args) == 88);

constexpr u32 LINUX_SCHED_RESET_ON_FORK = 0x40000000;
struct linux_sched_param {
	s32 priority;
};
struct linux_sched_attr {
	u32 size, policy;
	u64 flags;
	s32 nice;
	u32 priority;
	u64 runtime, deadline, period;
	u32 util_min, util_max;
};
constexpr u32 SCHED_ATTR_SIZE_VER0 = 48;
static_assert(sizeof(struct linux_sched_attr) == 56);
enum { SCHED_FLAG_RESET_ON_FORK = 1, SCHED_FLAG_KEEP_POLICY = 8, SCHED_FLAG_KEEP_PARAMS = 16 };

struct linux_rseq {
	u32 cpu_id_start, cpu_id;
	u64 rseq_cs;
	u32 flags, node_id, mm_cid;
	u32 pad;
};
static_assert(sizeof(struct linux_rseq) == 32);
constexpr u32 RSEQ_CPU_ID_UNINITIALIZED = ~0u;
