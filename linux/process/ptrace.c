// SPDX-License-Identifier: MIT
// Owns tracing: who traces whom, and how a tracee stops, says so, and goes on.
//
// Purpose: a task (the tracer) is told of everything that happens to another (the tracee), which
// stands still until the tracer has looked and lets it go on. The requests are in ptrace_calls.c,
// registers in linux/arch, the tracer's view by wait4 in wait.c.
//
// States: a struct tracing is made when a task is traced for the first time, and stays with it.
// Without a tracer it means nothing. With one the tracee runs, or is in a stop (`stopped`): it
// sleeps as THREAD_TRACED inside of the kernel, with all registers in its frame, until a request,
// the end of the tracer, or a kill clears `stopped` and wakes it. Stops are made by the tracee
// itself only, on its way in or out of the kernel or at an event, so nothing about it has to be
// frozen. A task that ends while it is traced leaves its record on the tracer's list, for wait4: a
// thread at once; a leader when its whole process has become a zombie, which its parent sees after
// the tracer. A task that nobody ever traced has no record and pays one load of a pointer here and
// there; system calls are stopped by core's WORK_TRACE_ENTRY.
//
// Locks: links between tracer and tracee change with the tree lock and the tracee's signal lock
// held, so either is enough to read them; stops belong to the signal lock. A tracee tells its
// tracer with only the tree lock held, since two signal locks never nest.
//
// Lifetime: the record holds its process. tracer points to a task that has not ended: its end takes
// it out of all records, under the tree lock. The tracer may be killed at any point, the tracee
// too; neither waits for the other.
//
// Privilege: a tracer writes its tracee's code and registers, so it can do what the tracee may.
// Attaching needs the right to that (process_may_access). A program that may elevate is never
// traced, and a traced one never gets that grant: vm_space.elevates.
#include "linux/process/ptrace.h"
#include "abi/linux/sched.h"
#include "abi/linux/wait.h"
#include "linux/process/process.h"
#include <linux_arch/ptrace.h>

struct tracing *tracing_alloc(struct task *t)
{
	struct tracing *tr = kzalloc(sizeof(*tr));
	if (!tr)
		return nullptr;
	tr->task = t;
	tr->tid = t->thread.id;
	tr->process = process_get(t->process);
	list_init(&tr->link);
	return tr;
}

void tracing_free(struct tracing *tr)
{
	if (!tr)
		return;
	assert(!tr->tracer);
	process_put(tr->process);
	kfree(tr);
}

static bool is_leader(const struct tracing *tr)
{
	return tr->tid == tr->process->pid;
}

void ptrace_link_locked(struct tracing *tr, struct task *tracer, bool capable)
{
	assert_held(&process_tree_lock);
	assert_held(&tr->process->lock);
	assert(!tr->tracer);
	tr->tid = tr->task->thread.id;
	tr->capable = capable;
	WRITE_ONCE(tr->tracer, tracer);
	list_add_tail(&tracer->process->tracees, &tr->link);
	if (is_leader(tr))
		tr->process->leader_tracing = tr;
}

// The group stop that a tracee took part in as a tracer wished becomes an ordinary one.
static void rejoin_stop_locked(struct task *t)
{
	struct process *p = t->process;
	if (!p->stop_signal || !t->stop_counted || t->exiting)
		return;
	t->stop_counted = false;
	if (!p->stopped)
		p->stop_remaining++;
}

static void stop_end_locked(struct tracing *tr, u32 signal)
{
	tr->stop_code = 0;
	tr->listening = false;
	if (!tr->stopped)
		return;
	tr->stopped = false;
	tr->resume_signal = signal;
	thread_wake_state(&tr->task->thread, THREAD_TRACED);
}

void ptrace_unlink_locked(struct tracing *tr, u32 signal)
{
	struct process *p = tr->process;
	assert_held(&process_tree_lock);
	spin_lock(&p->lock);
	list_del_init(&tr->link);
	WRITE_ONCE(tr->tracer, nullptr);
	if (p->leader_tracing == tr)
		p->leader_tracing = nullptr;
	tr->options = 0;
	tr->seized = tr->capable = tr->step = tr->trap_stop = tr->trap_notify = false;
	tr->calls = TRACE_CALLS_NOT;
	struct task *t = tr->task;
	if (t) {
		trace_calls_off(t);
		rejoin_stop_locked(t);
		stop_end_locked(tr, signal);
		thread_interrupt(&t->thread, false);
	} else if (!is_leader(tr)) {
		pid_release_locked(tr->tid);
		p->ended_tracees--;
	}
	spin_unlock(&p->lock);
}

