// SPDX-License-Identifier: MIT
// Owns the system calls about signals.
#include "base/err.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"
#include <arch/frame.h>

static bool signal_valid(int sig)
{
	return sig >= 1 && sig <= SIGRTMAX;
}

sigset_t signal_blocked(void)
{
	return current_task()->blocked;
}

// Blocking more needs no look at the queues. Unblocking what is pending makes the way out look.
// Signals for the process that only this task had been told of are passed on to others when it
// blocks them now.
void signal_set_blocked(sigset_t set)
{
	struct task *t = current_task();
	struct process *p = t->process;
	set &= ~SIGSET_UNBLOCKABLE;
	if (t->blocked == set)
		return;
	spin_lock(&p->lock);
	sigset_t newly = set & ~t->blocked & p->pending.set;
	t->blocked = set;
	if (unlikely(newly) && p->nthreads > 1) {
		struct task *o;
		list_for_each_entry(o, &p->threads, process_link)
			if (o != t && !o->exiting && (newly & ~o->blocked))
				thread_interrupt(&o->thread, false);
	}
	if ((t->pending.set | p->pending.set) & ~set)
		thread_interrupt(&t->thread, false);
	spin_unlock(&p->lock);
}

void signal_mask_push(sigset_t mask)
{
	struct task *t = current_task();
	t->saved_mask = t->blocked;
	t->saved_mask_valid = true;
	signal_set_blocked(mask);
}

int signal_mask_push_user(const u64 __user *umask, u64 size)
{
	sigset_t mask;
	if (!umask)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (get_user(mask, umask))
		return -EFAULT;
	signal_mask_push(mask);
	return 0;
}

void signal_mask_restore(int result)
{
	struct task *t = current_task();
	if (!t->saved_mask_valid)
		return;
	if (result == -EINTR || (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK)) {
		// The handler must see the temporary mask; the way out restores when no handler
		// runs.
		atomic_or(&t->thread.work, WORK_SIGNAL);
		return;
	}
	t->saved_mask_valid = false;
	signal_set_blocked(t->saved_mask);
}

struct restart_block *current_restart_block(void)
{
	return &current_task()->restart;
}

SYSCALL(restart_syscall, void)
{
	struct restart_block *r = &current_task()->restart;
	return r->fn ? r->fn(r) : -EINTR;
}

SYSCALL(rt_sigprocmask, int how, const u64 __user *uset, u64 __user *uold, size_t size)
{
	sigset_t set, old = current_task()->blocked;
	if (size != sizeof(set))
		return -EINVAL;
	if (uset) {
		if (get_user(set, uset))
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_blocked(set);
	}
	return uold ? put_user(old, uold) : 0;
}

// What becomes ignored is no longer pending, says POSIX.
static void pending_ignored_drop(struct process *p, int sig)
{
	struct task *t;
	sigpending_remove(&p->pending, sigmask(sig));
	list_for_each_entry(t, &p->threads, process_link)
		sigpending_remove(&t->pending, sigmask(sig));
}

static void action_exchange(int sig, const struct linux_sigaction *new, struct linux_sigaction *old)
{
	struct process *p = current_process();
	spin_lock(&p->lock);
	bool shared = sighand_lock(p->sighand);
	struct linux_sigaction *a = &p->sighand->action[sig - 1];
	if (old)
		*old = *a;
	if (new) {
		*a = *new;
		if (new->handler == SIG_IGN ||
		    (new->handler == SIG_DFL &&signal_default_ignores(sig)))
			pending_ignored_drop(p, sig);
	}
	sighand_unlock(p->sighand, shared);
	spin_unlock(&p->lock);
}

SYSCALL(rt_sigaction, int sig, const struct linux_sigaction __user *unew,
	struct linux_sigaction __user *uold, size_t size)
{
	constexpr u32 known = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS |
			      SA_RESTORER | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND;
	struct linux_sigaction new, old;
	if (size != sizeof(sigset_t))
		return -EINVAL;
	if (unew) {
		if (copy_from_user(&new, unew, sizeof(new)))
			return -EFAULT;
		new.mask &= ~SIGSET_UNBLOCKABLE;
		new.flags &= known;
	}
	if (!signal_valid(sig) || (unew && (sigmask(sig) & SIGSET_UNBLOCKABLE)))
		return -EINVAL;
	action_exchange(sig, unew ? &new : nullptr, uold ? &old : nullptr);
	return uold ? copy_to_user(uold, &old, sizeof(old)) : 0;
}

