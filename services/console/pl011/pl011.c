// SPDX-License-Identifier: MIT
// pl011.c: the terminals' byte streams of Arm's serial ports (PL011 and the SBSA's generic UART):
// ttyAMA0 to ttyAMA3.
//
// Purpose. Core sets the ports up and sends its log through them, by polling. Here is what takes
// interrupts: receiving, and a ring of bytes that wait for the transmitter; and the line's
// settings. The transmitter and the registers that the log depends on are reached through calls
// (gate_uart_transmit, gate_uart_line) which keep the two users apart; all other registers are
// mapped.
//
// Transmitting. write() first offers the device all there is; a device that is always ready, as
// virtual ones are, thus costs one call and no interrupt. What it does not take goes to the ring,
// and the transmit interrupt is on exactly while the ring holds something. The device raises it
// when its FIFO has drained to a level, and remembers it until it is cleared or the FIFO is filled
// above that level; the ring holds something only after the FIFO was full, so the drain comes after
// that, and is not missed between the two.
//
// Interrupts. The line is of levels: core holds it from the interrupt until interrupt() returns.
// What is not served by then interrupts again.
//
// Locks. Each port's, held while it is served and while its functions run. Core's calls out of here
// do not wait for calls into here, so the lock may be held meanwhile.
//
// Failure. The next life finds the device as this one left it: it turns interrupts off before it
// asks for them, and takes the line's settings from the device.
#include "services/lib/service.h"
#include "abi/gate/serial.h"
#include "base/ring.h"

// Arm DDI 0183, table 3-1
enum { DATA = 0x00, FLAGS = 0x18, MASK = 0x38, PENDING = 0x40, CLEAR = 0x44, REGISTERS = 0x48 };
enum { DATA_BREAK = 0x400 };
enum { FLAG_BUSY = 0x08, FLAG_NO_DATA = 0x10, FLAG_ALL_EMPTY = 0x80 };
// of MASK, PENDING and CLEAR; TIMEOUT: bytes lie in the FIFO, and no more come
enum {
	INT_RECEIVE = 0x10,
	INT_TRANSMIT = 0x20,
	INT_TIMEOUT = 0x40,
	INT_ERRORS = 0x780,
	INT_ALL = 0x7ff
};
enum { INT_IN = INT_RECEIVE | INT_TIMEOUT };
// line control, of gate_uart_line
enum {
	LINE_BREAK = 0x01,
	LINE_PARITY = 0x02,
	LINE_EVEN = 0x04,
	LINE_TWO_STOPS = 0x08,
	LINE_BITS_SHIFT = 5
};

constexpr u32 BAUD = 115200; // where the device does not say
constexpr u32 RING_BYTES = 4096, PORTS_MAX = 4;

struct port {
	u64 device; // constant, as the two below
	volatile u8 *registers;
	u32 clock_hz; // 0: the speed is as it is
	struct service_mutex lock;
	u64 handle; // lock, as all below
	const u8 *buffer;
	u32 interrupts;	 // what MASK holds
	bool breaking;	 // a break is being sent
	bool want_space; // write() fell short
	struct serial_line line;
	struct ring tx;
	u8 tx_bytes[RING_BYTES];
};
static struct port ports[PORTS_MAX];
static u32 nports; // probe(): one at a time

static u32 reg_read(const struct port *p, u32 reg)
{
	return *(volatile u32 *)(p->registers + reg);
}

static void reg_write(const struct port *p, u32 reg, u32 value)
{
	*(volatile u32 *)(p->registers + reg) = value;
}

static void interrupts_set(struct port *p, u32 interrupts)
{
	if (p->interrupts == interrupts)
		return;
	p->interrupts = interrupts;
	reg_write(p, MASK, interrupts);
}

// ---- transmitting; lock held ----

static u32 transmit(struct port *p, const u8 *bytes, u32 len)
{
	s64 r = gate_uart_transmit(p->device, bytes, len);

	return r < 0 ? 0 : (u32)r;
}

static void ring_push(struct port *p)
{
	struct ring *tx = &p->tx;

	while (!ring_empty(tx)) {
		u32 at = tx->head & tx->mask;
		u32 n = min(min(ring_used(tx), tx->mask + 1 - at), SERIAL_BYTES_MAX);
		u32 taken = transmit(p, tx->buf + at, n);

		tx->head += taken;
		if (taken < n)
			break;
	}
	interrupts_set(p, ring_empty(tx) ? p->interrupts & ~INT_TRANSMIT
					 : p->interrupts | INT_TRANSMIT);
	if (p->want_space && ring_free(tx) >= RING_BYTES / 2) {
		p->want_space = false;
		(void)gate_serial_space(p->handle);
	}
}

