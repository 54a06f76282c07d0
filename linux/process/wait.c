// SPDX-License-Identifier: MIT
// Owns wait4 and waitid: what happened to a process's children, and to what its tasks trace.
#include "abi/linux/wait.h"
#include "abi/linux/resource.h"
#include "base/err.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

struct wait_request {
	u32 options;
	int kind; // P_*
	u32 id;
	struct process *pidfd_target; // P_PIDFD; counted
	// what was found
	u32 pid, uid, status;
	int code; // CLD_*
	struct rusage_sums usage;
	bool want_usage;
	struct process *reaped; // to be finished outside of locks
	struct tracing *ended;	// likewise
};

// Was it made by another thread of this process, which is still there?
static bool is_of_other_thread(const struct process *c)
{
	struct task *t = task_find(c->creator_tid);
	bool other = t && t->process == current_process() && t != current_task();
	if (t)
		task_put(t);
	return other;
}

static bool wait_matches(const struct wait_request *w, struct process *c)
{
	switch (w->kind) {
	case P_PID:
		if (c->pid != w->id)
			return false;
		break;
	case P_PGID:
		if (!c->pgrp || c->pgrp->id != w->id)
			return false;
		break;
	case P_PIDFD:
		if (c != w->pidfd_target)
			return false;
		break;
	}
	if ((w->options & WNOTHREAD) && is_of_other_thread(c))
		return false;
	return (w->options & WALL) || (c->exit_signal != SIGCHLD) == !!(w->options & WCLONE);
}

static void usage_of_locked(struct process *c, struct rusage_sums *out)
{
	*out = c->dead_threads;
	rusage_add(out, &c->children_sums);
}

static void wait_fill_end(struct wait_request *w, u32 pid, u32 uid, u32 status)
{
	w->pid = pid;
	w->uid = uid;
	w->status = status;
	w->code = status & 0x7f ? (status & 0x80 ? CLD_DUMPED : CLD_KILLED) : CLD_EXITED;
}

static void wait_take_zombie_locked(struct wait_request *w, struct process *c)
{
	struct process *me = current_process();
	wait_fill_end(w, c->pid, c->exit_uid, c->exit_status);
	usage_of_locked(c, &w->usage);
	if (w->options & WNOWAIT)
		return;
	spin_lock(&me->lock);
	rusage_add(&me->children_sums, &w->usage);
	spin_unlock(&me->lock);
	process_reap_locked(c);
	w->reaped = c;
}

// A stop or a continuation that was not reported yet.
static bool wait_take_stop_locked(struct wait_request *w, struct process *c, u32 which)
{
	bool found = false;
	spin_lock(&c->lock);
	if ((w->options & which & WUNTRACED) && c->stop_reportable && c->stopped) {
		w->status = wait_status_stop(c->stop_signal);
		w->code = CLD_STOPPED;
		found = true;
		if (!(w->options & WNOWAIT))
			c->stop_reportable = false;
	} else if ((w->options & which & WCONTINUED) && c->continue_reportable) {
		w->status = WAIT_STATUS_CONTINUED;
		w->code = CLD_CONTINUED;
		found = true;
		if (!(w->options & WNOWAIT))
			c->continue_reportable = false;
	}
	if (found && !list_empty(&c->threads))
		w->uid = list_first_entry(&c->threads, struct task, process_link)->cred->uid;
	spin_unlock(&c->lock);
	if (found) {
		w->pid = c->pid;
		if (w->want_usage)
			process_rusage(c, &w->usage);
	}
	return found;
}

// ---- tracees ----

static bool tracee_matches(const struct wait_request *w, const struct tracing *tr)
{
	const struct process *c = tr->process;
	if ((w->options & WNOTHREAD) && tr->tracer != current_task())
		return false;
	switch (w->kind) {
	case P_PID:
		return tr->tid == w->id;
	case P_PGID:
		return c->pgrp && c->pgrp->id == w->id;
	case P_PIDFD:
		return c == w->pidfd_target && tr->tid == c->pid;
	}
	return true;
}

// A tracee that ended. A process goes on to its parent, if that is somebody else.
static bool wait_take_ended_locked(struct wait_request *w, struct tracing *tr)
{
	struct process *c = tr->process;
	bool leader = tr->tid == c->pid, reparented = ptrace_reparented_locked(c);
	// A leader ends after all of its threads, for a tracer too.
	if (!(w->options & WEXITED) || (leader && (c->state != PROCESS_ZOMBIE || c->ended_tracees)))
		return false;
	wait_fill_end(w, tr->tid, leader ? c->exit_uid : tr->exit_uid,
		      leader ? c->exit_status : tr->exit_status);
	if (leader)
		usage_of_locked(c, &w->usage);
	if (w->options & WNOWAIT)
		return true;
	ptrace_unlink_locked(tr, 0);
	w->ended = tr;
	if (!leader && !c->ended_tracees)
		wake_all(&current_process()->child_wait);
	if (leader && !reparented)
		wait_take_zombie_locked(w, c);
	else if (leader && zombie_to_parent_locked(c, true))
		w->reaped = c;
	return true;
}

static bool wait_take_trap_locked(struct wait_request *w, struct tracing *tr)
{
	struct process *c = tr->process;
	spin_lock(&c->lock);
	bool found = tr->stopped && tr->stop_code && !tr->listening;
	if (found) {
		w->pid = tr->tid;
		w->uid = tr->task->cred->uid;
		w->status = wait_status_stop(tr->stop_code);
		w->code = CLD_TRAPPED;
		if (!(w->options & WNOWAIT))
			tr->stop_code = 0;
	}
	spin_unlock(&c->lock);
	if (found && w->want_usage)
		process_rusage(c, &w->usage);
	return found;
}

