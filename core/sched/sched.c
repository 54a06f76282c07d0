// SPDX-License-Identifier: MIT
// The scheduler: picks which thread runs on each CPU. Privileged.
//
// Purpose. Each CPU has a run queue with three classes in strict order: real-time (FIFO and round
// robin, 99 priorities), fair (weighted by nice, in the order of weighted run time), idle (the idle
// thread; policy IDLE is the fair class with a tiny weight).
//
// States. A thread that is RUNNABLE is queued on the run queue of thread.cpu, the running one
// included (se.queued). One that wants to sleep sets its state first, looks at its condition, and
// calls schedule(), which takes it off the queue if the state still says so. A wake-up sets the
// state back to RUNNABLE under the run queue's lock and queues the thread if it had been taken off.
// Because the lock is held through the whole context switch, a thread that can be queued is never
// half switched out.
//
// Locks. run_queue.lock with interrupts off; never two of them at once: a thread that moves is
// taken off under one lock, belongs to nobody while it is RUNNABLE and not queued, and is queued
// under the other. thread.cpu changes only under the lock of the old queue.
//
// Reschedule. rq_resched() sets WORK_RESCHED in the running thread (looked at on the way to a
// program) and clears PREEMPT_NO_RESCHED in the CPU's preempt_count (so that the next
// preempt_enable or interrupt exit in the kernel switches); another CPU does the latter for itself
// when the kick arrives.
//
// Real-time threads that never sleep leave a twentieth of each second to the others, or nobody
// could log in to end them.
//
// Time. One tick each 4 ms while a CPU is not idle: it ends turns, samples user and system time,
// and balances. An idle CPU has none.
//
// Lifetime. A thread that exits is DEAD after its last schedule(); the thread that runs next drops
// its reference.
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/rcu.h"
#include "core/sched/sched_priv.h"
#include "core/time.h"
#include "core/page.h"
#include <arch/cpu.h>
#include <arch/frame.h>

DEFINE_PERCPU(struct run_queue, run_queue);

void rq_update(struct run_queue *rq)
{
	rq->clock_ns = clock_monotonic_ns();
	fair_account(rq, rq->clock_ns);
}

static void rt_enqueue(struct run_queue *rq, struct thread *t, bool front)
{
	u32 p = t->rt_priority;

	if (front)
		list_add_head(&rq->rt[p], &t->se.rt_link);
	else
		list_add_tail(&rq->rt[p], &t->se.rt_link);
	rq->rt_bitmap[p / 64] |= 1ull << p % 64;
}

static void rt_dequeue(struct run_queue *rq, struct thread *t)
{
	u32 p = t->rt_priority;

	list_del_init(&t->se.rt_link);
	if (list_empty(&rq->rt[p]))
		rq->rt_bitmap[p / 64] &= ~(1ull << p % 64);
}

void rq_enqueue(struct run_queue *rq, struct thread *t, bool wakeup)
{
	assert(!t->se.queued && t->cpu == rq->cpu);
	t->se.queued = true;
	WRITE_ONCE(rq->nr_running, rq->nr_running + 1);
	if (is_rt(t)) {
		rq->nr_rt++;
		rt_enqueue(rq, t, false);
	} else if (t != rq->curr) {
		fair_enqueue(rq, t, wakeup);
	}
}

void rq_dequeue(struct run_queue *rq, struct thread *t)
{
	assert(t->se.queued && t->cpu == rq->cpu);
	t->se.queued = false;
	WRITE_ONCE(rq->nr_running, rq->nr_running - 1);
	if (is_rt(t)) {
		rq->nr_rt--;
		rt_dequeue(rq, t);
	} else if (t != rq->curr) {
		fair_dequeue(rq, t);
	}
}

static void fold_resched(void)
{
	this_cpu_write(preempt_count, this_cpu_read(preempt_count) & ~PREEMPT_NO_RESCHED);
}

