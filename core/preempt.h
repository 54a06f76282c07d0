// SPDX-License-Identifier: MIT
// Preemption and interrupt state of this CPU. Privileged.
//
// preempt_count is per CPU: the low bits count preempt_disable, IRQ bits the interrupts being
// served, and the top bit is SET while no reschedule is wanted, so that "count is zero" means
// "nothing holds preemption off and a reschedule is wanted".
#pragma once
#include "core/percpu.h"
#include <arch/irqflags.h> // irqflags_t, irq_save, irq_restore, irq_enable, irq_disable, irqs_enabled

constexpr u32 PREEMPT_NO_RESCHED = 1u << 31;
constexpr u32 PREEMPT_IRQ = 1u << 16; // one per nested interrupt
constexpr u32 PREEMPT_IRQ_MASK = 0xffu << 16;
constexpr u32 PREEMPT_MASK = PREEMPT_NO_RESCHED - 1;

DECLARE_PERCPU(u32, preempt_count);
void preempt_schedule(void); // switches away; returns when this thread runs again. Does nothing
			     // with interrupts off
void preempt_schedule_irq(
	void); // the same at the end of an interrupt: interrupts off before and after

static __always_inline void preempt_disable(void)
{
	this_cpu_nest(preempt_count);
	barrier();
}
static __always_inline void preempt_enable_no_resched(void)
{
	barrier();
	this_cpu_unnest(preempt_count);
}
static __always_inline void preempt_enable(void)
{
	barrier();
	if (unlikely(this_cpu_unnest_is_zero(preempt_count)))
		preempt_schedule();
}
static inline bool in_interrupt(void)
{
	return this_cpu_read(preempt_count) & PREEMPT_IRQ_MASK;
}
// May this context sleep? (preemption on, not in an interrupt)
static inline bool may_sleep(void)
{
	return !(this_cpu_read(preempt_count) & PREEMPT_MASK) && irqs_enabled();
}
