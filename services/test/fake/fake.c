// SPDX-License-Identifier: MIT
// fake.c: a serial port (ttyS3), a console (hvc7) and a source of random numbers without devices,
// which do what tests ask for, also what no driver should. `echo NUMBER A B >/dev/fake` asks.
//
// What comes to the serial port goes back as input. What the console is given is logged.
#include "services/lib/service.h"
#include "abi/gate/console.h"
#include "abi/gate/entropy.h"
#include "abi/gate/serial.h"
#include "abi/gate/test.h"
#include "base/string.h"

enum {
	FAKE_RESIZE,	// the console has a columns and b rows
	FAKE_HOLD,	// a: the console does not say any more that chunks were sent
	FAKE_SENT,	// says so
	FAKE_AGAIN,	// registers the three once more; 0: all were refused
	FAKE_SERIAL,	// a: how write() behaves, enum serial_mode
	FAKE_TYPE,	// the serial port receives a times an x
	FAKE_BREAK,	// the serial port receives a break
	FAKE_ENTROPY,	// a: how request() behaves, enum entropy_mode
	FAKE_UNASKED,	// answers a question that nobody asked: 0 when that is refused
	FAKE_CONSOLE,	// a: what transmit() returns
	FAKE_BAD_NAMES, // registers what cannot be; 0: all were refused
};
enum serial_mode {
	SERIAL_ECHOES,
	SERIAL_TAKES_TOO_MUCH,
	SERIAL_FAILS,
	SERIAL_LIES_DEAD,
	SERIAL_FULL_UP
};
enum entropy_mode { ENTROPY_CONSTANT, ENTROPY_BUSY, ENTROPY_TOO_MUCH, ENTROPY_FAILS };

static u64 serial, console, source; // handles
static const char *serial_buffer, *console_buffer;
static u64 serial_mode, entropy_mode;
static bool hold;
static int transmit_result;
static struct service_mutex lock; // of all here
static u32 held_back;		  // bytes typed that core had no room for

// ---- the serial port ----

static int serial_write(u64 cookie, u32 len)
{
	(void)cookie;
	guard(service_mutex, &lock);
	switch (serial_mode) {
	case SERIAL_TAKES_TOO_MUCH:
		return (int)len + 1;
	case SERIAL_FAILS:
		return -EINVAL;
	case SERIAL_LIES_DEAD:
		return -EIO;
	case SERIAL_FULL_UP:
		return 0;
	default:
		(void)gate_serial_receive(serial, serial_buffer, len);
		return (int)len;
	}
}

static int serial_pending(u64 cookie)
{
	(void)cookie;
	return serial_mode == SERIAL_FULL_UP ? 1000 : -7; // as if that were a number of bytes
}

// Lock held.
static void type(void)
{
	u8 bytes[SERIAL_BYTES_MAX];

	memset(bytes, 'x', sizeof(bytes));
	while (held_back) {
		u32 n = min(held_back, SERIAL_BYTES_MAX);

		held_back -= n;
		if (gate_serial_receive(serial, bytes, n) == SERIAL_FULL)
			break;
	}
}

static int serial_resume(u64 cookie)
{
	(void)cookie;
	guard(service_mutex, &lock);
	type();
	return 0;
}

static int type_more(u32 count)
{
	guard(service_mutex, &lock);
	held_back += count;
	type();
	return 0;
}

static int nothing(u64 cookie)
{
	(void)cookie;
	return 0;
}

static s64 serial_set_line(u64 cookie, u64 line)
{
	(void)cookie, (void)line;
	struct serial_line mine = {.baud = 300, .bits = 7, .stop = 1};

	return (s64)SERIAL_LINE_PACK(mine);
}

static int serial_send_break(u64 cookie, bool on)
{
	(void)cookie;
	service_log(SERVICE_NOTICE, "break %s", on ? "on" : "off");
	return 0;
}

static int serial_drained(u64 cookie)
{
	(void)cookie;
	return 1;
}

// ---- the console ----

static int transmit(u64 cookie, u32 len)
{
	(void)cookie;
	guard(service_mutex, &lock);
	service_log(SERVICE_NOTICE, "chunk of %u: %.*s", len, (int)min(len, 40u), console_buffer);
	if (!hold && !transmit_result)
		(void)gate_console_sent(console);
	return transmit_result;
}

// ---- random numbers ----

