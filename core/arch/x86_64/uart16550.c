// SPDX-License-Identifier: MIT
// uart16550.c: the serial ports of PCs (16550A at the four COM addresses). Privileged.
//
// Life of a port: serial_early_init probes it, without interrupts, locks that could be held, or
// memory, and gives it to the log if console= says so. serial_port_attach (a terminal) claims its
// interrupt and turns receiving on.
//
// The transmitter. Bytes go into the device while its holding register is empty, 16 at a time when
// it has FIFOs; a device that is always ready, as virtual ones are, thus costs one status read for
// 16 bytes and no interrupt. What it does not take waits in the ring, and the transmit interrupt is
// on exactly while the ring holds something. The log (serial_write_sync) first sends the ring up to
// the end of its first line, then its own text on a fresh line, polling: it must come out even when
// interrupts are off for good.
//
// Locks: port->lock (LOCK_console, a leaf) guards registers, ring and counters. Callbacks run
// without it. A log write that cannot have the lock in reasonable time (an NMI came while this CPU
// held it) goes on without: garbled beats silent. After panic nobody takes it. Every wait for the
// device is bounded.
#include "base/cmdline.h"
#include "base/errno.h"
#include "base/parse.h"
#include "base/ring.h"
#include "base/string.h"
#include "core/arch/x86_64/x86.h"
#include "core/bootinfo.h"
#include "core/irq.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/serial.h"
#include "core/thread.h"
#include "core/time.h"

// National PC16550D data sheet, table II
enum uart_reg : u16 {
	UART_DATA = 0, // DLAB: divisor, low
	UART_IER = 1,  // DLAB: divisor, high
	UART_IIR = 2,  // read
	UART_FCR = 2,  // write
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_MSR = 6,
	UART_SCRATCH = 7,
};
constexpr u8 IER_RECEIVE = 1, IER_TRANSMIT = 2, IER_LINE = 4;
constexpr u8 IIR_NONE = 1, IIR_FIFO = 0xc0;
constexpr u8 FCR_ON = 1, FCR_CLEAR = 6, FCR_TRIGGER_8 = 0x80;
constexpr u8 LCR_BREAK = 0x40, LCR_DLAB = 0x80;
constexpr u8 MCR_DTR = 1, MCR_RTS = 2, MCR_OUT2 = 8; // OUT2 lets the interrupt through on PCs
constexpr u8 LSR_DATA = 1, LSR_OVERRUN = 2, LSR_PARITY = 4, LSR_FRAME = 8, LSR_BREAK = 16,
	     LSR_HOLDING_EMPTY = 32, LSR_ALL_EMPTY = 64;

constexpr u32 CLOCK_HZ = 115200; // after the fixed division by 16
constexpr u32 FIFO_BYTES = 16;
constexpr u32 RING_BYTES = 4096;
constexpr u32 CHUNK_BYTES = 64;	 // sent with interrupts off in one go
constexpr u32 POLL_MAX = 200000; // status reads, each about a microsecond on hardware: 16 bytes at
				 // 1200 baud take 0.13 s
constexpr u32 LOCK_TRIES = 1000000;

struct serial_port {
	u16 io;	      // immutable
	u8 irq;	      // ISA line; immutable
	bool present; // immutable after early init
	bool console; // immutable after early init
	u8 depth;     // bytes the transmitter takes at once; immutable
	spinlock_t lock;
	u8 ier;		  // what the register holds; lock
	u8 lcr;		  // lock
	bool tty_midline; // a terminal sent the last byte, and it did not end a line; lock
	bool stuck;	  // the transmitter never got empty: drop what it does not take; lock
	bool want_space;  // serial_write fell short; lock
	bool attached;	  // atomic
	struct serial_line line;      // lock
	struct serial_info count;     // lock
	const struct serial_ops *ops; // immutable once attached
	void *ctx;		      // likewise
	struct ring tx;		      // lock
	u8 tx_bytes[RING_BYTES];
	struct console out;
};

