// SPDX-License-Identifier: MIT
// Read-copy-update for read-mostly data. Privileged.
// Readers run with preemption off (no sleeping inside); a grace period ends when every CPU has switched threads, idled or run a program.
#pragma once
#include "base/atomic.h"
#include "core/preempt.h"

static __always_inline void rcu_read_lock(void) { preempt_disable(); }
static __always_inline void rcu_read_unlock(void) { preempt_enable(); }
#define rcu_load(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_store(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *h);
};
void rcu_call(struct rcu_head *h, void (*fn)(struct rcu_head *h)); // fn runs after a grace period, in a kernel thread; may sleep. Any context
void rcu_synchronize(void); // sleeps for a grace period
void rcu_barrier(void);	    // until all callbacks queued so far have run
void rcu_init(void);
// Called by the scheduler (each switch), the idle loop and interrupts from programs: this CPU holds no read section.
void rcu_quiescent(void);
