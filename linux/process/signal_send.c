// SPDX-License-Identifier: MIT
// Owns the sending half of signals: queues, who gets a signal, and what it does at once.
//
// A signal goes to a task or to a process. It is queued under the process's signal lock; then a
// task that does not block it is told by thread_interrupt() to look (signal_deliver.c). Three
// things happen already at sending time, because they must not wait for the receiver to run:
// SIGCONT continues a stopped process and stop signals cancel a pending SIGCONT; ignored signals
// are dropped; a signal whose default is to kill without a core marks the whole process as exiting.
#include "base/string.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"

static struct slab_cache sigqueue_cache;
struct slab_cache sighand_cache;

constexpr sigset_t SIGSET_IGNORED_BY_DEFAULT = 1ull << (SIGCONT - 1) | 1ull << (SIGCHLD - 1) |
					       1ull << (SIGWINCH - 1) | 1ull << (SIGURG - 1);
constexpr sigset_t SIGSET_CORE =
	1ull << (SIGQUIT - 1) | 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) |
	1ull << (SIGABRT - 1) | 1ull << (SIGFPE - 1) | 1ull << (SIGSEGV - 1) |
	1ull << (SIGBUS - 1) | 1ull << (SIGSYS - 1) | 1ull << (SIGXCPU - 1) | 1ull << (SIGXFSZ - 1);

void signal_init_caches(void)
{
	slab_cache_init(&sigqueue_cache, "sigqueue", sizeof(struct sigqueue), 0);
	slab_cache_init(&sighand_cache, "sighand", sizeof(struct sighand), 0);
}

// ---- what a process does about signals ----

struct sighand *sighand_create(void)
{
	struct sighand *s = slab_zalloc(&sighand_cache);
	if (!s)
		return nullptr;
	refcount_set(&s->refs, 1);
	spin_lock_init(&s->lock, LOCK_signal_actions);
	return s;
}

struct sighand *sighand_copy(struct process *from)
{
	struct sighand *s = slab_alloc(&sighand_cache);
	if (!s)
		return nullptr;
	refcount_set(&s->refs, 1);
	spin_lock_init(&s->lock, LOCK_signal_actions);
	spin_lock(&from->lock);
	bool shared = sighand_lock(from->sighand);
	memcpy(s->action, from->sighand->action, sizeof(s->action));
	sighand_unlock(from->sighand, shared);
	spin_unlock(&from->lock);
	return s;
}

void sighand_clear(struct sighand *s)
{
	for (u32 i = 0; i < ARRAY_SIZE(s->action); i++) {
		u64 handler = s->action[i].handler == SIG_IGN ? SIG_IGN : SIG_DFL;
		s->action[i] = (struct linux_sigaction){.handler = handler};
	}
}

// execve: handlers are gone with the program that had them; what was ignored stays ignored.
void signal_exec_reset(struct process *p, struct sighand *fresh)
{
	struct sighand *old = nullptr;
	spin_lock(&p->lock);
	if (fresh) {
		old = p->sighand;
		p->sighand = fresh;
	}
	sighand_clear(p->sighand);
	spin_unlock(&p->lock);
	if (old)
		sighand_put(old);
}

void sighand_put(struct sighand *s)
{
	if (refcount_dec_and_test(&s->refs))
		slab_free(&sighand_cache, s);
}

static u64 handler_of(struct process *p, int sig)
{
	return READ_ONCE(p->sighand->action[sig - 1].handler);
}

// ---- the queues ----

static void sigqueue_free(struct sigqueue *q)
{
	if (q->dequeued) {
		q->dequeued(q, nullptr);
		return;
	}
	if (q->user && atomic_dec_return(&q->user->sigpending) == 0)
		user_account_put(q->user);
	slab_free(&sigqueue_cache, q);
}

// The first queued signal is what holds a reference to the account.
static void account_charge(struct sigqueue *q, struct user_account *user)
{
	q->user = user;
	if (atomic_inc_return(&user->sigpending) == 1)
		user_account_hold(user);
}

