// SPDX-License-Identifier: MIT
// timer.c: one-shot timers: each CPU's queue, and when its hardware is to interrupt. Privileged.
//
// Every CPU has a tree of timers by expiry, whose first node is at hand, and besides the end of the
// scheduler's slice, which changes with each switch of threads and therefore is one word instead of
// a node. Its hardware is programmed for the earlier of the two, but only ever forward: cancelling
// a timer or putting the slice off leaves the hardware alone. It then interrupts once for nothing,
// which is cheaper than programming it each time, for most timeouts are cancelled long before they
// are due.
//
// A timer belongs to the CPU in t->cpu even while idle: that CPU's lock guards it. timer_start
// takes it over to this CPU under both locks, unless its function runs at that moment: then it
// stays where it is, so that a function never runs twice at once. Once fn was called the timer is
// not touched again: it may be freed then. `running` is compared, never followed.
#include "core/lock.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "core/time.h"
#include <arch/cpu.h>
#include <arch/timer.h>

constexpr u64 NEVER = ~0ull;

struct timer_cpu {
	spinlock_t lock;	    // LOCK_timer
	struct rb_root_cached tree; // lock
	struct timer *running;	    // lock; what this CPU's interrupt is calling now
	u64 slice_ns;		    // owner CPU only, interrupts off
	u64 programmed_ns; // owner CPU only, interrupts off; when the hardware will interrupt
	bool in_interrupt; // owner CPU only: timer_interrupt programs the hardware at its end
};

static DEFINE_PERCPU(struct timer_cpu, timers) = {
	.lock = SPINLOCK_INIT(LOCK_timer),
	.slice_ns = NEVER,
	.programmed_ns = NEVER,
};

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	*t = (struct timer){.fn = fn};
}

static bool expires_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct timer, node)->expires_ns <
	       rb_entry(b, struct timer, node)->expires_ns;
}

static u64 first_expiry(const struct timer_cpu *tc)
{
	const struct rb_node *first = rb_first_cached(&tc->tree);

	return first ? rb_entry(first, struct timer, node)->expires_ns : NEVER;
}

// Owner CPU, interrupts off.
static void program(struct timer_cpu *tc, u64 expires_ns)
{
	if (expires_ns >= tc->programmed_ns || tc->in_interrupt)
		return;
	tc->programmed_ns = expires_ns;
	arch_timer_program(expires_ns);
}

// Locks the CPU that the timer belongs to. Interrupts off.
static struct timer_cpu *lock_owner(struct timer *t)
{
	for (;;) {
		u32 cpu = load_once(&t->cpu);
		struct timer_cpu *tc = percpu_ptr(timers, cpu);

		spin_lock(&tc->lock);
		if (likely(load_once(&t->cpu) == cpu))
			return tc;
		spin_unlock(&tc->lock);
	}
}

static void remove_locked(struct timer_cpu *tc, struct timer *t)
{
	if (!t->queued)
		return;
	rb_erase_cached(&t->node, &tc->tree);
	t->queued = false;
}

// Takes the timer off its queue and makes it this CPU's if that may be. Returns the CPU that it
// belongs to now, locked.
static struct timer_cpu *take_over(struct timer *t, struct timer_cpu *here)
{
	for (;;) {
		struct timer_cpu *owner = lock_owner(t), *first, *second;

		remove_locked(owner, t);
		if (likely(owner == here) || owner->running == t)
			return owner;
		// Two locks of one class are taken by address.
		spin_unlock(&owner->lock);
		first = owner < here ? owner : here;
		second = owner < here ? here : owner;
		spin_lock(&first->lock);
		spin_lock_nested(&second->lock);
		if (percpu_ptr(timers, load_once(&t->cpu)) == owner && !t->queued &&
		    owner->running != t) {
			store_once(&t->cpu, this_cpu_id());
			spin_unlock(&owner->lock);
			return here;
		}
		spin_unlock(&second->lock); // somebody else was faster: once more
		spin_unlock(&first->lock);
	}
}

void timer_start(struct timer *t, u64 expires_ns)
{
	irqflags_t flags = irq_save();
	struct timer_cpu *here = this_cpu_ptr(timers);
	struct timer_cpu *tc = take_over(t, here);

	assert(t->fn);
	t->expires_ns = expires_ns;
	t->queued = true;
	rb_add_cached(&t->node, &tc->tree, expires_before);
	// Another CPU's queue means that its interrupt is at work on it: it looks again before it
	// leaves.
	if (tc == here && rb_first_cached(&tc->tree) == &t->node)
		program(tc, expires_ns);
	spin_unlock_irqrestore(&tc->lock, flags);
}

bool timer_cancel(struct timer *t)
{
	irqflags_t flags = irq_save();
	struct timer_cpu *tc = lock_owner(t);
	bool was_queued = t->queued;

	remove_locked(tc, t);
	spin_unlock_irqrestore(&tc->lock, flags);
	return was_queued;
}

void timer_cancel_sync(struct timer *t)
{
	for (;;) {
		irqflags_t flags = irq_save();
		struct timer_cpu *tc = lock_owner(t);
		bool running = tc->running == t;

		assert(!running || tc != this_cpu_ptr(timers)); // from fn it would wait for itself
		remove_locked(tc, t);
		spin_unlock_irqrestore(&tc->lock, flags);
		if (!running)
			return;
		while (load_acquire(&tc->running) == t)
			cpu_relax();
	}
}

// Calls what is due. lock held; dropped around each call.
static void run_expired(struct timer_cpu *tc, u64 now)
{
	struct rb_node *first;

	while ((first = rb_first_cached(&tc->tree))) {
		struct timer *t = rb_entry(first, struct timer, node);

		if (t->expires_ns > now)
			return;
		remove_locked(tc, t);
		tc->running = t;
		void (*fn)(struct timer *) = t->fn;
		spin_unlock(&tc->lock);
		fn(t);
		spin_lock(&tc->lock);
		store_release(&tc->running, nullptr);
	}
}

void timer_interrupt(void)
{
	struct timer_cpu *tc = this_cpu_ptr(timers);
	u64 now = clock_monotonic_ns(), next;

	assert(!irqs_enabled());
	tc->in_interrupt = true;
	tc->programmed_ns = NEVER; // it has fired
	spin_lock(&tc->lock);
	run_expired(tc, now);
	spin_unlock(&tc->lock);
	if (tc->slice_ns <= now) {
		tc->slice_ns = NEVER;
		sched_tick();
	}
	// What became due meanwhile interrupts again at once: the interrupted code gets its turn in
	// between.
	spin_lock(&tc->lock);
	next = min(first_expiry(tc), tc->slice_ns);
	tc->in_interrupt = false;
	if (next != NEVER)
		program(tc, next);
	spin_unlock(&tc->lock);
}

void timer_set_slice(u64 expires_ns)
{
	struct timer_cpu *tc = this_cpu_ptr(timers);

	tc->slice_ns = expires_ns;
	program(tc, expires_ns);
}