// A grace period may wait for this CPU, which has not switched for a while: if the interrupted code
// held preemption off it is asked to switch as soon as it no longer does. Interrupt context.
static void rcu_hurry(void)
{
	if (likely(!this_cpu_read(rcu_wanted)))
		return;
	if (!(this_cpu_read(preempt_count) & (PREEMPT_IRQ - 1))) {
		rcu_quiescent();
	} else {
		atomic_or(&current()->work, WORK_RESCHED);
		fold_resched();
	}
}

// The kick arrived (interrupt context): somebody set WORK_RESCHED in the running thread.
void sched_kicked(void)
{
	if (atomic_load(&current()->work) & WORK_RESCHED)
		fold_resched();
	rcu_hurry();
}

void rq_resched(struct run_queue *rq)
{
	struct thread *curr = rq->curr;

	if (atomic_load(&curr->work) & WORK_RESCHED)
		return;
	atomic_or(&curr->work, WORK_RESCHED);
	if (rq->cpu == this_cpu_id())
		fold_resched();
	else
		smp_kick(rq->cpu);
}

static void check_preempt(struct run_queue *rq, struct thread *woken)
{
	struct thread *curr = rq->curr;
	bool preempt;

	if (is_rt(woken))
		preempt = is_rt(curr) ? woken->rt_priority > curr->rt_priority : !rq->rt_spent;
	else
		preempt = is_rt(curr) ? rq->rt_spent : fair_should_preempt(rq, curr, woken);
	if (preempt || curr == rq->idle)
		rq_resched(rq);
}

static struct thread *rt_first(struct run_queue *rq)
{
	u32 p = rq->rt_bitmap[1] ? 127 - (u32)__builtin_clzll(rq->rt_bitmap[1])
				 : 63 - (u32)__builtin_clzll(rq->rt_bitmap[0]);

	return list_first_entry(&rq->rt[p], struct thread, se.rt_link);
}

static struct thread *pick_next(struct run_queue *rq)
{
	struct thread *fair;

	if (likely(!rq->nr_rt))
		return fair_first(rq);
	fair = rq->rt_spent ? fair_first(rq) : nullptr;
	return fair ?: rt_first(rq);
}

// At each tick; lock held.
static void rt_account(struct run_queue *rq, const struct thread *t)
{
	if (rq->clock_ns - rq->rt_period_ns >= RT_PERIOD_NS) {
		rq->rt_period_ns = rq->clock_ns;
		rq->rt_ran_ns = 0;
		if (rq->rt_spent && rq->nr_rt)
			rq_resched(rq);
		rq->rt_spent = false;
	}
	if (is_rt(t) && rq->rt_ran_ns >= RT_RUNTIME_NS && !rq->rt_spent) {
		rq->rt_spent = true;
		rq_resched(rq);
	}
}

static void finish_switch(struct run_queue *rq, struct thread *prev)
{
	bool dead = atomic_load(&prev->state) == THREAD_DEAD;

	__atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
	spin_unlock_raw(&rq->lock);
	if (unlikely(dead))
		thread_put(prev);
}

void sched_tick_start(struct run_queue *rq)
{
	if (!rq->tick_armed) {
		rq->tick_armed = true;
		timer_set_slice(clock_monotonic_ns() + TICK_NS);
	}
}

static void account_idle(struct run_queue *rq, struct thread *prev, struct thread *next)
{
	if (prev == rq->idle) {
		rq->idle_ns += rq->clock_ns - rq->idle_since;
		sched_tick_start(rq);
	} else if (next == rq->idle) {
		rq->idle_since = rq->clock_ns;
	}
}

