// SPDX-License-Identifier: MIT
// serial_console.c: the terminals' byte streams of PC serial ports (16550A): ttyS0 to ttyS3.
//
// Purpose. Core sets the ports up and sends its log through them, by polling. Here is what takes
// interrupts: receiving, and a ring of bytes that wait for the transmitter; and the line's
// settings. The transmitter and the registers that the log depends on are reached through calls
// (gate_uart_transmit, gate_uart_line) which keep the two users apart.
//
// Transmitting. write() first offers the device all there is; a device that is always ready, as
// virtual ones are, thus costs one call and no interrupt. What it does not take goes to the ring,
// and the transmit interrupt is on exactly while the ring holds something: turning it on while the
// device is ready interrupts at once, so nothing is missed between the two.
//
// Interrupts. ISA lines may be shared and interrupt on edges only, so an edge of one port may hide
// behind another's. Whichever interrupt comes, all ports are served until none has anything left.
//
// Locks. Each port's, held while it is served and while its functions run. Core's calls out of here
// do not wait for calls into here, so the lock may be held meanwhile.
//
// Failure. The next life finds the device as this one left it: it turns interrupts off before it
// asks for them, so that the line is low, and takes the line's settings from the device.
#include "services/lib/service.h"
#include "abi/gate/serial.h"
#include "base/ring.h"

// National PC16550D data sheet, table II
enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, MCR = 4, LSR = 5, REGISTERS = 8 };
enum { IER_RECEIVE = 1, IER_TRANSMIT = 2, IER_LINE = 4 };
enum { IIR_NONE = 1 };
enum { FCR_ON = 1, FCR_TRIGGER_8 = 0x80 };
enum { LCR_TWO_STOPS = 4, LCR_ODD = 0x08, LCR_EVEN = 0x18, LCR_PARITY = 0x18, LCR_BREAK = 0x40 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT2 = 8 }; // OUT2 lets the interrupt through on PCs
enum { LSR_DATA = 1, LSR_BREAK = 16, LSR_ALL_EMPTY = 64, LSR_NOBODY = 0xff };

constexpr u32 CLOCK_HZ = 115200; // after the fixed division by 16
constexpr u32 RING_BYTES = 4096, PORTS_MAX = 4, ROUNDS_MAX = 256;

struct port {
	u64 device; // constant
	struct service_mutex lock;
	u64 handle; // lock, as all down to tx
	const u8 *buffer;
	u8 interrupts;	 // what IER holds
	bool breaking;	 // a break is being sent
	bool want_space; // write() fell short
	struct serial_line line;
	struct ring tx;
	u8 tx_bytes[RING_BYTES];
	u32 seen; // of `served`, by this port's interrupt
};
static struct port ports[PORTS_MAX];
static u32 nports; // atomic; grows
static u32 served; // atomic; times that a port had something to do

static u8 reg_read(const struct port *p, u32 reg)
{
	s64 r = gate_device_port_read(p->device, 0, reg, 1);

	return r < 0 ? LSR_NOBODY : (u8)r;
}

static void reg_write(const struct port *p, u32 reg, u8 value)
{
	(void)gate_device_port_write(p->device, 0, reg, 1, value);
}

static void interrupts_set(struct port *p, u8 interrupts)
{
	if (p->interrupts == interrupts)
		return;
	p->interrupts = interrupts;
	reg_write(p, IER, interrupts);
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
	interrupts_set(p, ring_empty(tx) ? p->interrupts & ~IER_TRANSMIT
					 : p->interrupts | IER_TRANSMIT);
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
		interrupts_set(p, p->interrupts | IER_TRANSMIT);
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
	return ring_empty(&p->tx) && reg_read(p, LSR) & LSR_ALL_EMPTY;
}

// ---- receiving; lock held ----

static void receive(struct port *p)
{
	u8 bytes[SERIAL_BYTES_MAX];
	bool line_break = false;
	u32 n = 0;

	while (n < sizeof(bytes) && !line_break) {
		u8 status = reg_read(p, LSR);

		if (status == LSR_NOBODY || !(status & (LSR_DATA | LSR_BREAK)))
			break;
		u8 byte = reg_read(p, DATA);

		// Bytes with errors of parity or framing are as good as any: nobody would know
		// more.
		if (status & LSR_BREAK)
			line_break = true;
		else
			bytes[n++] = byte;
	}
	if (n && gate_serial_receive(p->handle, bytes, n) == SERIAL_FULL)
		interrupts_set(p, p->interrupts & ~(IER_RECEIVE | IER_LINE));
	if (line_break)
		(void)gate_serial_break(p->handle);
}

