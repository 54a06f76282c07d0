// SPDX-License-Identifier: MIT
// seccomp.c: seccomp(2): a task's promise to make some system calls only. Privileged.
//
// A filter is a checked BPF program with a pointer to the one that was there before it; a task has
// the youngest, and all of them judge each call, the most severe verdict counting. Filters are
// immutable and counted, so children share them. Who has a mode carries WORK_TRACE_ENTRY: its calls
// take core's slow path, and the others' pay nothing.
//
// elevate() is no system call, and nobody is asked about it. So who may elevate makes no promises,
// and who has made one gets no grant (exec.c).
//
// Mode and filters change by the task itself, or by another thread of its process (TSYNC), with the
// process's signal lock; the task reads them without. What it sees replaced stays alive: the new
// one leads to it.
#include "linux/process/seccomp.h"
#include "base/err.h"
#include "base/string.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "linux/signal.h"
#include "linux/syscalls.h"
#include <arch/frame.h>
#include <linux_arch/ptrace.h>
#include <linux_arch/signal.h>

constexpr u32 PATH_INSTRUCTIONS_MAX = 32768, FILTER_COST = 4; // as Linux bounds them
constexpr u32 ERRNO_MAX = 4095;

struct seccomp_filter {
	refcount_t refs;
	struct seccomp_filter *older; // counted
	u32 length, path_cost;
	bool log;
	struct sock_filter program[];
};

static bool seccomp_obey(struct trap_frame *f, u32 verdict);

enum : u32 {
#define NR(number, name) NR_##name = (number),
#include <linux_arch/syscall_numbers.h>
#undef NR
};

// ---- filters ----

static void filter_put(struct seccomp_filter *f)
{
	while (f && refcount_dec_and_test(&f->refs)) {
		struct seccomp_filter *older = f->older;
		kfree(f);
		f = older;
	}
}

static struct seccomp_filter *filter_from_user(u64 uprogram)
{
	struct sock_fprog p;
	if (copy_from_user(&p, user_ptr(const struct sock_fprog, uprogram), sizeof(p)))
		return err_ptr(-EFAULT);
	if (!p.len || p.len > BPF_MAXINSNS)
		return err_ptr(-EINVAL);
	size_t bytes = p.len * sizeof(struct sock_filter);
	struct seccomp_filter *f = kmalloc(sizeof(*f) + bytes);
	if (!f)
		return err_ptr(-ENOMEM);
	*f = (struct seccomp_filter){.refs = REFCOUNT_INIT(1), .length = p.len};
	int r = copy_from_user(f->program, user_ptr(const struct sock_filter, p.filter), bytes)
			? -EFAULT
			: seccomp_program_check(f->program, p.len);
	if (!r)
		return f;
	kfree(f);
	return err_ptr(r);
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *young)
{
	while (young && young != old)
		young = young->older;
	return young == old;
}

static void mode_set_locked(struct task *t, u32 mode)
{
	store_release(&t->seccomp_mode, mode);
	atomic_or(&t->thread.work, WORK_TRACE_ENTRY);
}

// The thread that has filters of its own, which mine do not lead to; nullptr: none. One that ends,
// and may have been joined, makes no calls any more.
static struct task *stranger_locked(struct process *p)
{
	struct task *me = current_task(), *t;
	list_for_each_entry(t, &p->threads, process_link)
		if (t != me && !t->exiting &&
		    (t->seccomp_mode == SECCOMP_MODE_STRICT ||
		     !is_ancestor(t->seccomp, me->seccomp)))
			return t;
	return nullptr;
}

static void give_to_all_locked(struct process *p)
{
	struct task *me = current_task(), *t;
	list_for_each_entry(t, &p->threads, process_link) {
		if (t == me || t->exiting)
			continue;
		struct seccomp_filter *old = t->seccomp;
		refcount_inc(&me->seccomp->refs);
		store_release(&t->seccomp, me->seccomp);
		filter_put(old); // not the last reference: ours lead there
		if (me->no_new_privs)
			t->no_new_privs = true;
		mode_set_locked(t, SECCOMP_MODE_FILTER);
	}
}

