// SPDX-License-Identifier: MIT
// lockcheck.c: the lock checker of DEBUG=1 builds: finds possible deadlocks on the first run that
// nests locks wrongly. RELEASE builds do not compile it (mk/kernel.mk). Privileged.
//
// Every lock belongs to a class, every class has a rank (core/lock_classes.def). What is checked
// when a lock is taken:
//   order      all locks held in this context have a smaller rank; equal only when the caller says
//              so (*_nested).
//   recursion  the lock is not held here already.
//   interrupts a class with irq=1 is taken with interrupts off and given back before they come on;
//              one with irq=0 is not taken in an interrupt, nor under a lock with irq=1: an
//              interrupt that met the inner one's holder might wait for the outer one.
//   sleeping   mutexes and rwlocks (rank below 1000) are not taken under a spinlock or in an
//              interrupt.
// Since locks of interrupts can thus never wait for what they interrupted, the two are checked
// apart.
//
// Where it is noted: spinlocks by CPU (their holder cannot migrate), a stack for process context
// and one for interrupts; sleeping locks in struct thread. The stacks are owner CPU only. An NMI
// may come at any instruction here: it uses trylocks only, and the stacks stay right under it
// because a slot is claimed before it is filled, and because it leaves them as it found them.
//
// A violation panics with both places. The checker takes no lock itself; while it reports, it is
// off on this CPU, so that the log's locks cannot make it report again.
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "core/sync/lockcheck.h"
#include "core/thread.h"

#include "base/fmt.h"
#include "base/string.h"

constexpr u32 HELD_SPIN_MAX = 24;
constexpr u16 RANK_SPIN = 1000;

static const struct lock_class_info {
	const char *name;
	u16 rank;
	bool irq;
} classes[LOCK_NCLASSES] = {
	[LOCK_none] = {"none", 0, false},
#define LOCK_CLASS(name, rank, irq, reason) [LOCK_##name] = {#name, rank, irq},
#include "core/lock_classes.def"
#undef LOCK_CLASS
};

struct held_spin {
	const void *lock;
	uintptr_t ip;
	enum lock_class cls;
};

struct held_stack {
	u32 n;
	struct held_spin held[HELD_SPIN_MAX];
};

// [0] process context, [1] interrupts. Owner CPU only.
static DEFINE_PERCPU(struct held_stack[2], held_spins);
static DEFINE_PERCPU(u32, reporting); // owner CPU only
static bool off;		      // set once, by panic
static void (*test_hook)(const char *text);
static struct thread *test_thread; // whose violations go to test_hook

static struct held_stack *stack_here(void)
{
	return &(*this_cpu_ptr(held_spins))[in_interrupt() ? 1 : 0];
}

void lockcheck_off(void)
{
	WRITE_ONCE(off, true);
}

void lockcheck_test_hook(void (*fn)(const char *text))
{
	test_thread = fn ? current() : nullptr;
	WRITE_ONCE(test_hook, fn);
}

static __cold __noinline void violation(const char *what, const void *lock, enum lock_class cls,
					uintptr_t ip, const char *other_what,
					enum lock_class other_cls, uintptr_t other_ip)
{
	char here[64], there[64], text[256];

	preempt_disable();
	if (READ_ONCE(off) || this_cpu_read(reporting))
		goto out;
	this_cpu_write(reporting, 1);
	symbol_name(ip, here, sizeof(here));
	if (other_what)
		scnprintf(text, sizeof(text), "lock check: %s: %s (%p) at %s, %s %s taken at %s",
			  what, classes[cls].name, lock, here, other_what, classes[other_cls].name,
			  symbol_name(other_ip, there, sizeof(there)));
	else
		scnprintf(text, sizeof(text), "lock check: %s: %s (%p) at %s", what,
			  classes[cls].name, lock, here);
	if (READ_ONCE(test_hook) && test_thread == current()) {
		test_hook(text);
	} else {
		lockcheck_off();
		panic("%s", text);
	}
	this_cpu_write(reporting, 0);
out:
	preempt_enable_no_resched();
}

