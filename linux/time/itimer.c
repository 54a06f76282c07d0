// SPDX-License-Identifier: MIT
// Owns setitimer's three timers and the CPU-time limit of a process.
//
// ITIMER_REAL is a timer of the core whose interrupt queues a work item, for signals are not sent
// from interrupts. The other two and RLIMIT_CPU count the process's CPU time: the scheduler's tick
// of any of its threads compares, and the thread itself sends the signals on its way back to the
// program.
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

// ---- real time ----

static void real_fired(struct work *w)
{
	struct process *p = container_of(w, struct process, itimer_work);
	spin_lock(&p->lock);
	u64 interval = p->itimer_real_interval_ns;
	u64 now = clock_monotonic_ns();
	// A disarmed or re-armed timer may have a work item from before in flight.
	bool due = p->itimer_real_expires_ns && p->itimer_real_expires_ns <= now;
	if (due) {
		u64 next = interval ? p->itimer_real_expires_ns + interval : 0;
		if (next && next <= now)
			next = now + interval - (now - p->itimer_real_expires_ns) % interval;
		p->itimer_real_expires_ns = next;
		if (next)
			timer_start(&p->itimer_real, next);
		signal_send_locked(p, nullptr,
				   &(struct siginfo){.signo = SIGALRM, .code = SI_KERNEL});
	}
	spin_unlock(&p->lock);
}

static void real_interrupt(struct timer *t)
{
	work_queue(&container_of(t, struct process, itimer_real)->itimer_work);
}

void itimer_real_init(struct process *p)
{
	timer_init(&p->itimer_real, real_interrupt);
	work_init(&p->itimer_work, real_fired);
}

void itimers_exit(struct process *p)
{
	spin_lock(&p->lock);
	bool used = p->itimer_real_used;
	p->itimer_real_expires_ns = 0;
	p->itimer_real_interval_ns = 0;
	spin_unlock(&p->lock);
	if (!used)
		return;
	timer_cancel_sync(&p->itimer_real);
	work_flush(&p->itimer_work);
}

// ---- CPU time ----

struct cpu_sum {
	u64 user, total;
};

static struct cpu_sum cpu_sum_locked(struct process *p)
{
	struct task *t;
	struct cpu_sum s = {p->dead_threads.user_ns,
			    p->dead_threads.user_ns + p->dead_threads.system_ns};
	list_for_each_entry(t, &p->threads, process_link) {
		u64 user, system;
		task_times(t, &user, &system);
		s.user += user;
		s.total += user + system;
	}
	return s;
}

static void active_update_locked(struct process *p)
{
	WRITE_ONCE(p->cpu_timers_active, p->itimer_virtual.expires_ns ||
						 p->itimer_prof.expires_ns ||
						 p->cpu_limit_next_ns != ~0ull);
}

void process_cpu_limit_update_locked(struct process *p)
{
	u64 seconds = p->rlimits[RLIMIT_CPU].cur;
	p->cpu_limit_next_ns =
		seconds >= ~0ull / NSEC_PER_SEC ? ~0ull : max(seconds, 1ull) * NSEC_PER_SEC;
	active_update_locked(p);
}

// Interrupt context: only decides whether the thread must look.
void process_tick(bool user)
{
	(void)user;
	if (unlikely(READ_ONCE(current_process()->cpu_timers_active)))
		atomic_or(&current()->work, WORK_NOTIFY);
}

static void cpu_timer_check(struct process *p, struct itimer_cpu *t, u64 now, int sig)
{
	if (!t->expires_ns || now < t->expires_ns)
		return;
	t->expires_ns = t->interval_ns ? t->expires_ns + t->interval_ns : 0;
	if (t->expires_ns && t->expires_ns <= now)
		t->expires_ns = now + t->interval_ns;
	signal_send_locked(p, nullptr, &(struct siginfo){.signo = sig, .code = SI_KERNEL});
}