// preemption is off on entry (count is 1) and stays so; interrupts off. preempted: the thread did
// not ask.
static void switch_thread(bool preempted)
{
	struct run_queue *rq = this_rq();
	struct thread *prev = current(), *next;

	spin_lock_raw(&rq->lock);
	rq_update(rq);
	u32 state = atomic_load(&prev->state);
	if (state != THREAD_RUNNABLE && !preempted) {
		if (thread_interrupt_pending(state)) {
			atomic_store(&prev->state, THREAD_RUNNABLE);
		} else if (prev != rq->idle) {
			rq_dequeue(rq, prev);
			atomic_inc(&prev->switches_voluntary);
			if (prev->notify_moves &&
			    frame_syscall_nr(thread_user_frame(prev)) == ~0ull)
				atomic_or(&prev->work, WORK_NOTIFY); // in a fault
		}
	}
	if (prev->se.queued && !is_rt(prev) && prev != rq->idle) // back among the others
		fair_enqueue(rq, prev, false);
	next = pick_next(rq);
	if (!next) {
		spin_unlock_raw(&rq->lock);
		balance_pull(rq);
		spin_lock_raw(&rq->lock);
		if (prev->se.queued && !is_rt(prev) &&
		    prev != rq->idle) // woken meanwhile; a wake-up leaves it here while on_cpu
			fair_enqueue(rq, prev, false);
		next = pick_next(rq);
		if (!next)
			next = rq->idle;
	}
	if (next != rq->idle && !is_rt(next))
		fair_dequeue(rq, next);
	this_cpu_write(preempt_count, this_cpu_read(preempt_count) | PREEMPT_NO_RESCHED);
	atomic_andnot(&prev->work, WORK_RESCHED);
	rcu_quiescent();
	if (next == prev) {
		spin_unlock_raw(&rq->lock);
		return;
	}
	if (prev->se.queued) {
		atomic_inc(&prev->switches_forced);
		if (prev->notify_moves)
			atomic_or(&prev->work, WORK_NOTIFY);
	}
	account_idle(rq, prev, next);
	rq->switches++;
	WRITE_ONCE(rq->curr, next);
	next->on_cpu = true;
	next->se.exec_start = next->se.slice_start = rq->clock_ns;
	prev = arch_switch(prev, next);
	finish_switch(this_rq(), prev);
}

void schedule(void)
{
	lockcheck_no_spinlocks("schedule");
	irqflags_t f = irq_save();
	preempt_disable();
	switch_thread(false);
	preempt_enable_no_resched();
	irq_restore(f);
}

void preempt_schedule_irq(void)
{
	do {
		preempt_disable();
		switch_thread(true);
		preempt_enable_no_resched();
	} while (!this_cpu_read(preempt_count));
}

void preempt_schedule(void)
{
	// whoever turned interrupts off is not done: the switch waits for the next preempt_enable
	// or interrupt
	if (!irqs_enabled())
		return;
	irq_disable();
	if (!this_cpu_read(preempt_count))
		preempt_schedule_irq();
	irq_enable();
}

void sched_thread_begins(struct thread *prev)
{
	finish_switch(this_rq(), prev);
	preempt_enable_no_resched();
	irq_enable();
}

static bool thread_wake_placed(struct thread *t, u32 mask, bool sync)
{
	bool woken = false;

	// pairs with thread_prepare_sleep: either the sleeper sees the condition or we see its
	// state
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(atomic_load(&t->state) & mask))
		return false;
	irqflags_t f = irq_save();
	preempt_disable();
	struct run_queue *rq;
	for (;;) { // the thread may be moved meanwhile
		u32 cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
		rq = rq_of(cpu);
		spin_lock_raw(&rq->lock);
		if (likely(t->cpu == cpu))
			break;
		spin_unlock_raw(&rq->lock);
	}
	if (!(atomic_load(&t->state) & mask))
		goto out;
	woken = true;
	atomic_store(&t->state, THREAD_RUNNABLE);
	if (t->se.queued)
		goto out; // it has not got around to sleeping
	// while it is on its way off a CPU it cannot run anywhere else
	for (u32 to = t->on_cpu ? rq->cpu : sched_pick_cpu(t, this_cpu_id(), sync);
	     to != rq->cpu;) {
		t->se.vruntime -= rq->min_vruntime;
		thread_move(t, to);
		spin_unlock_raw(&rq->lock);
		rq = rq_of(to);
		spin_lock_raw(&rq->lock);
		t->se.vruntime += rq->min_vruntime;
		if (unlikely(!(t->affinity >> to & 1))) // changed between the locks
			to = (u32)__builtin_ctzll(t->affinity & cpumask_all());
	}
	rq_enqueue(rq, t, true);
	check_preempt(rq, t);
