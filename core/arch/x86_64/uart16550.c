// SPDX-License-Identifier: MIT
// uart16550.c: the serial ports of PCs (16550A at the four COM addresses), as far as the log needs
// them. Privileged.
//
// Ports are probed and set up before anything else runs; the log gets those that console= names.
// All else (receiving, interrupts, line settings) is the business of the service serial_console,
// which drives the port as a platform device: by its registers, and by the two functions here that
// must be kept apart from the log, transmit and line.
//
// The transmitter has two users. A terminal's bytes are taken while the device takes them, 16 at a
// time when it has FIFOs. The log waits for the device, polling: it must come out even when
// interrupts are off for good. Its text begins on a fresh line when the terminal's last byte ended
// none.
//
// Locks: uart->lock (LOCK_console, a leaf) guards the transmitter, the divisor and the line
// control. A log write that cannot have the lock in reasonable time (an NMI came while this CPU
// held it) goes on without: garbled beats silent. After panic nobody takes it. Every wait for the
// device is bounded.
//
// Failure. The service may leave the device in any state. The log's next line ends what would
// swallow it (a break, an open divisor latch, a loop back); all settings are restored by the first
// line after panic.
#include "base/cmdline.h"
#include "base/errno.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/bootinfo.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/platform.h"

// National PC16550D data sheet, table II
enum uart_reg : u16 {
	UART_DATA = 0, // DLAB: divisor, low
	UART_IER = 1,  // DLAB: divisor, high
	UART_IIR = 2,  // read
	UART_FCR = 2,  // write
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_SCRATCH = 7,
};
constexpr u8 IIR_FIFO = 0xc0;
constexpr u8 FCR_ON = 1, FCR_CLEAR = 6, FCR_TRIGGER_8 = 0x80;
constexpr u8 LCR_8_BITS = 3, LCR_BREAK = 0x40, LCR_DLAB = 0x80;
constexpr u8 MCR_DTR = 1, MCR_RTS = 2, MCR_OUT2 = 8, MCR_LOOP = 16; // OUT2: interrupts get through
constexpr u8 LSR_HOLDING_EMPTY = 32, LSR_ALL_EMPTY = 64;

constexpr u32 CLOCK_HZ = 115200; // after the fixed division by 16
constexpr u32 REGISTERS = 8, FIFO_BYTES = 16;
constexpr u32 CHUNK_BYTES = 64;	 // sent with interrupts off in one go
constexpr u32 POLL_MAX = 200000; // status reads, each about a microsecond on hardware: 16 bytes at
				 // 1200 baud take 0.13 s
constexpr u32 LOCK_TRIES = 1000000;

struct uart {
	u16 io;	      // immutable
	u8 irq;	      // ISA line; immutable
	bool present; // immutable after early init, as the two below
	bool console;
	u8 depth; // bytes the transmitter takes at once
	spinlock_t lock;
	u16 divisor;	  // as it was programmed; lock, as all below
	u8 lcr;		  // likewise, without break
	bool tty_midline; // a terminal sent the last byte, and it did not end a line
	bool stuck;	  // the transmitter never got empty: drop what it does not take
	bool restored;	  // after panic
	struct console out;
	struct platform_device device;
};

static void console_write_0(const char *text, size_t len);
static void console_write_1(const char *text, size_t len);
static void console_write_2(const char *text, size_t len);
static void console_write_3(const char *text, size_t len);

#define UART(io_, irq_, name_, write_)                       \
	{                                                    \
		.io = (io_),                                 \
		.irq = (irq_),                               \
		.lock = SPINLOCK_INIT(LOCK_console),         \
		.out = {.name = (name_), .write = (write_)}, \
	}
static struct uart uarts[] = {
	UART(0x3f8, 4, "ttyS0", console_write_0),
	UART(0x2f8, 3, "ttyS1", console_write_1),
	UART(0x3e8, 4, "ttyS2", console_write_2),
	UART(0x2e8, 3, "ttyS3", console_write_3),
};

static u8 reg_read(const struct uart *u, enum uart_reg reg)
{
	return inb(u->io + reg);
}

static void reg_write(const struct uart *u, enum uart_reg reg, u8 value)
{
	outb(u->io + reg, value);
}

// Locking that survives NMIs and panics. Returns whether to unlock.
static bool lock_sync(struct uart *u)
{
	if (console_in_panic())
		return false;
	for (u32 i = 0; i < LOCK_TRIES; i++) {
		if (spin_trylock(&u->lock))
			return true;
		cpu_pause();
	}
	return false;
}

static bool holding_empty(struct uart *u)
{
	return reg_read(u, UART_LSR) & LSR_HOLDING_EMPTY;
}

// False: the device takes nothing; what it was to be given is dropped.
static bool holding_wait(struct uart *u)
{
	for (u32 i = 0; i < POLL_MAX; i++) {
		if (holding_empty(u)) {
			u->stuck = false;
			return true;
		}
		if (u->stuck) // it was waited for in vain once already
			return false;
		cpu_pause();
	}
	u->stuck = true;
	return false;
}

// ---- line settings ----

static void line_program(struct uart *u)
{
	reg_write(u, UART_LCR, u->lcr | LCR_DLAB);
	reg_write(u, UART_DATA, u->divisor & 0xff);
	reg_write(u, UART_IER, u->divisor >> 8);
	reg_write(u, UART_LCR, u->lcr);
}

