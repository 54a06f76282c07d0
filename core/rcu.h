// SPDX-License-Identifier: MIT
// Read-copy-update for read-mostly data. Privileged.
// Readers run with preemption off (no sleeping inside); a grace period ends when every CPU has
// switched threads, idled or run a program.
#pragma once
#include "base/atomic.h"
#include "core/preempt.h"

static __always_inline void rcu_read_lock(void)
{
	preempt_disable();
}
static __always_inline void rcu_read_unlock(void)
{
	preempt_enable();
}
#define rcu_load(p)	__atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_store(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *h);
};
// fn runs after a grace period, in a kernel thread; may sleep. Any context but NMI that holds no
// lock of rank run_queue or above.
void rcu_call(struct rcu_head *h, void (*fn)(struct rcu_head *h));
void rcu_synchronize(void); // sleeps for a grace period
void rcu_barrier(void);	    // until all callbacks queued so far have run; not from a callback
void rcu_start_threads(
	void); // once, when kernel threads can be made; what was queued before waits until then

DECLARE_PERCPU(u32, rcu_wanted); // a grace period waits for this CPU
DECLARE_PERCPU(u32, rcu_idling); // this CPU is idle and holds no read section: nobody waits for it
void rcu_quiescent_slow(void);

// This CPU holds no read section. Interrupts or preemption off. To be called
//   by the scheduler at each switch of threads,
//   by the idle loop,
//   by timer and reschedule interrupts that interrupted a program, or kernel code with preemption
//   on.
// Takes no lock.
static __always_inline void rcu_quiescent(void)
{
	if (unlikely(this_cpu_read(rcu_wanted)))
		rcu_quiescent_slow();
}
// The idle loop says so before it halts and after, interrupts off both times. Between the two,
// interrupt handlers that might read call rcu_irq_enter first: it ends the idle state, which the
// idle loop enters again before the next halt.
static __always_inline void rcu_idle_enter(void)
{
	store_seq(this_cpu_ptr(rcu_idling), 1);
	rcu_quiescent();
}
static __always_inline void rcu_idle_exit(void)
{
	store_seq(this_cpu_ptr(rcu_idling), 0);
}
static __always_inline void rcu_irq_enter(void)
{
	if (unlikely(this_cpu_read(rcu_idling)))
		rcu_idle_exit();
}
