// SPDX-License-Identifier: MIT
// Owns ptrace(2): a tracer's requests.
//
// A request that looks into a tracee or lets it go on needs it in a stop, asleep, with its state in
// memory; tracee_lock() waits for that and returns with its signal lock, under which no kill can
// wake it. Data moves to and from the caller outside of the lock.
#include "base/string.h"
#include "core/uaccess.h"
#include "linux/file.h"
#include "linux/process/process.h"
#include "linux/process/ptrace.h"
#include "linux/syscalls.h"
#include <linux_arch/ptrace.h>

constexpr u32 OPTIONS_KNOWN = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEVENTS | PTRACE_O_EXITKILL;
constexpr u64 POLL_NS = 20000;

// ---- access to a tracee ----

static bool is_asleep(const struct task *t)
{
	return (atomic_load(&t->thread.state) & THREAD_TRACED) && !READ_ONCE(t->thread.se.queued) &&
	       !__atomic_load_n(&t->thread.on_cpu, __ATOMIC_ACQUIRE);
}

// 0 with the signal lock of t held; -ESRCH: not the caller's tracee, or not in a stop.
static int tracee_lock(struct task *t)
{
	for (u32 tries = 0;; tries++) {
		spin_lock(&t->process->lock);
		struct tracing *tr = t->tracing;
		if (!tr || tr->tracer != current_task() || !tr->stopped || tr->listening) {
			spin_unlock(&t->process->lock);
			return -ESRCH;
		}
		if (is_asleep(t))
			return 0;
		spin_unlock(&t->process->lock); // on its way to sleep
		if (tries < 4)
			sched_yield();
		else
			thread_sleep_ns(POLL_NS);
	}
}

static void tracee_unlock(struct task *t)
{
	spin_unlock(&t->process->lock);
}

static bool is_mine(struct task *t)
{
	spin_lock(&t->process->lock);
	bool mine = t->tracing && t->tracing->tracer == current_task();
	spin_unlock(&t->process->lock);
	return mine;
}

// ---- beginning and end ----

// Must the memory of t stay out of others' hands? Signal lock.
static bool may_elevate_locked(const struct task *t)
{
	return t->thread.space && task_space(t)->elevates;
}

static long traceme(void)
{
	struct task *me = current_task(), *t, *tracer = nullptr;
	struct process *p = me->process, *parent;
	long r = -EPERM;
	struct tracing *fresh = me->tracing ? nullptr : tracing_alloc(me);
	if (!me->tracing && !fresh)
		return -ENOMEM;
	tree_lock();
	parent = p->parent;
	spin_lock(&parent->lock);
	list_for_each_entry(t, &parent->threads, process_link)
		if (!tracer || t->thread.id == p->creator_tid)
			tracer = t;
	spin_unlock(&parent->lock);
	const struct cred *it = tracer ? rcu_load(tracer->cred) : nullptr;
	spin_lock(&p->lock);
	if (!me->tracing) {
		me->tracing = fresh;
		fresh = nullptr;
	}
	bool may = it && ((me->cred->cap_permitted & ~it->cap_permitted) == 0 ||
			  cred_has_cap(it, CAP_SYS_PTRACE));
	if (may && parent != p && !me->tracing->tracer && !may_elevate_locked(me)) {
		ptrace_link_locked(me->tracing, tracer, cred_has_cap(it, CAP_SYS_PTRACE));
		r = 0;
	}
	spin_unlock(&p->lock);
	tree_unlock();
	tracing_free(fresh);
	return r;
}

// One try: 0; -EAGAIN: an exec is under way, which must not be torn between two programs.
static int attach_try(struct task *t, struct tracing **fresh, bool seize, u32 options)
{
	struct process *p = t->process;
	u32 generation = READ_ONCE(p->exec_generation);
	if (!process_may_access(p, false))
		return -EPERM;
	int r = 0;
	tree_lock();
	spin_lock(&p->lock);
	if (t->exiting || list_empty(&t->process_link) || may_elevate_locked(t) ||
	    task_is_traced(t)) {
		r = -EPERM;
	} else if (p->execs_running || generation != p->exec_generation) {
		r = -EAGAIN;
	} else {
		struct tracing *tr = t->tracing;
		if (!tr) {
			tr = t->tracing = *fresh;
			*fresh = nullptr;
		}
		ptrace_link_locked(tr, current_task(), capable(CAP_SYS_PTRACE));
		tr->seized = seize;
		tr->options = options;
		if (!seize)
			signal_send_locked(p, t,
					   &(struct siginfo){.signo = SIGSTOP, .code = SI_KERNEL});
		if (t->stop_counted) { // from job control's stop into the tracer's
			tr->trap_stop = true;
			thread_interrupt(&t->thread, false);
			thread_wake_state(&t->thread, THREAD_STOPPED);
		}
	}
	spin_unlock(&p->lock);
	tree_unlock();
	return r;
}