static void console_write_0(const char *text, size_t len);
static void console_write_1(const char *text, size_t len);
static void console_write_2(const char *text, size_t len);
static void console_write_3(const char *text, size_t len);

#define PORT(io_, irq_, name_, write_)                       \
	{                                                    \
		.io = (io_),                                 \
		.irq = (irq_),                               \
		.lock = SPINLOCK_INIT(LOCK_console),         \
		.out = {.name = (name_), .write = (write_)}, \
	}
static struct serial_port ports[SERIAL_PORTS_MAX] = {
	PORT(0x3f8, 4, "ttyS0", console_write_0),
	PORT(0x2f8, 3, "ttyS1", console_write_1),
	PORT(0x3e8, 4, "ttyS2", console_write_2),
	PORT(0x2e8, 3, "ttyS3", console_write_3),
};
static struct serial_port *console_port; // immutable after early init

static u8 reg_read(const struct serial_port *p, enum uart_reg reg)
{
	return inb(p->io + reg);
}

static void reg_write(const struct serial_port *p, enum uart_reg reg, u8 value)
{
	outb(p->io + reg, value);
}

static void ier_set(struct serial_port *p, u8 ier)
{
	if (p->ier == ier)
		return;
	p->ier = ier;
	reg_write(p, UART_IER, ier);
}

// Locking that survives NMIs and panics. Returns whether to unlock.
static bool port_lock_sync(struct serial_port *p)
{
	if (console_in_panic())
		return false;
	for (u32 i = 0; i < LOCK_TRIES; i++) {
		if (spin_trylock(&p->lock))
			return true;
		cpu_pause();
	}
	return false;
}

static bool holding_empty(struct serial_port *p)
{
	return reg_read(p, UART_LSR) & LSR_HOLDING_EMPTY;
}

// False: the device takes nothing; what it was to be given is dropped.
static bool holding_wait(struct serial_port *p)
{
	for (u32 i = 0; i < POLL_MAX; i++) {
		if (holding_empty(p)) {
			p->stuck = false;
			return true;
		}
		if (p->stuck) // it was waited for in vain once already
			return false;
		cpu_pause();
	}
	p->stuck = true;
	return false;
}

static void byte_out(struct serial_port *p, u8 byte)
{
	reg_write(p, UART_DATA, byte);
	p->count.tx++;
}

static void tty_byte_out(struct serial_port *p, u8 byte)
{
	byte_out(p, byte);
	p->tty_midline = byte != '\n';
}

// Gives the device what it takes of the ring, without waiting. Leaves the transmit interrupt on
// while something stays.
static void ring_push_locked(struct serial_port *p)
{
	u32 left = CHUNK_BYTES;
	u8 byte;

	while (left && !ring_empty(&p->tx) && holding_empty(p)) {
		for (u32 n = min(left, (u32)p->depth); n && ring_get(&p->tx, &byte); n--, left--)
			tty_byte_out(p, byte);
	}
	ier_set(p, ring_empty(&p->tx) ? p->ier & ~IER_TRANSMIT : p->ier | IER_TRANSMIT);
}

// ---- the log ----

struct sync_out {
	struct serial_port *port;
	u32 credit; // bytes the device takes before its status must be read again
};

static bool sync_ready(struct sync_out *s)
{
	if (!s->credit && holding_wait(s->port))
		s->credit = s->port->depth;
	return s->credit;
}

static void sync_byte(struct sync_out *s, u8 byte)
{
	if (!sync_ready(s))
		return;
	s->credit--;
	byte_out(s->port, byte);
}

