// SPDX-License-Identifier: MIT
// Owns unshare, for what a task can stop sharing without namespaces.
#include "abi/linux/sched.h"
#include "linux/file.h"
#include "linux/ipc.h"
#include "linux/process/process.h"
#include "linux/syscalls.h"

SYSCALL(unshare, u64 flags)
{
	constexpr u64 known =
		CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	struct process *p = current_process();
	if (flags & ~known)
		return -EINVAL; // namespaces
	// These cannot be undone for one thread of several; for a process with one there is nothing
	// to undo.
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) &&
	    (READ_ONCE(p->nthreads) > 1 ||
	     ((flags & CLONE_VM) && refcount_read(&current_space()->users) > 1) ||
	     ((flags & CLONE_SIGHAND) && refcount_read(&p->sighand->refs) > 1)))
		return -EINVAL;
	int r = flags & CLONE_FILES ? files_unshare() : 0;
	if (!r && (flags & CLONE_FS))
		r = fs_context_unshare();
	if (!r && (flags & CLONE_SYSVSEM))
		sem_undo_exit(current_task());
	return r;
}