u32 ptrace_tracer_tid(struct task *t)
{
	u32 tid = 0;
	if (likely(!READ_ONCE(t->tracing)))
		return 0;
	spin_lock(&t->process->lock);
	if (task_is_traced(t))
		tid = READ_ONCE(t->tracing->tracer->thread.id);
	spin_unlock(&t->process->lock);
	return tid;
}

bool ptrace_reparented_locked(const struct process *p)
{
	return p->leader_tracing && p->leader_tracing->tracer->process != p->parent;
}

// ---- stops ----

// Tells the tracer's process of a stop or an end. Tree lock held.
static void tell_tracer_locked(struct tracing *tr, int code, int status)
{
	struct process *to = tr->tracer->process;
	struct siginfo info;
	child_info_fill(&info, tr->process, code, status);
	info.child.pid = (int)tr->tid;
	info.child.uid = tr->task ? tr->task->cred->uid : tr->exit_uid;
	spin_lock(&to->lock);
	if (to->state == PROCESS_ALIVE && to->sighand) {
		const struct linux_sigaction *a = &to->sighand->action[SIGCHLD - 1];
		bool stop = code == CLD_TRAPPED || code == CLD_STOPPED;
		if (!stop || (a->handler != SIG_IGN && !(a->flags & SA_NOCLDSTOP)))
			signal_send_locked(to, nullptr, &info);
	}
	spin_unlock(&to->lock);
	wait_queue_wake_sync(&to->child_wait, ~0u, 0);
}

static void tell_stop(struct tracing *tr, int why, u32 code, bool group_complete)
{
	struct process *p = tr->process;
	bool parent_too = group_complete;
	int status = (int)(why == CLD_STOPPED ? p->stop_signal & 0x7f : code & 0x7f);
	tree_lock();
	if (tr->tracer) {
		tell_tracer_locked(tr, why, status);
		parent_too = group_complete && tr->tracer->process != p->parent;
	}
	tree_unlock();
	if (parent_too)
		stop_notify_parent(p, CLD_STOPPED, status);
}

// The current task stops for its tracer. Signal lock held at both ends, released in between. What
// the tracer said: the signal to go on with; code when there is no stop.
static u32 stop_locked(struct task *t, u32 code, int why, u64 message, const struct siginfo *info)
{
	struct tracing *tr = t->tracing;
	struct process *p = t->process;
	bool dying = t->group_exiting && code >> 8 != PTRACE_EVENT_EXIT;
	bool group_complete = false;
	if (!task_is_traced(t) || dying)
		return code;
	tr->stop_code = code;
	tr->message = message;
	tr->has_info = info;
	if (info)
		tr->info = *info;
	tr->resume_signal = 0;
	tr->listening = false;
	if (why == CLD_STOPPED && p->stop_signal && !t->stop_counted)
		group_complete = stop_count_locked(t);
	tr->trap_stop = false;
	if (code >> 8 == PTRACE_EVENT_STOP)
		tr->trap_notify = false;
	tr->stopped = true;
	spin_unlock(&p->lock);
	ptrace_arch_settle();
	tell_stop(tr, why, code, group_complete);
	for (;;) {
		spin_lock(&p->lock);
		if (!tr->stopped)
			break;
		thread_prepare_sleep(THREAD_TRACED);
		spin_unlock(&p->lock);
		current()->wait_reason = "ptrace_stop";
		schedule();
	}
	thread_finish_sleep();
	u32 signal = tr->resume_signal;
	tr->resume_signal = 0;
	tr->has_info = tr->listening = tr->signal_stop = false;
	signal_recalc(t); // what came meanwhile has told nobody
	return signal;
}

// A stop with an info made up for it. Signal lock as in stop_locked().
static u32 notify_locked(struct task *t, int sig, u32 code, int why, u64 message)
{
	struct siginfo info = {
		.signo = sig,
		.code = (s32)code,
		.rt = {.pid = (int)t->thread.id, .uid = t->cred->uid},
	};
	return stop_locked(t, code, why, message, &info);
}

void ptrace_let_die_locked(struct task *t)
{
	if (t->tracing)
		stop_end_locked(t->tracing, 0);
}

void ptrace_notify_locked(struct task *t)
{
	struct tracing *tr = t->tracing;
	if (!task_is_traced(t) || !tr->seized)
		return;
	tr->trap_notify = true;
	if (tr->listening)
		stop_end_locked(tr, 0);
	thread_interrupt(&t->thread, false);
}