out:
	spin_unlock_raw(&rq->lock);
	irq_restore(f);
	preempt_enable();
	return woken;
}

bool thread_wake_state(struct thread *t, u32 mask)
{
	return thread_wake_placed(t, mask, false);
}
bool thread_wake_sync(struct thread *t)
{
	return thread_wake_placed(
		t, THREAD_INTERRUPTIBLE | THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE, true);
}

void thread_interrupt(struct thread *t, bool kill)
{
	u32 old = atomic_fetch_or(&t->interrupted, kill ? 3 : 1);

	atomic_or(&t->work, WORK_SIGNAL);
	u32 mask = THREAD_INTERRUPTIBLE;
	if (kill)
		mask |= THREAD_KILLABLE | THREAD_STOPPED | THREAD_TRACED;
	if (thread_wake_state(t, mask) || old)
		return;
	// it may be in its program on another CPU: make it look
	if (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) && t != current())
		smp_kick(t->cpu);
}

void thread_interrupt_clear(void)
{
	struct thread *t = current();
	(void)atomic_fetch_and(&t->interrupted, ~1u);
}

void thread_prepare_sleep(u32 state)
{
	atomic_store_seq(&current()->state, state);
}

void thread_finish_sleep(void)
{
	atomic_store(&current()->state, THREAD_RUNNABLE);
}

struct sleep_timer {
	struct timer timer;
	struct thread *thread;
};
static void sleep_expired(struct timer *t)
{
	thread_wake(container_of(t, struct sleep_timer, timer)->thread);
}

bool schedule_until(u64 deadline_ns)
{
	struct sleep_timer s = {.thread = current()};

	if (deadline_ns == ~0ull) {
		schedule();
		return true;
	}
	if (clock_monotonic_ns() >= deadline_ns) {
		thread_finish_sleep();
		return false;
	}
	timer_init(&s.timer, sleep_expired);
	timer_start(&s.timer, deadline_ns);
	schedule();
	timer_cancel_sync(&s.timer);
	return clock_monotonic_ns() < deadline_ns;
}

void thread_sleep_ns(u64 ns)
{
	u64 until = clock_monotonic_ns() + ns;
	do
		thread_prepare_sleep(THREAD_UNINTERRUPTIBLE);
	while (schedule_until(until));
}

void sched_yield(void)
{
	irqflags_t f = irq_save();
	preempt_disable();
	struct run_queue *rq = this_rq();
	struct thread *t = current();

	if (rq->nr_running > 1) {
		spin_lock_raw(&rq->lock);
		if (is_rt(t)) {
			rt_dequeue(rq, t);
			rt_enqueue(rq, t, false);
		} else {
			struct thread *first = fair_first(rq);
			if (first && (s64)(t->se.vruntime - first->se.vruntime) <= 0)
				t->se.vruntime = first->se.vruntime + 1;
		}
		spin_unlock_raw(&rq->lock);
		switch_thread(true);
	}
	preempt_enable_no_resched();
	irq_restore(f);
}