// A stopped process that was attached to is in its new stop when the call returns.
static void attach_settle(struct task *t)
{
	for (;;) {
		spin_lock(&t->process->lock);
		bool wait = task_is_traced(t) && t->tracing->trap_stop && !t->tracing->stopped &&
			    t->stop_counted && !t->group_exiting;
		spin_unlock(&t->process->lock);
		if (!wait || signal_fatal_pending())
			return;
		thread_sleep_ns(POLL_NS);
	}
}

static long attach(struct task *t, bool seize, u64 addr, u64 options)
{
	if (seize && (addr || (options & ~(u64)OPTIONS_KNOWN)))
		return -EIO;
	if (t->process == current_process())
		return -EPERM;
	struct tracing *fresh = tracing_alloc(t);
	if (!fresh)
		return -ENOMEM;
	int r;
	while ((r = attach_try(t, &fresh, seize, seize ? (u32)options : 0)) == -EAGAIN) {
		if (signal_pending()) {
			r = -ERESTARTNOINTR;
			break;
		}
		thread_sleep_ns(10 * POLL_NS);
	}
	tracing_free(fresh);
	if (!r)
		attach_settle(t);
	return r;
}

static long detach(struct task *t, u64 signal)
{
	if (signal > SIGRTMAX)
		return -EIO;
	tree_lock();
	struct tracing *tr = t->tracing; // the caller's own: only it unlinks, or the task's end
	bool mine = tr && tr->tracer == current_task();
	if (mine)
		ptrace_unlink_locked(tr, (u32)signal);
	tree_unlock();
	return mine ? 0 : -ESRCH;
}

// ---- going on ----

static long resume(struct task *t, u64 signal, enum trace_calls calls, bool step)
{
	if (signal > SIGRTMAX)
		return -EIO;
	int r = tracee_lock(t);
	if (r)
		return r;
	struct tracing *tr = t->tracing;
	tr->calls = calls;
	tr->step = step;
	if (calls != TRACE_CALLS_NOT || step)
		atomic_or(&t->thread.work, WORK_TRACE_ENTRY);
	else
		trace_calls_off(t);
	tr->resume_signal = (u32)signal;
	tr->stop_code = 0;
	tr->stopped = false;
	thread_wake_state(&t->thread, THREAD_TRACED);
	tracee_unlock(t);
	return 0;
}

static long interrupt(struct task *t)
{
	struct process *p = t->process;
	long r = -EIO;
	spin_lock(&p->lock);
	struct tracing *tr = t->tracing;
	if (!tr || tr->tracer != current_task()) {
		r = -ESRCH;
	} else if (tr->seized) {
		r = 0;
		tr->trap_stop = true;
		if (tr->listening) {
			tr->listening = tr->stopped = false;
			thread_wake_state(&t->thread, THREAD_TRACED);
		}
		thread_interrupt(&t->thread, false);
	}
	spin_unlock(&p->lock);
	return r;
}

static long listen(struct task *t)
{
	int r = tracee_lock(t);
	if (r)
		return r;
	struct tracing *tr = t->tracing;
	if (!tr->seized || !tr->has_info || (u32)tr->info.code >> 8 != PTRACE_EVENT_STOP) {
		r = -EIO;
	} else if (tr->trap_notify) { // something happened already: stop again
		tr->stopped = false;
		thread_wake_state(&t->thread, THREAD_TRACED);
	} else {
		tr->listening = true;
	}
	tracee_unlock(t);
	return r;
}

// ---- memory ----

