// SPDX-License-Identifier: MIT
// hvc.c: terminals on paravirtual consoles, /dev/hvc0 and its kin: provider of abi/gate/console.h.
// Privileged.
//
// Output goes in chunks, one at a time; what is written meanwhile collects in a ring and becomes
// the next one. The terminal keeps a copy of the chunk that the service has, and gives it to the
// service's next life when this one died over it. `flying` says which life has it, so that what an
// earlier life says about its own is not believed.
#include "base/string.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/tty/service_tty.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u64 DRAIN_NS = 30'000'000'000;
constexpr u32 QUEUE_BYTES = 4096;

struct hvc {
	struct service_tty st; // first
	u64 flying;	       // the life that has the chunk, 0: none; atomic
	u64 resized;	       // columns, rows << 16, 1 << 32: a size not yet looked at; atomic
	u32 known;	       // the life that was told all it must know; tty.lock, as all below
	u32 len;	       // of the chunk
	struct ring queue;
	u8 chunk[CONSOLE_CHUNK], queue_bytes[QUEUE_BYTES];
};

static struct hvc *hvc_of(struct tty *t)
{
	return container_of(t, struct hvc, st.tty);
}

// ---- to the console; the terminal's lock is held ----

static void chunk_transmit(struct hvc *h)
{
	memcpy(h->st.buffer, h->chunk, h->len);
	store_release(&h->flying, (u64)h->st.life); // it may be told as sent during the call
	int r = console_gate_transmit(&h->st.port, h->len);

	if (service_tty_alive(&h->st, r) && r)
		service_tty_fault(&h->st, "a console's driver does not transmit");
}

static void queue_push(struct hvc *h)
{
	while (h->st.bound && !load_acquire(&h->flying) && !ring_empty(&h->queue)) {
		h->len = (u32)ring_read(&h->queue, h->chunk, sizeof(h->chunk));
		chunk_transmit(h);
	}
}

static size_t hvc_write(struct tty *t, const u8 *bytes, size_t len)
{
	struct hvc *h = hvc_of(t);
	size_t n = ring_write(&h->queue, bytes, len);

	queue_push(h);
	return n;
}

static size_t hvc_pending(struct tty *t)
{
	struct hvc *h = hvc_of(t);

	return ring_used(&h->queue) + (load_acquire(&h->flying) ? h->len : 0);
}

static void hvc_discard(struct tty *t)
{
	struct hvc *h = hvc_of(t);

	h->queue.head = h->queue.tail;
}

static void hvc_resume(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);

	if (st->bound)
		(void)service_tty_alive(st, console_gate_resume(&st->port));
}

static void hvc_refresh(struct tty *t)
{
	struct hvc *h = hvc_of(t);
	u64 size = xchg(&h->resized, 0ull);

	if (size)
		tty_resize(t, (u16)size, (u16)(size >> 16));
	if (h->st.bound && h->known != h->st.life) {
		u64 flying = load_acquire(&h->flying);

		h->known = h->st.life;
		if (flying && flying != h->st.life) // else somebody wrote since it was bound
			chunk_transmit(h);
		if (!load_once(&t->throttled))
			hvc_resume(t);
	}
	queue_push(h);
}

// Without the lock.
static void hvc_drain(struct tty *t)
{
	struct hvc *h = hvc_of(t);

	(void)wait_event_interruptible_until(&t->write_wait,
					     !load_acquire(&h->flying) && ring_empty(&h->queue),
					     clock_monotonic_ns() + DRAIN_NS);
}

static void hvc_release(struct tty *t)
{
	panic("the terminal %s was released", service_tty_of(t)->name);
}

static const struct tty_driver hvc_driver = {
	.name = "hvc",
	.write = hvc_write,
	.pending = hvc_pending,
	.discard = hvc_discard,
	.drain = hvc_drain,
	.resume = hvc_resume,
	.refresh = hvc_refresh,
	.release = hvc_release,
};

// ---- from the console ----

static void hvc_init(struct tty *t, const void *params)
{
	struct hvc *h = hvc_of(t);

	(void)params;
	ring_init(&h->queue, h->queue_bytes, sizeof(h->queue_bytes));
}

static const struct service_tty_kind hvc_kind = {
	.prefix = "hvc",
	.major = 229,
	.first_minor = 0,
	.count = 8,
	.size = sizeof(struct hvc),
	.prints_log = true,
	.handle = HANDLE_CONSOLE,
	.interface = &gate_console_interface,
	.driver = &hvc_driver,
	.init = hvc_init,
};

static struct hvc *hvc_get(u64 console, u32 *life)
{
	struct service_tty *st = service_tty_get(console, HANDLE_CONSOLE, life);

	return st ? hvc_of(&st->tty) : nullptr;
}

int gate_console_resize(u64 console, u16 columns, u16 rows)
{
	u32 life;
	struct hvc *h = hvc_get(console, &life);

	if (!h)
		return -EBADF;
	// The terminal's lock may be held around this call.
	store_release(&h->resized, columns | (u64)rows << 16 | 1ull << 32);
	tty_refresh(&h->st.tty);
	return 0;
}

s64 gate_console_register(u64 self, const struct console_params *params,
			  const struct console_ops *ops)
{
	s64 r = service_tty_register(self, &hvc_kind, params->prefix, params->unit, params->cookie,
				     ops, params);

	if (r >= 0)
		(void)gate_console_resize((u64)r, params->columns, params->rows);
	return r;
}

s64 gate_console_buffer(u64 console)
{
	return service_tty_buffer(console, HANDLE_CONSOLE);
}

int gate_console_receive(u64 console, const void *bytes, u64 len)
{
	u32 life;
	struct hvc *h = hvc_get(console, &life);

	if (!h)
		return -EBADF;
	return tty_receive(&h->st.tty, bytes, len) ? CONSOLE_FULL : 0;
}

int gate_console_sent(u64 console)
{
	u32 life;
	struct hvc *h = hvc_get(console, &life);

	if (!h)
		return -EBADF;
	u64 flying = life;

	if (!try_cmpxchg(&h->flying, &flying, 0ull))
		return -EINVAL;
	tty_refresh(&h->st.tty); // for the next chunk
	return 0;
}
