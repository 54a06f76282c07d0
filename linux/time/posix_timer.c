// SPDX-License-Identifier: MIT
// Owns POSIX timers (timer_create and its family) on the clocks of real and monotonic time.
//
// A timer's interrupt queues a work item, which queues the timer's own signal entry; a timer has
// one, so a signal that was not taken yet counts as an overrun instead. A periodic timer is started
// again when its signal is taken, with what it missed counted then: a program that does not take
// signals costs nothing. Everything is guarded by the process's signal lock.
#include "abi/linux/signal.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"
#include "linux/syscalls.h"

struct posix_timer {
	struct list link;	 // process.timers
	struct process *process; // not counted: the process outlives its timers
	int id;
	int clock;
	int notify;	    // SIGEV_*
	u32 tid;	    // SIGEV_THREAD_ID
	bool default_value; // no sigevent was given: sigev_value is the id
	u64 expires_ns;	    // monotonic; 0: disarmed
	u64 interval_ns;
	u64 overrun, overrun_told;
	struct timer timer;
	struct work work;
	struct sigqueue entry;
};

struct posix_timers {
	struct list list;
	u32 count;
	int next_id;
};

constexpr u32 TIMERS_MAX = 32768;
constexpr u64 DELAYTIMER_MAX = 0x7fffffff;

// Moves expires beyond now in whole intervals; what was passed over are overruns.
static void forward(struct posix_timer *t, u64 now)
{
	if (t->expires_ns > now)
		return;
	u64 n = (now - t->expires_ns) / t->interval_ns + 1;
	t->expires_ns += n * t->interval_ns;
	t->overrun += n - 1;
}

// The entry leaves the queue. Signal lock held.
static void entry_dequeued(struct sigqueue *q, struct siginfo *info)
{
	struct posix_timer *t = container_of(q, struct posix_timer, entry);
	if (!info)
		return;
	if (t->interval_ns && t->expires_ns) {
		forward(t, clock_monotonic_ns());
		timer_start(&t->timer, t->expires_ns);
	}
	t->overrun_told = min(t->overrun, DELAYTIMER_MAX);
	t->overrun = 0;
	info->timer.overrun = (int)t->overrun_told;
}

static struct task *thread_of_locked(struct process *p, u32 tid)
{
	struct task *t;
	list_for_each_entry(t, &p->threads, process_link)
		if (t->thread.id == tid && !t->exiting)
			return t;
	return nullptr;
}

static void timer_work(struct work *w)
{
	struct posix_timer *t = container_of(w, struct posix_timer, work);
	struct process *p = t->process;
	spin_lock(&p->lock);
	u64 now = clock_monotonic_ns();
	if (t->expires_ns && t->expires_ns <= now) {
		struct task *to =
			t->notify == SIGEV_THREAD_ID ? thread_of_locked(p, t->tid) : nullptr;
		bool lost = t->notify == SIGEV_THREAD_ID && !to;
		if (!t->interval_ns)
			t->expires_ns = 0;
		if (lost || signal_send_entry_locked(p, to, &t->entry)) {
			// Ignored, or the last one was not taken yet.
			if (t->interval_ns) {
				t->overrun++;
				forward(t, now);
				timer_start(&t->timer, t->expires_ns);
			}
		}
	}
	spin_unlock(&p->lock);
}

static void timer_fired(struct timer *timer)
{
	work_queue(&container_of(timer, struct posix_timer, timer)->work);
}

static struct posix_timer *timer_find_locked(struct process *p, int id)
{
	struct posix_timer *t;
	if (p->timers)
		list_for_each_entry(t, &p->timers->list, link)
			if (t->id == id)
				return t;
	return nullptr;
}

// t is off the list already.
static void timer_destroy(struct process *p, struct posix_timer *t)
{
	spin_lock(&p->lock);
	t->expires_ns = 0;
	spin_unlock(&p->lock);
	timer_cancel_sync(&t->timer);
	work_flush(&t->work);
	spin_lock(&p->lock);
	sigqueue_withdraw_locked(p, &t->entry);
	spin_unlock(&p->lock);
	kfree(t);
}

static int event_check(const struct linux_sigevent *e)
{
	switch (e->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return e->signo >= 1 && e->signo <= SIGRTMAX ? 0 : -EINVAL;
	case SIGEV_THREAD_ID: {
		struct process *p = current_process();
		spin_lock(&p->lock);
		bool there = thread_of_locked(p, (u32)e->tid);
		spin_unlock(&p->lock);
		return there && e->signo >= 1 && e->signo <= SIGRTMAX ? 0 : -EINVAL;
	}
	}
	return -EINVAL;
}

static int clock_check(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		return -EOPNOTSUPP;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return capable(CAP_WAKE_ALARM) ? 0 : -EPERM;
	}
	return -EINVAL;
}

static int timer_add(struct process *p, struct posix_timer *t)
{
	struct posix_timers *fresh = READ_ONCE(p->timers) ? nullptr : kzalloc(sizeof(*fresh));
	spin_lock(&p->lock);
	if (!p->timers && fresh) {
		list_init(&fresh->list);
		p->timers = fresh;
		fresh = nullptr;
	}
	struct posix_timers *all = p->timers;
	int r = !all									? -ENOMEM
		: all->count >= min((u64)TIMERS_MAX, p->rlimits[RLIMIT_SIGPENDING].cur) ? -EAGAIN
											: 0;
	if (!r) {
		do
			t->id = all->next_id++ & 0x7fffffff;
		while (timer_find_locked(p, t->id));
		if (t->entry.info.timer.value == 0 && t->default_value)
			t->entry.info.timer.value = (u64)t->id;
		t->entry.info.timer.id = t->id;
		list_add_tail(&all->list, &t->link);
		all->count++;
	}
	spin_unlock(&p->lock);
	kfree(fresh);
	return r;
}

