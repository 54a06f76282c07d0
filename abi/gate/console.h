// SPDX-License-Identifier: MIT
// The class interface of paravirtual consoles: a byte stream without a line behind it, in chunks,
// and a size in characters that may change.
//
// A driver registers a console (gate_console_register) with a transmit buffer of its own memory;
// core copies output there and calls transmit(), which owns the buffer until the driver calls
// gate_console_sent(). What came in it hands on by gate_console_receive().
//
// Faults. A chunk that was being transmitted is transmitted again by the successor: it may come
// twice, it is not lost.
#pragma once
#include "base/types.h"

constexpr u32 CONSOLE_CHUNK = 1024; // bytes of the transmit buffer and of one gate_console_receive

struct console_params {
	char prefix[8]; // "hvc"
	u32 unit;
	u16 columns, rows; // 0: unknown
	u64 buffer;	   // address of CONSOLE_CHUNK bytes in the service's memory
	u64 cookie;
};

struct console_ops {
	// Sends the first len bytes of the transmit buffer: 0, or an error that counts as a fault.
	int (*transmit)(u64 cookie, u32 len);
};
