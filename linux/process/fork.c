// SPDX-License-Identifier: MIT
// Owns the creation of tasks: fork, vfork, clone, clone3.
//
// A new task is built in private, so that every failure just takes it apart again. Then, under the
// tree lock, it becomes visible in one step: its number, its place among its process's tasks or its
// parent's children. The child's own writes to its memory (CLONE_CHILD_SETTID) wait for its first
// way out to the program.
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "linux/process/seccomp.h"
#include "abi/linux/sched.h"
#include "abi/linux/wait.h"
#include "base/string.h"
#include "core/uaccess.h"
#include "linux/file.h"
#include "linux/ipc.h"
#include "linux/syscalls.h"
#include <linux_arch/clone.h>

constexpr u64 CLONE_SUPPORTED = CSIGNAL | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				CLONE_PIDFD | CLONE_PTRACE | CLONE_VFORK | CLONE_PARENT |
				CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
				CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED |
				CLONE_CHILD_SETTID | CLONE_IO | CLONE_CLEAR_SIGHAND;

struct clone_request {
	u64 flags; // without the signal
	u32 exit_signal;
	u64 stack; // 0: the parent's
	u64 tls;
	int __user *parent_tid;
	u64 child_tid;
	int __user *pidfd;
	u32 event; // PTRACE_EVENT_*: the tracer wants to hear of it; 0 none
};

struct vfork_wait {
	struct thread *parent;
	atomic_u32 done;
};

// The child no longer uses its parent's memory. Once done is set the record may be gone; the
// parent's memory stays for the RCU section.
void vfork_complete(struct task *t)
{
	struct vfork_wait *w = (struct vfork_wait *)(uintptr_t)xchg(&t->vfork_done, 0);
	if (!w)
		return;
	rcu_read_lock();
	struct thread *parent = w->parent;
	atomic_store_seq(&w->done, 1);
	thread_wake(parent);
	rcu_read_unlock();
}

static void vfork_await(struct task *child, struct vfork_wait *w)
{
	current()->wait_reason = "vfork";
	for (;;) {
		thread_prepare_sleep(THREAD_KILLABLE);
		if (atomic_load_seq(&w->done))
			break;
		// Killed: take the record back, unless the child has it in hand already and is
		// about to set done.
		if (thread_interrupt_pending(THREAD_KILLABLE) && xchg(&child->vfork_done, 0))
			break;
		if (thread_interrupt_pending(THREAD_KILLABLE)) {
			thread_finish_sleep();
			while (!atomic_load_seq(&w->done))
				sched_yield();
			return;
		}
		schedule();
	}
	thread_finish_sleep();
}

static int clone_check(const struct clone_request *r)
{
	u64 f = r->flags;
	if (f & ~CLONE_SUPPORTED)
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_CLEAR_SIGHAND) && (f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & (CLONE_THREAD | CLONE_DETACHED)))
		return -EINVAL;
	if ((f & CLONE_PARENT) && current_process() == init_process)
		return -EINVAL; // an orphan of pid 1 would have no parent
	return 0;
}

static int copy_resources(struct task *t, const struct clone_request *r)
{
	struct task *me = current_task();
	int err = sem_undo_fork(t, r->flags & CLONE_SYSVSEM);
	if (err)
		return err;
	if (r->flags & CLONE_FILES) {
		files_share(me->files);
		t->files = me->files;
	} else {
		struct fd_table *f = files_copy(me->files);
		if (is_err(f))
			return ptr_err(f);
		t->files = f;
	}
	if (r->flags & CLONE_FS) {
		fs_context_share(me->fs);
		t->fs = me->fs;
	} else {
		struct fs_context *fs = fs_context_copy(me->fs);
		if (is_err(fs))
			return ptr_err(fs);
		t->fs = fs;
	}
	if (r->flags & CLONE_VM) {
		vm_space_get(task_space(me));
		t->thread.space = me->thread.space;
		return 0;
	}
	struct vm_space *s;
	int e = vm_space_fork(task_space(me), &s);
	if (e)
		return e;
	t->thread.space = &s->mmu;
	return 0;
}

// What a new task takes from the one that makes it, without memory of its own.
static void inherit(struct task *t, const struct clone_request *r)
{
	struct task *me = current_task();
	t->cred = cred_get(me->cred);
	task_sched_inherit(t);
	t->blocked = me->blocked;
	t->personality = me->personality;
	t->mempolicy = me->mempolicy;
	t->no_new_privs = me->no_new_privs;
	t->keep_caps = me->keep_caps;
	t->timer_slack_ns = me->timer_slack_ns;
	if (!(r->flags & CLONE_VM) || (r->flags & CLONE_VFORK)) {
		t->altstack_sp = me->altstack_sp;
		t->altstack_size = me->altstack_size;
		t->altstack_flags = me->altstack_flags;
	} else {
		t->altstack_flags = SS_DISABLE;
	}
	if (!(r->flags & CLONE_VM))
		rseq_fork(t, me);
	t->clear_child_tid = r->flags & CLONE_CHILD_CLEARTID ? r->child_tid : 0;
	t->set_child_tid = r->flags & CLONE_CHILD_SETTID ? r->child_tid : 0;
	if (t->set_child_tid)
		atomic_or(&t->thread.work, WORK_NOTIFY);
}

