// SPDX-License-Identifier: MIT
// Owns the end of tasks and processes.
//
// A task gives back what it holds in the order in which others may notice: words in the program's
// memory (robust futexes, its tid), the vfork parent, descriptors, memory, and last its number. The
// last task of a process hands the children on, turns the process into a zombie and tells the
// parent, all under the tree lock, so that a waiting parent sees either a living child or a
// complete zombie.
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "abi/linux/wait.h"
#include "base/string.h"
#include "core/uaccess.h"
#include "linux/file.h"
#include "linux/ipc.h"
#include "linux/syscalls.h"

static struct process *reaper_find_locked(struct process *dead)
{
	if (dead->has_subreaper)
		for (struct process *p = dead->parent; p != init_process && p->parent;
		     p = p->parent)
			if (p->is_subreaper && p->state == PROCESS_ALIVE)
				return p;
	return init_process;
}

static void pdeath_signal_send(struct process *child)
{
	struct task *t;
	spin_lock(&child->lock);
	list_for_each_entry(t, &child->threads, process_link)
		if (t->pdeath_signal) {
			struct siginfo info = {.signo = (int)t->pdeath_signal,
					       .code = SI_USER,
					       .rt.pid = (int)current_pid()};
			signal_send_locked(child, nullptr, &info);
			break;
		}
	spin_unlock(&child->lock);
}

// Tells the parent of a zombie; true when nobody wants its status. Tree lock held.
static bool zombie_announce_locked(struct process *p)
{
	struct process *parent = p->parent;
	bool autoreap = false;
	spin_lock(&parent->lock);
	if (p->exit_signal) {
		struct siginfo info;
		u32 s = p->exit_status;
		child_info_fill(&info, p,
				s & 0x7f ? (s & 0x80 ? CLD_DUMPED : CLD_KILLED) : CLD_EXITED,
				(int)(s & 0x7f ? s & 0x7f : s >> 8 & 0xff));
		autoreap = p->exit_signal == SIGCHLD && signal_child_unwanted_locked(parent);
		info.signo = p->exit_signal;
		signal_send_locked(parent, nullptr, &info);
	}
	spin_unlock(&parent->lock);
	return autoreap;
}

bool zombie_to_parent_locked(struct process *p, bool tell)
{
	bool unwanted;
	if (tell) {
		unwanted = zombie_announce_locked(p);
	} else {
		spin_lock(&p->parent->lock);
		unwanted = p->exit_signal == SIGCHLD && signal_child_unwanted_locked(p->parent);
		spin_unlock(&p->parent->lock);
	}
	wake_all(&p->parent->child_wait);
	if (unwanted)
		process_reap_locked(p);
	return unwanted;
}

static void children_hand_over_locked(struct process *p, struct list *reaped)
{
	struct process *c, *next, *to = reaper_find_locked(p);
	list_for_each_entry(c, &p->children, sibling) {
		c->parent = to;
		pdeath_signal_send(c);
		pgrp_check_orphaned_locked(c, p);
	}
	list_for_each_entry_safe(c, next, &p->children, sibling) {
		c->exit_signal = SIGCHLD;
		list_del(&c->sibling);
		list_add_tail(&to->children, &c->sibling);
	}
	list_for_each_entry_safe(c, next, &p->zombies, sibling) {
		c->parent = to;
		c->exit_signal = SIGCHLD;
		list_del(&c->sibling);
		list_add_tail(&to->zombies, &c->sibling);
		if (!c->leader_tracing && zombie_announce_locked(c)) {
			process_reap_locked(c);
			list_add_tail(reaped, &c->sibling);
		}
		wake_all(&to->child_wait);
	}
}

void process_reap_locked(struct process *p)
{
	assert(p->state == PROCESS_ZOMBIE);
	list_del_init(&p->sibling);
	pid_set_process(p->pid, nullptr);
	process_leave_pgrp_locked(p, &p->dropped_pgrp);
	spin_lock(&p->lock);
	p->state = PROCESS_REAPED;
	spin_unlock(&p->lock);
}

void process_reap_finish(struct process *p)
{
	if (p->dropped_pgrp)
		pgrp_put(p->dropped_pgrp);
	process_put(p);
}

