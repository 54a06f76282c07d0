// SPDX-License-Identifier: MIT
// pl011.c: serial ports (Arm PL011, and the SBSA's generic UART), as far as the log needs them.
// Privileged.
//
// The port of the log is set up before anything else runs, as soon as it is known where it lies,
// and through early_map.h until the kernel has page tables of its own. All else (receiving,
// interrupts, line settings) is the business of the service pl011, which drives the port as a
// platform device: by its registers, and by the two functions here that must be kept apart from the
// log, transmit and line.
//
// The transmitter has two users. A terminal's bytes are taken while the device takes them. The log
// waits for the device, polling: it must come out even when interrupts are off for good. Its text
// begins on a fresh line when the terminal's last byte ended none.
//
// Locks: uart->lock (LOCK_console, a leaf) guards the transmitter, the divisor and the line
// control. A log write that cannot have the lock in reasonable time goes on without: garbled beats
// silent. After panic nobody takes it. Every wait for the device is bounded.
//
// Failure. The service may leave the device in any state. The log's next line ends what would
// swallow it (a break, a loop back, a transmitter that is off); all settings are restored by the
// first line after panic.
#include "core/arch/aarch64/pl011.h"

#include "base/cmdline.h"
#include "base/errno.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/early_map.h"
#include "core/arch/aarch64/irq_lines.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/bootinfo.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/platform.h"
#include "core/slab.h"

// Arm DDI 0183, table 3-1
enum uart_reg : u32 {
	UART_DATA = 0x00,
	UART_FLAGS = 0x18,
	UART_DIVISOR = 0x24,  // 16 bits
	UART_FRACTION = 0x28, // 6 more
	UART_LINE = 0x2c,
	UART_CONTROL = 0x30,
	UART_INTERRUPTS = 0x38,
	UART_INTERRUPTS_CLEAR = 0x44,
	UART_REGISTERS = 0x48,
};
constexpr u32 FLAG_BUSY = 1 << 3, FLAG_FULL = 1 << 5, FLAG_EMPTY = 1 << 7; // of the transmitter
constexpr u32 LINE_BREAK = 1 << 0, LINE_FIFO = 1 << 4, LINE_8_BITS = 3 << 5;
constexpr u32 CONTROL_ON = 1 << 0, CONTROL_LOOP = 1 << 7, CONTROL_TRANSMIT = 1 << 8,
	      CONTROL_RECEIVE = 1 << 9, CONTROL_DTR = 1 << 10, CONTROL_RTS = 1 << 11;
constexpr u32 CONTROL_ALL =
	CONTROL_ON | CONTROL_TRANSMIT | CONTROL_RECEIVE | CONTROL_DTR | CONTROL_RTS;

constexpr u32 BAUD = 115200, DIVISOR_MAX = 0x3fffff;
constexpr u32 FIFO_BYTES = 16;
constexpr u32 CHUNK_BYTES = 64; // sent with interrupts off in one go
constexpr u32 POLL_MAX = 200000;
constexpr u32 LOCK_TRIES = 1000000;

struct uart {
	volatile u8 *registers; // nullptr: by early_map; immutable after pl011_init
	bool ready;		// set up; boot CPU, as the one below
	bool console;
	spinlock_t lock;
	u32 divisor; // 16.6 bits, as it was programmed; 0: as firmware left it; lock, as all below
	u32 line;    // likewise, without break
	bool tty_midline; // a terminal sent the last byte, and it did not end a line
	bool stuck;	  // the transmitter took nothing for long: drop what it does not take
	bool restored;	  // after panic
	struct console out;
	struct platform_device device;
};

static void console_write_0(const char *text, size_t len);
static void console_write_1(const char *text, size_t len);
static void console_write_2(const char *text, size_t len);
static void console_write_3(const char *text, size_t len);

#define UART(name_, write_)                                  \
	{                                                    \
		.lock = SPINLOCK_INIT(LOCK_console),         \
		.out = {.name = (name_), .write = (write_)}, \
	}
