// SPDX-License-Identifier: MIT
// gate.c: the crossing between core and services, in both directions.
//
// Purpose. A gate is a call across the privilege line on the same thread: its identity, accounting
// and priority stay with the caller. gate_call() leads from core down into a service; a gate stub
// leads from a service up into core, to one of the calls of abi/gate/calls.def. They nest: a call
// from a file system leads to the block layer, and that calls a driver.
//
// What happens on the way down. The thread takes a stack inside the service (struct gate_stack),
// which is at the same time the record of the call: thread.gate points to the innermost record,
// `outer` to the one around it. arch_gate_enter() keeps what the thread has on its kernel stack,
// makes later entries build their frames below it (thread.entry_top), loads the service's view, and
// goes to ring 3. The service's function returns to a stub, which comes back by a system call; or
// the record's thread leaves by arch_gate_leave(), from deeper on its kernel stack.
//
// The view is not left again at once: the kernel's half is the same in all of them. A thread with a
// program reloads its own view when it goes back there (WORK_ROOT), or when core touches the
// program's memory (a page fault, space_reload_for_fault).
//
// Who may leave a gate, and when. A thread is inside a service while it runs the service's code; at
// that time it holds no lock of core's. Whenever it is about to run there (from an interrupt, a
// call, a switch: gate_resume) it compares the life that its stack belongs to with the one that the
// service is in (service.live). If they differ the service died, and the thread leaves with -EIO.
// So nobody has to look for the threads inside: a dead service's memory may be taken away at once,
// for who still runs in it faults, and then leaves too.
//
// No call enters a dead service: the caller takes the stack first (a full barrier) and looks at
// `live` then; the one who ends the life clears `live` first.
//
// Deadlines. Computing: the scheduler's tick counts in the record when it meets the thread inside
// the service. Sleeping: gate_sleep_deadline() bounds every wait. Being killed: waits end, the
// service runs to its end, and the thread dies when it is out.
//
// Privileged services are called directly (gate_port.direct), without a record: they have no
// deadlines, and a fault of theirs is a fault of the kernel.
//
// Assembly does what is done on every call: the CPU's own stack (stacks[cpu]) is claimed, checked
// and entered there. gate_call_slow() here does it when that stack is in use or has no memory yet,
// for callers that are elevated, and for isolated services, whose callers' registers are hidden as
// well.
//
// Locks. None on the way. gate_stack.thread is claimed by compare-and-exchange; the rest of a
// record is written by the thread that claimed it.
#include "core/gate/gate_calls.h"
#include "base/fmt.h"
#include "core/elevate.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/time.h"
#include <arch/frame.h>
#include <arch/gate.h>

// ---- stacks ----

static __always_inline bool stack_claim(struct gate_stack *st, struct thread *t)
{
	struct thread *nobody = nullptr;

	return try_cmpxchg(&st->thread, &nobody, t);
}

static struct gate_stack *stack_find(struct service *s, struct thread *t)
{
	for (u32 i = 0; i < GATE_STACKS; i++)
		if (!load_once(&s->stacks[i].thread) && stack_claim(&s->stacks[i], t))
			return &s->stacks[i];
	return nullptr;
}

static __noinline struct gate_stack *stack_claim_slow(struct service *s, struct thread *t)
{
	struct gate_stack *st = stack_find(s, t);

	if (st)
		return st;
	__atomic_fetch_add(&s->stack_waiters, 1, __ATOMIC_SEQ_CST);
	ATOMIC_FENCE_AFTER();
	wait_event(&s->stack_wait, (st = stack_find(s, t)) || !load_once(&s->live));
	__atomic_fetch_sub(&s->stack_waiters, 1, __ATOMIC_SEQ_CST);
	return st;
}

void gate_stack_wake(struct service *s)
{
	wake_all(&s->stack_wait);
}

// The stack has no memory in this life of the service yet, or the port is of an earlier one.
static __noinline int enter_slow(struct service *s, struct gate_stack *st, u32 generation)
{
	u32 live = load_once(&s->live);

	if (!live)
		return -EIO;
	if (live != generation)
		return -ENODEV;
	return gate_stack_prepare(s, st);
}

// ---- down ----

long gate_call_slow(struct gate_port *p, u32 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct thread *t = current();
	struct service *s = p->service;
	u32 generation = load_once(&p->generation); // of the life that is called, not 0
	void *kept = nullptr;
	long r;

	assert(op < GATE_OPS_MAX && may_sleep());
	if (!s || !generation)
		return -ENODEV;
	struct gate_stack *st = stack_claim_slow(s, t);

	if (!st)
		return -EIO;
	bool hide = s->isolation == ISOLATION_ISOLATED;

	r = load_once(&s->live) == generation && st->generation == generation
		    ? 0
		    : enter_slow(s, st, generation);
	if (!r && hide)
		r = arch_gate_registers_hide(&kept);
	if (r) {
		(void)xchg(&st->thread, nullptr);
		if (load_once(&s->stack_waiters))
			gate_stack_wake(s);
		return r;
	}
	u32 elevated = t->elevated; // of whoever called us: the service is not

	t->elevated = 0;
	r = arch_gate_enter(st, p, op, a1, a2, a3, a4, a5);
	t->elevated = elevated;
	if (hide)
		arch_gate_registers_unhide(kept);
	return r;
}