void ptrace_trap_locked(struct task *t)
{
	struct tracing *tr = t->tracing;
	u32 sig = t->process->stop_signal;
	if (tr->seized) {
		sig = sig ?: SIGTRAP;
		notify_locked(t, (int)sig, sig | PTRACE_EVENT_STOP << 8, CLD_STOPPED, 0);
	} else {
		stop_locked(t, sig ?: SIGSTOP, CLD_STOPPED, 0, nullptr);
	}
}

// The tracer decides about a signal that is about to be delivered.
int ptrace_signal_locked(struct task *t, int sig, struct siginfo *info)
{
	struct tracing *tr = t->tracing;
	tr->info = *info;
	tr->signal_stop = true;
	int left = (int)stop_locked(t, (u32)sig, CLD_TRAPPED, 0, info);
	*info = tr->info; // PTRACE_SETSIGINFO
	if (!left)
		return 0;
	if (left != info->signo) {
		u32 pid = tr->tracer ? tr->tracer->thread.id : 0;
		*info = (struct siginfo){.signo = left, .code = SI_USER, .rt.pid = (int)pid};
	}
	if (t->blocked & sigmask(left)) { // injected, but not for now
		signal_send_locked(t->process, t, info);
		return 0;
	}
	return left;
}

void ptrace_event(u32 event, u64 message)
{
	struct task *t = current_task();
	struct process *p = t->process;
	if (!task_is_traced(t))
		return;
	spin_lock(&p->lock);
	struct tracing *tr = t->tracing;
	if (tr->options >> event & 1) {
		tr->call_end_due = !tr->call_traced && event != PTRACE_EVENT_EXIT;
		notify_locked(t, SIGTRAP, SIGTRAP | event << 8, CLD_TRAPPED, message);
		tr->call_end_due &= tr->calls == TRACE_CALLS_STOP || tr->step;
		if (tr->call_end_due || tr->step)
			atomic_or(&t->thread.work, WORK_NOTIFY);
	}
	spin_unlock(&p->lock);
}

// ---- system calls ----

