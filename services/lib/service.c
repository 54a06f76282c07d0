// SPDX-License-Identifier: MIT
// service.c: the part of a service that is the same in all: logging, assertions, locks.
#include "services/lib/service.h"
#include <stdarg.h>

#include "base/fmt.h"
#include "base/string.h"

u64 service_self;

int service_start_nothing(u64 cookie)
{
	service_self = cookie;
	return 0;
}

int service_probe_nothing(u64 cookie, u64 device)
{
	(void)cookie, (void)device;
	return -ENODEV;
}

int service_interrupt_nothing(u64 cookie, u64 irq)
{
	(void)cookie, (void)irq;
	return 0;
}

int service_poke(u64 cookie, u64 address)
{
	(void)cookie;
	*(volatile u64 *)address = POKE_VALUE;
	return 0;
}

void service_log(u32 level, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	int n = vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)gate_log(service_self, level, text, (u64)n);
}

void service_assert_failed(const char *what, const char *file, int line)
{
	char text[256];
	int n = scnprintf(text, sizeof(text), "assertion failed: %s, %s:%d", what, file, line);

	(void)gate_abort(service_self, text, (u64)n);
	__builtin_trap();
}

// ---- locks ----

int service_mutex_init(struct service_mutex *m)
{
	s64 event = gate_event_create(service_self);

	if (event < 0)
		return (int)event;
	*m = (struct service_mutex){.event = (u64)event};
	return 0;
}

void service_mutex_lock(struct service_mutex *m)
{
	u32 expected = 0;

	if (likely(__atomic_compare_exchange_n(&m->state, &expected, 1, false, __ATOMIC_ACQUIRE,
					       __ATOMIC_RELAXED)))
		return;
	for (;;) {
		s64 seen = gate_event_wait(m->event, ~0ull, 0); // the count as it is now

		if (!__atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE))
			return;
		if (seen < 0 || gate_event_wait(m->event, (u64)seen, ~0ull) < 0)
			service_relax(); // being killed: spin to the end of the deadline
	}
}

void service_mutex_unlock(struct service_mutex *m)
{
	if (__atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE) == 2)
		(void)gate_event_signal(m->event);
}
