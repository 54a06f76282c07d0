// SPDX-License-Identifier: MIT
// Owns the receiving half of signals: what happens on the way back to a program.
//
// The thread itself looks: it leads the process into a stop, takes signals off the queues, applies
// default actions, and builds frames for handlers. A system call that was interrupted is restarted
// here, or told to say EINTR.
#include "abi/linux/wait.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "core/uaccess.h"
#include "linux/syscalls.h"
#include <linux_arch/signal.h>

bool signal_wanted(struct task *t)
{
	struct process *p = t->process;
	return ((t->pending.set | p->pending.set) & ~t->blocked) || t->group_exiting ||
	       (p->stop_signal && !t->stop_counted) || p->notify_stop || ptrace_trap_wanted(t);
}

void signal_recalc(struct task *t)
{
	if (signal_wanted(t))
		thread_interrupt(&t->thread, false);
}

// Tells the parent that the process stopped or continues.
void stop_notify_parent(struct process *p, int code, int status)
{
	struct siginfo info;
	tree_lock();
	struct process *parent = p->parent;
	child_info_fill(&info, p, code, status);
	info.child.uid = current_cred()->uid;
	spin_lock(&parent->lock);
	const struct linux_sigaction *a = &parent->sighand->action[SIGCHLD - 1];
	if (a->handler != SIG_IGN && !(a->flags & SA_NOCLDSTOP))
		signal_send_locked(parent, nullptr, &info);
	spin_unlock(&parent->lock);
	wake_all(&parent->child_wait);
	tree_unlock();
}

bool stop_count_locked(struct task *t)
{
	struct process *p = t->process;
	t->stop_counted = true;
	if (!p->stop_remaining || --p->stop_remaining || p->stopped)
		return false;
	p->stopped = p->stop_reportable = true;
	p->continue_reportable = false;
	return true;
}

// The process's tasks stop one after the other; the last one completes the stop. Returns with the
// lock released.
static void stop_take_part(struct task *t)
{
	struct process *p = t->process;
	int told = stop_count_locked(t) ? (int)p->stop_signal : 0;
	spin_unlock(&p->lock);
	if (told)
		stop_notify_parent(p, CLD_STOPPED, told);
	for (;;) {
		spin_lock(&p->lock);
		bool still = t->stop_counted && !t->group_exiting && !ptrace_trap_wanted(t);
		if (still)
			thread_prepare_sleep(THREAD_STOPPED);
		spin_unlock(&p->lock);
		if (!still)
			break;
		current()->wait_reason = "stopped";
		schedule();
	}
	thread_finish_sleep();
}

static void stop_begin_locked(struct process *p, int sig)
{
	struct task *t;
	// Stopped already: only tasks that a tracer let go on stop once more.
	bool again = p->stop_signal;
	if (p->group_exit || (again && !task_is_traced(current_task())))
		return;
	if (!again)
		p->stop_signal = (u32)sig;
	p->stop_remaining = 0;
	list_for_each_entry(t, &p->threads, process_link) {
		if (again && t->stop_counted && task_stands_still(t))
			continue;
		t->stop_counted = false;
		if (t->exiting)
			continue;
		p->stop_remaining++;
		ptrace_notify_locked(t);
		thread_interrupt(&t->thread, false);
	}
}

// A terminal's stop signals do nothing in an orphaned group: nobody could continue it.
static bool stop_is_void(struct process *p, int sig)
{
	if (sig == SIGSTOP)
		return false;
	struct pgrp *g = process_pgrp_get(p);
	bool orphaned = g && pgrp_is_orphaned(g);
	if (g)
		pgrp_put(g);
	return orphaned;
}

// Is a stop still right after the lock was let go? A SIGCONT or SIGKILL may have come.
static bool stop_confirm_locked(struct process *p)
{
	return !p->group_exit && !(p->pending.set & (sigmask(SIGCONT) | sigmask(SIGKILL)));
}