static void report_call(struct task *t, struct trap_frame *f, u64 which)
{
	u64 kept = ptrace_call_mark(f, which == PTRACE_EVENTMSG_SYSCALL_EXIT);
	struct process *p = t->process;
	u32 sig = 0;
	spin_lock(&p->lock);
	if (task_is_traced(t) && !t->group_exiting) {
		u32 code = SIGTRAP | (t->tracing->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
		sig = notify_locked(t, SIGTRAP, code, CLD_TRAPPED, which);
	}
	spin_unlock(&p->lock);
	ptrace_call_unmark(f, kept);
	if (sig)
		(void)signal_kernel_task(t, (int)sig);
}

bool ptrace_call_enter(struct trap_frame *f)
{
	struct task *t = current_task();
	struct tracing *tr = t->tracing;
	if (!task_is_traced(t))
		return true;
	if (tr->step_flag)
		frame_step_clear(f);
	tr->step_flag = false;
	tr->call_traced = true;
	enum trace_calls calls = tr->calls;
	if (calls == TRACE_CALLS_NOT)
		return true;
	ptrace_call_begins(f);
	report_call(t, f, PTRACE_EVENTMSG_SYSCALL_ENTRY);
	return calls == TRACE_CALLS_STOP && !signal_fatal_pending() &&
	       (s32)frame_syscall_nr(f) != -1;
}

void ptrace_call_leave(struct trap_frame *f)
{
	struct task *t = current_task();
	struct tracing *tr = t->tracing;
	tr->call_traced = tr->call_end_due = false;
	if (!task_is_traced(t))
		return;
	if (tr->step && tr->calls == TRACE_CALLS_NOT)
		signal_force_fault(SIGTRAP, TRAP_BRKPT, frame_ip(f));
	else if (tr->calls == TRACE_CALLS_STOP)
		report_call(t, f, PTRACE_EVENTMSG_SYSCALL_EXIT);
}

void ptrace_exit_begins(struct task *t, struct trap_frame *f, bool in_syscall)
{
	struct tracing *tr = t->tracing;
	if (tr->step_flag)
		frame_step_clear(f);
	tr->step_flag = false;
	if (tr->call_end_due && in_syscall)
		ptrace_call_leave(f);
	tr->call_end_due = false;
}

void ptrace_exit_ends(struct task *t, struct trap_frame *f)
{
	struct tracing *tr = t->tracing;
	if (!task_is_traced(t) || !tr->step || !frame_step_set(f))
		return;
	tr->step_flag = true;
	atomic_or(&t->thread.work, WORK_FULL_FRAME);
}

void ptrace_handler_entered(struct task *t)
{
	struct process *p = t->process;
	if (!task_is_traced(t) || !t->tracing->step)
		return;
	spin_lock(&p->lock);
	notify_locked(t, SIGTRAP, SIGTRAP, CLD_TRAPPED, 0);
	spin_unlock(&p->lock);
}

// ---- creation, exec, exit ----

u32 ptrace_clone_event(u64 flags, u32 exit_signal)
{
	if (flags & CLONE_UNTRACED)
		return 0;
	u32 event = flags & CLONE_VFORK	     ? PTRACE_EVENT_VFORK
		    : exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
					     : PTRACE_EVENT_FORK;
	return current_task()->tracing->options >> event & 1 ? event : 0;
}

int ptrace_child_prepare(struct task *child)
{
	child->tracing = tracing_alloc(child);
	return child->tracing ? 0 : -ENOMEM;
}

void ptrace_child_link_locked(struct task *child)
{
	struct tracing *from = current_task()->tracing, *tr = child->tracing;
	if (!from->tracer)
		return;
	ptrace_link_locked(tr, from->tracer, from->capable);
	tr->options = from->options;
	tr->seized = from->seized;
	if (tr->seized)
		tr->trap_stop = true;
	else
		child->pending.set |= sigmask(SIGSTOP);
	thread_interrupt(&child->thread, false);
}

void ptrace_exec_done(u32 old_tid)
{
	struct task *t = current_task();
	if (!task_is_traced(t))
		return;
	if (t->tracing->options >> PTRACE_EVENT_EXEC & 1)
		ptrace_event(PTRACE_EVENT_EXEC, old_tid);
	else if (!t->tracing->seized)
		signal_self(SIGTRAP);
}

void ptrace_exec_takes_tid_locked(struct task *t)
{
	struct process *p = t->process;
	struct tracing *old = p->leader_tracing, *tr = t->tracing;
	if (old) { // nobody will wait for the leader that was
		ptrace_unlink_locked(old, 0);
		tracing_free(old);
	}
	if (!tr)
		return;
	tr->tid = p->pid;
	if (tr->tracer)
		p->leader_tracing = tr;
}

struct tracing *ptrace_task_ends_locked(struct task *t, u32 status)
{
	struct tracing *tr = t->tracing;
	if (likely(!tr))
		return nullptr;
	t->tracing = nullptr;
	tr->task = nullptr;
	tr->stop_code = 0;
	tr->exit_status = t->process->group_exit ? t->process->exit_status : status;
	tr->exit_uid = t->cred->uid;
	if (!tr->tracer)
		return tr;
	if (!is_leader(tr)) {
		pid_hold(tr->tid);
		t->process->ended_tracees++;
	}
	return nullptr;
}

void ptrace_tell_end_locked(struct tracing *tr)
{
	u32 status = is_leader(tr) ? tr->process->exit_status : tr->exit_status;
	tell_tracer_locked(tr, status & 0x7f ? CLD_KILLED : CLD_EXITED,
			   (int)(status & 0x7f ? status & 0x7f : status >> 8 & 0xff));
}

// Lets one tracee of a tracer that ends go.
static void release_locked(struct tracing *tr, struct list *reaped)
{
	struct process *p = tr->process;
	if (tr->task && (tr->options & PTRACE_O_EXITKILL)) {
		spin_lock(&p->lock);
		signal_send_locked(p, nullptr,
				   &(struct siginfo){.signo = SIGKILL, .code = SI_KERNEL});
		spin_unlock(&p->lock);
	}
	// A signal that the tracer never heard of is delivered.
	u32 signal = tr->signal_stop && tr->stopped ? tr->stop_code : 0;
	bool gone = !tr->task, zombie = gone && is_leader(tr) && p->state == PROCESS_ZOMBIE;
	bool reparented = ptrace_reparented_locked(p);
	ptrace_unlink_locked(tr, signal);
	if (zombie && zombie_to_parent_locked(p, reparented))
		list_add_tail(reaped, &p->sibling);
	if (gone)
		tracing_free(tr);
}

void ptrace_tracer_ends_locked(struct task *t, struct list *reaped)
{
	struct tracing *tr, *next;
	list_for_each_entry_safe(tr, next, &t->process->tracees, link)
		if (tr->tracer == t)
			release_locked(tr, reaped);
}