void sigpending_remove(struct sigpending *p, sigset_t set)
{
	struct sigqueue *q, *next;
	if (!(p->set & set))
		return;
	p->set &= ~set;
	list_for_each_entry_safe(q, next, &p->queue, link) {
		if (!(sigmask(q->info.signo) & set))
			continue;
		list_del_init(&q->link);
		sigqueue_free(q);
	}
}

void sigpending_flush(struct sigpending *p)
{
	sigpending_remove(p, ~0ull);
}

// Takes sig out of p. The bit stays while more of it is queued.
static void sigpending_take(struct sigpending *p, int sig, struct siginfo *info)
{
	struct sigqueue *q, *first = nullptr;
	bool more = false;
	list_for_each_entry(q, &p->queue, link) {
		if (q->info.signo != sig)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = q;
	}
	if (!more)
		p->set &= ~sigmask(sig);
	if (!first) { // there was no memory to say more
		*info = (struct siginfo){.signo = sig, .code = SI_USER};
		return;
	}
	list_del_init(&first->link);
	*info = first->info;
	if (first->dequeued)
		first->dequeued(first, info);
	else
		sigqueue_free(first);
}

constexpr sigset_t SIGSET_SYNCHRONOUS = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) |
					1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) |
					1ull << (SIGFPE - 1) | 1ull << (SIGSYS - 1);

// The next signal of the current task outside of blocked, or 0. Signal lock held.
int signal_dequeue_locked(struct task *t, sigset_t blocked, struct siginfo *info)
{
	struct sigpending *from = &t->pending;
	sigset_t set = from->set & ~blocked;
	if (!set) {
		from = &t->process->pending;
		set = from->set & ~blocked;
		if (!set)
			return 0;
	}
	if (set & SIGSET_SYNCHRONOUS)
		set &= SIGSET_SYNCHRONOUS;
	int sig = __builtin_ctzll(set) + 1;
	sigpending_take(from, sig, info);
	return sig;
}

int signal_dequeue(sigset_t set, struct siginfo *info)
{
	struct task *t = current_task();
	spin_lock(&t->process->lock);
	int sig = signal_dequeue_locked(t, ~set | SIGSET_UNBLOCKABLE, info);
	spin_unlock(&t->process->lock);
	return sig;
}

// ---- who gets it ----

static bool signal_wakes(struct task *t, int sig)
{
	return !(t->blocked & sigmask(sig)) && !t->exiting &&
	       (sig == SIGKILL || !task_stands_still(t));
}

static struct task *target_find(struct process *p, int sig)
{
	struct task *t, *best = nullptr;
	if (current_is_task() && current_process() == p && signal_wakes(current_task(), sig))
		return current_task();
	list_for_each_entry(t, &p->threads, process_link) {
		if (!signal_wakes(t, sig))
			continue;
		if (!(atomic_load(&t->thread.work) & WORK_SIGNAL))
			return t;
		if (!best)
			best = t;
	}
	return best;
}

bool signal_default_ignores(int sig)
{
	return sigmask(sig) & SIGSET_IGNORED_BY_DEFAULT;
}

bool signal_default_stops(int sig)
{
	return sigmask(sig) & SIGSET_STOP;
}

static bool is_fatal(struct process *p, int sig)
{
	return handler_of(p, sig) == SIG_DFL && !signal_default_ignores(sig) &&
	       !signal_default_stops(sig);
}

static void stop_end_locked(struct process *p)
{
	struct task *t;
	p->stop_signal = 0;
	p->stop_remaining = 0;
	p->stopped = false;
	list_for_each_entry(t, &p->threads, process_link) {
		t->stop_counted = false;
		thread_wake_state(&t->thread, THREAD_STOPPED);
	}
}

void process_kill_all_locked(struct process *p, u32 status)
{
	struct task *t;
	assert_held(&p->lock);
	p->group_exit = true;
	p->exit_status = status;
	if (p->stop_signal)
		stop_end_locked(p);
	list_for_each_entry(t, &p->threads, process_link) {
		t->group_exiting = true;
		ptrace_let_die_locked(t);
		if (&t->thread != current())
			thread_interrupt(&t->thread, true);
	}
	if (current_is_task() && current_process() == p)
		thread_interrupt(current(), true);
}