static int port_write(u64 cookie, u32 len)
{
	struct port *p = &ports[cookie];
	u32 n = 0;

	guard(service_mutex, &p->lock);
	if (ring_empty(&p->tx))
		n = transmit(p, p->buffer, len);
	if (n < len) {
		n += (u32)ring_write(&p->tx, p->buffer + n, len - n);
		interrupts_set(p, p->interrupts | INT_TRANSMIT);
	}
	p->want_space |= n < len;
	return (int)n;
}

static int port_pending(u64 cookie)
{
	guard(service_mutex, &ports[cookie].lock);
	return (int)ring_used(&ports[cookie].tx);
}

static int port_discard(u64 cookie)
{
	struct port *p = &ports[cookie];

	guard(service_mutex, &p->lock);
	p->tx.head = p->tx.tail;
	ring_push(p);
	return 0;
}

static int port_drained(u64 cookie)
{
	struct port *p = &ports[cookie];

	guard(service_mutex, &p->lock);
	return ring_empty(&p->tx) &&
	       (reg_read(p, FLAGS) & (FLAG_ALL_EMPTY | FLAG_BUSY)) == FLAG_ALL_EMPTY;
}

// ---- receiving; lock held ----

static void receive(struct port *p)
{
	u8 bytes[SERIAL_BYTES_MAX];
	bool line_break = false;
	u32 n = 0;

	while (n < sizeof(bytes) && !line_break && !(reg_read(p, FLAGS) & FLAG_NO_DATA)) {
		u32 data = reg_read(p, DATA);

		// Bytes with errors of parity or framing are as good as any: nobody would know
		// more.
		if (data & DATA_BREAK)
			line_break = true;
		else
			bytes[n++] = (u8)data;
	}
	if (n && gate_serial_receive(p->handle, bytes, n) == SERIAL_FULL)
		interrupts_set(p, p->interrupts & ~INT_IN);
	if (line_break)
		(void)gate_serial_break(p->handle);
}

static int port_resume(u64 cookie)
{
	struct port *p = &ports[cookie];

	guard(service_mutex, &p->lock);
	// What came in meanwhile raised an interrupt that is still pending.
	interrupts_set(p, p->interrupts | INT_IN);
	return 0;
}

// ---- interrupts ----

static int interrupt(u64 self, u64 irq)
{
	struct port *p = &ports[irq];

	(void)self;
	guard(service_mutex, &p->lock);
	u32 pending = reg_read(p, PENDING);

	if (!pending)
		return 0;
	// Before the work, so that what comes during it counts. Receiving ends when the FIFO is
	// read.
	reg_write(p, CLEAR, pending & (INT_TRANSMIT | INT_ERRORS));
	if (p->interrupts & INT_IN)
		receive(p);
	if (p->interrupts & INT_TRANSMIT)
		ring_push(p);
	return 1;
}

// ---- line settings; lock held ----

static u32 control_of(const struct port *p)
{
	const struct serial_line *l = &p->line;

	return (u32)(l->bits - 5) << LINE_BITS_SHIFT | (l->stop == 2 ? LINE_TWO_STOPS : 0) |
	       (l->parity == SERIAL_PARITY_ODD	  ? LINE_PARITY
		: l->parity == SERIAL_PARITY_EVEN ? LINE_PARITY | LINE_EVEN
						  : 0) |
	       (p->breaking ? LINE_BREAK : 0);
}

// In 64ths of clock / (16 * baud).
static u32 divisor_of(const struct port *p, u32 baud)
{
	return (u32)((4ull * p->clock_hz + baud / 2) / baud);
}

// What the device makes of a speed; a divisor of 16.6 bits, at least 1.0.
static bool baud_ok(const struct port *p, u32 baud)
{
	return baud >= 50 && p->clock_hz && divisor_of(p, baud) >= 64 &&
	       divisor_of(p, baud) <= 0x3fffff;
}

static void line_program(struct port *p)
{
	if (baud_ok(p, p->line.baud))
		(void)gate_uart_line(p->device, divisor_of(p, p->line.baud), control_of(p));
}