SYSCALL(rt_sigpending, u64 __user *uset, size_t size)
{
	if (size > sizeof(sigset_t))
		return -EINVAL;
	sigset_t set = signal_pending_set() & current_task()->blocked;
	return copy_to_user(uset, &set, size);
}

static long wait_for_handler(void)
{
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			break;
		schedule();
	}
	thread_finish_sleep();
	return -ERESTARTNOHAND;
}

SYSCALL(rt_sigsuspend, const u64 __user *uset, size_t size)
{
	sigset_t set;
	if (size != sizeof(set))
		return -EINVAL;
	if (get_user(set, uset))
		return -EFAULT;
	signal_mask_push(set);
	return wait_for_handler();
}

SYSCALL(pause, void)
{
	return wait_for_handler();
}

static int siginfo_to_user(void __user *out, const struct siginfo *info)
{
	if (copy_to_user(out, info, sizeof(*info)))
		return -EFAULT;
	return clear_user_partial((u8 __user *)out + sizeof(*info),
				  LINUX_SIGINFO_SIZE - sizeof(*info))
		       ? -EFAULT
		       : 0;
}

// Waits for one of set: its number, -EAGAIN when the time is up, -EINTR.
static int signal_wait_for(sigset_t set, struct siginfo *info, u64 deadline_ns)
{
	struct task *t = current_task();
	struct process *p = t->process;
	set &= ~SIGSET_UNBLOCKABLE;
	spin_lock(&p->lock);
	int sig = signal_dequeue_locked(t, ~set, info);
	if (sig || !deadline_ns) {
		spin_unlock(&p->lock);
		return sig ? sig : -EAGAIN;
	}
	// Unblocked for the wait, so that senders wake this task; real_blocked keeps them from
	// killing it meanwhile.
	t->real_blocked = t->blocked;
	t->blocked &= ~set;
	spin_unlock(&p->lock);
	bool time_left = true;
	thread_prepare_sleep(THREAD_INTERRUPTIBLE);
	if (!thread_interrupt_pending(THREAD_INTERRUPTIBLE))
		time_left = schedule_until(deadline_ns);
	thread_finish_sleep();
	spin_lock(&p->lock);
	t->blocked = t->real_blocked;
	t->real_blocked = 0;
	sig = signal_dequeue_locked(t, ~set, info);
	spin_unlock(&p->lock);
	if (sig)
		return sig;
	return time_left ? -EINTR : -EAGAIN;
}

SYSCALL(rt_sigtimedwait, const u64 __user *uset, void __user *uinfo,
	const struct linux_timespec __user *utimeout, size_t size)
{
	sigset_t set;
	struct linux_timespec ts;
	struct siginfo info;
	u64 deadline = ~0ull, ns;
	if (size != sizeof(set))
		return -EINVAL;
	if (get_user(set, uset))
		return -EFAULT;
	if (utimeout) {
		if (copy_from_user(&ts, utimeout, sizeof(ts)))
			return -EFAULT;
		if (!timespec_to_ns(&ts, &ns))
			return -EINVAL;
		deadline = ns ? clock_monotonic_ns() + ns : 0;
	}
	int sig = signal_wait_for(set, &info, deadline);
	if (sig > 0 && uinfo && siginfo_to_user(uinfo, &info))
		return -EFAULT;
	return sig;
}

// ---- sending ----

static bool cred_may_kill(const struct cred *me, const struct cred *it)
{
	return me->euid == it->suid || me->euid == it->uid || me->uid == it->suid ||
	       me->uid == it->uid || cred_has_cap(me, CAP_KILL);
}

int signal_may_send(struct process *p, int sig)
{
	if (p == current_process())
		return 0;
	struct task *t = process_any_task(p);
	if (!t)
		return 0; // a zombie: nothing happens anyway
	const struct cred *it = task_cred_get(t);
	bool ok = cred_may_kill(current_cred(), it);
	cred_put(it);
	task_put(t);
	if (!ok && sig == SIGCONT)
		ok = process_sid(p) == process_sid(current_process());
	return ok ? 0 : -EPERM;
}