void serial_write_sync(struct serial_port *p, const char *text, size_t len)
{
	struct sync_out s = {.port = p};
	irqflags_t flags = irq_save();
	bool locked = port_lock_sync(p);
	u8 byte;

	while (p->tty_midline && sync_ready(&s) && ring_get(&p->tx, &byte)) {
		sync_byte(&s, byte);
		p->tty_midline = byte != '\n';
	}
	if (p->tty_midline) {
		sync_byte(&s, '\r');
		sync_byte(&s, '\n');
		p->tty_midline = false;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			sync_byte(&s, '\r');
		sync_byte(&s, (u8)text[i]);
	}
	if (locked)
		spin_unlock_raw(&p->lock);
	irq_restore(flags);
	if (locked)
		preempt_enable();
}

static void console_write_0(const char *text, size_t len)
{
	serial_write_sync(&ports[0], text, len);
}
static void console_write_1(const char *text, size_t len)
{
	serial_write_sync(&ports[1], text, len);
}
static void console_write_2(const char *text, size_t len)
{
	serial_write_sync(&ports[2], text, len);
}
static void console_write_3(const char *text, size_t len)
{
	serial_write_sync(&ports[3], text, len);
}

// ---- terminals ----

size_t serial_write(struct serial_port *p, const void *buf, size_t len)
{
	const u8 *bytes = buf;
	size_t done = 0;

	while (done < len) {
		size_t chunk = min(len - done, (size_t)CHUNK_BYTES), n = 0;
		irqflags_t flags = spin_lock_irqsave(&p->lock);

		while (n < chunk && ring_empty(&p->tx) && holding_empty(p)) {
			for (u32 i = 0; i < p->depth && n < chunk; i++)
				tty_byte_out(p, bytes[done + n++]);
		}
		if (n < chunk) {
			n += ring_write(&p->tx, bytes + done + n, chunk - n);
			ier_set(p, p->ier | IER_TRANSMIT);
		}
		if (n < chunk)
			p->want_space = true;
		spin_unlock_irqrestore(&p->lock, flags);
		done += n;
		if (n < chunk)
			break;
	}
	return done;
}

size_t serial_write_room(struct serial_port *p)
{
	return ring_free(&p->tx);
}

size_t serial_pending(struct serial_port *p)
{
	return ring_used(&p->tx);
}

void serial_discard(struct serial_port *p)
{
	irqflags_t flags = spin_lock_irqsave(&p->lock);
	u8 byte;

	while (ring_get(&p->tx, &byte))
		;
	ier_set(p, p->ier & ~IER_TRANSMIT);
	bool wake = p->want_space;

	p->want_space = false;
	spin_unlock_irqrestore(&p->lock, flags);
	if (wake && p->ops && p->ops->space)
		p->ops->space(p->ctx);
}

void serial_drain(struct serial_port *p)
{
	u64 deadline = clock_monotonic_ns() + 30000000000;

	while (serial_pending(p) || !(reg_read(p, UART_LSR) & LSR_ALL_EMPTY)) {
		if (clock_monotonic_ns() >= deadline || thread_killed())
			return;
		thread_sleep_ns(2000000);
	}
}

// Counts what went wrong with a byte; returns whether the byte is good.
static bool status_count_locked(struct serial_port *p, u8 lsr, bool *line_break)
{
	if (likely(!(lsr & (LSR_OVERRUN | LSR_PARITY | LSR_FRAME | LSR_BREAK))))
		return true;
	if (lsr & LSR_OVERRUN)
		p->count.overruns++; // an earlier byte was lost, this one is good
	if (lsr & LSR_BREAK) {
		p->count.breaks++;
		*line_break = true;
		return false;
	}
	if (lsr & LSR_PARITY)
		p->count.parity_errors++;
	if (lsr & LSR_FRAME)
		p->count.frame_errors++;
	return true;
}