void process_zap_others_locked(struct process *p)
{
	struct task *t;
	assert_held(&p->lock);
	if (p->stop_signal)
		stop_end_locked(p);
	list_for_each_entry(t, &p->threads, process_link) {
		if (&t->thread == current())
			continue;
		t->group_exiting = true;
		ptrace_let_die_locked(t);
		thread_interrupt(&t->thread, true);
	}
}

// SIGCONT and the stop signals cancel each other, whatever is blocked or ignored.
static void stop_and_continue_locked(struct process *p, int sig)
{
	struct task *t;
	sigset_t cancel;
	if (sigmask(sig) & SIGSET_STOP)
		cancel = sigmask(SIGCONT);
	else if (sig == SIGCONT)
		cancel = SIGSET_STOP;
	else
		return;
	sigpending_remove(&p->pending, cancel);
	list_for_each_entry(t, &p->threads, process_link) {
		sigpending_remove(&t->pending, cancel);
		if (sig == SIGCONT)
			ptrace_notify_locked(t);
	}
	if (sig != SIGCONT || !p->stop_signal)
		return;
	p->notify_stop = p->stopped ? CLD_CONTINUED : CLD_STOPPED;
	if (p->stopped) {
		p->continue_reportable = true;
		p->stop_reportable = false;
	}
	stop_end_locked(p);
	// Somebody must wake up to tell the parent.
	if (!list_empty(&p->threads))
		thread_interrupt(&list_first_entry(&p->threads, struct task, process_link)->thread,
				 false);
}

static bool is_ignored(struct process *p, struct task *t, int sig)
{
	u64 handler = handler_of(p, sig);
	if (task_is_traced(t) && sig != SIGKILL)
		return false; // the tracer hears of it
	if (unlikely(p == init_process) && handler == SIG_DFL)
		return true; // the first program takes only what it asked for
	if (handler > SIG_IGN)
		return false;
	if ((t->blocked | t->real_blocked) & sigmask(sig))
		return false; // the handler may have changed by the time it is unblocked
	return handler == SIG_IGN || signal_default_ignores(sig);
}

static void deliver_locked(struct process *p, struct task *to, int sig)
{
	struct task *t = to;
	if (!t)
		t = target_find(p, sig);
	else if (!signal_wakes(t, sig))
		t = nullptr;
	if (unlikely(wait_queue_active(&p->signal_wait)))
		wake_all(&p->signal_wait);
	if (!t)
		return;
	if (is_fatal(p, sig) && !(t->real_blocked & sigmask(sig)) &&
	    !(sigmask(sig) & SIGSET_CORE) && !p->group_exit &&
	    (sig == SIGKILL || !task_is_traced(t))) {
		process_kill_all_locked(p, (u32)sig);
		return;
	}
	thread_interrupt(&t->thread, sig == SIGKILL);
}

// Tasks that die may be in a stop for their tracers' sake.
static void stops_at_exit_end_locked(struct process *p)
{
	struct task *t;
	list_for_each_entry(t, &p->threads, process_link)
		ptrace_let_die_locked(t);
}

// Common beginning of the two kinds of sending. The task that judges (blocked, ignored), or
// nullptr: nothing is to be sent.
static struct task *prepare_locked(struct process *p, struct task *t, int sig)
{
	assert_held(&p->lock);
	if (p->group_exit || list_empty(&p->threads)) { // it is dying already
		if (sig == SIGKILL)
			stops_at_exit_end_locked(p);
		return nullptr;
	}
	stop_and_continue_locked(p, sig);
	if (!t)
		t = current_is_task() && current_process() == p
			    ? current_task()
			    : list_first_entry(&p->threads, struct task, process_link);
	return is_ignored(p, t, sig) ? nullptr : t;
}

