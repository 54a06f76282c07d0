// SPDX-License-Identifier: MIT
// The fair class: threads run in the order of their weighted run time. Privileged; run-queue lock
// held throughout.
#include "core/panic.h"
#include "core/sched/sched_priv.h"

// Each step of nice changes the share by a quarter (as Linux documents it in sched(7): about 1.25).
const u32 sched_nice_weight[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548,  7620,  6100,  4904,  3906,  3121,  2501,	 1991,	1586,  1277,
	1024,  820,   655,   526,   423,   335,	  272,	 215,	172,   137,
	110,   87,    70,    56,    45,	   36,	  29,	 23,	18,    15,
};

static inline struct thread *node_thread(struct rb_node *n)
{
	return container_of(n, struct thread, se.node);
}
static inline bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

static bool less(const struct rb_node *a, const struct rb_node *b)
{
	return before(container_of(a, struct thread, se.node)->se.vruntime,
		      container_of(b, struct thread, se.node)->se.vruntime);
}

void fair_enqueue(struct run_queue *rq, struct thread *t, bool wakeup)
{
	// a sleeper comes back a little ahead of the others, but not with the credit of its whole
	// sleep
	u64 floor = rq->min_vruntime - (wakeup ? SLICE_NS : 0);
	if (before(t->se.vruntime, floor) ||
	    before(rq->min_vruntime + 64 * SLICE_NS, t->se.vruntime))
		t->se.vruntime = floor;
	rb_add_cached(&t->se.node, &rq->fair, less);
}

void fair_dequeue(struct run_queue *rq, struct thread *t)
{
	rb_erase_cached(&t->se.node, &rq->fair);
}

struct thread *fair_first(struct run_queue *rq)
{
	struct rb_node *n = rb_first_cached(&rq->fair);
	return n ? node_thread(n) : nullptr;
}

void fair_account(struct run_queue *rq, u64 now)
{
	struct thread *t = rq->curr;
	u64 ran = now - t->se.exec_start;

	if ((s64)ran <= 0)
		return;
	t->se.exec_start = now;
	t->se.sum_exec += ran;
	if (is_rt(t))
		rq->rt_ran_ns += ran;
	if (t == rq->idle || is_rt(t))
		return;
	t->se.vruntime += t->se.weight == WEIGHT_NICE0 ? ran : ran * WEIGHT_NICE0 / t->se.weight;
	struct thread *first = fair_first(rq);
	u64 low = first && before(first->se.vruntime, t->se.vruntime) ? first->se.vruntime
								      : t->se.vruntime;
	if (before(rq->min_vruntime, low))
		rq->min_vruntime = low;
}

bool fair_should_preempt(const struct run_queue *rq, const struct thread *curr,
			 const struct thread *woken)
{
	if (curr == rq->idle)
		return true;
	if (curr->policy == POLICY_IDLE)
		return woken->policy != POLICY_IDLE;
	if (woken->policy != POLICY_NORMAL)
		return false;
	return before(woken->se.vruntime + WAKE_GRAN_NS, curr->se.vruntime);
}