static int process_create(struct task *t, const struct clone_request *r)
{
	struct process *me = current_process();
	struct process *p = process_alloc();
	if (!p)
		return -ENOMEM;
	refcount_inc(&p->refs); // one for the tree, one for the task
	t->process = p;
	if (r->flags & CLONE_SIGHAND) {
		spin_lock(&me->lock);
		refcount_inc(&me->sighand->refs);
		p->sighand = me->sighand;
		spin_unlock(&me->lock);
	} else {
		p->sighand = sighand_copy(me);
		if (!p->sighand)
			return -ENOMEM;
		if (r->flags & CLONE_CLEAR_SIGHAND)
			sighand_clear(p->sighand);
	}
	spin_lock(&me->lock);
	memcpy(p->rlimits, me->rlimits, sizeof(p->rlimits));
	spin_unlock(&me->lock);
	p->exit_signal = (u8)r->exit_signal;
	atomic_store(&p->membarrier_registered, atomic_load(&me->membarrier_registered));
	p->creator_tid = current_tid();
	p->oom_score_adj = READ_ONCE(me->oom_score_adj);
	p->has_subreaper = me->has_subreaper || me->is_subreaper;
	if (p->rlimits[RLIMIT_CPU].cur != RLIM_INFINITY)
		process_cpu_limit_update_locked(p);
	return 0;
}

static int limit_check(void)
{
	const struct cred *c = current_cred();
	if ((u64)atomic_load(&c->user->processes) < rlimit(RLIMIT_NPROC) || c->uid == 0 ||
	    cred_has_cap(c, CAP_SYS_RESOURCE) || cred_has_cap(c, CAP_SYS_ADMIN))
		return 0;
	return -EAGAIN;
}

// Makes the finished task visible. -ERESTARTNOINTR: a signal for the whole process came first; the
// child must not miss it.
static int publish(struct task *t, const struct clone_request *r)
{
	struct process *me = current_process(), *p = t->process;
	tree_lock();
	spin_lock(&me->lock);
	if (me->group_exit || me->exec_task ||
	    (!(r->flags & CLONE_THREAD) && (signal_wanted(current_task())))) {
		spin_unlock(&me->lock);
		tree_unlock();
		return -ERESTARTNOINTR;
	}
	if (r->flags & CLONE_THREAD) {
		list_add_tail(&p->threads, &t->process_link);
		p->nthreads++;
		seccomp_inherit_locked(t);
		if (unlikely(t->tracing))
			ptrace_child_link_locked(t);
	}
	if (!(r->flags & CLONE_THREAD))
		seccomp_inherit_locked(t);
	spin_unlock(&me->lock);
	if (unlikely(t->tracing) && !(r->flags & CLONE_THREAD)) {
		spin_lock(&p->lock);
		ptrace_child_link_locked(t);
		spin_unlock(&p->lock);
	}
	pid_set_task(t->thread.id, t);
	if (!(r->flags & CLONE_THREAD)) {
		struct process *parent = r->flags & CLONE_PARENT ? me->parent : me;
		if (r->flags & CLONE_PARENT)
			p->exit_signal = me->exit_signal;
		list_add_tail(&p->threads, &t->process_link);
		p->nthreads = 1;
		pid_set_process(p->pid, p);
		p->parent = parent;
		p->parent_exec_generation = parent->exec_generation;
		list_add_tail(&parent->children, &p->sibling);
		process_join_pgrp(p, me->pgrp);
	}
	pid_release_locked(t->thread.id); // the reservation
	atomic_inc(&task_counter);
	atomic_inc(&t->cred->user->processes);
	tree_unlock();
	return 0;
}

// Takes apart what was never published.
static void discard(struct task *t, const struct clone_request *r)
{
	if (t->files)
		files_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	if (t->process && !(r->flags & CLONE_THREAD))
		process_put(t->process); // the tree's
	if (t->thread.id)
		pid_free(t->thread.id);
	t->files = nullptr;
	t->fs = nullptr;
	sem_undo_exit(t);
	task_abort(t);
}

static int task_build(struct task *t, const struct clone_request *r, const struct trap_frame *f)
{
	int err;
	u32 tid;
	inherit(t, r);
	if (r->flags & CLONE_THREAD) {
		t->process = process_get(current_process());
	} else {
		err = process_create(t, r);
		if (err)
			return err;
	}
	err = copy_resources(t, r);
	if (err)
		return err;
	err = arch_thread_fork(&t->thread, current(), f, r->stack, r->flags & CLONE_SETTLS, r->tls);
	if (err)
		return err;
	err = pid_alloc(&tid);
	if (err)
		return err;
	t->thread.id = tid;
	if (!(r->flags & CLONE_THREAD))
		t->process->pid = tid;
	return 0;
}

