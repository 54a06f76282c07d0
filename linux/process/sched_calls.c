// SPDX-License-Identifier: MIT
// Owns the system calls about scheduling: policies, priorities, affinity.
#include "abi/linux/resource.h"
#include "abi/linux/sched.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

SYSCALL(sched_yield, void)
{
	sched_yield();
	return 0;
}

// The task that a pid argument means (0: the current one), with a reference.
static struct task *task_of(int pid)
{
	return pid ? task_find((u32)pid) : task_get(current_task());
}

static bool same_owner(struct task *t)
{
	const struct cred *me = current_cred(), *it = task_cred_get(t);
	bool r = me->euid == it->euid || me->euid == it->uid;
	cred_put(it);
	return r;
}

static bool is_realtime(enum sched_policy p)
{
	return p == POLICY_FIFO || p == POLICY_RR;
}

// nice 19..-20 as RLIMIT_NICE counts: 1..40
static bool may_nice(struct task *t, int nice)
{
	return nice >= task_sched_get(t).nice ||
	       (u64)(20 - nice) <= process_rlimit(t->process, RLIMIT_NICE) || capable(CAP_SYS_NICE);
}

static int policy_allowed(struct task *t, enum sched_policy policy, int priority, int nice)
{
	if (capable(CAP_SYS_NICE))
		return 0;
	if (!same_owner(t))
		return -EPERM;
	if (!is_realtime(policy))
		return may_nice(t, nice) ? 0 : -EPERM;
	u64 limit = process_rlimit(t->process, RLIMIT_RTPRIO);
	struct sched_params now = task_sched_get(t);
	if (!limit && policy != now.policy)
		return -EPERM;
	if (priority > now.priority && (u64)priority > limit)
		return -EPERM;
	return 0;
}

static int policy_set(int pid, u32 policy, int priority, int nice, bool reset_on_fork)
{
	if (policy != POLICY_NORMAL && policy != POLICY_FIFO && policy != POLICY_RR &&
	    policy != POLICY_BATCH && policy != POLICY_IDLE)
		return -EINVAL;
	if (is_realtime((enum sched_policy)policy) ? priority < 1 || priority > 99 : priority != 0)
		return -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	int r = policy_allowed(t, (enum sched_policy)policy, priority, nice);
	if (!r)
		r = task_sched_set(t, (struct sched_params){(enum sched_policy)policy, (u8)priority,
							    (s8)nice});
	if (!r)
		t->thread.reset_on_fork = reset_on_fork;
	task_put(t);
	return r;
}

static int task_nice(int pid)
{
	struct task *t = task_of(pid);
	int n = t ? task_sched_get(t).nice : 0;
	if (t)
		task_put(t);
	return n;
}

// A child has what its parent asked for, not what that has inherited from those that wait for it.
void task_sched_inherit(struct task *child)
{
	sched_inherit(&child->thread);
	if (likely(!is_realtime(child->thread.policy)))
		return; // only real-time priorities are inherited so
	struct sched_params own = task_sched_get(current_task());
	(void)sched_set_policy(&child->thread, own.policy, own.priority, own.nice);
}

SYSCALL(sched_setscheduler, int pid, int policy, const struct linux_sched_param __user *uparam)
{
	struct linux_sched_param p;
	if (pid < 0 || policy < 0 || !uparam)
		return -EINVAL;
	if (copy_from_user(&p, uparam, sizeof(p)))
		return -EFAULT;
	return policy_set(pid, (u32)policy & ~LINUX_SCHED_RESET_ON_FORK, p.priority, task_nice(pid),
			  (u32)policy & LINUX_SCHED_RESET_ON_FORK);
}

SYSCALL(sched_setparam, int pid, const struct linux_sched_param __user *uparam)
{
	struct linux_sched_param p;
	if (pid < 0 || !uparam)
		return -EINVAL;
	if (copy_from_user(&p, uparam, sizeof(p)))
		return -EFAULT;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	struct sched_params now = task_sched_get(t);
	bool reset = t->thread.reset_on_fork;
	task_put(t);
	return policy_set(pid, now.policy, p.priority, now.nice, reset);
}

SYSCALL(sched_getscheduler, int pid)
{
	if (pid < 0)
		return -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	long r = task_sched_get(t).policy |
		 (t->thread.reset_on_fork ? LINUX_SCHED_RESET_ON_FORK : 0);
	task_put(t);
	return r;
}

SYSCALL(sched_getparam, int pid, struct linux_sched_param __user *out)
{
	if (pid < 0 || !out)
		return -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	struct linux_sched_param p = {.priority = task_sched_get(t).priority};
	task_put(t);
	return copy_to_user(out, &p, sizeof(p));
}

SYSCALL(sched_setattr, int pid, const struct linux_sched_attr __user *uattr, u32 flags)
{
	struct linux_sched_attr a = {};
	u32 size;
	if (!uattr || pid < 0 || flags)
		return -EINVAL;
	if (get_user(size, &uattr->size))
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0)
		return -E2BIG;
	int r = copy_struct_from_user(&a, sizeof(a), uattr, size);
	if (r)
		return r;
	if (a.flags & ~(u64)SCHED_FLAG_RESET_ON_FORK)
		return -EINVAL;
	int nice =
		is_realtime((enum sched_policy)a.policy) ? task_nice(pid) : clamp(a.nice, -20, 19);
	return policy_set(pid, a.policy, (int)a.priority, nice, a.flags & SCHED_FLAG_RESET_ON_FORK);
}