static long memory_access(struct task *t, u64 addr, u64 *word, bool write)
{
	int r = tracee_lock(t);
	if (r)
		return r;
	tracee_unlock(t); // it may be killed from here on; the space stays
	struct vm_space *s = task_space_get(t);
	if (!s)
		return -ESRCH;
	bool done = !(write && s->elevates) &&
		    vm_access_remote(s, addr, word, sizeof(*word), write, true) == sizeof(*word);
	vm_space_put(s);
	return done ? 0 : -EIO;
}

static long peek(struct task *t, u64 addr, u64 data)
{
	u64 word;
	long r = memory_access(t, addr, &word, false);
	return r ?: put_user(word, user_ptr(u64, data));
}

static long peek_user(struct task *t, u64 addr, u64 data)
{
	u64 word;
	long r = tracee_lock(t);
	if (r)
		return r;
	r = user_area_read(t, addr, &word);
	tracee_unlock(t);
	return r ?: put_user(word, user_ptr(u64, data));
}

static long poke_user(struct task *t, u64 addr, u64 data)
{
	long r = tracee_lock(t);
	if (r)
		return r;
	r = user_area_write(t, addr, data);
	tracee_unlock(t);
	return r;
}

// ---- sets of registers ----

static long regset_get(struct task *t, u32 type, u64 to, u64 *len)
{
	u32 size = regset_size(type);
	if (!size || *len % REGSET_UNIT)
		return -EINVAL;
	*len = min(*len, (u64)size);
	void *buf = kzalloc(size);
	if (!buf)
		return -ENOMEM;
	long r = tracee_lock(t);
	if (!r) {
		regset_read(t, type, buf);
		tracee_unlock(t);
		r = copy_to_user(user_ptr(void, to), buf, *len);
	}
	kfree(buf);
	return r;
}

static long regset_set(struct task *t, u32 type, u64 from, u64 *len)
{
	u32 size = regset_size(type);
	if (!size || *len % REGSET_UNIT)
		return -EINVAL;
	*len = min(*len, (u64)size);
	if (regset_is_whole(type) && *len != size)
		return type == REGSET_FLOAT ? -EINVAL : -EFAULT;
	u8 *buf = kzalloc(size), *now = kzalloc(size);
	long r = -ENOMEM;
	if (buf && now)
		r = copy_from_user(buf, user_ptr(void, from), *len);
	if (!r)
		r = tracee_lock(t);
	if (!r) {
		if (*len < size) { // only its beginning is written
			regset_read(t, type, now);
			memcpy(buf + *len, now + *len, size - *len);
		}
		r = regset_write(t, type, buf);
		tracee_unlock(t);
	}
	kfree(buf);
	kfree(now);
	return r;
}

static long regset_by_iovec(struct task *t, int request, u64 type, u64 uiov)
{
	struct iovec iov;
	struct iovec __user *u = user_ptr(struct iovec, uiov);
	if (copy_from_user(&iov, u, sizeof(iov)))
		return -EFAULT;
	if (type > ~0u)
		return -EINVAL;
	long r = request == PTRACE_GETREGSET ? regset_get(t, (u32)type, iov.base, &iov.len)
					     : regset_set(t, (u32)type, iov.base, &iov.len);
	return r ?: put_user(iov.len, &u->len);
}

// ---- signals ----

struct user_siginfo {
	struct siginfo info;
	u8 rest[LINUX_SIGINFO_SIZE - sizeof(struct siginfo)];
};

static long siginfo_get(struct task *t, u64 data)
{
	struct user_siginfo u = {};
	long r = tracee_lock(t);
	if (r)
		return r;
	if (t->tracing->has_info)
		u.info = t->tracing->info;
	else
		r = -EINVAL;
	tracee_unlock(t);
	return r ?: copy_to_user(user_ptr(void, data), &u, sizeof(u));
}

static long siginfo_set(struct task *t, u64 data)
{
	struct user_siginfo u;
	if (copy_from_user(&u, user_ptr(void, data), sizeof(u)))
		return -EFAULT;
	long r = tracee_lock(t);
	if (r)
		return r;
	if (t->tracing->has_info)
		t->tracing->info = u.info;
	else
		r = -EINVAL;
	tracee_unlock(t);
	return r;
}

