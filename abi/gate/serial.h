// SPDX-License-Identifier: MIT
// The class interface of serial ports: a terminal's byte stream over a line that has a speed.
//
// A driver registers a port (gate_serial_register), tells what came in by gate_serial_receive(),
// that the line was held in the break state by gate_serial_break(), and by gate_serial_space() that
// it can take bytes again after write() took less than all. Core's log and its panic messages do
// not come through here: core writes to its console's device itself (gate_uart_transmit and
// gate_uart_line keep the two apart).
//
// Flow control. A port begins by receiving nothing: what comes in stays in the device. resume()
// ends that; gate_serial_receive() begins it again by returning SERIAL_FULL. The driver holds a
// lock from that call until it has stopped the device, and takes it in resume(), which may come at
// once.
//
// Faults. Bytes that the driver had taken and not sent are lost, and so are those of a write() that
// it died in. The terminal lives on: the successor's port takes its place, set_line() gives it the
// settings of before, and resume() starts it.
#pragma once
#include "base/types.h"

enum serial_parity : u8 { SERIAL_PARITY_NONE, SERIAL_PARITY_ODD, SERIAL_PARITY_EVEN };
struct serial_line {
	u32 baud; // 50..115200
	u8 bits;  // 5..8
	u8 stop;  // 1 or 2
	enum serial_parity parity;
	u8 unused;
};

constexpr u32 SERIAL_BYTES_MAX = 256; // of one write or receive

constexpr int SERIAL_FULL = 1; // gate_serial_receive(): no more until resume()

struct serial_params {
	char prefix[8]; // "ttyS", "ttyAMA"
	u32 unit;	// ttyS0 is 0
	struct serial_line line;
	u64 cookie;
};

// Of a port, the functions are called one at a time.
struct serial_ops {
	// Takes up to len (1 to SERIAL_BYTES_MAX) bytes and returns how many. Never waits. The
	// bytes lie at gate_serial_buffer()'s address.
	int (*write)(u64 cookie, u32 len);
	int (*pending)(u64 cookie); // bytes taken and not yet given to the device
	int (*discard)(u64 cookie); // forgets those
	int (*resume)(u64 cookie);  // receives
	// line packed as SERIAL_LINE_PACK does. What the device cannot do leaves it as it is.
	// Returns the line as it is now, packed.
	s64 (*set_line)(u64 cookie, u64 line);
	int (*send_break)(u64 cookie, bool on);
	int (*drained)(u64 cookie); // 1: all has left the device, 0: not yet
};

#define SERIAL_LINE_PACK(l) \
	((u64)(l).baud | (u64)(l).bits << 32 | (u64)(l).stop << 40 | (u64)(l).parity << 48)
#define SERIAL_LINE_UNPACK(v)                          \
	((struct serial_line){.baud = (u32)(v),        \
			      .bits = (u8)((v) >> 32), \
			      .stop = (u8)((v) >> 40), \
			      .parity = (enum serial_parity)((v) >> 48 & 3)})