static int wait_scan_tracees_locked(struct wait_request *w, int r)
{
	struct tracing *tr, *next;
	list_for_each_entry_safe(tr, next, &current_process()->tracees, link) {
		if (!tracee_matches(w, tr))
			continue;
		r = 0;
		if (tr->task ? wait_take_trap_locked(w, tr) ||
				       wait_take_stop_locked(w, tr->process, WCONTINUED)
			     : wait_take_ended_locked(w, tr))
			return 1;
	}
	return r;
}

// 1: found; 0: there are children to wait for; -ECHILD.
static int wait_scan(struct wait_request *w)
{
	struct process *me = current_process(), *c;
	int r = -ECHILD;
	tree_lock();
	list_for_each_entry(c, &me->zombies, sibling) {
		if (!wait_matches(w, c))
			continue;
		if (unlikely(c->leader_tracing)) { // its tracer comes first
			r = 0;
			continue;
		}
		if (w->options & WEXITED) {
			wait_take_zombie_locked(w, c);
			tree_unlock();
			return 1;
		}
		r = 0;
	}
	list_for_each_entry(c, &me->children, sibling) {
		if (!wait_matches(w, c))
			continue;
		r = 0;
		if (unlikely(c->leader_tracing) && !ptrace_reparented_locked(c))
			continue; // told as a tracee, not twice
		if ((w->options & (WUNTRACED | WCONTINUED)) &&
		    wait_take_stop_locked(w, c, WUNTRACED | WCONTINUED)) {
			r = 1;
			break;
		}
		if (w->kind != P_ALL && w->kind != P_PGID)
			break;
		if (!(w->options & (WUNTRACED | WCONTINUED)))
			break;
	}
	if (r != 1 && unlikely(!list_empty(&me->tracees)))
		r = wait_scan_tracees_locked(w, r);
	tree_unlock();
	return r;
}

static int wait_for_child(struct wait_request *w)
{
	struct process *me = current_process();
	int r = wait_scan(w);
	if (r || (w->options & WNOHANG))
		return r;
	struct waiter waiter = {.thread = current()};
	list_init(&waiter.link);
	wait_queue_add(&me->child_wait, &waiter);
	current()->wait_reason = "wait";
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		r = wait_scan(w);
		if (r)
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -ERESTARTSYS;
			break;
		}
		schedule();
		wait_queue_readd(&me->child_wait, &waiter);
	}
	thread_finish_sleep();
	wait_queue_remove(&me->child_wait, &waiter);
	return r;
}

static void wait_finish(struct wait_request *w)
{
	if (w->reaped)
		process_reap_finish(w->reaped);
	tracing_free(w->ended);
}

SYSCALL(wait4, int pid, int __user *status, int options, struct linux_rusage __user *usage)
{
	struct wait_request w = {.options = (u32)options | WEXITED, .want_usage = usage != nullptr};
	if ((u32)options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL))
		return -EINVAL;
	if (pid == (int)0x80000000)
		return -ESRCH;
	if (pid == -1) {
		w.kind = P_ALL;
	} else if (pid > 0) {
		w.kind = P_PID;
		w.id = (u32)pid;
	} else {
		w.kind = P_PGID;
		w.id = pid ? (u32)-pid : process_pgid(current_process());
	}
	int r = wait_for_child(&w);
	if (r <= 0)
		return r;
	wait_finish(&w);
	if (status && put_user((int)w.status, status))
		return -EFAULT;
	if (usage && rusage_to_user(&w.usage, usage))
		return -EFAULT;
	return w.pid;
}

static long waitid_report(struct wait_request *w, void __user *info,
			  struct linux_rusage __user *usage, int found)
{
	struct {
		struct siginfo i;
		u8 rest[LINUX_SIGINFO_SIZE - sizeof(struct siginfo)];
	} si = {};
	if (found) {
		si.i.signo = SIGCHLD;
		si.i.code = w->code;
		si.i.child.pid = (int)w->pid;
		si.i.child.uid = w->uid;
		si.i.child.status = w->code == CLD_EXITED ? (int)(w->status >> 8 & 0xff)
				    : w->code == CLD_STOPPED || w->code == CLD_TRAPPED
					    ? (int)(w->status >> 8)
				    : w->code == CLD_CONTINUED ? SIGCONT
							       : (int)(w->status & 0x7f);
		if (usage && rusage_to_user(&w->usage, usage))
			return -EFAULT;
	}
	// Linux writes these fields one by one and leaves the rest of the program's struct alone.
	if (info && copy_to_user(info, &si, offsetof(struct siginfo, child.utime)))
		return -EFAULT;
	return 0;
}

SYSCALL(waitid, int kind, int id, void __user *info, int options, struct linux_rusage __user *usage)
{
	struct wait_request w = {.options = (u32)options,
				 .kind = kind,
				 .id = (u32)id,
				 .want_usage = usage != nullptr};
	if ((u32)options &
	    ~(WNOHANG | WNOWAIT | WEXITED | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL))
		return -EINVAL;
	if (!((u32)options & (WEXITED | WUNTRACED | WCONTINUED)))
		return -EINVAL;
	switch (kind) {
	case P_ALL:
		break;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		if (!id)
			w.id = process_pgid(current_process());
		break;
	case P_PIDFD:
		w.pidfd_target = pidfd_process(id);
		if (is_err(w.pidfd_target))
			return ptr_err(w.pidfd_target);
		break;
	default:
		return -EINVAL;
	}
	int r = wait_for_child(&w);
	if (w.pidfd_target)
		process_put(w.pidfd_target);
	if (r < 0)
		return r;
	wait_finish(&w);
	return waitid_report(&w, info, usage, r);
}