// The entry number at of a queue, counted from 0. Signal lock.
static bool queue_entry(const struct sigpending *from, u64 at, struct siginfo *out)
{
	struct sigqueue *q;
	list_for_each_entry(q, &from->queue, link)
		if (!at--) {
			*out = q->info;
			return true;
		}
	return false;
}

static long peek_siginfo(struct task *t, u64 uargs, u64 data)
{
	struct linux_peeksiginfo_args a;
	if (copy_from_user(&a, user_ptr(void, uargs), sizeof(a)))
		return -EFAULT;
	if ((a.flags & ~PTRACE_PEEKSIGINFO_SHARED) || a.nr < 0)
		return -EINVAL;
	for (int i = 0; i < a.nr; i++) {
		struct user_siginfo u = {};
		if (a.off > ~0ull - (u64)i)
			return i;
		int r = tracee_lock(t);
		if (r)
			return i ?: r;
		bool found = queue_entry(a.flags & PTRACE_PEEKSIGINFO_SHARED ? &t->process->pending
									     : &t->pending,
					 a.off + (u64)i, &u.info);
		tracee_unlock(t);
		if (!found)
			return i;
		if (copy_to_user(user_ptr(void, data + (u64)i * sizeof(u)), &u, sizeof(u)))
			return i ?: -EFAULT;
		if (signal_pending())
			return i + 1;
	}
	return a.nr;
}

static long sigmask_get(struct task *t, u64 size, u64 data)
{
	if (size != sizeof(sigset_t))
		return -EINVAL;
	long r = tracee_lock(t);
	if (r)
		return r;
	sigset_t set = t->saved_mask_valid ? t->saved_mask : t->blocked;
	tracee_unlock(t);
	return put_user(set, user_ptr(u64, data));
}

static long sigmask_set(struct task *t, u64 size, u64 data)
{
	sigset_t set;
	if (size != sizeof(set))
		return -EINVAL;
	if (get_user(set, user_ptr(u64, data)))
		return -EFAULT;
	long r = tracee_lock(t);
	if (r)
		return r;
	t->saved_mask_valid = false;
	t->blocked = set & ~SIGSET_UNBLOCKABLE; // it looks at its queues when the stop ends
	tracee_unlock(t);
	return 0;
}

// ---- the rest ----

static long options_set(struct task *t, u64 options)
{
	if (options & ~(u64)OPTIONS_KNOWN)
		return -EINVAL;
	tree_lock(); // options are read with that lock alone
	spin_lock(&t->process->lock);
	struct tracing *tr = t->tracing;
	bool stopped = tr && tr->tracer == current_task() && tr->stopped && !tr->listening;
	if (stopped)
		tr->options = (u32)options;
	spin_unlock(&t->process->lock);
	tree_unlock();
	return stopped ? 0 : -ESRCH;
}

static long event_message(struct task *t, u64 data)
{
	long r = tracee_lock(t);
	if (r)
		return r;
	u64 message = t->tracing->message;
	tracee_unlock(t);
	return put_user(message, user_ptr(u64, data));
}

static u64 syscall_info_fill(const struct task *t, struct linux_syscall_info *s)
{
	const struct tracing *tr = t->tracing;
	const struct trap_frame *f = thread_user_frame((struct thread *)&t->thread);
	s->arch = PTRACE_AUDIT_ARCH;
	s->ip = frame_ip(f);
	s->sp = frame_sp(f);
	bool seccomp = tr->info.code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	if (!tr->has_info || (tr->info.code != (SIGTRAP | 0x80) && !seccomp))
		return offsetof(struct linux_syscall_info, entry);
	if (seccomp || tr->message == PTRACE_EVENTMSG_SYSCALL_ENTRY) {
		s->op = PTRACE_SYSCALL_INFO_ENTRY;
		s->entry.nr = frame_syscall_nr(f);
		for (u32 i = 0; i < 6; i++)
			s->entry.args[i] = frame_arg(f, i);
		if (!seccomp)
			return offsetof(struct linux_syscall_info, seccomp.ret_data);
		s->op = PTRACE_SYSCALL_INFO_SECCOMP;
		s->seccomp.ret_data = (u32)tr->message;
		return offsetof(struct linux_syscall_info, seccomp.ret_data) + sizeof(u32);
	}
	s->op = PTRACE_SYSCALL_INFO_EXIT;
	s->exit.rval = frame_result(f);
	s->exit.is_error = (u64)s->exit.rval >= (u64)-4095;
	return offsetof(struct linux_syscall_info, exit.is_error) + 1;
}