static int port_resume(u64 cookie)
{
	struct port *p = &ports[cookie];

	guard(service_mutex, &p->lock);
	interrupts_set(p, p->interrupts | IER_RECEIVE | IER_LINE);
	return 0;
}

// ---- interrupts ----

static bool serve(struct port *p)
{
	guard(service_mutex, &p->lock);
	if (reg_read(p, IIR) & IIR_NONE)
		return false;
	if (p->interrupts & IER_RECEIVE)
		receive(p);
	if (p->interrupts & IER_TRANSMIT)
		ring_push(p);
	return true;
}

static int interrupt(u64 self, u64 irq)
{
	struct port *mine = &ports[irq];
	bool any = true;

	(void)self;
	for (u32 round = 0; any && round < ROUNDS_MAX; round++) {
		any = false;
		for (u32 i = 0; i < __atomic_load_n(&nports, __ATOMIC_ACQUIRE); i++)
			any |= serve(&ports[i]);
		if (any)
			__atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
	}
	if (any) { // give others the CPU: the line drops and rises again, for only an edge
		   // interrupts
		guard(service_mutex, &mine->lock);
		reg_write(mine, IER, 0);
		reg_write(mine, IER, mine->interrupts);
	}
	// When another interrupt's thread did the work, this one was none for nothing.
	u32 now = __atomic_load_n(&served, __ATOMIC_RELAXED), before = mine->seen;

	mine->seen = now;
	return now != before;
}

// ---- line settings; lock held ----

static u32 control_of(const struct port *p)
{
	const struct serial_line *l = &p->line;

	return (u32)(l->bits - 5) | (l->stop == 2 ? LCR_TWO_STOPS : 0) |
	       (l->parity == SERIAL_PARITY_ODD	  ? LCR_ODD
		: l->parity == SERIAL_PARITY_EVEN ? LCR_EVEN
						  : 0) |
	       (p->breaking ? LCR_BREAK : 0);
}

static u32 divisor_of(u32 baud)
{
	return max((CLOCK_HZ + baud / 2) / baud, 1u);
}

static void line_program(struct port *p)
{
	(void)gate_uart_line(p->device, divisor_of(p->line.baud), control_of(p));
}

static s64 port_set_line(u64 cookie, u64 line)
{
	struct port *p = &ports[cookie];
	struct serial_line l = SERIAL_LINE_UNPACK(line);

	guard(service_mutex, &p->lock);
	if (l.baud >= 50 && l.baud <= CLOCK_HZ && l.bits >= 5 && l.bits <= 8 && l.stop >= 1 &&
	    l.stop <= 2 && l.parity <= SERIAL_PARITY_EVEN) {
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

static struct serial_line line_read(const struct port *p)
{
	s64 r = gate_uart_line(p->device, 0, 0);
	u32 divisor = (u32)r, control = (u32)(r >> 32) & 0xff;

	if (r < 0 || !divisor)
		return (struct serial_line){.baud = 9600, .bits = 8, .stop = 1};
	return (struct serial_line){.baud = CLOCK_HZ / divisor,
				    .bits = (u8)(5 + (control & 3)),
				    .stop = control & LCR_TWO_STOPS ? 2 : 1,
				    .parity = (control & LCR_PARITY) == LCR_EVEN
						      ? SERIAL_PARITY_EVEN
					      : control & LCR_ODD ? SERIAL_PARITY_ODD
								  : SERIAL_PARITY_NONE};
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
		.prefix = "ttyS", .unit = unit, .line = p->line, .cookie = (u64)(p - ports)};

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
	    info.resource[0].kind != RESOURCE_PORTS || info.resource[0].len < REGISTERS)
		return -ENODEV;
	struct port *p = &ports[nports];

	p->device = device;
	reg_write(p, IER, 0);
	reg_write(p, FCR, FCR_ON | FCR_TRIGGER_8);
	reg_write(p, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
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
		__atomic_store_n(&nports, nports + 1, __ATOMIC_RELEASE);
	return err;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PLATFORM, .name = "uart16550"},
	{},
};

SERVICE(serial_console, "terminals on serial ports", .provides = GATE_SERIAL, .devices = devices,
	.ops.probe = probe, .ops.interrupt = interrupt);