static void check_order(const void *lock, enum lock_class cls, uintptr_t ip, bool nested,
			const void *held, enum lock_class held_cls, uintptr_t held_ip)
{
	if (held == lock)
		violation("taken twice", lock, cls, ip, "while", held_cls, held_ip);
	else if (classes[held_cls].rank >= classes[cls].rank && !(nested && held_cls == cls))
		violation("wrong order", lock, cls, ip, "under", held_cls, held_ip);
}

static void check_spin(const void *lock, enum lock_class cls, bool nested, uintptr_t ip,
		       const struct held_stack *s)
{
	for (u32 i = 0; i < s->n; i++) {
		const struct held_spin *h = &s->held[i];

		check_order(lock, cls, ip, nested, h->lock, h->cls, h->ip);
		if (classes[h->cls].irq && !classes[cls].irq)
			violation("not irq-safe", lock, cls, ip, "under the irq-safe", h->cls,
				  h->ip);
	}
	if (!classes[cls].irq && in_interrupt())
		violation("taken in an interrupt", lock, cls, ip, nullptr, LOCK_none, 0);
}

static void push_spin(struct held_stack *s, const void *lock, enum lock_class cls, uintptr_t ip)
{
	if (classes[cls].irq && irqs_enabled())
		violation("taken with interrupts on", lock, cls, ip, nullptr, LOCK_none, 0);
	if (unlikely(s->n >= HELD_SPIN_MAX)) {
		violation("too many locks held", lock, cls, ip, nullptr, LOCK_none, 0);
		return;
	}
	u32 at = s->n;
	WRITE_ONCE(s->n, at + 1);
	barrier();
	s->held[at] = (struct held_spin){lock, ip, cls};
}

static void release_spin(const void *lock, enum lock_class cls, uintptr_t ip)
{
	struct held_stack *s = stack_here();

	if (classes[cls].irq && irqs_enabled())
		violation("given back with interrupts on", lock, cls, ip, nullptr, LOCK_none, 0);
	for (u32 i = s->n; i-- > 0;) {
		if (s->held[i].lock != lock)
			continue;
		for (u32 j = i; j + 1 < s->n; j++)
			s->held[j] = s->held[j + 1];
		barrier();
		WRITE_ONCE(s->n, s->n - 1);
		return;
	}
	violation("given back but not held", lock, cls, ip, nullptr, LOCK_none, 0);
}

static void check_sleeping(const void *lock, enum lock_class cls, bool nested, uintptr_t ip,
			   const struct thread *t)
{
	preempt_disable(); // or the stack would be another CPU's after the first look
	const struct held_stack *s = stack_here();

	if (in_interrupt())
		violation("may sleep, in an interrupt", lock, cls, ip, nullptr, LOCK_none, 0);
	else if (s->n)
		violation("may sleep", lock, cls, ip, "under spinlock", s->held[s->n - 1].cls,
			  s->held[s->n - 1].ip);
	preempt_enable();
	for (u32 i = 0; i < t->nheld; i++)
		check_order(lock, cls, ip, nested, t->held[i].lock, (enum lock_class)t->held[i].cls,
			    t->held[i].ip);
}

static void push_sleeping(const void *lock, enum lock_class cls, uintptr_t ip, struct thread *t)
{
	if (unlikely(t->nheld >= ARRAY_SIZE(t->held))) {
		violation("too many locks held", lock, cls, ip, nullptr, LOCK_none, 0);
		return;
	}
	t->held[t->nheld++] = (struct held_lock){lock, cls, ip};
}

static void release_sleeping(const void *lock, enum lock_class cls, uintptr_t ip, struct thread *t)
{
	for (u32 i = t->nheld; i-- > 0;) {
		if (t->held[i].lock != lock)
			continue;
		t->nheld--;
		for (u32 j = i; j < t->nheld; j++)
			t->held[j] = t->held[j + 1];
		return;
	}
	violation("given back but not held by this thread", lock, cls, ip, nullptr, LOCK_none, 0);
}

