// SPDX-License-Identifier: MIT
// calls.c: the calls of abi/gate/calls.def that every service may make. Arguments were checked when
// the caller is not privileged; `self` names the service either way.
#include "base/fmt.h"
#include "base/string.h"
#include "core/gate/gate_calls.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/time.h"
#include <arch/gate.h>
#include <gate/calls.h>

int gate_log(u64 self, u32 level, const void *text, u64 len)
{
	const struct service *s = service_of_handle(self);

	if (!s)
		return -EBADF;
	if (level < LOG_ERR || level > LOG_DEBUG)
		return -EINVAL;
	klog((enum log_level)level, "%s: %.*s", s->name, (int)len, (const char *)text);
	return 0;
}

int gate_abort(u64 self, const void *text, u64 len)
{
	const struct service *s = service_of_handle(self);
	struct thread *t = current();
	char detail[160];

	scnprintf(detail, sizeof(detail), "%.*s", (int)min(len, 150ull), (const char *)text);
	if (!t->gate || t->gate->service != s)
		panic("service %s: abort: %s", s ? s->name : "?", detail);
	gate_fault(thread_entry_frame(t), "abort", detail);
}

s64 gate_clock_ns(void)
{
	return (s64)clock_monotonic_ns();
}

// Waits in a call: for cond, at most until deadline. 0, -ETIMEDOUT, -EINTR.
#define GATE_WAIT(queue, cond, deadline)                                                    \
	({                                                                                  \
		u64 gw_limit_ = gate_sleep_deadline();                                      \
		int gw_r_ = wait_event_killable_until((queue), (cond) || gate_must_leave(), \
						      min((u64)(deadline), gw_limit_));     \
		if (gate_must_leave())                                                      \
			gw_r_ = -EINTR;                                                     \
		else if (gw_r_ == -ETIMEDOUT && gw_limit_ <= (u64)(deadline))               \
			gate_sleep_overdue();                                               \
		gw_r_;                                                                      \
	})

static u64 deadline_in(u64 ns)
{
	u64 now = clock_monotonic_ns();

	return ns > ~0ull - now ? ~0ull : now + ns;
}

int gate_sleep_ns(u64 ns)
{
	struct gate_stack *st = current()->gate;
	struct wait_queue private = WAIT_QUEUE_INIT(private);
	int r = GATE_WAIT(st ? &st->service->stack_wait : &private, false, deadline_in(ns));

	return r == -ETIMEDOUT ? 0 : r;
}

// ---- memory ----

s64 gate_memory_alloc(u64 self, u64 len, u32 flags)
{
	struct service *s = service_of_handle(self);

	if (!s)
		return -EBADF;
	if (!len || (flags & ~MEMORY_DMA) || len > SERVICE_PAGES_MAX * PAGE_SIZE ||
	    ((flags & MEMORY_DMA) && len > PAGE_SIZE << PAGE_ORDER_MAX))
		return len > SERVICE_PAGES_MAX * PAGE_SIZE && !(flags & ~MEMORY_DMA) ? -ENOMEM
										     : -EINVAL;
	return service_memory_alloc(s, div_round_up(len, PAGE_SIZE),
				    flags & MEMORY_DMA ? REGION_DMA : REGION_HEAP);
}

int gate_memory_free(u64 self, u64 address)
{
	struct service *s = service_of_handle(self);

	return s ? service_memory_free(s, address) : -EBADF;
}

s64 gate_memory_bus(u64 self, u64 address)
{
	struct service *s = service_of_handle(self);

	return s ? service_memory_bus(s, address) : -EBADF;
}

// ---- events ----

struct event {
	struct gate_object object; // first
	atomic_u64 count;
	bool closed; // atomic: nobody will signal it any more
	struct wait_queue wait;
};

static struct event *event_of(struct gate_object *o)
{
	return container_of(o, struct event, object);
}

static void event_detach(struct gate_object *o)
{
	store_once(&event_of(o)->closed, true);
	wake_all(&event_of(o)->wait);
}

static const struct gate_object_ops event_ops = {.detach = event_detach,
						 .release = gate_object_free};

s64 gate_event_create(u64 self)
{
	struct service *s = service_of_handle(self);
	struct event *e = s ? kzalloc(sizeof(*e)) : nullptr;
	s64 r;

	if (!e)
		return s ? -ENOMEM : -EBADF;
	gate_object_init(&e->object, HANDLE_EVENT, &event_ops);
	wait_queue_init(&e->wait);
	r = handle_publish(s, &e->object);
	gate_object_put(&e->object);
	return r;
}

int gate_event_signal(u64 event)
{
	struct gate_object *o = handle_get(event, HANDLE_EVENT);

	if (!o)
		return -EBADF;
	atomic_inc(&event_of(o)->count);
	wake_all(&event_of(o)->wait);
	gate_object_put(o);
	return 0;
}

s64 gate_event_wait(u64 event, u64 seen, u64 timeout_ns)
{
	struct gate_object *o = handle_get(event, HANDLE_EVENT);
	s64 r;

	if (!o)
		return -EBADF;
	struct event *e = event_of(o);

	r = GATE_WAIT(&e->wait,
		      (atomic_load(&e->count) & ~(1ull << 63)) != seen || load_once(&e->closed),
		      timeout_ns == ~0ull ? timeout_ns : deadline_in(timeout_ns));
	if (load_once(&e->closed))
		r = -EBADF;
	if (!r)
		r = (s64)(atomic_load(&e->count) & ~(1ull << 63));
	gate_object_put(o);
	return r;
}

// ---- threads ----

struct service_thread {
	struct service *service;
	struct gate_port port;
};
static const struct gate_interface thread_interface = {"thread", 1, (const char *const[]){"main"}};

static void service_thread_main(void *arg)
{
	struct service_thread *t = arg;
	struct service *s = t->service;

	if (t->port.direct)
		((void (*)(u64))t->port.entry[0])(t->port.cookie);
	else
		(void)gate_call(&t->port, 0, 0, 0, 0, 0, 0);
	kfree(t);
	atomic_dec(&s->nthreads);
	wake_all(&s->stack_wait);
}

int gate_thread_start(u64 self, u64 entry, u64 argument, const void *name, u64 len)
{
	struct service *s = service_of_handle(self);
	struct service_thread *t;
	struct thread *kthread;
	char text[16];
	int err;

	if (!s)
		return -EBADF;
	if (atomic_inc_return(&s->nthreads) > SERVICE_THREADS_MAX) {
		atomic_dec(&s->nthreads);
		return -EAGAIN;
	}
	t = kzalloc(sizeof(*t));
	scnprintf(text, sizeof(text), "%.*s", (int)len, (const char *)name);
	err = t ? gate_port_bind(&t->port, s, &thread_interface, argument, &entry) : -ENOMEM;
	kthread = err ? nullptr : kthread_create(service_thread_main, t, text);
	if (!kthread) {
		kfree(t);
		atomic_dec(&s->nthreads);
		return err ?: -ENOMEM;
	}
	t->service = s;
	t->port.limit_ticks = 0; // it may live as long as its service
	thread_start(kthread);
	return 0;
}

int gate_close(u64 self, u64 handle)
{
	struct service *s = service_of_handle(self);

	return s ? handle_close(s, handle) : -EBADF;
}
