// SPDX-License-Identifier: MIT
// Placement of threads on CPUs: where wakees and children go, and what an idle CPU takes from busy
// ones. Privileged.
#include "core/sched/sched_priv.h"

static inline u32 load(u32 cpu)
{
	return READ_ONCE(rq_of(cpu)->nr_running);
}

static u32 idle_cpu(cpumask_t allowed, u32 first)
{
	if (allowed >> first & 1 && !load(first))
		return first;
	for_each_cpu(cpu, allowed)
		if (!load((u32)cpu))
			return (u32)cpu;
	return CPU_MAX;
}

// Waking on another CPU costs an interrupt and, under emulation, several times a local switch: so a
// waker that is about to sleep keeps its wakee, and otherwise the wakee goes where it ran last if
// that CPU is idle.
u32 sched_pick_cpu(struct thread *t, u32 waker, bool sync)
{
	cpumask_t allowed = t->affinity & cpumask_all();
	u32 last = t->cpu;

	if (sync && allowed >> waker & 1 && load(waker) <= 1)
		return waker;
	u32 idle = idle_cpu(allowed, last);
	if (idle < CPU_MAX)
		return idle;
	if (!(allowed >> last & 1))
		last = (u32)__builtin_ctzll(allowed);
	if (allowed >> waker & 1 && load(waker) < load(last))
		return waker;
	return last;
}

u32 sched_pick_cpu_fork(const struct thread *t)
{
	cpumask_t allowed = t->affinity & cpumask_all();
	u32 here = this_cpu_id(), best = CPU_MAX, least = ~0u;

	for_each_cpu(cpu, allowed) {
		u32 n = load((u32)cpu);
		if (n < least || (n == least && cpu == here)) {
			least = n;
			best = (u32)cpu;
		}
	}
	return best;
}

static struct thread *movable(struct run_queue *from, u32 to)
{
	for (struct rb_node *n = rb_first_cached(&from->fair); n; n = rb_next(n)) {
		struct thread *t = container_of(n, struct thread, se.node);
		if (t != from->curr && t->affinity >> to & 1 &&
		    !__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
			return t;
	}
	return nullptr;
}

bool balance_pull(struct run_queue *rq)
{
	u32 mine = rq->nr_running, busiest = CPU_MAX, most = mine + 1;

	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		u32 n = load(cpu);
		if (cpu != rq->cpu && n > most) {
			most = n;
			busiest = cpu;
		}
	}
	if (busiest == CPU_MAX)
		return false;
	struct run_queue *from = rq_of(busiest);
	spin_lock(&from->lock);
	struct thread *t = from->nr_running > mine + 1 ? movable(from, rq->cpu) : nullptr;
	if (t) {
		rq_dequeue(from, t);
		// keeps its place relative to the others of the queue
		t->se.vruntime -= from->min_vruntime;
		thread_move(t, rq->cpu);
	}
	spin_unlock(&from->lock);
	if (!t)
		return false;
	// Whatever its state says it must be queued: it may have been preempted between setting the
	// state and going to sleep. Only a wake-up in between, which finds it not queued, may have
	// done so already or even have sent it elsewhere.
	spin_lock(&rq->lock);
	t->se.vruntime += rq->min_vruntime;
	if (t->cpu == rq->cpu && !t->se.queued)
		rq_enqueue(rq, t, false);
	spin_unlock(&rq->lock);
	return true;
}
