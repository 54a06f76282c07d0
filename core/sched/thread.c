// SPDX-License-Identifier: MIT
// Threads: making, ending, policies, times. Privileged.
#include "base/errno.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/panic.h"
#include "core/personality.h"
#include "core/sched/sched_priv.h"
#include "core/slab.h"
#include "core/time.h"
#include "core/work.h"

constexpr size_t KSTACK_SIZE = 16384;

// Stacks of threads that ended, one per CPU, so that thread creation does not map and unmap each
// time. Owner CPU, preemption off.
constexpr u32 KSTACK_CACHE = 8;
struct kstack_cache {
	void *stack[KSTACK_CACHE];
	u32 n;
};
static DEFINE_PERCPU(struct kstack_cache, kstack_cache);

static void *kstack_alloc(void)
{
	void *s = nullptr;

	preempt_disable();
	struct kstack_cache *c = this_cpu_ptr(kstack_cache);
	if (c->n)
		s = c->stack[--c->n];
	preempt_enable();
	return s ? s : kvmap_alloc(KSTACK_SIZE);
}

static void kstack_free(void *s)
{
	preempt_disable();
	struct kstack_cache *c = this_cpu_ptr(kstack_cache);
	if (c->n < KSTACK_CACHE) {
		c->stack[c->n++] = s;
		s = nullptr;
	}
	preempt_enable();
	if (s)
		kvmap_free(s, KSTACK_SIZE);
}

static void thread_common(struct thread *t, const char *name)
{
	refcount_set(&t->refs, 1);
	strscpy(t->name, name, sizeof(t->name));
	t->se.weight = WEIGHT_NICE0;
	list_init(&t->se.rt_link);
	t->affinity = ~0ull;
	t->start_ns = clock_monotonic_ns();
	t->cpu = this_cpu_id();
}

int thread_init(struct thread *t, const char *name, void (*release)(struct thread *))
{
	thread_common(t, name);
	t->release = release;
	t->kstack = kstack_alloc();
	if (!t->kstack)
		return -ENOMEM;
	t->kstack_top = t->entry_top = (uintptr_t)t->kstack + KSTACK_SIZE - 8;
	if (arch_thread_alloc(t)) {
		kstack_free(t->kstack);
		t->kstack = nullptr;
		return -ENOMEM;
	}
	return 0;
}

struct thread *thread_alloc_idle(u32 cpu)
{
	struct thread *t = kzalloc(sizeof(*t));

	if (!t)
		return nullptr;
	thread_common(t, "idle");
	snprintf(t->name, sizeof(t->name), "idle/%u", cpu);
	t->kstack = kstack_alloc();
	if (!t->kstack) {
		kfree(t);
		return nullptr;
	}
	t->kstack_top = t->entry_top = (uintptr_t)t->kstack + KSTACK_SIZE - 8;
	return t;
}

static void kthread_release(struct thread *t)
{
	kfree(t);
}

struct thread *kthread_create(void (*fn)(void *arg), void *arg, const char *name)
{
	struct thread *t = kzalloc(sizeof(*t));

	if (!t)
		return nullptr;
	if (thread_init(t, name, kthread_release)) {
		kfree(t);
		return nullptr;
	}
	arch_thread_init_kernel(t, fn, arg);
	return t;
}

void thread_start(struct thread *t)
{
	irqflags_t f = irq_save();
	preempt_disable();
	u32 cpu = sched_pick_cpu_fork(t);
	struct run_queue *rq = rq_of(cpu);

	spin_lock_raw(&rq->lock);
	t->cpu = cpu;
	t->se.vruntime = rq->min_vruntime;
	t->se.rr_left = RR_SLICE_NS;
	rq_enqueue(rq, t, false);
	if (rq->curr == rq->idle ||
	    (is_rt(t) && (!is_rt(rq->curr) || rq->curr->rt_priority < t->rt_priority)))
		rq_resched(rq);
	spin_unlock_raw(&rq->lock);
	irq_restore(f);
	preempt_enable();
}