// The next signal that has a handler: its number, *action and *info filled. 0: none. Default
// actions happen inside.
static int signal_next(struct task *t, struct linux_sigaction *action, struct siginfo *info)
{
	struct process *p = t->process;
	spin_lock(&p->lock);
	for (;;) {
		if (t->group_exiting) {
			u32 status = p->exit_status;
			bool all = p->group_exit;
			spin_unlock(&p->lock);
			if (all)
				process_exit_group(status);
			task_exit(SIGKILL); // another thread execs
		}
		if (unlikely(p->notify_stop)) {
			int code = (int)p->notify_stop;
			p->notify_stop = 0;
			spin_unlock(&p->lock);
			stop_notify_parent(p, code, code == CLD_CONTINUED ? SIGCONT : SIGSTOP);
			spin_lock(&p->lock);
			continue;
		}
		bool stop = p->stop_signal && !t->stop_counted;
		if (unlikely(stop || t->tracing) && task_is_traced(t) &&
		    (stop || ptrace_trap_wanted(t))) {
			ptrace_trap_locked(t);
			continue;
		}
		if (unlikely(stop)) {
			stop_take_part(t);
			spin_lock(&p->lock);
			continue;
		}
		int sig = signal_dequeue_locked(t, t->blocked, info);
		if (!sig)
			break;
		if (task_is_traced(t) && sig != SIGKILL) {
			sig = ptrace_signal_locked(t, sig, info);
			if (!sig || t->group_exiting)
				continue;
		}
		bool shared = sighand_lock(p->sighand);
		struct linux_sigaction *a = &p->sighand->action[sig - 1];
		*action = *a;
		if (a->handler > SIG_IGN && (a->flags & SA_RESETHAND))
			a->handler = SIG_DFL;
		sighand_unlock(p->sighand, shared);
		if (action->handler > SIG_IGN) {
			spin_unlock(&p->lock);
			return sig;
		}
		if (action->handler == SIG_IGN || signal_default_ignores(sig) ||
		    (unlikely(p == init_process) && sig != SIGKILL))
			continue;
		if (signal_default_stops(sig)) {
			spin_unlock(&p->lock);
			bool none = stop_is_void(p, sig);
			spin_lock(&p->lock);
			if (!none && stop_confirm_locked(p))
				stop_begin_locked(p, sig);
			continue;
		}
		spin_unlock(&p->lock);
		process_exit_group((u32)sig); // no core is written, so the core bit stays clear
	}
	// Nothing is left: clear the reasons to come here while nobody can add one.
	atomic_andnot(&t->thread.work, WORK_SIGNAL);
	thread_interrupt_clear();
	spin_unlock(&p->lock);
	return 0;
}

// An interrupted call when a handler runs: say EINTR or make the call again after the handler.
static void restart_for_handler(struct trap_frame *f, const struct linux_sigaction *a)
{
	switch (frame_result(f)) {
	case -ERESTART_RESTARTBLOCK:
	case -ERESTARTNOHAND:
		frame_set_result(f, -EINTR);
		break;
	case -ERESTARTSYS:
		if (!(a->flags & SA_RESTART)) {
			frame_set_result(f, -EINTR);
			break;
		}
		[[fallthrough]];
	case -ERESTARTNOINTR:
		frame_restart_syscall(f);
		break;
	}
}

static void restart_without_handler(struct trap_frame *f)
{
	switch (frame_result(f)) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		frame_restart_syscall(f);
		break;
	case -ERESTART_RESTARTBLOCK:
		frame_restart_by_block(f);
		break;
	}
}

// A call that was prepared to be made again before a tracer looked. What the tracer has changed
// since counts: if it moved the program elsewhere, that is where it goes on.
struct early_restart {
	s64 code;	  // 0: there is none
	u64 again, after; // addresses of the call and behind it
};

static struct early_restart restart_early(struct trap_frame *f)
{
	struct early_restart e = {.code = frame_result(f), .after = frame_ip(f)};
	switch (e.code) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTART_RESTARTBLOCK:
		frame_restart_syscall(f);
		frame_forget_syscall(f);
		e.again = frame_ip(f);
		return e;
	}
	return (struct early_restart){};
}

static void early_for_handler(struct trap_frame *f, const struct early_restart *e,
			      const struct linux_sigaction *a)
{
	bool interrupted = e->code == -ERESTARTNOHAND || e->code == -ERESTART_RESTARTBLOCK ||
			   (e->code == -ERESTARTSYS && !(a->flags & SA_RESTART));
	if (!interrupted || frame_ip(f) != e->again)
		return;
	frame_set_result(f, -EINTR);
	frame_set_ip(f, e->after);
}