// Reads up to cap bytes from the device.
static u32 receive_locked(struct serial_port *p, u8 *buf, u32 cap, bool *line_break)
{
	u32 n = 0;

	for (u32 i = 0; i < cap && n < cap; i++) {
		u8 lsr = reg_read(p, UART_LSR);
		if (!(lsr & (LSR_DATA | LSR_BREAK)) || lsr == 0xff)
			break;
		u8 byte = reg_read(p, UART_DATA);
		if (status_count_locked(p, lsr, line_break))
			buf[n++] = byte;
	}
	p->count.rx += n;
	return n;
}

// Two ports may share a line, so each asks its own device. Edge-triggered: ends only when the
// device says that nothing is left.
static void serial_interrupt(void *arg)
{
	struct serial_port *p = arg;

	for (u32 rounds = 0; rounds < 256; rounds++) {
		u8 buf[CHUNK_BYTES];
		bool line_break = false, space = false;

		spin_lock(&p->lock);
		u8 iir = reg_read(p, UART_IIR);
		if (iir & IIR_NONE) {
			spin_unlock(&p->lock);
			return;
		}
		u32 n = p->ier & IER_RECEIVE ? receive_locked(p, buf, sizeof(buf), &line_break) : 0;
		if (p->ier & IER_TRANSMIT) {
			ring_push_locked(p);
			space = p->want_space && ring_free(&p->tx) >= RING_BYTES / 2;
			if (space)
				p->want_space = false;
		}
		spin_unlock(&p->lock);
		if (line_break && p->ops->line_break)
			p->ops->line_break(p->ctx);
		if (n)
			p->ops->receive(p->ctx, buf, n);
		if (space && p->ops->space)
			p->ops->space(p->ctx);
	}
	// More is pending, but others want the CPU: drop the line and raise it again, for only an
	// edge interrupts.
	spin_lock(&p->lock);
	reg_write(p, UART_IER, 0);
	reg_write(p, UART_IER, p->ier);
	spin_unlock(&p->lock);
}