// Interrupt context, interrupts off.
void sched_tick(void)
{
	struct run_queue *rq = this_rq();
	struct thread *t = rq->curr;
	bool program = trap_tick_was_program();

	if (t == rq->idle && !rq->nr_running) {
		rq->tick_armed = false;
		return;
	}
	timer_set_slice(clock_monotonic_ns() + TICK_NS);
	if (program) {
		t->user_ticks++;
		if (t->nice > 0)
			rq->nice_ns += TICK_NS;
		else
			rq->user_ns += TICK_NS;
	} else if (t != rq->idle) {
		t->system_ticks++;
		rq->system_ns += TICK_NS;
	}
	rcu_hurry();
	spin_lock(&rq->lock);
	rq_update(rq);
	rt_account(rq, t);
	if (t->policy == POLICY_RR && t->se.queued) {
		t->se.rr_left = t->se.rr_left > TICK_NS ? t->se.rr_left - TICK_NS : 0;
		if (!t->se.rr_left) {
			t->se.rr_left = RR_SLICE_NS;
			rt_dequeue(rq, t);
			rt_enqueue(rq, t, false);
			rq_resched(rq);
		}
	} else if (!is_rt(t) && rq->nr_running > 1) {
		struct thread *first = fair_first(rq);
		if ((rq->nr_rt && !rq->rt_spent) ||
		    (first &&
		     (rq->clock_ns - t->se.slice_start >= SLICE_NS || t->policy == POLICY_IDLE) &&
		     (s64)(t->se.vruntime - first->se.vruntime) > 0))
			rq_resched(rq);
	}
	spin_unlock(&rq->lock);
	if (++rq->ticks_since_balance >= 4) {
		rq->ticks_since_balance = 0;
		balance_pull(rq);
	}
	sched_personality_tick(program);
}

static void rq_init(u32 cpu, struct thread *idle)
{
	struct run_queue *rq = rq_of(cpu);

	spin_lock_init(&rq->lock, LOCK_run_queue);
	for (u32 i = 0; i < RT_PRIORITIES; i++)
		list_init(&rq->rt[i]);
	rq->cpu = cpu;
	rq->idle = rq->curr = idle;
	idle->cpu = cpu;
	idle->on_cpu = true;
	idle->policy = POLICY_IDLE;
	idle->affinity = 1ull << cpu;
	idle->se.weight = WEIGHT_IDLE;
	rq->min_vruntime = 1ull << 40;
}

struct thread *sched_idle_create(u32 cpu)
{
	struct thread *t = thread_alloc_idle(cpu);
	if (t)
		rq_init(cpu, t);
	return t;
}

// The thread that booted becomes the boot CPU's idle thread; its stack is the boot stack until it
// has a kernel stack like all others.
void sched_init(void)
{
	static struct thread boot_thread;
	extern char boot_stack_top[];

	refcount_set(&boot_thread.refs, 1);
	__builtin_memcpy(boot_thread.name, "idle/0", 7);
	boot_thread.kstack_top = boot_thread.entry_top = (uintptr_t)boot_stack_top - 8;
	rq_init(0, &boot_thread);
	this_cpu_write(cpu_current, &boot_thread);
	arch_set_kstack_top(boot_thread.kstack_top);
}

void sched_idle_loop(void)
{
	struct run_queue *rq = this_cpu_ptr(run_queue);

	rq->idle_since = clock_monotonic_ns();
	for (;;) {
		irq_disable();
		while (!rq->nr_running && !(atomic_load(&current()->work) & WORK_RESCHED)) {
			irq_enable();
			preempt_disable(); // an idle thread has no place for vector registers that
					   // clearing uses
			bool more = page_idle_clear();
			preempt_enable();
			irq_disable();
			if (more || rq->nr_running ||
			    (atomic_load(&current()->work) & WORK_RESCHED))
				continue;
			preempt_disable(); // interrupts leave the switch to us, who catch up first
			mmu_idle_enter();  // invalidations need not wake us
			rcu_idle_enter();
			cpu_idle();
			irq_disable();
			rcu_idle_exit();
			mmu_idle_exit();
			preempt_enable_no_resched();
		}
		irq_enable();
		schedule();
	}
}