static long attach_locked(struct process *p, struct seccomp_filter *f, u32 flags)
{
	struct task *me = current_task();
	if (me->seccomp_mode == SECCOMP_MODE_STRICT)
		return -EINVAL;
	f->older = me->seccomp;
	f->path_cost = f->length + (f->older ? f->older->path_cost + FILTER_COST : 0);
	if (f->path_cost > PATH_INSTRUCTIONS_MAX)
		return -ENOMEM;
	struct task *other = flags & SECCOMP_FILTER_FLAG_TSYNC ? stranger_locked(p) : nullptr;
	if (other)
		return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : (long)other->thread.id;
	store_release(&me->seccomp, f); // the reference to the older one is the filter's now
	mode_set_locked(me, SECCOMP_MODE_FILTER);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		give_to_all_locked(p);
	return 0;
}

static long filter_set(u32 flags, u64 uprogram)
{
	constexpr u32 known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			      SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	if (flags & ~known)
		return -EINVAL; // no listeners
	struct seccomp_filter *f = filter_from_user(uprogram);
	if (is_err(f))
		return ptr_err(f);
	f->log = flags & SECCOMP_FILTER_FLAG_LOG;
	struct process *p = current_process();
	long r = task_space(current_task())->elevates ? -EPERM : -EACCES;
	if (r == -EACCES && (current_task()->no_new_privs || capable(CAP_SYS_ADMIN))) {
		spin_lock(&p->lock);
		r = attach_locked(p, f, flags);
		spin_unlock(&p->lock);
	}
	if (r)
		kfree(f); // was seen by nobody
	return r;
}

static long strict_set(void)
{
	struct task *me = current_task();
	struct process *p = current_process();
	if (task_space(me)->elevates)
		return -EPERM;
	spin_lock(&p->lock);
	long r = me->seccomp_mode == SECCOMP_MODE_FILTER ? -EINVAL : 0;
	if (!r)
		mode_set_locked(me, SECCOMP_MODE_STRICT);
	spin_unlock(&p->lock);
	return r;
}

void seccomp_inherit_locked(struct task *child)
{
	struct task *me = current_task();
	if (likely(!me->seccomp_mode))
		return;
	if (me->seccomp)
		refcount_inc(&me->seccomp->refs);
	child->seccomp = me->seccomp;
	child->no_new_privs = me->no_new_privs;
	mode_set_locked(child, me->seccomp_mode);
}

void seccomp_free(struct task *t)
{
	filter_put(t->seccomp);
	t->seccomp = nullptr;
}

// ---- verdicts ----

static const char *action_name(u32 action)
{
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
		return "kill_process";
	case SECCOMP_RET_KILL_THREAD:
		return "kill_thread";
	case SECCOMP_RET_TRAP:
		return "trap";
	case SECCOMP_RET_ERRNO:
		return "errno";
	case SECCOMP_RET_TRACE:
		return "trace";
	case SECCOMP_RET_USER_NOTIF:
		return "user_notif";
	case SECCOMP_RET_LOG:
		return "log";
	}
	return "allow";
}

static void tell(const struct trap_frame *f, u32 action)
{
	log_info("seccomp: pid %u (%s): system call %llu: %s", current_task()->thread.id,
		 current()->name, frame_syscall_nr(f), action_name(action));
}

// The most severe verdict, and the filter that gave it: of equals the youngest.
static u32 judge(const struct trap_frame *f, const struct seccomp_filter **by)
{
	struct seccomp_data d = {.nr = (s32)frame_syscall_nr(f),
				 .arch = PTRACE_AUDIT_ARCH,
				 .instruction_pointer = frame_ip(f)};
	for (u32 i = 0; i < 6; i++)
		d.args[i] = frame_arg(f, i);
	u32 verdict = SECCOMP_RET_ALLOW;
	*by = nullptr;
	const struct seccomp_filter *s = load_acquire(&current_task()->seccomp);
	for (; s; s = s->older) {
		u32 r = seccomp_program_run(s->program, &d);
		if ((s32)(r & SECCOMP_RET_ACTION_FULL) < (s32)(verdict & SECCOMP_RET_ACTION_FULL)) {
			verdict = r;
			*by = s;
		}
	}
	return verdict;
}

