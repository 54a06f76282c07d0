// SPDX-License-Identifier: MIT
// rcu.c: grace periods, and the callbacks that wait for them. Privileged.
//
// A read section is code with preemption off. A grace period that begins after an object was
// unlinked ends when every CPU has been seen outside of read sections once (a quiescent state);
// from then on nobody can hold the object.
//
//   cpus_pending   the CPUs that the running grace period still waits for: one bit each, atomic
//   rcu_wanted     per CPU, set by the grace-period thread, cleared by the CPU when it reports.
//                  Only a hint to look: the bit counts
//   rcu_idling     per CPU: idle in HLT, outside of interrupts. Such a CPU is taken as quiescent
//                  without being woken
//
// Ordering. The report is an atomic read-modify-write with full order: what the CPU read in earlier
// sections is done. The grace-period thread sets cpus_pending, then rcu_wanted, then has a full
// barrier, then reads rcu_idling. A CPU entering idle stores rcu_idling (fully ordered) and then
// looks at rcu_wanted: one of the two sees the other. A CPU leaving idle stores rcu_idling, fully
// ordered, before any read section: if it was still seen as idle, its sections see everything
// unlinked before the grace period.
//
// rcu_quiescent() runs inside the scheduler and wakes nobody. The thread "rcu" therefore polls,
// with growing pauses, while a grace period is under way (not otherwise). CPUs that have not
// reported after a few polls, because they run one program without ticks or do not tell that they
// idle, are sent a reschedule interrupt.
//
// rcu_call pushes onto a per-CPU stack without a lock; the thread takes all stacks before it begins
// a grace period and hands the batch to the thread "rcu_callbacks", which runs it: callbacks may
// sleep without holding up grace periods. Batches are numbered. Whoever waits (synchronize,
// barrier) waits for the batch after the one whose collection may be under way.
#include "core/rcu.h"
#include "core/panic.h"
#include "core/smp.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/wait.h"

// Callbacks are left to gather before a grace period, unless somebody waits for it.
constexpr u64 GATHER_NS = 3'000'000;
constexpr u64 POLL_FIRST_NS = 1'000'000;
constexpr u64 POLL_MAX_NS = 8'000'000;
constexpr u32 POLLS_BEFORE_KICK = 2;

DEFINE_PERCPU(u32, rcu_wanted);
DEFINE_PERCPU(u32, rcu_idling);
static DEFINE_PERCPU(struct rcu_head *, callbacks); // a stack, newest first; atomic

static u64 cpus_pending; // atomic

static u64 batch_collected; // number of the last batch whose collection has begun; grace-period
			    // thread writes, atomic
static u64 batch_wanted; // batches up to this one are wanted though they be empty; atomic maximum
static u64 batch_safe;	 // its grace period is over; grace-period thread writes, atomic
static u64 batch_run;	 // its callbacks have run; callback thread writes, atomic
// batch_safe or batch_run has changed.
static struct wait_queue progress = WAIT_QUEUE_INIT(progress);

static struct thread *grace_thread, *callback_thread; // immutable once started
static u32 grace_thread_idle;			      // atomic; 1: has to be woken

static spinlock_t ready_lock = SPINLOCK_INIT(LOCK_rcu);
static struct rcu_head *ready, **ready_end = &ready; // ready_lock: to be run, oldest first
static u64 ready_batch;				     // ready_lock: number of the last batch in it

void rcu_quiescent_slow(void)
{
	this_cpu_write(rcu_wanted, 0);
	__atomic_fetch_and(&cpus_pending, ~(1ull << this_cpu_id()), __ATOMIC_SEQ_CST);
}

static void wake_grace_thread(void)
{
	if (load_once(&grace_thread_idle) && xchg(&grace_thread_idle, 0u))
		thread_wake(grace_thread);
}

void rcu_call(struct rcu_head *h, void (*fn)(struct rcu_head *h))
{
	struct rcu_head **stack, *old;

	h->fn = fn;
	preempt_disable();
	stack = this_cpu_ptr(callbacks);
	old = load_once(stack);
	do {
		h->next = old;
	} while (!try_cmpxchg(stack, &old, h));
	// Full order by the exchange: the thread sees the callback before it idles, or we see it
	// idle. When the stack was not empty, whoever pushed first has woken it.
	if (!old)
		wake_grace_thread();
	preempt_enable();
}

// Whether there is something to begin a grace period for.
static bool work_pending(void)
{
	if (load_once(&batch_wanted) > batch_collected)
		return true;
	for_each_cpu(cpu, cpumask_all())
		if (load_once(percpu_ptr(callbacks, cpu)))
			return true;
	return false;
}

// All callbacks queued, oldest first by CPU. *last is the end of the list.
static struct rcu_head *collect(struct rcu_head **last)
{
	struct rcu_head *list = nullptr;

	*last = nullptr;
	for_each_cpu(cpu, cpumask_all()) {
		struct rcu_head *h = xchg(percpu_ptr(callbacks, cpu), nullptr), *next;

		// The stack's newest becomes the last of its CPU: prepending reverses it.
		for (; h; h = next) {
			next = h->next;
			h->next = list;
			if (!list)
				*last = h;
			list = h;
		}
	}
	return list;
}