int signal_send_locked(struct process *p, struct task *to, const struct siginfo *info)
{
	int sig = info->signo;
	struct task *judge = prepare_locked(p, to, sig);
	if (!judge)
		return 0;
	struct sigpending *pending = to ? &to->pending : &p->pending;
	if (sig < SIGRTMIN && (pending->set & sigmask(sig)))
		return 0;
	if (sig != SIGKILL) {
		rcu_read_lock();
		struct user_account *user = rcu_load(judge->cred)->user;
		bool must = sig < SIGRTMIN ||
			    info->code >= 0; // what kill(2) and the kernel send is never refused
		struct sigqueue *q = nullptr;
		if (sig < SIGRTMIN ||
		    (u64)atomic_load(&user->sigpending) < process_rlimit(p, RLIMIT_SIGPENDING))
			q = slab_alloc(&sigqueue_cache);
		if (q) {
			q->info = *info;
			q->dequeued = nullptr;
			account_charge(q, user);
			list_add_tail(&pending->queue, &q->link);
		}
		rcu_read_unlock();
		if (!q && !must)
			return -EAGAIN;
	}
	pending->set |= sigmask(sig);
	deliver_locked(p, to, sig);
	return 0;
}

int signal_send_entry_locked(struct process *p, struct task *to, struct sigqueue *q)
{
	int sig = q->info.signo;
	if (!list_empty(&q->link))
		return 1;
	if (!prepare_locked(p, to, sig))
		return 1;
	struct sigpending *pending = to ? &to->pending : &p->pending;
	list_add_tail(&pending->queue, &q->link);
	pending->set |= sigmask(sig);
	deliver_locked(p, to, sig);
	return 0;
}

// Takes a POSIX timer's entry off whatever queue it is on.
void sigqueue_withdraw_locked(struct process *p, struct sigqueue *entry)
{
	struct sigqueue *q;
	struct task *t;
	int sig = entry->info.signo;
	assert_held(&p->lock);
	if (list_empty(&entry->link))
		return;
	list_del_init(&entry->link);
	// The bits stay for signals that others sent; they go when nothing of that number is left
	// with its queue entry.
	struct sigpending *pending = &p->pending;
	bool left = false;
	list_for_each_entry(q, &pending->queue, link)
		left |= q->info.signo == sig;
	if (!left)
		pending->set &= ~sigmask(sig);
	list_for_each_entry(t, &p->threads, process_link) {
		left = false;
		list_for_each_entry(q, &t->pending.queue, link)
			left |= q->info.signo == sig;
		if (!left)
			t->pending.set &= ~sigmask(sig);
	}
}

// t begins to exit: signals for the process that only t was told of must not be lost. It also no
// longer counts in a group stop.
void signal_task_leaves_locked(struct process *p, struct task *t)
{
	struct task *o;
	sigset_t set = p->pending.set & ~t->blocked;
	if (p->group_exit)
		return;
	if (p->stop_signal && !t->stop_counted && p->stop_remaining && --p->stop_remaining == 0) {
		p->stopped = p->stop_reportable = true;
		p->notify_stop = CLD_STOPPED;
		list_for_each_entry(o, &p->threads, process_link)
			if (!o->exiting)
				thread_interrupt(&o->thread, false);
	}
	if (!set)
		return;
	list_for_each_entry(o, &p->threads, process_link)
		if (!o->exiting && (set & ~o->blocked))
			thread_interrupt(&o->thread, false);
}

// ---- interfaces for the rest of the kernel ----

int signal_send_process(struct process *p, const struct siginfo *info)
{
	spin_lock(&p->lock);
	int r = p->state == PROCESS_REAPED ? -ESRCH : signal_send_locked(p, nullptr, info);
	spin_unlock(&p->lock);
	return r;
}

int signal_send_task(struct task *t, const struct siginfo *info)
{
	struct process *p = t->process;
	spin_lock(&p->lock);
	int r = list_empty(&t->process_link) || t->exiting ? -ESRCH
							   : signal_send_locked(p, t, info);
	spin_unlock(&p->lock);
	return r;
}

int signal_kernel_process(struct process *p, int sig)
{
	return signal_send_process(p, &(struct siginfo){.signo = sig, .code = SI_KERNEL});
}

int signal_kernel_task(struct task *t, int sig)
{
	return signal_send_task(t, &(struct siginfo){.signo = sig, .code = SI_KERNEL});
}

