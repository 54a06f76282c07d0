// SPDX-License-Identifier: MIT
// serial.c: terminals on serial ports, /dev/ttyS0, /dev/ttyAMA0 and their kin: provider of
// abi/gate/serial.h. Privileged.
//
// What the service says is checked: more bytes taken than it was given end its life; a line that
// cannot be is not believed.
#include "base/string.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/tty/service_tty.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u64 DRAIN_NS = 30'000'000'000, DRAIN_LOOK_NS = 2'000'000;
constexpr u32 BAUD_MAX = 4'000'000;

// ---- to the port; the terminal's lock is held ----

static size_t serial_write(struct tty *t, const u8 *bytes, size_t len)
{
	struct service_tty *st = service_tty_of(t);
	size_t done = 0;

	if (!st->bound && st->gone && console_is(st)) {
		console_emit(bytes, len); // better so than not at all
		return len;
	}
	while (st->bound && done < len) {
		u32 n = (u32)min(len - done, (size_t)SERIAL_BYTES_MAX);

		memcpy(st->buffer, bytes + done, n);
		int r = serial_gate_write(&st->port, n);

		if (!service_tty_alive(st, r)) { // perhaps after it had sent them
			done += n;
			break;
		}
		if (r < 0 || (u32)r > n) {
			service_tty_fault(st, "a serial port took bytes that were not there");
			break;
		}
		done += (u32)r;
		if ((u32)r < n)
			break;
	}
	return done;
}

static size_t serial_pending(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);

	if (!st->bound)
		return 0;
	int n = serial_gate_pending(&st->port);

	return service_tty_alive(st, n) ? (size_t)max(n, 0) : 0;
}

static void serial_discard(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);

	if (st->bound)
		(void)service_tty_alive(st, serial_gate_discard(&st->port));
}

static void serial_resume(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);

	if (st->bound)
		(void)service_tty_alive(st, serial_gate_resume(&st->port));
}

static struct serial_line line_of(const struct linux_termios2 *m)
{
	u32 c = m->t.cflag;

	return (struct serial_line){
		.baud = m->ospeed,
		.bits = (u8)(5 + ((c & CSIZE) >> 4)),
		.stop = c & CSTOPB ? 2 : 1,
		.parity = !(c & PARENB) ? SERIAL_PARITY_NONE
			  : c & PARODD	? SERIAL_PARITY_ODD
					: SERIAL_PARITY_EVEN,
	};
}

static void serial_set_termios(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);
	struct serial_line wanted = line_of(&t->termios);

	if (!wanted.baud || !st->bound) // B0 hangs up; the port keeps its speed
		return;
	s64 r = serial_gate_set_line(&st->port, SERIAL_LINE_PACK(wanted));

	if (!service_tty_alive(st, r) || r < 0)
		return;
	struct serial_line now = SERIAL_LINE_UNPACK(r);

	// the device cannot: say so in what tcgetattr shows
	if (now.baud != wanted.baud && now.baud && now.baud <= BAUD_MAX)
		t->termios.ospeed = t->termios.ispeed = now.baud;
}

static void serial_break(struct tty *t, bool on)
{
	struct service_tty *st = service_tty_of(t);

	if (st->bound)
		(void)service_tty_alive(st, serial_gate_send_break(&st->port, on));
}

// Another life of the service, which knows nothing yet.
static void serial_refresh(struct tty *t)
{
	serial_set_termios(t);
	if (!load_once(&t->throttled))
		serial_resume(t);
}

// Without the lock.
static void serial_drain(struct tty *t)
{
	struct service_tty *st = service_tty_of(t);
	u64 deadline = clock_monotonic_ns() + DRAIN_NS;

	while (clock_monotonic_ns() < deadline && !thread_killed()) {
		mutex_lock(&t->lock);
		bool busy = st->bound && !serial_gate_drained(&st->port); // -EIO is not busy either

		mutex_unlock(&t->lock);
		if (!busy)
			return;
		thread_sleep_ns(DRAIN_LOOK_NS);
	}
}

static void serial_release(struct tty *t)
{
	panic("the terminal %s was released", service_tty_of(t)->name);
}

static const struct tty_driver serial_driver = {
	.name = "serial",
	.write = serial_write,
	.pending = serial_pending,
	.discard = serial_discard,
	.drain = serial_drain,
	.resume = serial_resume,
	.refresh = serial_refresh,
	.set_termios = serial_set_termios,
	.send_break = serial_break,
	.release = serial_release,
};

// ---- from the port ----

static void serial_init(struct tty *t, const void *params)
{
	const struct serial_line *line = &((const struct serial_params *)params)->line;
	u32 baud = line->baud && line->baud <= BAUD_MAX ? line->baud : 9600;

	t->termios.t.cflag = (t->termios.t.cflag & ~(u32)(CBAUD | HUPCL)) |
			     (baud == 115200 ? B115200 : BOTHER) | CLOCAL;
	t->termios.ispeed = t->termios.ospeed = baud;
}

// Names and numbers of device files are Linux's, by the make of the port.
#define SERIAL_KIND(prefix_, major_)                 \
	{                                            \
		.prefix = (prefix_),                 \
		.major = (major_),                   \
		.first_minor = 64,                   \
		.count = 4,                          \
		.size = sizeof(struct service_tty),  \
		.handle = HANDLE_SERIAL,             \
		.interface = &gate_serial_interface, \
		.driver = &serial_driver,            \
		.init = serial_init,                 \
	}
static const struct service_tty_kind serial_kinds[] = {
	SERIAL_KIND("ttyS", 4),
	SERIAL_KIND("ttyAMA", 204),
};

s64 gate_serial_register(u64 self, const struct serial_params *params, const struct serial_ops *ops)
{
	const struct service_tty_kind *kind = serial_kinds;

	if (strncmp(params->prefix, serial_kinds[1].prefix, sizeof(params->prefix)) == 0)
		kind = &serial_kinds[1];
	return service_tty_register(self, kind, params->prefix, params->unit, params->cookie, ops,
				    params); // refuses other prefixes
}

s64 gate_serial_buffer(u64 port)
{
	return service_tty_buffer(port, HANDLE_SERIAL);
}

static struct tty *tty_of(u64 port)
{
	u32 life;
	struct service_tty *st = service_tty_get(port, HANDLE_SERIAL, &life);

	return st ? &st->tty : nullptr;
}

int gate_serial_receive(u64 port, const void *bytes, u64 len)
{
	struct tty *t = tty_of(port);

	if (!t)
		return -EBADF;
	return tty_receive(t, bytes, len) ? SERIAL_FULL : 0;
}

int gate_serial_break(u64 port)
{
	struct tty *t = tty_of(port);

	if (!t)
		return -EBADF;
	tty_line_break(t);
	return 0;
}

int gate_serial_space(u64 port)
{
	struct tty *t = tty_of(port);

	if (!t)
		return -EBADF;
	tty_write_space(t);
	return 0;
}