// platform_device.line
static s64 uart_line(struct platform_device *d, u32 divisor, u32 control)
{
	struct uart *u = container_of(d, struct uart, device);

	if (divisor > 0xffff || control > 0xff || control & LCR_DLAB)
		return -EINVAL;
	irqflags_t flags = spin_lock_irqsave(&u->lock);

	if (divisor) {
		bool same = divisor == u->divisor;

		u->divisor = (u16)divisor;
		u->lcr = (u8)control & ~LCR_BREAK;
		if (!same)
			line_program(u);
		reg_write(u, UART_LCR, (u8)control);
	}
	s64 now = u->divisor | (s64)u->lcr << 32;

	spin_unlock_irqrestore(&u->lock, flags);
	return now;
}

// ---- the log ----

// So that what is sent next gets out, whatever the device's service did.
static void log_prepare(struct uart *u)
{
	u8 modem = reg_read(u, UART_MCR);

	if (reg_read(u, UART_LCR) != u->lcr)
		reg_write(u, UART_LCR, u->lcr);
	if (modem & MCR_LOOP)
		reg_write(u, UART_MCR, modem & ~MCR_LOOP);
	if (!console_in_panic() || u->restored)
		return;
	u->restored = true;
	for (u32 i = 0; i < POLL_MAX && !(reg_read(u, UART_LSR) & LSR_ALL_EMPTY); i++)
		cpu_pause(); // a byte under way would be garbled
	reg_write(u, UART_FCR, FCR_ON | FCR_TRIGGER_8);
	reg_write(u, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	line_program(u);
}

struct sync_out {
	struct uart *uart;
	u32 credit; // bytes the device takes before its status must be read again
};

static void sync_byte(struct sync_out *s, u8 byte)
{
	if (!s->credit && holding_wait(s->uart))
		s->credit = s->uart->depth;
	if (!s->credit)
		return;
	s->credit--;
	reg_write(s->uart, UART_DATA, byte);
}

static void log_write(struct uart *u, const char *text, size_t len)
{
	struct sync_out s = {.uart = u};
	irqflags_t flags = irq_save();
	bool locked = lock_sync(u);

	log_prepare(u);
	if (u->tty_midline) {
		sync_byte(&s, '\r');
		sync_byte(&s, '\n');
		u->tty_midline = false;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			sync_byte(&s, '\r');
		sync_byte(&s, (u8)text[i]);
	}
	if (locked)
		spin_unlock_raw(&u->lock);
	irq_restore(flags);
	if (locked)
		preempt_enable();
}

static void console_write_0(const char *text, size_t len)
{
	log_write(&uarts[0], text, len);
}
static void console_write_1(const char *text, size_t len)
{
	log_write(&uarts[1], text, len);
}
static void console_write_2(const char *text, size_t len)
{
	log_write(&uarts[2], text, len);
}
static void console_write_3(const char *text, size_t len)
{
	log_write(&uarts[3], text, len);
}

// ---- terminals ----

// platform_device.transmit
static size_t uart_transmit(struct platform_device *d, const void *bytes, size_t len)
{
	struct uart *u = container_of(d, struct uart, device);
	const u8 *text = bytes;
	size_t done = 0;
	bool ready = true;

	while (done < len && ready) {
		size_t end = min(len, done + CHUNK_BYTES), start = done;
		irqflags_t flags = spin_lock_irqsave(&u->lock);

		while (done < end && (ready = holding_empty(u))) {
			for (u32 n = 0; n < u->depth && done < end; n++)
				reg_write(u, UART_DATA, text[done++]);
		}
		if (done > start)
			u->tty_midline = text[done - 1] != '\n';
		spin_unlock_irqrestore(&u->lock, flags);
	}
	return done;
}

// ---- finding ----

static bool probe(struct uart *u)
{
	// Where nothing listens, reads give ones and the scratch register forgets.
	reg_write(u, UART_SCRATCH, 0x5a);
	if (reg_read(u, UART_SCRATCH) != 0x5a)
		return false;
	reg_write(u, UART_SCRATCH, 0xa5);
	return reg_read(u, UART_SCRATCH) == 0xa5;
}

static void setup(struct uart *u, u32 baud)
{
	u->divisor = (u16)max(div_round_up(CLOCK_HZ - baud / 2, baud), 1u);
	u->lcr = LCR_8_BITS;
	line_program(u);
	reg_write(u, UART_IER, 0);
	reg_write(u, UART_FCR, FCR_ON | FCR_CLEAR | FCR_TRIGGER_8);
	u->depth = (reg_read(u, UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_BYTES : 1;
	reg_write(u, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	u->present = true;
}

// "ttyS1,115200n8": the port's number and speed; false for anything else.
static bool console_parse(const char *s, size_t len, u32 *n, u32 *baud)
{
	u64 value;

	if (len < 5 || memcmp(s, "ttyS", 4) != 0 || s[4] < '0' ||
	    s[4] >= '0' + (int)ARRAY_SIZE(uarts) || (len > 5 && s[5] != ','))
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
	struct uart *u = &uarts[n];

	if (!u->present && probe(u))
		setup(u, baud);
	if (!u->present)
		return;
	if (!u->console) {
		u->console = true;
		console_register(&u->out);
	}
}

static void device_add(struct uart *u, u32 unit)
{
	u->device = (struct platform_device){.name = "uart16550",
					     .unit = unit,
					     .ports = u->io,
					     .nports = REGISTERS,
					     .clock_hz = CLOCK_HZ * 16,
					     .irq = u->irq,
					     .irq_isa = true,
					     .transmit = uart_transmit,
					     .line = uart_line};
	platform_device_add(&u->device);
}

void uart_early_init(void)
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
	for (n = 0; n < ARRAY_SIZE(uarts); n++) {
		if (!uarts[n].present && probe(&uarts[n]))
			setup(&uarts[n], CLOCK_HZ);
		if (uarts[n].present)
			device_add(&uarts[n], n);
	}
}