void process_cpu_timers_run(struct task *task)
{
	struct process *p = task->process;
	if (!READ_ONCE(p->cpu_timers_active))
		return;
	spin_lock(&p->lock);
	struct cpu_sum s = cpu_sum_locked(p);
	cpu_timer_check(p, &p->itimer_virtual, s.user, SIGVTALRM);
	cpu_timer_check(p, &p->itimer_prof, s.total, SIGPROF);
	if (s.total >= p->cpu_limit_next_ns) {
		u64 hard = p->rlimits[RLIMIT_CPU].max;
		bool over = hard < ~0ull / NSEC_PER_SEC && s.total >= hard * NSEC_PER_SEC;
		p->cpu_limit_next_ns = s.total + NSEC_PER_SEC;
		signal_send_locked(
			p, nullptr,
			&(struct siginfo){.signo = over ? SIGKILL : SIGXCPU, .code = SI_KERNEL});
	}
	active_update_locked(p);
	spin_unlock(&p->lock);
}

// ---- the calls ----

static struct itimer_cpu *cpu_timer(struct process *p, int which)
{
	return which == ITIMER_VIRTUAL ? &p->itimer_virtual : &p->itimer_prof;
}

static void itimer_read_locked(struct process *p, int which, u64 *left, u64 *interval)
{
	u64 now, expires;
	if (which == ITIMER_REAL) {
		now = clock_monotonic_ns();
		expires = p->itimer_real_expires_ns;
		*interval = p->itimer_real_interval_ns;
	} else {
		struct cpu_sum s = cpu_sum_locked(p);
		now = which == ITIMER_VIRTUAL ? s.user : s.total;
		expires = cpu_timer(p, which)->expires_ns;
		*interval = cpu_timer(p, which)->interval_ns;
	}
	*left = !expires ? 0 : expires > now ? max(expires - now, 1000ull) : 1000;
}

static void itimer_write_locked(struct process *p, int which, u64 value, u64 interval)
{
	if (which == ITIMER_REAL) {
		timer_cancel(&p->itimer_real);
		p->itimer_real_interval_ns = interval;
		p->itimer_real_expires_ns = value ? clock_monotonic_ns() + value : 0;
		p->itimer_real_used |= value != 0;
		if (value)
			timer_start(&p->itimer_real, p->itimer_real_expires_ns);
		return;
	}
	struct cpu_sum s = cpu_sum_locked(p);
	struct itimer_cpu *t = cpu_timer(p, which);
	t->interval_ns = interval;
	t->expires_ns = value ? (which == ITIMER_VIRTUAL ? s.user : s.total) + value : 0;
	active_update_locked(p);
}

static int itimer_to_user(struct linux_itimerval __user *out, u64 left, u64 interval)
{
	struct linux_itimerval v = {.interval = timeval_from_ns(interval),
				    .value = timeval_from_ns(left)};
	return copy_to_user(out, &v, sizeof(v));
}

SYSCALL(getitimer, int which, struct linux_itimerval __user *out)
{
	struct process *p = current_process();
	u64 left, interval;
	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	spin_lock(&p->lock);
	itimer_read_locked(p, which, &left, &interval);
	spin_unlock(&p->lock);
	return itimer_to_user(out, left, interval);
}

SYSCALL(setitimer, int which, const struct linux_itimerval __user *in,
	struct linux_itimerval __user *out)
{
	struct process *p = current_process();
	struct linux_itimerval v = {};
	u64 value, interval, left, old_interval;
	if (in && copy_from_user(&v, in, sizeof(v)))
		return -EFAULT;
	if (which < ITIMER_REAL || which > ITIMER_PROF || !timeval_to_ns(&v.value, &value) ||
	    !timeval_to_ns(&v.interval, &interval))
		return -EINVAL;
	spin_lock(&p->lock);
	itimer_read_locked(p, which, &left, &old_interval);
	itimer_write_locked(p, which, value, interval);
	spin_unlock(&p->lock);
	return out ? itimer_to_user(out, left, old_interval) : 0;
}

SYSCALL(alarm, u32 seconds)
{
	struct process *p = current_process();
	u64 left, interval;
	spin_lock(&p->lock);
	itimer_read_locked(p, ITIMER_REAL, &left, &interval);
	itimer_write_locked(p, ITIMER_REAL, seconds * NSEC_PER_SEC, 0);
	spin_unlock(&p->lock);
	// Rounded, but a timer that is set is never reported as none.
	u64 s = (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return (long)(left && !s ? 1 : s);
}