void lockcheck_acquire(const void *lock, enum lock_class cls, bool nested, uintptr_t ip)
{
	if (READ_ONCE(off))
		return;
	if (unlikely(cls == LOCK_none || cls >= LOCK_NCLASSES)) {
		violation("not initialised", lock, LOCK_none, ip, nullptr, LOCK_none, 0);
	} else if (classes[cls].rank >= RANK_SPIN) {
		struct held_stack *s = stack_here();

		if (s->n || !classes[cls].irq)
			check_spin(lock, cls, nested, ip, s);
		push_spin(s, lock, cls, ip);
	} else if (current()) {
		check_sleeping(lock, cls, nested, ip, current());
		push_sleeping(lock, cls, ip, current());
	}
}

void lockcheck_acquired_try(const void *lock, enum lock_class cls, uintptr_t ip)
{
	if (READ_ONCE(off))
		return;
	if (classes[cls].rank >= RANK_SPIN)
		push_spin(stack_here(), lock, cls, ip);
	else if (current())
		push_sleeping(lock, cls, ip, current());
}

void lockcheck_release(const void *lock, enum lock_class cls)
{
	uintptr_t ip = (uintptr_t)__builtin_return_address(0);

	if (READ_ONCE(off) || cls >= LOCK_NCLASSES)
		return;
	if (classes[cls].rank >= RANK_SPIN)
		release_spin(lock, cls, ip);
	else if (current())
		release_sleeping(lock, cls, ip, current());
}

bool lockcheck_holds(const void *lock)
{
	const struct thread *t = current();
	bool found = READ_ONCE(off);

	preempt_disable();
	const struct held_stack *s = stack_here();
	for (u32 i = 0; i < s->n && !found; i++)
		found = s->held[i].lock == lock;
	preempt_enable();
	for (u32 i = 0; t && i < t->nheld && !found; i++)
		found = t->held[i].lock == lock;
	return found;
}

void lockcheck_no_spinlocks(const char *what)
{
	const struct held_stack *s;
	uintptr_t ip = (uintptr_t)__builtin_return_address(0);
	char text[64];

	if (READ_ONCE(off))
		return;
	bool preemptible = !(this_cpu_read(preempt_count) & PREEMPT_MASK);
	preempt_disable();
	s = stack_here();
	if (in_interrupt()) {
		scnprintf(text, sizeof(text), "%s in an interrupt", what);
		violation(text, nullptr, LOCK_none, ip, nullptr, LOCK_none, 0);
	} else if (s->n) {
		scnprintf(text, sizeof(text), "%s under a spinlock", what);
		violation(text, s->held[s->n - 1].lock, LOCK_none, ip, "holding",
			  s->held[s->n - 1].cls, s->held[s->n - 1].ip);
	} else if (!preemptible) {
		scnprintf(text, sizeof(text), "%s with preemption off", what);
		violation(text, nullptr, LOCK_none, ip, nullptr, LOCK_none, 0);
	}
	preempt_enable_no_resched(); // the caller is about to schedule anyway
}

void lockcheck_print_held(void)
{
	const struct thread *t = current();
	char name[64];

	for (u32 context = 0; context < 2; context++) {
		const struct held_stack *s = &(*this_cpu_ptr(held_spins))[context];

		for (u32 i = 0; i < min(s->n, HELD_SPIN_MAX); i++)
			log_err("  holds %s (%p), taken at %s%s", classes[s->held[i].cls].name,
				s->held[i].lock, symbol_name(s->held[i].ip, name, sizeof(name)),
				context ? ", in an interrupt" : "");
	}
	for (u32 i = 0; t && i < min(t->nheld, (u32)ARRAY_SIZE(t->held)); i++)
		log_err("  holds %s (%p), taken at %s",
			classes[t->held[i].cls % LOCK_NCLASSES].name, t->held[i].lock,
			symbol_name(t->held[i].ip, name, sizeof(name)));
}
