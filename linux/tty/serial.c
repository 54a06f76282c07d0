// SPDX-License-Identifier: MIT
// serial.c: terminals on serial ports: /dev/ttyS0 and its kin. Privileged.
#include "base/fmt.h"
#include "core/init.h"
#include "core/log.h"
#include "core/serial.h"
#include "core/slab.h"
#include "abi/linux/fcntl.h"
#include "linux/tty/tty_priv.h"

constexpr u32 MAJOR_TTY = 4, FIRST_MINOR = 64;

static struct tty *serial_ttys[SERIAL_PORTS_MAX]; // immutable after boot

// ---- from the port, in interrupts ----

static void port_receive(void *ctx, const u8 *bytes, size_t len)
{
	tty_receive(ctx, bytes, len);
}

static void port_break(void *ctx)
{
	tty_line_break(ctx);
}

static void port_space(void *ctx)
{
	tty_write_space(ctx);
}

static const struct serial_ops port_ops = {
	.receive = port_receive, .line_break = port_break, .space = port_space};

// ---- to the port ----

static size_t serial_tty_write(struct tty *t, const u8 *bytes, size_t len)
{
	return serial_write(t->data, bytes, len);
}

static size_t serial_tty_pending(struct tty *t)
{
	return serial_pending(t->data);
}

static void serial_tty_discard(struct tty *t)
{
	serial_discard(t->data);
}

static void serial_tty_drain(struct tty *t)
{
	serial_drain(t->data);
}

static void serial_tty_throttle(struct tty *t, bool on)
{
	serial_set_receive(t->data, !on);
}

static void serial_tty_set_termios(struct tty *t)
{
	u32 c = t->termios.t.cflag;
	struct serial_line line = {
		.baud = t->termios.ospeed,
		.bits = (u8)(5 + ((c & CSIZE) >> 4)),
		.stop = c & CSTOPB ? 2 : 1,
		.parity = !(c & PARENB) ? SERIAL_PARITY_NONE
			  : c & PARODD	? SERIAL_PARITY_ODD
					: SERIAL_PARITY_EVEN,
	};

	if (!line.baud) // B0 hangs up; the port keeps its speed
		return;
	if (serial_set_line(t->data, &line)) {
		serial_get_line(t->data,
				&line); // the device cannot: say so in what tcgetattr shows
		t->termios.ospeed = t->termios.ispeed = line.baud;
	}
}

static void serial_tty_break(struct tty *t, bool on)
{
	serial_send_break(t->data, on);
}

static void serial_tty_release(struct tty *t)
{
	panic("terminal of %s was released",
	      serial_port_name(t->data)); // ports hold a reference for good
}

static const struct tty_driver serial_driver = {
	.name = "ttyS",
	.write = serial_tty_write,
	.pending = serial_tty_pending,
	.discard = serial_tty_discard,
	.drain = serial_tty_drain,
	.throttle = serial_tty_throttle,
	.set_termios = serial_tty_set_termios,
	.send_break = serial_tty_break,
	.release = serial_tty_release,
};

// ---- files ----

static int serial_tty_open(struct inode *inode, struct file *f)
{
	u32 n = dev_minor(inode->rdev) - FIRST_MINOR;

	if (n >= SERIAL_PORTS_MAX || !serial_ttys[n])
		return -ENXIO;
	return tty_file_open(serial_ttys[n], f, !(f->flags & O_NOCTTY), true);
}

static const struct file_ops serial_tty_ops = {.open = serial_tty_open};

static int serial_tty_add(u32 n, struct serial_port *p)
{
	struct serial_line line;
	struct tty *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	tty_init(t, &serial_driver, dev_make(MAJOR_TTY, FIRST_MINOR + n), n);
	t->data = p;
	serial_get_line(p, &line);
	t->termios.t.cflag = (t->termios.t.cflag & ~(u32)(CBAUD | HUPCL)) |
			     (line.baud == 115200 ? B115200 : BOTHER) | CLOCAL;
	t->termios.ispeed = t->termios.ospeed = line.baud;
	int r = serial_port_attach(p, &port_ops, t);
	if (r) {
		kfree(t);
		return r;
	}
	serial_ttys[n] = t;
	if (p == serial_console_port())
		tty_console_set(t);
	return dev_register_char(MAJOR_TTY, FIRST_MINOR + n, serial_port_name(p), 0660,
				 &serial_tty_ops);
}

static void serial_ttys_start(void)
{
	for (u32 n = 0; n < SERIAL_PORTS_MAX; n++) {
		struct serial_port *p = serial_port_get(n);
		int r = p ? serial_tty_add(n, p) : 0;
		if (r)
			log_err("%s: no terminal: error %d", serial_port_name(p), -r);
	}
}
INITCALL(3, serial_ttys_start);