static struct uart uarts[MACHINE_UARTS] = {
	UART("ttyAMA0", console_write_0),
	UART("ttyAMA1", console_write_1),
	UART("ttyAMA2", console_write_2),
	UART("ttyAMA3", console_write_3),
};

static const struct machine_uart *description(const struct uart *u)
{
	return &machine.uarts[u - uarts];
}

static volatile u8 *registers_of(const struct uart *u)
{
	return u->registers ?: early_device_map(phys(description(u)->registers.base));
}

static u32 reg_read(const struct uart *u, enum uart_reg reg)
{
	return mmio_read32(registers_of(u) + reg);
}

static void reg_write(const struct uart *u, enum uart_reg reg, u32 value)
{
	mmio_write32(registers_of(u) + reg, value);
}

// Locking that survives panics. Returns whether to unlock.
static bool lock_sync(struct uart *u)
{
	if (console_in_panic())
		return false;
	for (u32 i = 0; i < LOCK_TRIES; i++) {
		if (spin_trylock(&u->lock))
			return true;
		cpu_relax();
	}
	return false;
}

// How many bytes the transmitter takes now.
static u32 room(const struct uart *u)
{
	u32 flags = reg_read(u, UART_FLAGS);

	return flags & FLAG_EMPTY && u->line & LINE_FIFO ? FIFO_BYTES : flags & FLAG_FULL ? 0 : 1;
}

// 0: the device takes nothing; what it was to be given is dropped.
static u32 room_wait(struct uart *u)
{
	for (u32 i = 0; i < POLL_MAX; i++) {
		u32 n = room(u);

		if (n) {
			u->stuck = false;
			return n;
		}
		if (u->stuck) // it was waited for in vain once already
			return 0;
		cpu_relax();
	}
	u->stuck = true;
	return 0;
}

// ---- line settings ----

// The divisor counts when line control is written, and changes only while the device is off and
// quiet.
static void line_program(struct uart *u)
{
	if (description(u)->fixed)
		return;
	for (u32 i = 0; i < POLL_MAX && reg_read(u, UART_FLAGS) & FLAG_BUSY; i++)
		cpu_relax(); // a byte under way would be garbled
	reg_write(u, UART_CONTROL, 0);
	if (u->divisor) {
		reg_write(u, UART_DIVISOR, u->divisor >> 6);
		reg_write(u, UART_FRACTION, u->divisor & 0x3f);
	}
	reg_write(u, UART_LINE, u->line);
	reg_write(u, UART_CONTROL, CONTROL_ALL);
}

// platform_device.line
static s64 uart_line(struct platform_device *d, u32 divisor, u32 control)
{
	struct uart *u = container_of(d, struct uart, device);

	if (divisor > DIVISOR_MAX || control > 0xff || (divisor && divisor < 64))
		return -EINVAL;
	irqflags_t flags = spin_lock_irqsave(&u->lock);

	if (divisor && !description(u)->fixed) {
		bool same = divisor == u->divisor;

		u->divisor = divisor;
		u->line = (control & ~LINE_BREAK) | LINE_FIFO;
		if (!same)
			line_program(u);
		reg_write(u, UART_LINE, control | LINE_FIFO);
	}
	s64 now = (s64)u->divisor | (s64)(u->line & ~LINE_FIFO) << 32;

	spin_unlock_irqrestore(&u->lock, flags);
	return now;
}

// ---- the log ----

// So that what is sent next gets out, whatever the device's service did.
static void log_prepare(struct uart *u)
{
	if (description(u)->fixed)
		return;
	u32 control = reg_read(u, UART_CONTROL), wanted = control | CONTROL_ON | CONTROL_TRANSMIT;

	if (reg_read(u, UART_LINE) != u->line)
		reg_write(u, UART_LINE, u->line);
	if (control != (wanted & ~CONTROL_LOOP))
		reg_write(u, UART_CONTROL, wanted & ~CONTROL_LOOP);
	if (!console_in_panic() || u->restored)
		return;
	u->restored = true;
	line_program(u);
}

