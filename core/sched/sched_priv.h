// SPDX-License-Identifier: MIT
// Run queues. Private to core/sched. Privileged.
#pragma once
#include "base/list.h"
#include "base/rbtree.h"
#include "core/lock.h"
#include "core/percpu.h"
#include "core/thread.h"

constexpr u32 RT_PRIORITIES = 100;
constexpr u64 TICK_NS = 4'000'000;	// while a CPU is not idle
constexpr u64 SLICE_NS = 3'000'000;	// a fair thread's turn while others wait
constexpr u64 WAKE_GRAN_NS = 1'000'000; // how far ahead a woken thread must be to preempt
constexpr u64 RR_SLICE_NS = 100'000'000;
// Of each period real-time threads get so much while others want to run.
constexpr u64 RT_PERIOD_NS = SCHED_RT_PERIOD_US * 1000, RT_RUNTIME_NS = SCHED_RT_RUNTIME_US * 1000;
constexpr u32 WEIGHT_NICE0 = 1024;
constexpr u32 WEIGHT_IDLE = 3;

struct run_queue {
	spinlock_t lock; // LOCK_run_queue, interrupts off. Guards everything below but what says
			 // otherwise
	struct thread *curr; // read racily by wake-ups and mutexes
	struct thread *idle; // immutable
	u32 cpu;	     // immutable
	u32 nr_running;	     // queued threads, curr included, idle not; read racily
	u32 nr_rt;
	struct rb_root_cached fair; // queued fair threads but curr, by vruntime
	u64 min_vruntime;
	struct list rt[RT_PRIORITIES]; // all queued real-time threads, curr included
	u64 rt_bitmap[2];
	u64 rt_period_ns; // when it began
	u64 rt_ran_ns;	  // since then
	bool rt_spent;	  // others go first until the next one
	u64 clock_ns;	  // last reading
	bool tick_armed;  // owner CPU, interrupts off
	u32 ticks_since_balance;
	// statistics; owner CPU, read racily
	u64 switches;
	u64 user_ns, nice_ns, system_ns, idle_ns;
	u64 idle_since;
};
DECLARE_PERCPU(struct run_queue, run_queue);
static inline struct run_queue *rq_of(u32 cpu)
{
	return percpu_ptr(run_queue, cpu);
}
static inline struct run_queue *this_rq(void)
{
	return this_cpu_ptr(run_queue);
}

static inline bool is_rt(const struct thread *t)
{
	return t->policy == POLICY_FIFO || t->policy == POLICY_RR;
}

// t, which is not queued, belongs to another CPU from here on; lock of its old queue held
static inline void thread_move(struct thread *t, u32 to)
{
	__atomic_store_n(&t->cpu, to, __ATOMIC_RELAXED);
	if (t->notify_moves)
		atomic_or(&t->work, WORK_NOTIFY);
}

extern const u32 sched_nice_weight[40];

// fair.c; lock held
void fair_enqueue(struct run_queue *rq, struct thread *t, bool wakeup);
void fair_dequeue(struct run_queue *rq, struct thread *t);
struct thread *fair_first(struct run_queue *rq);
void fair_account(struct run_queue *rq, u64 now); // charges curr
bool fair_should_preempt(const struct run_queue *rq, const struct thread *curr,
			 const struct thread *woken);

// sched.c
void rq_enqueue(struct run_queue *rq, struct thread *t, bool wakeup);
void rq_dequeue(struct run_queue *rq, struct thread *t);
void rq_resched(struct run_queue *rq); // asks its CPU to pick again
void sched_tick_start(struct run_queue *rq);
void rq_update(struct run_queue *rq); // reads the clock, charges curr

void sched_thread_begins(struct thread *prev); // called by the first instruction of every thread

// thread.c
struct thread *thread_alloc_idle(u32 cpu);
void sched_personality_tick(bool program);

// balance.c
u32 sched_pick_cpu(struct thread *t, u32 waker, bool sync); // where a woken thread should run
u32 sched_pick_cpu_fork(const struct thread *t);
bool balance_pull(struct run_queue *rq); // idle or tick: takes a thread from the busiest queue. No
					 // lock held, interrupts off