int serial_port_attach(struct serial_port *p, const struct serial_ops *ops, void *ctx)
{
	if (__atomic_exchange_n(&p->attached, true, __ATOMIC_ACQ_REL))
		return -EBUSY;
	p->ops = ops;
	p->ctx = ctx;
	int err = irq_line_add(p->irq, true, serial_interrupt, p, p->out.name);

	if (err) {
		__atomic_store_n(&p->attached, false, __ATOMIC_RELEASE);
		return err;
	}
	irqflags_t flags = spin_lock_irqsave(&p->lock);
	reg_write(p, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	ier_set(p, p->ier | IER_RECEIVE | IER_LINE);
	spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

void serial_set_receive(struct serial_port *p, bool on)
{
	irqflags_t flags = spin_lock_irqsave(&p->lock);

	ier_set(p, on ? p->ier | IER_RECEIVE | IER_LINE : p->ier & ~(IER_RECEIVE | IER_LINE));
	spin_unlock_irqrestore(&p->lock, flags);
}

// ---- line settings ----

static void line_program(struct serial_port *p)
{
	u32 divisor = max(div_round_up(CLOCK_HZ - p->line.baud / 2, p->line.baud), 1u);

	p->lcr = (p->line.bits - 5) | (p->line.stop == 2 ? 4 : 0) |
		 (p->line.parity == SERIAL_PARITY_ODD	 ? 0x08
		  : p->line.parity == SERIAL_PARITY_EVEN ? 0x18
							 : 0);
	reg_write(p, UART_LCR, p->lcr | LCR_DLAB);
	reg_write(p, UART_DATA, divisor & 0xff);
	reg_write(p, UART_IER, divisor >> 8);
	reg_write(p, UART_LCR, p->lcr);
}

int serial_set_line(struct serial_port *p, const struct serial_line *line)
{
	if (line->baud < 50 || line->baud > CLOCK_HZ || line->bits < 5 || line->bits > 8 ||
	    line->stop < 1 || line->stop > 2 || line->parity > SERIAL_PARITY_EVEN)
		return -EINVAL;
	irqflags_t flags = spin_lock_irqsave(&p->lock);

	if (memcmp(&p->line, line, sizeof(*line)) != 0) {
		p->line = *line;
		line_program(p);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

void serial_get_line(struct serial_port *p, struct serial_line *line)
{
	irqflags_t flags = spin_lock_irqsave(&p->lock);

	*line = p->line;
	spin_unlock_irqrestore(&p->lock, flags);
}

void serial_send_break(struct serial_port *p, bool on)
{
	irqflags_t flags = spin_lock_irqsave(&p->lock);

	p->lcr = on ? p->lcr | LCR_BREAK : p->lcr & ~LCR_BREAK;
	reg_write(p, UART_LCR, p->lcr);
	spin_unlock_irqrestore(&p->lock, flags);
}

// ---- finding ----

static bool port_probe(struct serial_port *p)
{
	// Where nothing listens, reads give ones and the scratch register forgets.
	reg_write(p, UART_SCRATCH, 0x5a);
	if (reg_read(p, UART_SCRATCH) != 0x5a)
		return false;
	reg_write(p, UART_SCRATCH, 0xa5);
	return reg_read(p, UART_SCRATCH) == 0xa5;
}

static void port_setup(struct serial_port *p, u32 baud)
{
	p->line = (struct serial_line){.baud = baud, .bits = 8, .stop = 1};
	ring_init(&p->tx, p->tx_bytes, RING_BYTES);
	line_program(p);
	p->ier = 0xff; // unknown: write it
	ier_set(p, 0);
	reg_write(p, UART_FCR, FCR_ON | FCR_CLEAR | FCR_TRIGGER_8);
	p->depth = (reg_read(p, UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_BYTES : 1;
	reg_write(p, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	p->present = true;
}

// "ttyS1,115200n8": the port's number and speed; false for anything else.
static bool console_parse(const char *s, size_t len, u32 *n, u32 *baud)
{
	u64 value;

	if (len < 5 || memcmp(s, "ttyS", 4) != 0 || s[4] < '0' ||
	    s[4] >= '0' + (int)SERIAL_PORTS_MAX || (len > 5 && s[5] != ','))
		return false;
	*n = (u32)(s[4] - '0');
	*baud = CLOCK_HZ;
	if (len > 6 && parse_u64_prefix(s + 6, len - 6, 10, &value) && value >= 50 &&
	    value <= CLOCK_HZ)
		*baud = (u32)value;
	return true;
}

static void console_add(u32 n, u32 baud)
{
	struct serial_port *p = &ports[n];

	if (!p->present && port_probe(p))
		port_setup(p, baud);
	if (!p->present)
		return;
	console_port = p;
	if (!p->console) {
		p->console = true;
		console_register(&p->out);
	}
}

void serial_early_init(void)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;
	bool any = false;
	u32 n, baud;

	cmdline_iter_init(&it, bootinfo.cmdline);
	while (cmdline_next_of(&it, "console", &arg) == 1) {
		any = true;
		if (arg.value && console_parse(arg.value, arg.value_len, &n, &baud))
			console_add(n, baud);
	}
	if (!any)
		console_add(0, CLOCK_HZ);
	for (n = 0; n < SERIAL_PORTS_MAX; n++) {
		if (!ports[n].present && port_probe(&ports[n]))
			port_setup(&ports[n], CLOCK_HZ);
	}
}

struct serial_port *serial_port_get(u32 n)
{
	return n < SERIAL_PORTS_MAX && ports[n].present ? &ports[n] : nullptr;
}

const char *serial_port_name(const struct serial_port *p)
{
	return p->out.name;
}

bool serial_port_is_console(const struct serial_port *p)
{
	return p->console;
}

struct serial_port *serial_console_port(void)
{
	return console_port;
}

void serial_port_info(const struct serial_port *p, struct serial_info *out)
{
	*out = p->count; // counters of a running port: approximate
	out->io = p->io;
	out->irq = p->irq;
}