struct sync_out {
	struct uart *uart;
	u32 credit; // bytes the device takes before its flags must be read again
};

static void sync_byte(struct sync_out *s, u8 byte)
{
	if (!s->credit)
		s->credit = room_wait(s->uart);
	if (!s->credit)
		return;
	s->credit--;
	reg_write(s->uart, UART_DATA, byte);
}

static void log_write(struct uart *u, const char *text, size_t len)
{
	struct sync_out s = {.uart = u};
	irqflags_t flags = irq_save();

	if (!registers_of(u)) {
		irq_restore(flags);
		return;
	}
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
	u32 n = 1;

	while (done < len && n) {
		size_t end = min(len, done + CHUNK_BYTES), start = done;
		irqflags_t flags = spin_lock_irqsave(&u->lock);

		while (done < end && (n = room(u)))
			for (; n && done < end; n--)
				reg_write(u, UART_DATA, text[done++]);
		n = done == end;
		if (done > start)
			u->tty_midline = text[done - 1] != '\n';
		spin_unlock_irqrestore(&u->lock, flags);
	}
	return done;
}

// ---- setting up ----

static void setup(struct uart *u, u32 baud)
{
	const struct machine_uart *d = description(u);

	if (u->ready)
		return;
	u->line = LINE_8_BITS | LINE_FIFO;
	// 16.6 bits of clock / (16 * baud)
	u64 divisor = (4ull * d->clock_hz + baud / 2) / baud;

	u->divisor = divisor >= 64 && divisor <= DIVISOR_MAX ? (u32)divisor : 0;
	reg_write(u, UART_INTERRUPTS, 0);
	reg_write(u, UART_INTERRUPTS_CLEAR, 0x7ff);
	line_program(u);
	u->ready = true;
}

// "ttyAMA1,115200n8": the port's number and speed; false for anything else.
static bool console_parse(const char *s, size_t len, u32 *n, u32 *baud)
{
	u64 value;

	if (len < 7 || memcmp(s, "ttyAMA", 6) != 0 || s[6] < '0' ||
	    s[6] >= '0' + (int)MACHINE_UARTS || (len > 7 && s[7] != ','))
		return false;
	*n = (u32)(s[6] - '0');
	*baud = BAUD;
	if (len > 8 && parse_u64_prefix(s + 8, len - 8, 10, &value) && value >= 50 &&
	    value <= 4000000)
		*baud = (u32)value;
	return true;
}

static void console_add(u32 n, u32 baud)
{
	struct uart *u = &uarts[n];

	if (n >= machine.nuarts || u->console || !registers_of(u))
		return;
	setup(u, baud);
	u->console = true;
	console_register(&u->out);
}

// As console= says; without any, firmware's own, or the first.
static void consoles_add(void)
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
		console_add(machine.console < machine.nuarts ? machine.console : 0, BAUD);
}

void uart_early_init(void)
{
	machine_early_init();
	consoles_add();
}

static void device_add(struct uart *u, u32 unit)
{
	const struct machine_uart *d = description(u);

	irq_line_describe(&d->irq);
	u->device = (struct platform_device){.name = "pl011",
					     .unit = unit,
					     .registers = phys(d->registers.base),
					     .registers_len = d->registers.len,
					     .clock_hz = d->clock_hz,
					     .irq = d->irq.intid,
					     .transmit = uart_transmit,
					     .line = uart_line};
	platform_device_add(&u->device);
}

void pl011_init(void)
{
	for (u32 n = 0; n < machine.nuarts; n++) {
		struct machine_range r = machine.uarts[n].registers;
		volatile u8 *registers =
			r.len >= UART_REGISTERS ? mmio_map(phys(r.base), r.len) : nullptr;

		if (!registers)
			panic("no memory to map a serial port, or firmware says that it has no registers");
		uarts[n].registers = registers;
	}
	consoles_add();
	for (u32 n = 0; n < machine.nuarts; n++) {
		setup(&uarts[n], BAUD);
		device_add(&uarts[n], n);
	}
}