// The last task is gone from the list. Tree lock held.
static void process_end_locked(struct process *p, struct list *reaped)
{
	children_hand_over_locked(p, reaped);
	pgrp_check_orphaned_locked(p, nullptr);
	if (p->pgrp->session->leader == p)
		p->pgrp->session->leader = nullptr;
	spin_lock(&p->lock);
	p->state = PROCESS_ZOMBIE;
	p->stopped = p->stop_reportable = p->continue_reportable = false;
	sigpending_flush(&p->pending);
	spin_unlock(&p->lock);
	list_del(&p->sibling);
	list_add_tail(&p->parent->zombies, &p->sibling);
	if (ptrace_reparented_locked(p)) {
		ptrace_tell_end_locked(p->leader_tracing); // its parent hears of it later
	} else if (zombie_announce_locked(p) && !p->leader_tracing) {
		process_reap_locked(p);
		list_add_tail(reaped, &p->sibling);
	}
	wait_queue_wake_sync(&p->parent->child_wait, ~0u, 0);
	if (wait_queue_active(&p->pidfd_wait))
		wake_all(&p->pidfd_wait);
}

// First step, from where on the task is no longer one that signals are given to. true: no other
// task runs the program any more. Others may still be giving back what they hold: the process ends
// when the last of them is done, so that who waits for it finds all given back.
static bool task_begin_exit(struct task *t, u32 status)
{
	struct process *p = t->process;
	spin_lock(&p->lock);
	t->exit_code = status;
	t->exiting = true;
	bool last = --p->nthreads == 0;
	if (last && !p->group_exit) {
		p->group_exit = true;
		p->exit_status = status;
	}
	signal_task_leaves_locked(p, t);
	spin_unlock(&p->lock);
	return last;
}

static void tell_memory(struct task *t)
{
	futex_exit(t);
	if (t->clear_child_tid && refcount_read(&task_space(t)->users) > 1 &&
	    !put_user(0, user_ptr(u32, t->clear_child_tid)))
		futex_wake_addr(t->clear_child_tid, 1);
}

static void session_leader_exits(struct process *p)
{
	tree_lock();
	struct session *s = p->pgrp->session;
	void (*told)(struct session *s) = s->leader == p && s->tty ? s->leader_exited : nullptr;
	if (told)
		session_get(s);
	tree_unlock();
	if (!told)
		return;
	told(s);
	session_put(s);
}

static void give_back(struct task *t)
{
	struct process *p = t->process;
	spin_lock(&p->lock);
	struct fd_table *files = t->files;
	struct fs_context *fs = t->fs;
	t->files = nullptr;
	t->fs = nullptr;
	spin_unlock(&p->lock);
	if (files)
		files_put(files);
	if (fs)
		fs_context_put(fs);
}

void task_exit(u32 status)
{
	struct task *t = current_task();
	struct process *p = t->process;
	struct list reaped = LIST_INIT(reaped);

	if (unlikely(p == init_process) && (p->group_exit || p->nthreads == 1))
		panic("Attempted to kill init! exitcode=0x%08x",
		      p->group_exit ? p->exit_status : status);
	if (unlikely(t->tracing))
		ptrace_event(PTRACE_EVENT_EXIT, status);
	bool last = task_begin_exit(t, status);
	if (last) {
		itimers_exit(p);
		posix_timers_exit(p);
	}
	tell_memory(t);
	vfork_complete(t);
	sem_undo_exit(t);
	give_back(t);
	if (last)
		session_leader_exits(p);
	task_space_drop(t);

	tree_lock();
	if (unlikely(!list_empty(&p->tracees)))
		ptrace_tracer_ends_locked(t, &reaped);
	spin_lock(&p->lock);
	process_sums_add_task(&p->dead_threads, t);
	list_del_init(&t->process_link);
	struct tracing *tr = t->tracing, *unused = ptrace_task_ends_locked(t, status);
	sigpending_flush(&t->pending);
	p->exit_uid = t->cred->uid;
	memcpy(p->exit_name, t->thread.name, sizeof(p->exit_name));
	if (p->exec_task && list_is_singular(&p->threads))
		thread_wake(&p->exec_task->thread);
	bool end = list_empty(&p->threads);
	spin_unlock(&p->lock);
	pid_set_task(t->thread.id, nullptr);
	if (unlikely(tr && tr != unused && tr->tid != p->pid))
		ptrace_tell_end_locked(tr);
	if (end)
		process_end_locked(p, &reaped);
	atomic_dec(&task_counter);
	atomic_dec(&t->cred->user->processes);
	tree_unlock();

	tracing_free(unused);
	struct process *c, *next;
	list_for_each_entry_safe(c, next, &reaped, sibling) {
		list_del_init(&c->sibling);
		process_reap_finish(c);
	}
	thread_exit();
}

void process_exit_group(u32 status)
{
	struct process *p = current_process();
	spin_lock(&p->lock);
	if (p->group_exit)
		status = p->exit_status;
	else
		process_kill_all_locked(p, status);
	spin_unlock(&p->lock);
	task_exit(status);
}

SYSCALL(exit, int code)
{
	task_exit(wait_status_exit((u32)code));
}

SYSCALL(exit_group, int code)
{
	process_exit_group(wait_status_exit((u32)code));
}
