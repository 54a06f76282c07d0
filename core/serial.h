// SPDX-License-Identifier: MIT
// Serial ports: the kernel log's console on one, terminals on any. Privileged.
//
// A port has one transmitter for two users. Terminal output goes through serial_write: straight
// into the device while it takes bytes, else into a ring that the device's interrupt drains. The
// log goes through serial_write_sync, which waits for the device and gets in between lines of
// terminal output, never inside one that is still in the ring.
#pragma once
#include "base/types.h"

constexpr u32 SERIAL_PORTS_MAX = 4;
struct serial_port;

struct serial_ops {
	// Bytes came in. Interrupt context, no lock held. May call serial_write.
	void (*receive)(void *ctx, const u8 *bytes, size_t len);
	// The line was held in the break state. Interrupt context. May be nullptr.
	void (*line_break)(void *ctx);
	// After serial_write took less than all: the ring is half empty again. Interrupt context.
	// May be nullptr.
	void (*space)(void *ctx);
};

enum serial_parity : u8 { SERIAL_PARITY_NONE, SERIAL_PARITY_ODD, SERIAL_PARITY_EVEN };
struct serial_line {
	u32 baud; // 50..115200
	u8 bits;  // 5..8
	u8 stop;  // 1 or 2
	enum serial_parity parity;
};

// The early console: finds ports, registers those that console= names (ttyS0 without any console=)
// for the log. Boot CPU, with nothing but bootinfo set up.
void serial_early_init(void);

// The port ttySn, nullptr when the machine has none there. After initcall level 2.
struct serial_port *serial_port_get(u32 n);
const char *serial_port_name(const struct serial_port *p); // "ttyS0"
bool serial_port_is_console(const struct serial_port *p);  // console= names it
// Where /dev/console leads: the last serial port that console= names; nullptr: none.
struct serial_port *serial_console_port(void);
struct serial_info {
	u64 io;
	u32 irq;
	u64 tx, rx, overruns, frame_errors, parity_errors, breaks;
};
void serial_port_info(const struct serial_port *p, struct serial_info *out);

// Starts interrupt-driven use. One user a port, for good. 0, -EBUSY, or what irq_line_add says. May
// sleep.
[[nodiscard]] int serial_port_attach(struct serial_port *p, const struct serial_ops *ops,
				     void *ctx);
// Receiving off and on again (flow control): bytes then wait in the device.
void serial_set_receive(struct serial_port *p, bool on);

// Takes up to len bytes for transmission and returns how many. Never waits. Any context but NMI.
size_t serial_write(struct serial_port *p, const void *buf, size_t len);
size_t serial_write_room(struct serial_port *p); // what serial_write would take at least
size_t serial_pending(struct serial_port *p);	 // bytes taken and not yet given to the device
void serial_discard(struct serial_port *p);	 // forgets those (TCOFLUSH)
void serial_drain(struct serial_port *p); // sleeps until all has left (tcdrain); bounded by 30 s
// Sends all of it, waiting for the device. Any context; after panic it ignores locks.
void serial_write_sync(struct serial_port *p, const char *text, size_t len);

int serial_set_line(struct serial_port *p, const struct serial_line *line); // -EINVAL
void serial_get_line(struct serial_port *p, struct serial_line *line);
void serial_send_break(struct serial_port *p, bool on);