SYSCALL(timer_create, int clock, const struct linux_sigevent __user *uevent, int __user *uid)
{
	struct linux_sigevent e = {.notify = SIGEV_SIGNAL, .signo = SIGALRM};
	struct process *p = current_process();
	int r = clock_check(clock);
	if (r)
		return r;
	if (uevent && copy_from_user(&e, uevent, sizeof(e)))
		return -EFAULT;
	r = event_check(&e);
	if (r)
		return r;
	struct posix_timer *t = kzalloc(sizeof(*t));
	if (!t)
		return -EAGAIN;
	t->process = p;
	t->clock = clock;
	t->notify = e.notify;
	t->tid = (u32)e.tid;
	t->default_value = !uevent;
	timer_init(&t->timer, timer_fired);
	work_init(&t->work, timer_work);
	list_init(&t->entry.link);
	t->entry.dequeued = entry_dequeued;
	t->entry.info =
		(struct siginfo){.signo = e.signo, .code = SI_TIMER, .timer.value = e.value};
	r = timer_add(p, t);
	if (r) {
		kfree(t);
		return r;
	}
	return put_user(t->id, uid);
}

static void timer_read_locked(struct posix_timer *t, u64 *left, u64 *interval)
{
	u64 now = clock_monotonic_ns(), expires = t->expires_ns;
	*interval = t->interval_ns;
	// A periodic timer whose signal waits, or that has none to send, stands still: work out
	// where it would be.
	if (expires && expires <= now && t->interval_ns &&
	    (t->notify == SIGEV_NONE || !list_empty(&t->entry.link)))
		expires += ((now - expires) / t->interval_ns + 1) * t->interval_ns;
	*left = !expires ? 0 : expires > now ? expires - now : t->notify == SIGEV_NONE ? 0 : 1;
}

static int spec_to_user(struct linux_itimerspec __user *out, u64 left, u64 interval)
{
	struct linux_itimerspec s = {.interval = timespec_from_ns(interval),
				     .value = timespec_from_ns(left)};
	return copy_to_user(out, &s, sizeof(s));
}

SYSCALL(timer_gettime, int id, struct linux_itimerspec __user *out)
{
	struct process *p = current_process();
	u64 left = 0, interval = 0;
	spin_lock(&p->lock);
	struct posix_timer *t = timer_find_locked(p, id);
	if (t)
		timer_read_locked(t, &left, &interval);
	spin_unlock(&p->lock);
	return t ? spec_to_user(out, left, interval) : -EINVAL;
}

SYSCALL(timer_settime, int id, int flags, const struct linux_itimerspec __user *in,
	struct linux_itimerspec __user *out)
{
	struct process *p = current_process();
	struct linux_itimerspec s;
	u64 value, interval, left = 0, old_interval = 0;
	if (!in)
		return -EINVAL;
	if (copy_from_user(&s, in, sizeof(s)))
		return -EFAULT;
	if (!timespec_to_ns(&s.value, &value) || !timespec_to_ns(&s.interval, &interval))
		return -EINVAL;
	spin_lock(&p->lock);
	struct posix_timer *t = timer_find_locked(p, id);
	if (!t) {
		spin_unlock(&p->lock);
		return -EINVAL;
	}
	timer_read_locked(t, &left, &old_interval);
	timer_cancel(&t->timer);
	sigqueue_withdraw_locked(p, &t->entry);
	t->overrun = 0;
	t->interval_ns = value ? interval : 0;
	t->expires_ns = 0;
	if (value) {
		u64 now = clock_monotonic_ns();
		if (!(flags & TIMER_ABSTIME)) {
			t->expires_ns = now + value;
		} else if (t->clock == CLOCK_REALTIME || t->clock == CLOCK_TAI ||
			   t->clock == CLOCK_REALTIME_ALARM) {
			u64 real = clock_realtime_ns();
			t->expires_ns = value > real ? now + (value - real) : now;
		} else {
			t->expires_ns = value;
		}
		if (t->notify != SIGEV_NONE)
			timer_start(&t->timer, t->expires_ns);
	}
	spin_unlock(&p->lock);
	return out ? spec_to_user(out, left, old_interval) : 0;
}

SYSCALL(timer_getoverrun, int id)
{
	struct process *p = current_process();
	spin_lock(&p->lock);
	struct posix_timer *t = timer_find_locked(p, id);
	long r = t ? (long)t->overrun_told : -EINVAL;
	spin_unlock(&p->lock);
	return r;
}

SYSCALL(timer_delete, int id)
{
	struct process *p = current_process();
	spin_lock(&p->lock);
	struct posix_timer *t = timer_find_locked(p, id);
	if (t) {
		list_del(&t->link);
		p->timers->count--;
	}
	spin_unlock(&p->lock);
	if (!t)
		return -EINVAL;
	timer_destroy(p, t);
	return 0;
}

// exec and the end of the process: nobody else can reach the timers.
void posix_timers_exec(struct process *p)
{
	struct posix_timers *all = p->timers;
	if (!all)
		return;
	spin_lock(&p->lock);
	p->timers = nullptr;
	spin_unlock(&p->lock);
	struct posix_timer *t, *next;
	list_for_each_entry_safe(t, next, &all->list, link)
		timer_destroy(p, t);
	kfree(all);
}

void posix_timers_exit(struct process *p)
{
	posix_timers_exec(p);
}
