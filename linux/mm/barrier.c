// SPDX-License-Identifier: MIT
// Owns membarrier(2): memory barriers, and disturbed restartable sequences, on other CPUs.
//
// Each command is an interrupt on the CPUs in question: it orders memory there, its return orders
// the instruction stream, and on the way to a program WORK_NOTIFY makes that leave a critical
// section. A thread that runs nowhere has been through a switch, which does all of that.
// process.membarrier_registered has a bit for each registering command; changed atomically,
// inherited by fork, cleared by execve.
#include "abi/linux/mman.h"
#include "core/smp.h"
#include "linux/syscalls.h"
#include "linux/task.h"

constexpr u32 REGISTRATIONS = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
			      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
			      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |
			      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
constexpr u32 COMMANDS = REGISTRATIONS | MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |
			 MEMBARRIER_CMD_PRIVATE_EXPEDITED |
			 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |
			 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | MEMBARRIER_CMD_GET_REGISTRATIONS;

static void barrier_here(void *arg)
{
	(void)arg;
	smp_mb();
}

static void restart_here(void *space)
{
	struct thread *t = current();

	smp_mb();
	if (t->space == space && t->notify_moves)
		atomic_or(&t->work, WORK_NOTIFY);
}

static int barrier_on(cpumask_t cpus, bool restart)
{
	smp_mb();
	smp_call(cpus, restart ? restart_here : barrier_here, current()->space);
	smp_mb();
	return 0;
}

SYSCALL(membarrier, int cmd, u32 flags, int cpu)
{
	struct process *p = current_process();
	cpumask_t cpus = cpumask_all();
	bool restart = cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;

	if (restart ? flags && flags != MEMBARRIER_CMD_FLAG_CPU : flags)
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return COMMANDS;
	case MEMBARRIER_CMD_GET_REGISTRATIONS:
		return (long)atomic_load(&p->membarrier_registered);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: // every process takes part anyway
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		atomic_or(&p->membarrier_registered, (u32)cmd);
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return barrier_on(cpus, false);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		if (!(atomic_load(&p->membarrier_registered) & (u32)cmd << 1))
			return -EPERM;
		if (flags) // one CPU; one that does not run needs nothing
			cpus &= cpu >= 0 && cpu < (int)CPU_MAX ? 1ull << cpu : 0;
		return cpus ? barrier_on(cpus, restart) : 0;
	}
	return -EINVAL;
}