SYSCALL(sched_getattr, int pid, struct linux_sched_attr __user *out, u32 size, u32 flags)
{
	if (!out || pid < 0 || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags)
		return -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	struct sched_params now = task_sched_get(t);
	struct linux_sched_attr a = {.policy = now.policy,
				     .flags = t->thread.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK
								      : 0};
	if (is_realtime(now.policy))
		a.priority = now.priority;
	else
		a.nice = now.nice;
	task_put(t);
	a.size = min(size, (u32)sizeof(a));
	return copy_to_user(out, &a, a.size);
}

SYSCALL(sched_get_priority_max, int policy)
{
	switch (policy) {
	case POLICY_FIFO:
	case POLICY_RR:
		return 99;
	case POLICY_NORMAL:
	case POLICY_BATCH:
	case POLICY_IDLE:
		return 0;
	}
	return -EINVAL;
}

SYSCALL(sched_get_priority_min, int policy)
{
	switch (policy) {
	case POLICY_FIFO:
	case POLICY_RR:
		return 1;
	case POLICY_NORMAL:
	case POLICY_BATCH:
	case POLICY_IDLE:
		return 0;
	}
	return -EINVAL;
}

SYSCALL(sched_rr_get_interval, int pid, struct linux_timespec __user *out)
{
	if (pid < 0)
		return -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	struct linux_timespec ts = timespec_from_ns(sched_rr_interval_ns(&t->thread));
	task_put(t);
	return copy_to_user(out, &ts, sizeof(ts));
}

SYSCALL(sched_setaffinity, int pid, u32 len, const u8 __user *umask)
{
	cpumask_t mask = 0;
	if (copy_from_user(&mask, umask, min(len, (u32)sizeof(mask))))
		return -EFAULT;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	int r = same_owner(t) || capable(CAP_SYS_NICE) ? 0 : -EPERM;
	if (!r)
		r = mask & cpumask_all() ? sched_set_affinity(&t->thread, mask & cpumask_all())
					 : -EINVAL;
	task_put(t);
	return r;
}

SYSCALL(sched_getaffinity, int pid, u32 len, u8 __user *out)
{
	if (len < sizeof(cpumask_t) || (len & (sizeof(u64) - 1)))
		return (u64)len * 8 < smp_ncpus || (len & (sizeof(u64) - 1)) ? -EINVAL : -EINVAL;
	struct task *t = task_of(pid);
	if (!t)
		return -ESRCH;
	cpumask_t mask = t->thread.affinity & cpumask_all();
	task_put(t);
	return copy_to_user(out, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

SYSCALL(getcpu, u32 __user *cpu, u32 __user *node)
{
	if ((cpu && put_user(this_cpu_id(), cpu)) || (node && put_user(0u, node)))
		return -EFAULT;
	return 0;
}

// ---- nice values of processes, groups and users ----

static int nice_set_one(struct task *t, int nice)
{
	if (!same_owner(t) && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (!may_nice(t, nice))
		return -EACCES;
	struct sched_params p = task_sched_get(t);
	p.nice = (s8)nice;
	return task_sched_set(t, p);
}

// Calls fn for every task that (which, who) names; -ESRCH when there is none.
static int for_each_named(int which, u32 who, int (*fn)(struct task *t, void *ctx), void *ctx)
{
	int r = -ESRCH;
	if (which == PRIO_PROCESS) {
		struct task *t = task_of((int)who);
		if (!t)
			return -ESRCH;
		r = fn(t, ctx);
		task_put(t);
		return r;
	}
	u32 pgid = who ? who : process_pgid(current_process()),
	    uid = who ? who : current_cred()->uid;
	struct process *p;
	for (u32 pid = 1; (p = process_next(&pid)); pid++) {
		struct task *t;
		for (u32 tid = 0; (t = process_task_next(p, &tid)); tid++) {
			const struct cred *c = task_cred_get(t);
			bool match = which == PRIO_PGRP ? process_pgid(p) == pgid : c->uid == uid;
			cred_put(c);
			if (match) {
				int one = fn(t, ctx);
				if (r == -ESRCH || one)
					r = one;
			}
			task_put(t);
		}
		process_put(p);
	}
	return r;
}

static int set_fn(struct task *t, void *ctx)
{
	return nice_set_one(t, *(int *)ctx);
}

static int best_fn(struct task *t, void *ctx)
{
	int *best = ctx, value = 20 - task_sched_get(t).nice;
	*best = max(*best, value);
	return 0;
}

SYSCALL(setpriority, int which, u32 who, int nice)
{
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	nice = clamp(nice, -20, 19);
	return for_each_named(which, who, set_fn, &nice);
}

SYSCALL(getpriority, int which, u32 who)
{
	int best = 0;
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	int r = for_each_named(which, who, best_fn, &best);
	return r ? r : best;
}