static void skip_idle_cpus(void)
{
	for_each_cpu(cpu, load_once(&cpus_pending))
		if (__atomic_load_n(percpu_ptr(rcu_idling, cpu), __ATOMIC_SEQ_CST))
			__atomic_fetch_and(&cpus_pending, ~(1ull << cpu), __ATOMIC_SEQ_CST);
}

static void grace_period(void)
{
	u64 pause_ns = POLL_FIRST_NS;

	preempt_disable(); // this thread is in no read section itself
	__atomic_store_n(&cpus_pending, cpumask_all() & ~(1ull << this_cpu_id()), __ATOMIC_SEQ_CST);
	preempt_enable();
	for_each_cpu(cpu, load_once(&cpus_pending))
		store_once(percpu_ptr(rcu_wanted, cpu), 1u);
	smp_mb();
	skip_idle_cpus();
	for (u32 poll = 1; load_acquire(&cpus_pending); poll++) {
		thread_sleep_ns(pause_ns);
		skip_idle_cpus();
		if (poll >= POLLS_BEFORE_KICK)
			for_each_cpu(cpu, load_once(&cpus_pending))
				smp_kick((u32)cpu);
		pause_ns = min(pause_ns * 2, POLL_MAX_NS);
	}
	smp_mb();
}

static void hand_over(struct rcu_head *list, struct rcu_head *last, u64 batch)
{
	irqflags_t flags = spin_lock_irqsave(&ready_lock);

	if (list) {
		*ready_end = list;
		ready_end = &last->next;
	}
	ready_batch = batch;
	spin_unlock_irqrestore(&ready_lock, flags);
	store_release(&batch_safe, batch);
	wake_all(&progress);
	thread_wake(callback_thread);
}

static void wait_for_work(void)
{
	for (;;) {
		store_once(&grace_thread_idle, 1u);
		thread_prepare_sleep(THREAD_UNINTERRUPTIBLE); // a full barrier
		if (work_pending())
			break;
		schedule();
	}
	thread_finish_sleep();
	store_once(&grace_thread_idle, 0u);
}

static void gather(void)
{
	thread_prepare_sleep(THREAD_UNINTERRUPTIBLE);
	if (load_once(&batch_wanted) <= batch_collected)
		schedule_until(clock_monotonic_ns() + GATHER_NS);
	thread_finish_sleep();
}

static void grace_main(void *)
{
	for (;;) {
		struct rcu_head *list, *last;
		u64 batch;

		wait_for_work();
		gather();
		batch = batch_collected + 1;
		store_seq(&batch_collected, batch);
		list = collect(&last);
		grace_period();
		hand_over(list, last, batch);
	}
}

static struct rcu_head *take_ready(u64 *batch)
{
	irqflags_t flags = spin_lock_irqsave(&ready_lock);
	struct rcu_head *list = ready;

	ready = nullptr;
	ready_end = &ready;
	*batch = ready_batch;
	spin_unlock_irqrestore(&ready_lock, flags);
	return list;
}

static void callback_main(void *)
{
	for (;;) {
		struct rcu_head *h, *next;
		u64 batch;

		thread_prepare_sleep(THREAD_UNINTERRUPTIBLE);
		if (load_acquire(&batch_safe) <= batch_run)
			schedule();
		thread_finish_sleep();

		for (h = take_ready(&batch); h; h = next) {
			next = h->next;
			h->fn(h);
		}
		store_release(&batch_run, batch);
		wake_all(&progress);
	}
}

// The number of a batch that will be collected, and its grace period begun, after now.
static u64 want_batch(void)
{
	u64 wanted, old = load_once(&batch_wanted);

	smp_mb();
	wanted = __atomic_load_n(&batch_collected, __ATOMIC_SEQ_CST) + 1;
	while (old < wanted && !try_cmpxchg(&batch_wanted, &old, wanted))
		;
	thread_wake(grace_thread); // also out of gather()
	return wanted;
}

void rcu_synchronize(void)
{
	u64 batch;

	lockcheck_no_spinlocks("rcu_synchronize");
	// Alone, this thread's running here proves that no other thread is in a read section: those
	// are not preempted.
	if (smp_ncpus <= 1) {
		barrier();
		return;
	}
	assert_always(grace_thread);
	batch = want_batch();
	wait_event(&progress, load_acquire(&batch_safe) >= batch);
}

void rcu_barrier(void)
{
	u64 batch;

	assert_always(grace_thread && current() != callback_thread);
	batch = want_batch();
	wait_event(&progress, load_acquire(&batch_run) >= batch);
}

void rcu_start_threads(void)
{
	callback_thread = kthread_create(callback_main, nullptr, "rcu_callbacks");
	grace_thread = kthread_create(grace_main, nullptr, "rcu");
	if (!callback_thread || !grace_thread)
		panic("no memory for the RCU threads");
	thread_start(callback_thread);
	thread_start(grace_thread);
}