static void trap(struct trap_frame *f, u32 data)
{
	struct siginfo info = {.signo = SIGSYS, .code = SYS_SECCOMP, .error = (s32)data};
	info.sys.call_addr = frame_ip(f);
	info.sys.nr = (s32)frame_syscall_nr(f);
	info.sys.arch = PTRACE_AUDIT_ARCH;
	ptrace_call_undo(f);
	frame_forget_syscall(f);
	signal_force(&info);
}

static bool skip(struct trap_frame *f, long result)
{
	frame_set_result(f, result);
	return false;
}

// A tracer decides; what it makes of the call is judged again, but it is not asked twice.
static bool trace_verdict(struct trap_frame *f, u32 data)
{
	const struct seccomp_filter *by;
	struct task *t = current_task();
	if (!t->tracing || !ptrace_event_wanted(t, PTRACE_EVENT_SECCOMP))
		return skip(f, -ENOSYS);
	ptrace_call_begins(f);
	ptrace_event(PTRACE_EVENT_SECCOMP, data);
	if (signal_fatal_pending() || (s32)frame_syscall_nr(f) == -1)
		return false;
	u32 verdict = judge(f, &by);
	return (verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE || seccomp_obey(f, verdict);
}

static bool seccomp_obey(struct trap_frame *f, u32 verdict)
{
	u32 data = verdict & SECCOMP_RET_DATA;
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return true;
	case SECCOMP_RET_LOG:
		tell(f, SECCOMP_RET_LOG);
		return true;
	case SECCOMP_RET_ERRNO:
		return skip(f, -(long)min(data, ERRNO_MAX));
	case SECCOMP_RET_TRAP:
		trap(f, data);
		return false;
	case SECCOMP_RET_TRACE:
		return trace_verdict(f, data);
	case SECCOMP_RET_USER_NOTIF:
		return skip(f, -ENOSYS); // nobody listens
	case SECCOMP_RET_KILL_THREAD:
		tell(f, SECCOMP_RET_KILL_THREAD);
		task_exit(SIGSYS);
	default:
		tell(f, SECCOMP_RET_KILL_PROCESS);
		process_exit_group(SIGSYS);
	}
}

static void strict_call(const struct trap_frame *f)
{
	switch (frame_syscall_nr(f)) {
	case NR_read:
	case NR_write:
	case NR_exit:
	case NR_rt_sigreturn:
		return;
	}
	tell(f, SECCOMP_RET_KILL_THREAD);
	task_exit(SIGKILL);
}

bool seccomp_call(struct trap_frame *f)
{
	const struct seccomp_filter *by;
	if (load_acquire(&current_task()->seccomp_mode) == SECCOMP_MODE_STRICT) {
		strict_call(f);
		return true;
	}
	u32 verdict = judge(f, &by);
	u32 action = verdict & SECCOMP_RET_ACTION_FULL;
	if (by && by->log && action != SECCOMP_RET_LOG && action != SECCOMP_RET_KILL_THREAD &&
	    action != SECCOMP_RET_KILL_PROCESS)
		tell(f, action); // the others are told anyway
	return seccomp_obey(f, verdict);
}

// ---- calls ----

long seccomp_prctl(u64 mode, u64 uprogram)
{
	return mode == SECCOMP_MODE_STRICT   ? strict_set()
	       : mode == SECCOMP_MODE_FILTER ? filter_set(0, uprogram)
					     : -EINVAL;
}

static long action_available(u64 uaction)
{
	u32 action;
	if (get_user(action, user_ptr(const u32, uaction)))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP; // SECCOMP_RET_USER_NOTIF has no listeners
}

SYSCALL(seccomp, u32 operation, u32 flags, u64 args)
{
	switch (operation) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || args ? -EINVAL : strict_set();
	case SECCOMP_SET_MODE_FILTER:
		return filter_set(flags, args);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_available(args);
	}
	return -EINVAL;
}