int signal_send_pgrp(struct pgrp *g, const struct siginfo *info)
{
	struct process *p;
	int r = -ESRCH;
	tree_lock();
	list_for_each_entry(p, &g->members, pgrp_link) {
		spin_lock(&p->lock);
		signal_send_locked(p, nullptr, info);
		spin_unlock(&p->lock);
		r = 0;
	}
	tree_unlock();
	return r;
}

int signal_kernel_pgrp(struct pgrp *g, int sig)
{
	return signal_send_pgrp(g, &(struct siginfo){.signo = sig, .code = SI_KERNEL});
}

void signal_self(int sig)
{
	(void)signal_send_task(
		current_task(),
		&(struct siginfo){.signo = sig,
				  .code = SI_USER,
				  .rt = {.pid = (int)current_pid(), .uid = current_cred()->uid}});
}

void signal_force(const struct siginfo *info)
{
	struct task *t = current_task();
	struct process *p = t->process;
	int sig = info->signo;
	spin_lock(&p->lock);
	bool shared = sighand_lock(p->sighand);
	struct linux_sigaction *a = &p->sighand->action[sig - 1];
	bool blocked = t->blocked & sigmask(sig);
	if (blocked || a->handler == SIG_IGN) {
		a->handler = SIG_DFL;
		t->blocked &= ~sigmask(sig);
	}
	u64 handler = a->handler;
	sighand_unlock(p->sighand, shared);
	if (handler == SIG_DFL && p == init_process && !p->group_exit)
		process_kill_all_locked(p, (u32)sig); // no protection from its own faults
	else
		signal_send_locked(p, t, info);
	spin_unlock(&p->lock);
}

void signal_force_fault(int sig, int code, u64 addr)
{
	signal_force(&(struct siginfo){.signo = sig, .code = code, .fault.addr = addr});
}

bool signal_child_unwanted_locked(struct process *parent)
{
	const struct linux_sigaction *a = &parent->sighand->action[SIGCHLD - 1];
	return a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT);
}

void child_info_fill(struct siginfo *info, struct process *child, int code, int status)
{
	u64 user = child->dead_threads.user_ns, system = child->dead_threads.system_ns;
	*info = (struct siginfo){.signo = SIGCHLD, .code = code};
	info->child.pid = (int)child->pid;
	info->child.uid = child->exit_uid;
	info->child.status = status;
	info->child.utime = (s64)(user / 10000000); // clock ticks of 10 ms
	info->child.stime = (s64)(system / 10000000);
}

sigset_t signal_pending_set(void)
{
	struct task *t = current_task();
	return READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set);
}

struct wait_queue *signal_wait_queue(void)
{
	return &current_process()->signal_wait;
}

bool signal_is_ignored_or_blocked(struct task *t, int sig)
{
	return (READ_ONCE(t->blocked) & sigmask(sig)) || handler_of(t->process, sig) == SIG_IGN;
}

void signal_action_sets(struct process *p, sigset_t *ignored, sigset_t *caught)
{
	*ignored = *caught = 0;
	spin_lock(&p->lock);
	for (int sig = 1; p->sighand && sig <= SIGRTMAX; sig++) {
		u64 handler = p->sighand->action[sig - 1].handler;
		if (handler == SIG_IGN)
			*ignored |= sigmask(sig);
		else if (handler != SIG_DFL)
			*caught |= sigmask(sig);
	}
	spin_unlock(&p->lock);
}

const char *signal_name(int sig)
{
	static const char *const names[] = {
		"0",	    "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",  "SIGTRAP",   "SIGABRT",
		"SIGBUS",   "SIGFPE",  "SIGKILL",   "SIGUSR1", "SIGSEGV", "SIGUSR2",   "SIGPIPE",
		"SIGALRM",  "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP",   "SIGTSTP",
		"SIGTTIN",  "SIGTTOU", "SIGURG",    "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF",
		"SIGWINCH", "SIGIO",   "SIGPWR",    "SIGSYS"};
	return sig >= 0 && sig < (int)ARRAY_SIZE(names) ? names[sig] : "SIGRT";
}