int gate_port_bind(struct gate_port *p, struct service *s, const struct gate_interface *i,
		   u64 cookie, const void *ops)
{
	const u64 *entries = ops;

	assert(i->nops <= GATE_OPS_MAX && (!p->service || p->service == s));
	for (u32 n = 0; n < i->nops; n++)
		if (entries[n] < s->text_start || entries[n] >= s->text_end)
			return -EINVAL;
	for (u32 n = 0; n < i->nops; n++)
		p->entry[n] = entries[n];
	p->interface = i;
	p->cookie = cookie;
	p->limit_ticks = s->limit_ticks;
	p->service = s;
	p->generation = s->generation;
	p->fast = s->isolation == ISOLATION_ISOLATED ? GATE_NEVER_FAST : s->generation;
	p->direct = s->isolation == ISOLATION_PRIVILEGED;
	return 0;
}

void gate_port_fault(struct gate_port *p, const char *why)
{
	struct service *s = p->service;

	if (!s || !service_die(s, p->generation, why))
		return;
	atomic_inc(&s->faults);
	klog(LOG_CRIT, "---[ service %s (%s): %s ]---", s->name, isolation_name(s->isolation), why);
	service_bury(s, true);
}

void gate_port_unbind(struct gate_port *p)
{
	p->direct = false;
	p->generation = 0;
	p->fast = GATE_NEVER_FAST;
}

// ---- back into the service ----

[[noreturn]] static void leave(struct gate_stack *st)
{
	struct thread *t = current();

	irq_disable();
	t->elevated = 0;
	arch_gate_leave(st, -EIO);
}

static bool overdue(const struct gate_stack *st)
{
	u32 limit = st->port->limit_ticks;

	return limit && st->ticks > limit;
}

void gate_resume(struct trap_frame *f)
{
	struct thread *t = current();
	struct gate_stack *st = t->gate;

	while (atomic_load(&t->work) & WORK_RESCHED) {
		irq_enable();
		schedule();
		irq_disable();
	}
	if (unlikely(load_once(&st->service->live) != st->generation))
		leave(st);
	if (unlikely(overdue(st)))
		gate_fault(f, "deadline of the call exceeded",
			   st->deadline_ns && clock_monotonic_ns() >= st->deadline_ns
				   ? "it was sleeping"
				   : "it was computing");
	arch_gate_view_load(st, t->elevated);
}

void gate_fault(struct trap_frame *f, const char *what, const char *detail)
{
	struct gate_stack *st = current()->gate;
	struct service *s = st->service;

	irq_enable();
	if (service_die(s, st->generation, what)) {
		atomic_inc(&s->faults);
		service_report(f, st, what, detail);
		service_bury(s, true);
	}
	leave(st);
}

void gate_tick(void)
{
	current()->gate->ticks++;
}

// ---- what calls from services need ----

u64 gate_sleep_deadline(void)
{
	struct gate_stack *st = current()->gate;

	if (!st || !st->port->limit_ticks)
		return ~0ull;
	if (!st->deadline_ns)
		st->deadline_ns = clock_monotonic_ns() + st->service->deadline_ns;
	return st->deadline_ns;
}

bool gate_must_leave(void)
{
	const struct gate_stack *st = current()->gate;

	return thread_killed() || (st && load_once(&st->service->live) != st->generation);
}

void gate_sleep_overdue(void)
{
	struct gate_stack *st = current()->gate;

	if (!st || !st->port->limit_ticks)
		return;
	st->ticks = st->port->limit_ticks + 1;
	atomic_or(&current()->work, WORK_RESCHED); // so that the call returns by gate_resume
}

constexpr u32 REFUSALS_LOGGED = 16; // of each stack

long gate_refuse(u32 call, u32 argument, int err)
{
	struct gate_stack *st = current()->gate;
	struct service *s = st->service;
	u64 address, offset, size;

	if (load_once(&s->live) != st->generation) // it died; its handles are gone, which is no bug
		return err;
	if (st->refused++ >= REFUSALS_LOGGED)
		return err;
	address = arch_stub_caller(thread_entry_frame(current()));
	const char *where = service_symbol(s, address, &offset, &size);

	log_warn("%s: %s refused: register %u of its arguments: error %d, called at %s+%#llx",
		 s->name, gate_calls[call].name, argument, -err, where ?: "?",
		 where ? offset : address);
	return err;
}

void gate_strange_call_describe(u64 number, char *buf, size_t cap)
{
	if (number < gate_ncalls)
		scnprintf(buf, cap, "%s", gate_calls[number].name);
	else
		scnprintf(buf, cap, "number %llu, which does not exist", number);
}

void gate_bytes_free(u8 **p)
{
	kfree(*p);
}

// May the code at ip elevate? 0, -EPERM (its service is isolated), -EACCES (the place is not
// recorded, which no working service does).
int gate_elevate(u64 ip)
{
	struct gate_stack *st = current()->gate;
	struct service *s = st->service;
	bool recorded = false;

	for (u32 i = 0; i < s->nsites && !recorded; i++)
		recorded = s->sites[i] == ip;
	if (!recorded)
		return -EACCES;
	if (s->isolation == ISOLATION_ISOLATED)
		return -EPERM;
	st->elevations++;
	return 0;
}
