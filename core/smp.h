// SPDX-License-Identifier: MIT
// The set of CPUs and calls across them. Privileged.
#pragma once
#include "base/types.h"
#include "core/percpu.h"

typedef u64 cpumask_t; // bit n: CPU n; CPU_MAX is 64
extern u32 smp_ncpus;  // CPUs that run, numbered 0..smp_ncpus-1; immutable after smp_init()
static inline cpumask_t cpumask_all(void)
{
	return smp_ncpus == 64 ? ~0ull : (1ull << smp_ncpus) - 1;
}
#define for_each_cpu(cpu, mask) \
	for (u64 m_ = (mask), cpu = 0; m_ && (cpu = (u64)__builtin_ctzll(m_), true); m_ &= m_ - 1)

// Runs fn(arg) on every CPU of mask but this one, in interrupt context with interrupts off there,
// and waits until all are done. Callable with interrupts on only; preemption is held off inside. fn
// must not sleep or take a lock that is not irq-safe.
void smp_call(cpumask_t mask, void (*fn)(void *arg), void *arg);

// Asks a CPU to look at its run queue. Any context.
void smp_kick(u32 cpu);

// Starts the other CPUs. Boot CPU, once, interrupts on.
void smp_init(void);

// Panic only: stops the others by NMI after each printed its backtrace. Waits at most 1 s.
void smp_stop_others(void);

// An id of the CPU as firmware knows it (x86: APIC id), for /proc/cpuinfo and MSI targets.
u32 smp_hw_id(u32 cpu);