static long syscall_info(struct task *t, u64 size, u64 data)
{
	struct linux_syscall_info s = {};
	long r = tracee_lock(t);
	if (r)
		return r;
	u64 len = syscall_info_fill(t, &s);
	tracee_unlock(t);
	return copy_to_user(user_ptr(void, data), &s, min(size, len)) ? -EFAULT : (long)len;
}

static long kill_tracee(struct task *t)
{
	if (!is_mine(t))
		return -ESRCH;
	(void)signal_kernel_process(t->process, SIGKILL);
	return 0;
}

// What needs no stop, or is about registers; -ENOSYS: none of these.
static long request_special(struct task *t, int request, u64 addr, u64 data)
{
	u32 type;
	u64 len;
	switch (request) {
	case PTRACE_KILL:
		return kill_tracee(t);
	case PTRACE_INTERRUPT:
		return interrupt(t);
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		return regset_by_iovec(t, request, addr, data);
	case PTRACE_PEEKUSER:
		return peek_user(t, addr, data);
	case PTRACE_POKEUSER:
		return poke_user(t, addr, data);
	}
	int common = ptrace_request_translate(request, &type);
	len = regset_size(type);
	return common == PTRACE_GETREGSET ? regset_get(t, type, data, &len)
	       : common			  ? regset_set(t, type, data, &len)
					  : -ENOSYS;
}

static long request_go_on(struct task *t, int request, u64 data)
{
	switch (request) {
	case PTRACE_CONT:
		return resume(t, data, TRACE_CALLS_NOT, false);
	case PTRACE_SYSCALL:
		return resume(t, data, TRACE_CALLS_STOP, false);
	case PTRACE_SYSEMU:
		return resume(t, data, TRACE_CALLS_EMULATE, false);
	case PTRACE_SINGLESTEP:
		return resume(t, data, TRACE_CALLS_NOT, true);
	case PTRACE_SYSEMU_SINGLESTEP:
		return resume(t, data, TRACE_CALLS_EMULATE, true);
	case PTRACE_DETACH:
		return detach(t, data);
	}
	return -ENOSYS;
}

static long request_in_stop(struct task *t, int request, u64 addr, u64 data)
{
	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		return peek(t, addr, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return memory_access(t, addr, &data, true);
	case PTRACE_SETOPTIONS:
		return options_set(t, data);
	case PTRACE_GETEVENTMSG:
		return event_message(t, data);
	case PTRACE_GETSIGINFO:
		return siginfo_get(t, data);
	case PTRACE_SETSIGINFO:
		return siginfo_set(t, data);
	case PTRACE_LISTEN:
		return listen(t);
	case PTRACE_PEEKSIGINFO:
		return peek_siginfo(t, addr, data);
	case PTRACE_GETSIGMASK:
		return sigmask_get(t, addr, data);
	case PTRACE_SETSIGMASK:
		return sigmask_set(t, addr, data);
	case PTRACE_GET_SYSCALL_INFO:
		return syscall_info(t, addr, data);
	}
	return -EIO;
}

static long request_run(struct task *t, int request, u64 addr, u64 data)
{
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
		return attach(t, request == PTRACE_SEIZE, addr, data);
	long r = request_special(t, request, addr, data);
	if (r != -ENOSYS)
		return r;
	r = tracee_lock(t); // whatever else is asked, the answer to strangers is the same
	if (r)
		return r;
	tracee_unlock(t);
	r = request_go_on(t, request, data);
	return r != -ENOSYS ? r : request_in_stop(t, request, addr, data);
}

SYSCALL(ptrace, int request, int pid, u64 addr, u64 data)
{
	if (request == PTRACE_TRACEME)
		return traceme();
	struct task *t = pid > 0 ? task_find((u32)pid) : nullptr;
	if (!t)
		return -ESRCH;
	long r = request_run(t, request, addr, data);
	task_put(t);
	return r;
}