static int kill_process(struct process *p, const struct siginfo *info)
{
	int r = signal_may_send(p, info->signo);
	if (!r && info->signo)
		r = signal_send_process(p, info);
	return r;
}

static int kill_group(u32 id, const struct siginfo *info)
{
	int r = -ESRCH;
	bool sent = false;
	// Members are visited by number, each with a reference: the permission check may look at
	// other locks.
	u32 pid = 1;
	struct process *p;
	struct pgrp *g = pgrp_find(id);
	if (!g)
		return -ESRCH;
	for (; (p = process_next(&pid)); pid++) {
		if (process_pgid(p) == id) {
			int one = kill_process(p, info);
			sent |= !one;
			r = one;
		}
		process_put(p);
	}
	pgrp_put(g);
	return sent ? 0 : r;
}

static int kill_everyone(const struct siginfo *info)
{
	int r = -ESRCH;
	u32 pid = 2;
	struct process *p;
	for (; (p = process_next(&pid)); pid++) {
		if (p != current_process()) {
			int one = kill_process(p, info);
			if (one != -EPERM)
				r = one;
		}
		process_put(p);
	}
	return r;
}

static struct siginfo info_of_user(int sig, int code)
{
	return (struct siginfo){.signo = sig,
				.code = code,
				.rt = {.pid = (int)current_pid(), .uid = current_cred()->uid}};
}