// A traced task's children may be traced from their first instruction on.
static int tracing_inherit(struct task *t, struct clone_request *r)
{
	if (likely(!current_task()->tracing) || !task_is_traced(current_task()))
		return 0;
	r->event = ptrace_clone_event(r->flags, r->exit_signal);
	return r->event || (r->flags & CLONE_PTRACE) ? ptrace_child_prepare(t) : 0;
}

static long task_clone(struct clone_request *r)
{
	struct vfork_wait vfork = {.parent = current()};
	struct file *pidfd_file = nullptr;
	int pidfd = -1;
	long err = clone_check(r);
	if (!err)
		err = limit_check();
	if (err)
		return err;
	struct task *t = task_alloc(current()->name);
	if (!t)
		return -ENOMEM;
	err = task_build(t, r, thread_user_frame(current()));
	if (!err)
		err = tracing_inherit(t, r);
	if (err)
		goto fail;
	if (r->flags & CLONE_PIDFD) {
		pidfd_file = pidfd_create(t->process, 0);
		if (is_err(pidfd_file)) {
			err = ptr_err(pidfd_file);
			goto fail;
		}
		pidfd = fd_alloc(0, PIDFD_CLOEXEC);
		err = pidfd < 0 ? pidfd : put_user(pidfd, r->pidfd);
		if (err)
			goto fail_pidfd;
	}
	if (r->flags & CLONE_VFORK)
		t->vfork_done = (uintptr_t)&vfork;
	u32 tid = t->thread.id;
	if (r->flags & CLONE_PARENT_SETTID)
		(void)put_user(tid, r->parent_tid); // as Linux: a bad pointer is the caller's loss
	err = publish(t, r);
	if (err)
		goto fail_pidfd;
	if (pidfd_file)
		fd_install(pidfd, pidfd_file);
	if (r->flags & CLONE_VFORK)
		task_get(t);
	thread_start(&t->thread);
	if (unlikely(r->event))
		ptrace_event(r->event, tid);
	if (r->flags & CLONE_VFORK) {
		vfork_await(t, &vfork);
		task_put(t);
		if (unlikely(current_task()->tracing))
			ptrace_event(PTRACE_EVENT_VFORK_DONE, tid);
	}
	return tid;
fail_pidfd:
	if (pidfd >= 0)
		fd_cancel(pidfd);
	if (pidfd_file)
		file_put(pidfd_file);
fail:
	discard(t, r);
	return err;
}

SYSCALL(fork, void)
{
	return task_clone(&(struct clone_request){.exit_signal = SIGCHLD});
}

SYSCALL(vfork, void)
{
	return task_clone(
		&(struct clone_request){.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD});
}

SYSCALL(clone, u64 flags, u64 stack, int __user *parent_tid, CLONE_LAST_PARAMETERS)
{
	struct clone_request r = {
		.flags = flags & 0xffffffff & ~CSIGNAL,
		.exit_signal = flags & CSIGNAL,
		.stack = stack,
		.tls = tls,
		.parent_tid = parent_tid,
		.child_tid = child_tid,
		.pidfd = parent_tid,
	};
	if ((r.flags & CLONE_PIDFD) && (r.flags & CLONE_PARENT_SETTID))
		return -EINVAL; // both would write to the same place
	if (r.exit_signal > 64)
		return -EINVAL;
	return task_clone(&r);
}

SYSCALL(clone3, const struct linux_clone_args __user *uargs, size_t size)
{
	struct linux_clone_args a = {};
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	long err = copy_struct_from_user(&a, sizeof(a), uargs, size);
	if (err)
		return err;
	struct clone_request r = {
		.flags = a.flags,
		.exit_signal = (u32)a.exit_signal,
		.stack = a.stack + a.stack_size,
		.tls = a.tls,
		.parent_tid = user_ptr(int, a.parent_tid),
		.child_tid = a.child_tid,
		.pidfd = user_ptr(int, a.pidfd),
	};
	if ((a.flags & (CSIGNAL | CLONE_DETACHED)) || a.exit_signal > CSIGNAL || a.exit_signal > 64)
		return -EINVAL;
	if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
		return -EINVAL;
	if (!a.stack != !a.stack_size ||
	    (a.stack && !user_range_ok(user_ptr(void, a.stack), a.stack_size)))
		return -EINVAL;
	if (a.set_tid || a.set_tid_size)
		return -EINVAL; // choosing ids needs a pid namespace of one's own
	return task_clone(&r);
}

SYSCALL(set_tid_address, u64 addr)
{
	current_task()->clear_child_tid = addr;
	return current_tid();
}