void thread_exit(void)
{
	irq_disable();
	atomic_store(&current()->state, THREAD_DEAD);
	schedule();
	unreachable_state();
}

// The release function may sleep, and the last reference may go where sleeping is forbidden: a
// worker does it. Lock-free stack.
static struct thread *dead_threads; // linked through se.node.left; atomic
static void reap(struct work *w)
{
	(void)w;
	struct thread *t = __atomic_exchange_n(&dead_threads, nullptr, __ATOMIC_ACQUIRE);
	while (t) {
		struct thread *next = (struct thread *)t->se.node.left;
		arch_thread_free(t);
		kstack_free(t->kstack);
		if (t->release)
			t->release(t);
		t = next;
	}
}
static struct work reap_work = {.link = {&reap_work.link, &reap_work.link}, .fn = reap};

void thread_put(struct thread *t)
{
	if (!refcount_dec_and_test(&t->refs))
		return;
	assert(atomic_load(&t->state) == THREAD_DEAD || !t->on_cpu);
	if (may_sleep()) {
		arch_thread_free(t);
		kstack_free(t->kstack);
		if (t->release)
			t->release(t);
		return;
	}
	struct thread *head = __atomic_load_n(&dead_threads, __ATOMIC_RELAXED);
	do
		t->se.node.left = (struct rb_node *)head;
	while (!__atomic_compare_exchange_n(&dead_threads, &head, t, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	work_queue(&reap_work);
}

// Locks the queue that t belongs to. Interrupts off.
static struct run_queue *thread_rq_lock(struct thread *t)
{
	for (;;) {
		u32 cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
		struct run_queue *rq = rq_of(cpu);
		spin_lock(&rq->lock);
		if (t->cpu == cpu)
			return rq;
		spin_unlock(&rq->lock);
	}
}

static u32 weight_of(enum sched_policy policy, int nice)
{
	return policy == POLICY_IDLE ? WEIGHT_IDLE : sched_nice_weight[nice + 20];
}

void sched_inherit(struct thread *child)
{
	const struct thread *me = current();
	irqflags_t f = irq_save();
	struct run_queue *rq = thread_rq_lock(current());

	child->affinity = me->affinity;
	child->policy = me->policy;
	child->rt_priority = me->rt_priority;
	child->nice = me->nice;
	if (me->reset_on_fork) {
		if (is_rt(me)) {
			child->policy = POLICY_NORMAL;
			child->rt_priority = 0;
		}
		child->nice = max(me->nice, (s8)0);
	}
	child->se.weight = weight_of(child->policy, child->nice);
	spin_unlock(&rq->lock);
	irq_restore(f);
}

int sched_set_policy(struct thread *t, enum sched_policy policy, int rt_priority, int nice)
{
	bool rt = policy == POLICY_FIFO || policy == POLICY_RR;

	if (rt ? rt_priority < 1 || rt_priority > 99 : rt_priority != 0)
		return -EINVAL;
	if ((!rt && policy != POLICY_NORMAL && policy != POLICY_BATCH && policy != POLICY_IDLE) ||
	    nice < -20 || nice > 19)
		return -EINVAL;
	irqflags_t f = irq_save();
	struct run_queue *rq = thread_rq_lock(t);
	bool queued = t->se.queued;
	rq_update(rq);
	if (queued)
		rq_dequeue(rq, t);
	t->policy = policy;
	t->rt_priority = (u8)rt_priority;
	t->nice = (s8)nice;
	t->se.weight = weight_of(policy, nice);
	t->se.rr_left = RR_SLICE_NS;
	if (queued) {
		rq_enqueue(rq, t, false);
		rq_resched(rq);
	}
	spin_unlock(&rq->lock);
	irq_restore(f);
	return 0;
}

// Runs on the CPU that t must leave, or for a queued thread anywhere.
static void move_queued(struct run_queue *rq, struct thread *t)
{
	u32 to = (u32)__builtin_ctzll(t->affinity & cpumask_all());

	rq_dequeue(rq, t);
	t->se.vruntime -= rq->min_vruntime;
	thread_move(t, to);
	spin_unlock(&rq->lock);
	rq = rq_of(to);
	spin_lock(&rq->lock);
	t->se.vruntime += rq->min_vruntime;
	if (t->cpu == to && !t->se.queued) {
		rq_enqueue(rq, t, false);
		rq_resched(rq);
	}
	spin_unlock(&rq->lock);
}

struct migration {
	struct thread *t;
	struct thread *helper;
};
// A thread that runs cannot be moved by others: a kernel thread bound to its CPU preempts it there,
// and then moves it.
static void migrate_helper(void *arg)
{
	struct thread *t = arg;
	irqflags_t f = irq_save();
	struct run_queue *rq = thread_rq_lock(t);

	if (t->se.queued && t != rq->curr && !(t->affinity >> rq->cpu & 1))
		move_queued(rq, t);
	else
		spin_unlock(&rq->lock);
	irq_restore(f);
	thread_put(t);
}

int sched_set_affinity(struct thread *t, cpumask_t mask)
{
	struct thread *helper = nullptr;

	if (!(mask & cpumask_all()))
		return -EINVAL;
	irqflags_t f = irq_save();
	struct run_queue *rq = thread_rq_lock(t);
	t->affinity = mask;
	u32 cpu = rq->cpu;
	if (mask >> cpu & 1) {
		spin_unlock(&rq->lock);
	} else if (t->se.queued && t != rq->curr) {
		move_queued(rq, t);
	} else {
		bool runs = t == rq->curr;
		spin_unlock(&rq->lock);
		irq_restore(f);
		if (!runs)
			return 0; // asleep: placed when it wakes
		helper = kthread_create(migrate_helper, t, "migrate");
		if (!helper)
			return -ENOMEM;
		thread_get(t);
		helper->affinity = 1ull << cpu;
		helper->policy = POLICY_FIFO;
		helper->rt_priority = 99;
		thread_get(helper);
		thread_start(helper);
		// this thread, if it is t, goes on elsewhere from here
		while (atomic_load(&helper->state) != THREAD_DEAD)
			sched_yield();
		thread_put(helper);
		return 0;
	}
	irq_restore(f);
	return 0;
}

u64 sched_rr_interval_ns(const struct thread *t)
{
	return t->policy == POLICY_RR ? RR_SLICE_NS : t->policy == POLICY_FIFO ? 0 : SLICE_NS;
}

u64 thread_runtime_ns(const struct thread *t)
{
	u64 sum = READ_ONCE(t->se.sum_exec);
	if (READ_ONCE(t->on_cpu)) {
		s64 running = (s64)(clock_monotonic_ns() - READ_ONCE(t->se.exec_start));
		if (running > 0)
			sum += (u64)running;
	}
	return sum;
}

void sched_cpu_stats(u32 cpu, struct sched_stats *out)
{
	struct run_queue *rq = rq_of(cpu);

	*out = (struct sched_stats){.switches = rq->switches,
				    .user_ns = rq->user_ns,
				    .nice_ns = rq->nice_ns,
				    .system_ns = rq->system_ns,
				    .idle_ns = rq->idle_ns,
				    .running = rq->nr_running};
	if (READ_ONCE(rq->curr) == rq->idle) {
		s64 since = (s64)(clock_monotonic_ns() - rq->idle_since);
		out->idle_ns += since > 0 ? (u64)since : 0;
	}
}

u32 sched_nr_running(void)
{
	u32 n = 0;
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
		n += READ_ONCE(rq_of(cpu)->nr_running);
	return n;
}

void sched_personality_tick(bool program)
{
	if (personality && personality->tick && current()->id) // a program's thread
		personality->tick(program);
}