SYSCALL(kill, int pid, int sig)
{
	if (sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	struct siginfo info = info_of_user(sig, SI_USER);
	if (pid > 0) {
		struct process *me = current_process();
		if ((u32)pid == me->pid)
			return sig ? signal_send_process(me, &info) : 0;
		struct process *p = process_find((u32)pid);
		if (!p)
			return -ESRCH;
		int r = kill_process(p, &info);
		process_put(p);
		return r;
	}
	if (pid == -1)
		return kill_everyone(&info);
	if (pid == (int)0x80000000)
		return -ESRCH;
	return kill_group(pid ? (u32)-pid : process_pgid(current_process()), &info);
}

static int kill_task(u32 tgid, int tid, const struct siginfo *info)
{
	struct task *t = (u32)tid == current_tid() ? task_get(current_task()) : task_find((u32)tid);
	if (!t)
		return -ESRCH;
	int r = -ESRCH;
	if (!tgid || t->process->pid == tgid) {
		r = signal_may_send(t->process, info->signo);
		if (!r && info->signo) {
			r = signal_send_task(t, info);
			if (r == -ESRCH)
				r = 0; // it ended just now
		}
	}
	task_put(t);
	return r;
}

SYSCALL(tgkill, int tgid, int tid, int sig)
{
	if (tgid <= 0 || tid <= 0 || sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	struct siginfo info = info_of_user(sig, SI_TKILL);
	return kill_task((u32)tgid, tid, &info);
}

SYSCALL(tkill, int tid, int sig)
{
	if (tid <= 0 || sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	struct siginfo info = info_of_user(sig, SI_TKILL);
	return kill_task(0, tid, &info);
}

// The signal's number is the call's; what else is in the info is the sender's word, but for codes
// that only the kernel uses.
static int info_from_user(struct siginfo *info, const void __user *uinfo, int sig)
{
	if (copy_from_user(info, uinfo, sizeof(*info)))
		return -EFAULT;
	info->signo = sig;
	return 0;
}

static bool info_forged(const struct siginfo *info, struct process *to)
{
	return (info->code >= 0 || info->code == SI_TKILL) && to != current_process();
}

SYSCALL(rt_sigqueueinfo, int pid, int sig, const void __user *uinfo)
{
	struct siginfo info;
	if (sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	if (info_from_user(&info, uinfo, sig))
		return -EFAULT;
	struct process *p = process_find((u32)pid);
	if (!p)
		return (info.code >= 0 || info.code == SI_TKILL) ? -EPERM : -ESRCH;
	int r = info_forged(&info, p) ? -EPERM : kill_process(p, &info);
	process_put(p);
	return r;
}

SYSCALL(rt_tgsigqueueinfo, int tgid, int tid, int sig, const void __user *uinfo)
{
	struct siginfo info;
	if (tgid <= 0 || tid <= 0 || sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	if (info_from_user(&info, uinfo, sig))
		return -EFAULT;
	if ((info.code >= 0 || info.code == SI_TKILL) && (u32)tid != current_tid())
		return -EPERM;
	return kill_task((u32)tgid, tid, &info);
}

SYSCALL(pidfd_send_signal, int fd, int sig, const void __user *uinfo, u32 flags)
{
	struct siginfo info = info_of_user(sig, SI_USER);
	if (flags || sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	struct process *p = pidfd_process(fd);
	if (is_err(p))
		return ptr_err(p);
	int r = 0;
	if (uinfo) {
		r = copy_from_user(&info, uinfo, sizeof(info));
		if (!r && info.signo != sig)
			r = -EINVAL;
		else if (!r && info_forged(&info, p))
			r = -EPERM;
	}
	if (!r)
		r = p->state == PROCESS_ALIVE ? kill_process(p, &info) : -ESRCH;
	process_put(p);
	return r;
}

// ---- alternate stack ----

bool altstack_holds(const struct task *t, u64 sp)
{
	return !(t->altstack_flags & SS_AUTODISARM) && t->altstack_size && sp > t->altstack_sp &&
	       sp - t->altstack_sp <= t->altstack_size;
}

u64 altstack_choose(const struct task *t, const struct linux_sigaction *a, u64 sp, u64 *lowest)
{
	*lowest = 0;
	if (altstack_holds(t, sp)) {
		*lowest = t->altstack_sp;
	} else if ((a->flags & SA_ONSTACK) && t->altstack_size) {
		*lowest = t->altstack_sp;
		sp = t->altstack_sp + t->altstack_size;
	}
	return sp;
}

struct linux_stack altstack_get(const struct task *t, u64 sp)
{
	u32 flags = SS_DISABLE;
	if (t->altstack_size)
		flags = (altstack_holds(t, sp) ? SS_ONSTACK : 0) |
			(t->altstack_flags & SS_AUTODISARM);
	return (struct linux_stack){
		.ss_sp = t->altstack_sp, .ss_size = t->altstack_size, .ss_flags = (s32)flags};
}

void altstack_disarm(struct task *t)
{
	if (!(t->altstack_flags & SS_AUTODISARM))
		return;
	t->altstack_sp = t->altstack_size = 0;
	t->altstack_flags = SS_DISABLE;
}

static bool altstack_mode_ok(const struct linux_stack *s)
{
	u32 mode = (u32)s->ss_flags & ~SS_AUTODISARM;
	return mode == SS_DISABLE || mode == SS_ONSTACK || mode == 0;
}

static void altstack_set(struct task *t, const struct linux_stack *s)
{
	bool off = ((u32)s->ss_flags & ~SS_AUTODISARM) == SS_DISABLE;
	t->altstack_sp = off ? 0 : s->ss_sp;
	t->altstack_size = off ? 0 : s->ss_size;
	t->altstack_flags = (u32)s->ss_flags;
}

void altstack_restore(struct task *t, u64 sp, const struct linux_stack *s)
{
	struct linux_stack set = *s;
	if (altstack_holds(t, sp) || !altstack_mode_ok(s))
		return;
	if (set.ss_size < MINSIGSTKSZ)
		set.ss_flags = SS_DISABLE;
	altstack_set(t, &set);
}

SYSCALL(sigaltstack, const struct linux_stack __user *unew, struct linux_stack __user *uold)
{
	struct task *t = current_task();
	u64 sp = frame_sp(thread_user_frame(current()));
	struct linux_stack old = altstack_get(t, sp);
	if (unew) {
		struct linux_stack new;
		if (copy_from_user(&new, unew, sizeof(new)))
			return -EFAULT;
		if (altstack_holds(t, sp))
			return -EPERM;
		if (!altstack_mode_ok(&new))
			return -EINVAL;
		bool off = ((u32) new.ss_flags & ~SS_AUTODISARM) == SS_DISABLE;
		if (!off && new.ss_size < MINSIGSTKSZ)
			return -ENOMEM;
		altstack_set(t, &new);
	}
	if (uold && copy_to_user(uold, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}