static s64 port_set_line(u64 cookie, u64 line)
{
	struct port *p = &ports[cookie];
	struct serial_line l = SERIAL_LINE_UNPACK(line);

	guard(service_mutex, &p->lock);
	if (baud_ok(p, l.baud) && l.bits >= 5 && l.bits <= 8 && l.stop >= 1 && l.stop <= 2 &&
	    l.parity <= SERIAL_PARITY_EVEN) {
		p->line = l;
		line_program(p);
	}
	return (s64)SERIAL_LINE_PACK(p->line);
}

static int port_send_break(u64 cookie, bool on)
{
	struct port *p = &ports[cookie];

	guard(service_mutex, &p->lock);
	p->breaking = on;
	line_program(p);
	return 0;
}

// The speed that was meant: a divisor hits few speeds exactly.
static u32 baud_of(const struct port *p, u32 divisor)
{
	static const u32 usual[] = {50,	  75,	110,  134,  150,   200,	  300,	 600,	1200,
				    1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200};

	for (u32 i = 0; i < ARRAY_SIZE(usual); i++)
		if (divisor_of(p, usual[i]) == divisor)
			return usual[i];
	return (u32)(4ull * p->clock_hz / divisor);
}

static struct serial_line line_read(const struct port *p)
{
	s64 r = gate_uart_line(p->device, 0, 0);
	u32 divisor = (u32)r, control = (u32)(r >> 32) & 0xff;

	if (r < 0 || !divisor || !p->clock_hz)
		return (struct serial_line){.baud = BAUD, .bits = 8, .stop = 1};
	return (struct serial_line){.baud = baud_of(p, divisor),
				    .bits = (u8)(5 + (control >> LINE_BITS_SHIFT & 3)),
				    .stop = control & LINE_TWO_STOPS ? 2 : 1,
				    .parity = !(control & LINE_PARITY) ? SERIAL_PARITY_NONE
					      : control & LINE_EVEN    ? SERIAL_PARITY_EVEN
								       : SERIAL_PARITY_ODD};
}

// ---- setting up ----

static int port_register(struct port *p, u32 unit)
{
	static const struct serial_ops ops = {.write = port_write,
					      .pending = port_pending,
					      .discard = port_discard,
					      .resume = port_resume,
					      .set_line = port_set_line,
					      .send_break = port_send_break,
					      .drained = port_drained};
	struct serial_params params = {
		.prefix = "ttyAMA", .unit = unit, .line = p->line, .cookie = (u64)(p - ports)};

	guard(service_mutex, &p->lock); // functions may be called before all is known
	s64 r = gate_serial_register(service_self, &params, &ops);

	if (r < 0)
		return (int)r;
	p->handle = (u64)r;
	r = gate_serial_buffer(p->handle);
	p->buffer = (const u8 *)r;
	return GATE_IS_ERROR(r) ? (int)r : 0;
}

static int probe(u64 self, u64 device)
{
	struct device_info info;

	service_self = self;
	if (nports == PORTS_MAX || gate_device_info(device, &info) ||
	    info.resource[0].kind != RESOURCE_MEMORY || info.resource[0].len < REGISTERS)
		return -ENODEV;
	struct port *p = &ports[nports];
	s64 mapped = gate_device_map(device, 0);

	if (GATE_IS_ERROR(mapped))
		return (int)mapped;
	p->device = device;
	p->registers = (volatile u8 *)mapped;
	p->clock_hz = info.clock_hz;
	reg_write(p, MASK, 0);
	reg_write(p, CLEAR, INT_ALL & ~INT_IN);
	p->line = line_read(p);
	ring_init(&p->tx, p->tx_bytes, RING_BYTES);
	int err = service_mutex_init(&p->lock);

	if (err)
		return err;
	s64 irq = gate_irq_attach(device, 0, IRQ_CPU_ANY, 0, nports);

	if (irq < 0)
		return (int)irq;
	err = port_register(p, info.unit);
	if (err)
		(void)gate_close(self, (u64)irq);
	else
		nports++;
	return err;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PLATFORM, .name = "pl011"},
	{},
};

SERVICE(pl011, "terminals on Arm's serial ports", .provides = GATE_SERIAL, .devices = devices,
	.ops.probe = probe, .ops.interrupt = interrupt);
