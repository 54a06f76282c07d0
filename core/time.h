// SPDX-License-Identifier: MIT
// Clocks and one-shot timers. Privileged.
#pragma once
#include "base/list.h"
#include "base/rbtree.h"
#include "base/types.h"

u64 clock_monotonic_ns(
	void); // since boot, never backwards on any CPU, a dozen instructions with the TSC
u64 clock_realtime_ns(void); // since 1970
void clock_set_realtime(u64 ns);
const char *clock_source_name(void); // "tsc" or "hpet"
u64 clock_tsc_hz(void);

// What the vDSO needs to compute the same times; written under a sequence counter (odd: being
// written). Shared with programs, read-only.
struct clock_page {
	u32 seq;
	u32 mode; // 0: make the system call; 1: x86 TSC; 2: arm64 virtual counter
	u64 cycles_last;
	u64 mult; // ns = base + ((cycles - cycles_last) * mult >> shift); the product is 128 bits
		  // wide
	u32 shift;
	u32 cpu_in_register; // programs can read their CPU's number. Written once
	u64 monotonic_base_ns;
	u64 realtime_offset_ns; // realtime = monotonic + this
};
struct page;
struct page *clock_page_get(void); // the page that holds it at offset 0

// One-shot timers. fn runs in interrupt context with interrupts off on the CPU that started it.
struct timer {
	struct rb_node node; // that CPU's timer lock
	u64 expires_ns;	     // monotonic
	void (*fn)(struct timer *t);
	u32 cpu;     // atomic; whose lock guards it: where it is queued, or was last. Changes under
		     // both CPUs' locks
	bool queued; // that CPU's timer lock
};
void timer_init(struct timer *t, void (*fn)(struct timer *));
void timer_start(struct timer *t,
		 u64 expires_ns);	 // (re)arms; any context; fn may restart its own timer
bool timer_cancel(struct timer *t);	 // true: it was pending and will not run. Does not wait
void timer_cancel_sync(struct timer *t); // also waits until a running fn has returned; not from fn,
					 // not with a lock fn takes
void time_init(void);			 // boot CPU: finds and calibrates the clock
void time_init_cpu(void);		 // every other CPU
// Interrupt of the per-CPU timer device: runs what expired, programs the next. Called by arch.
void timer_interrupt(void);
// The scheduler's slice on this CPU: calls sched_tick() at the time (~0: none). Interrupts off.
void timer_set_slice(u64 expires_ns);
void sched_tick(void);