static int request(u64 cookie, u32 len)
{
	u8 bytes[ENTROPY_BYTES_MAX] = {};

	(void)cookie;
	guard(service_mutex, &lock);
	switch (entropy_mode) {
	case ENTROPY_BUSY:
		return -EAGAIN;
	case ENTROPY_TOO_MUCH:
		if (gate_entropy_add(source, bytes, 2) != 0)
			return -EINVAL;
		return gate_entropy_add(source, bytes, len); // the question is answered
	case ENTROPY_FAILS:
		return -ENXIO;
	default:
		return gate_entropy_add(source, bytes, len);
	}
}

// ---- registrations ----

static const struct serial_ops serial_functions = {.write = serial_write,
						   .pending = serial_pending,
						   .discard = nothing,
						   .resume = serial_resume,
						   .set_line = serial_set_line,
						   .send_break = serial_send_break,
						   .drained = serial_drained};
static const struct console_ops console_functions = {.transmit = transmit, .resume = nothing};
static const struct entropy_ops entropy_functions = {.request = request};

static s64 serial_register(const char prefix[8], u32 unit)
{
	struct serial_params p = {.unit = unit, .line = {.baud = 9600, .bits = 8, .stop = 1}};

	memcpy(p.prefix, prefix, sizeof(p.prefix));
	return gate_serial_register(service_self, &p, &serial_functions);
}

static s64 console_register(u32 unit)
{
	struct console_params p = {.prefix = "hvc", .unit = unit, .columns = 100, .rows = 30};

	return gate_console_register(service_self, &p, &console_functions);
}

static s64 entropy_register(char first)
{
	struct entropy_params p = {.name = "?ake"};

	p.name[0] = first;
	return gate_entropy_register(service_self, &p, &entropy_functions);
}

static int bad_names(void)
{
	static const struct serial_ops nowhere = {};
	struct serial_params p = {.prefix = "ttyS", .unit = 2};

	return serial_register("ttyS\0\0\0", 4) == -EINVAL &&
			       serial_register("ttyX\0\0\0", 1) == -EINVAL &&
			       serial_register("ttyS1111", 1) == -EINVAL &&
			       console_register(8) == -EINVAL && entropy_register(0) == -EINVAL &&
			       gate_serial_register(service_self, &p, &nowhere) == -EINVAL
		       ? 0
		       : -EPROTO;
}

static s64 run(u64 cookie, u32 number, u64 a, u64 b)
{
	(void)cookie;
	switch (number) {
	case FAKE_RESIZE:
		return gate_console_resize(console, (u16)a, (u16)b);
	case FAKE_HOLD:
		hold = a;
		return 0;
	case FAKE_SENT:
		return gate_console_sent(console);
	case FAKE_AGAIN:
		return serial_register("ttyS\0\0\0", 3) == -EBUSY &&
				       console_register(7) == -EBUSY &&
				       entropy_register('f') == -EBUSY
			       ? 0
			       : -EPROTO;
	case FAKE_SERIAL:
		serial_mode = a;
		return 0;
	case FAKE_TYPE:
		return type_more((u32)a);
	case FAKE_BREAK:
		return gate_serial_break(serial);
	case FAKE_ENTROPY:
		entropy_mode = a;
		return 0;
	case FAKE_UNASKED:
		return gate_entropy_add(source, "x", 1) == -EINVAL ? 0 : -EPROTO;
	case FAKE_CONSOLE:
		transmit_result = -(int)a;
		return 0;
	case FAKE_BAD_NAMES:
		return bad_names();
	default:
		return -EINVAL;
	}
}

static int start(u64 self)
{
	static const struct test_ops ops = {.run = run};
	struct test_params params = {.name = "fake"};
	s64 r;

	service_self = self;
	if (service_mutex_init(&lock))
		return -ENOMEM;
	guard(service_mutex, &lock); // functions may be called before all is known
	r = gate_test_register(self, &params, &ops);
	serial = (u64)serial_register("ttyS\0\0\0", 3);
	serial_buffer = (const char *)gate_serial_buffer(serial);
	console = (u64)console_register(7);
	console_buffer = (const char *)gate_console_buffer(console);
	source = (u64)entropy_register('f');
	if (r < 0 || GATE_IS_ERROR(serial_buffer) || GATE_IS_ERROR(console_buffer) ||
	    GATE_IS_ERROR(source))
		return -ENODEV;
	return 0;
}

SERVICE(fake, "terminals and random numbers for tests",
	.provides = GATE_TEST | GATE_SERIAL | GATE_CONSOLE | GATE_ENTROPY, .ops.start = start);
