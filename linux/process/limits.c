// SPDX-License-Identifier: MIT
// Owns resource limits and usage: prlimit64, getrusage and their older forms.
#include "core/page.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

int rusage_to_user(const struct rusage_sums *s, struct linux_rusage __user *out)
{
	struct linux_rusage r = {
		.utime = timeval_from_ns(s->user_ns),
		.stime = timeval_from_ns(s->system_ns),
		.maxrss = (s64)s->maxrss_kib,
		.minflt = (s64)s->faults_minor,
		.majflt = (s64)s->faults_major,
		.inblock = (s64)s->blocks_in,
		.oublock = (s64)s->blocks_out,
		.nvcsw = (s64)s->switches_voluntary,
		.nivcsw = (s64)s->switches_forced,
	};
	return copy_to_user(out, &r, sizeof(r));
}

SYSCALL(getrusage, int who, struct linux_rusage __user *out)
{
	struct process *p = current_process();
	struct rusage_sums s = {};
	switch (who) {
	case RUSAGE_SELF:
		process_rusage(p, &s);
		break;
	case RUSAGE_CHILDREN:
		spin_lock(&p->lock);
		s = p->children_sums;
		spin_unlock(&p->lock);
		break;
	case RUSAGE_THREAD:
		process_sums_add_task(&s, current_task());
		s.maxrss_kib = vm_space_rss_peak(current_space()) * (PAGE_SIZE / KiB);
		break;
	default:
		return -EINVAL;
	}
	return rusage_to_user(&s, out);
}

// What the first program gets; others inherit.
void limits_init(struct process *p)
{
	u64 tasks = page_free_count() / 32;
	for (u32 i = 0; i < RLIMIT_COUNT; i++)
		p->rlimits[i] = (struct rlimit_pair){RLIM_INFINITY, RLIM_INFINITY};
	p->rlimits[RLIMIT_STACK].cur = 8 * MiB;
	p->rlimits[RLIMIT_CORE].cur = 0;
	p->rlimits[RLIMIT_NPROC] = (struct rlimit_pair){tasks, tasks};
	p->rlimits[RLIMIT_NOFILE] = (struct rlimit_pair){1024, 4096};
	p->rlimits[RLIMIT_MEMLOCK] = (struct rlimit_pair){8 * MiB, 8 * MiB};
	p->rlimits[RLIMIT_SIGPENDING] = (struct rlimit_pair){tasks, tasks};
	p->rlimits[RLIMIT_MSGQUEUE] = (struct rlimit_pair){819200, 819200};
	p->rlimits[RLIMIT_NICE] = (struct rlimit_pair){0, 0};
	p->rlimits[RLIMIT_RTPRIO] = (struct rlimit_pair){0, 0};
}

int process_rlimit_set(struct process *p, enum rlimit_kind k, const struct rlimit_pair *new)
{
	spin_lock(&p->lock);
	WRITE_ONCE(p->rlimits[k].cur, new->cur);
	WRITE_ONCE(p->rlimits[k].max, new->max);
	if (k == RLIMIT_CPU)
		process_cpu_limit_update_locked(p);
	spin_unlock(&p->lock);
	if (k != RLIMIT_AS && k != RLIMIT_DATA && k != RLIMIT_STACK)
		return 0;
	// The address space keeps its own copy, which faults and mmap consult.
	struct vm_space *s = process_space_get(p);
	if (!s)
		return 0;
	if (k == RLIMIT_AS)
		WRITE_ONCE(s->pages_mapped_limit,
			   new->cur == RLIM_INFINITY ? ~0ull : new->cur >> PAGE_SHIFT);
	else if (k == RLIMIT_DATA)
		WRITE_ONCE(s->data_limit, new->cur);
	else
		WRITE_ONCE(s->stack_limit, new->cur);
	vm_space_put(s);
	return 0;
}

constexpr u64 NR_OPEN = 1048576;

static int limit_change(struct process *p, u32 kind, const struct linux_rlimit *new,
			struct rlimit_pair *old)
{
	*old = p->rlimits[kind];
	if (!new)
		return 0;
	if (new->cur > new->max)
		return -EINVAL;
	if (kind == RLIMIT_NOFILE && new->max > NR_OPEN)
		return -EPERM;
	if (new->max > old->max && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	return process_rlimit_set(p, (enum rlimit_kind)kind,
				  &(struct rlimit_pair){new->cur, new->max});
}

static int may_change_limits(struct process *p)
{
	if (p == current_process())
		return 0;
	struct task *t = process_any_task(p);
	if (!t)
		return -ESRCH;
	const struct cred *me = current_cred(), *it = task_cred_get(t);
	bool same = me->uid == it->euid && me->uid == it->suid && me->uid == it->uid &&
		    me->gid == it->egid && me->gid == it->sgid && me->gid == it->gid;
	cred_put(it);
	task_put(t);
	return same || capable(CAP_SYS_RESOURCE) ? 0 : -EPERM;
}

SYSCALL(prlimit64, int pid, u32 kind, const struct linux_rlimit __user *unew,
	struct linux_rlimit __user *uold)
{
	struct linux_rlimit new;
	struct rlimit_pair old;
	if (kind >= RLIMIT_COUNT)
		return -EINVAL;
	if (unew && copy_from_user(&new, unew, sizeof(new)))
		return -EFAULT;
	struct process *p = pid ? process_find((u32)pid) : process_get(current_process());
	if (!p)
		return -ESRCH;
	int r = may_change_limits(p);
	if (!r)
		r = limit_change(p, kind, unew ? &new : nullptr, &old);
	process_put(p);
	if (!r && uold && copy_to_user(uold, &old, sizeof(old)))
		r = -EFAULT;
	return r;
}

SYSCALL(getrlimit, u32 kind, struct linux_rlimit __user *out)
{
	if (kind >= RLIMIT_COUNT)
		return -EINVAL;
	struct rlimit_pair v = current_process()->rlimits[kind];
	return copy_to_user(out, &v, sizeof(v));
}

SYSCALL(setrlimit, u32 kind, const struct linux_rlimit __user *in)
{
	struct linux_rlimit new;
	struct rlimit_pair old;
	if (kind >= RLIMIT_COUNT)
		return -EINVAL;
	if (copy_from_user(&new, in, sizeof(new)))
		return -EFAULT;
	return limit_change(current_process(), kind, &new, &old);
}

int copy_struct_from_user(void *dst, size_t dst_size, const void __user *src, size_t src_size)
{
	if (src_size > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(dst, src, min(dst_size, src_size)))
		return -EFAULT;
	for (size_t i = dst_size; i < src_size; i++) {
		u8 byte;
		if (get_user(byte, (const u8 __user *)src + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return 0;
}