static void early_without_handler(struct trap_frame *f, const struct early_restart *e)
{
	if (e->code != -ERESTART_RESTARTBLOCK || frame_ip(f) != e->again)
		return;
	frame_set_ip(f, e->after);
	frame_restart_by_block(f);
}

// Enters the handler of sig. The mask of the handler's duration is set only once the frame is
// complete.
static void handler_enter(struct trap_frame *f, struct task *t, int sig,
			  const struct linux_sigaction *a, const struct siginfo *info)
{
	sigset_t back = t->saved_mask_valid ? t->saved_mask : t->blocked;
	if (rseq_leave(t, f) || signal_frame_push(f, t, a, info, back)) {
		// The stack or the rseq area is unusable: SIGSEGV, and if that is what failed, its
		// default action.
		if (sig == SIGSEGV) {
			spin_lock(&t->process->lock);
			t->process->sighand->action[SIGSEGV - 1].handler = SIG_DFL;
			spin_unlock(&t->process->lock);
		}
		signal_force(&(struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL});
		return;
	}
	t->saved_mask_valid = false;
	sigset_t mask = t->blocked | a->mask;
	if (!(a->flags & SA_NODEFER))
		mask |= sigmask(sig);
	signal_set_blocked(mask);
}

// Is the frame that of a system call whose result may be a restart code? A tracer may have put back
// the registers of one, at whatever kind of stop.
static bool is_in_syscall(const struct task *t, const struct trap_frame *f, bool in_syscall)
{
	return (in_syscall || unlikely(t->tracing)) && frame_is_syscall(f);
}

static void notify_work(struct task *t)
{
	atomic_andnot(&t->thread.work, WORK_NOTIFY);
	if (t->set_child_tid) {
		(void)put_user(t->thread.id, user_ptr(u32, t->set_child_tid));
		t->set_child_tid = 0;
	}
	process_cpu_timers_run(t);
}

static void signals_handle(struct task *t, struct trap_frame *f, bool in_syscall)
{
	struct linux_sigaction action;
	struct siginfo info;
	int sig;
	bool first = true;
	struct early_restart early = {};
	if (SIGNAL_RESTARTS_EARLY && unlikely(t->tracing) && is_in_syscall(t, f, in_syscall))
		early = restart_early(f);
	while ((sig = signal_next(t, &action, &info))) {
		if (first && early.code)
			early_for_handler(f, &early, &action);
		else if (first && is_in_syscall(t, f, in_syscall))
			restart_for_handler(f, &action);
		first = false;
		handler_enter(f, t, sig, &action, &info);
		if (unlikely(t->tracing))
			ptrace_handler_entered(t);
	}
	if (!first)
		return;
	if (early.code)
		early_without_handler(f, &early);
	else if (is_in_syscall(t, f, in_syscall))
		restart_without_handler(f);
	if (t->saved_mask_valid) {
		t->saved_mask_valid = false;
		signal_set_blocked(t->saved_mask);
	}
}

void signal_handle(struct trap_frame *f, bool in_syscall)
{
	struct task *t = current_task();
	bool notified = atomic_load(&t->thread.work) & WORK_NOTIFY;
	if (notified)
		notify_work(t);
	if (unlikely(t->tracing))
		ptrace_exit_begins(t, f, in_syscall);
	if (atomic_load(&t->thread.work) & WORK_SIGNAL)
		signals_handle(t, f, in_syscall);
	if (notified)
		rseq_refresh(t, f);
	if (unlikely(t->tracing))
		ptrace_exit_ends(t, f);
}

bool signal_pending(void)
{
	return atomic_load(&current()->work) & WORK_SIGNAL;
}

bool signal_fatal_pending(void)
{
	return thread_killed();
}

// ---- faults of programs ----

void signal_force_page_fault(u64 addr, int result)
{
	switch (result) {
	case -EACCES:
		signal_force_fault(SIGSEGV, SEGV_ACCERR, addr);
		break;
	case -EIO:
	case -ENOSPC:
		signal_force_fault(SIGBUS, BUS_ADRERR, addr);
		break;
	case -ENOMEM: // nothing could be killed to make room
		signal_force(&(struct siginfo){.signo = SIGKILL, .code = SI_KERNEL});
		break;
	default:
		signal_force_fault(SIGSEGV, SEGV_MAPERR, addr);
	}
}
