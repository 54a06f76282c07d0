// SPDX-License-Identifier: MIT
// Owns halyard.trace: a line in the log for every system call and every fault of a program.
//
// Tasks that are traced, by the log or by ptrace(2), carry WORK_TRACE_ENTRY, so that each of their
// calls takes core's slow path, which calls trace_call() before and trace_result() after it.
#include "core/cmdline.h"
#include "core/log.h"
#include "core/personality.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "linux/process/seccomp.h"
#include "linux/syscalls.h"
#include <arch/frame.h>
#include <linux_arch/signal.h>

static bool tracing; // immutable after boot

void trace_init(void)
{
	tracing = cmdline_has("halyard.trace");
}

void trace_task(struct task *t)
{
	if (tracing)
		atomic_or(&t->thread.work, WORK_TRACE_ENTRY);
}

static const char *call_name(const struct trap_frame *f)
{
	u64 nr = frame_syscall_nr(f);

	return nr < syscall_table_size() ? syscall_name((u32)nr) ?: "?" : "?";
}

void trace_calls_off(struct task *t)
{
	if (!tracing && !t->seccomp_mode)
		atomic_andnot(&t->thread.work, WORK_TRACE_ENTRY);
}

bool trace_call(struct trap_frame *f)
{
	const struct thread *t = current();

	if (tracing)
		log_info("%u %s: call %llu %s (%#llx, %#llx, %#llx, %#llx)", t->id, t->name,
			 frame_syscall_nr(f), call_name(f), frame_arg(f, 0), frame_arg(f, 1),
			 frame_arg(f, 2), frame_arg(f, 3));
	struct task *me = current_task();
	return (!me->tracing || ptrace_call_enter(f)) && (!me->seccomp_mode || seccomp_call(f));
}

void trace_result(struct trap_frame *f)
{
	const struct thread *t = current();

	if (current_task()->tracing)
		ptrace_call_leave(f);
	if (tracing && frame_is_syscall(f)) // else it went on elsewhere: execve, rt_sigreturn
		log_info("%u %s: call %llu %s = %ld", t->id, t->name, frame_syscall_nr(f),
			 call_name(f), frame_result(f));
}

void trace_fault(const struct trap_frame *f, const struct exception *e)
{
	const struct thread *t = current();

	if (tracing)
		log_info("%u %s: exception %u at %#llx, ip %#llx, sp %#llx, error %#llx", t->id,
			 t->name, e->vector, e->addr, frame_ip(f), frame_sp(f), e->error);
}
