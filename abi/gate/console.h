// SPDX-License-Identifier: MIT
// The class interface of paravirtual consoles: a byte stream without a line behind it, in chunks,
// and a size in characters that may change.
//
// A driver registers a console (gate_console_register). Core puts output into a buffer that the
// driver can read (gate_console_buffer) and calls transmit(); from then on the buffer is the
// driver's until it calls gate_console_sent(). What came in it hands on by gate_console_receive().
//
// Flow control. A console begins by receiving nothing: what comes in waits in the device. resume()
// ends that; gate_console_receive() begins it again by returning CONSOLE_FULL. The driver holds a
// lock from that call until it has taken note, and takes it in resume(), which may come at once.
//
// Faults. A chunk that was being transmitted is transmitted again by the successor: it may come
// twice, it is not lost.
#pragma once
#include "base/types.h"

constexpr u32 CONSOLE_CHUNK = 1024; // bytes of the transmit buffer and of one gate_console_receive
constexpr int CONSOLE_FULL = 1;	    // gate_console_receive(): no more until resume()

struct console_params {
	char prefix[8]; // "hvc"
	u32 unit;
	u16 columns, rows; // 0: unknown
	u64 cookie;
};

// Of a console, the functions are called one at a time.
struct console_ops {
	// Sends the first len (1 to CONSOLE_CHUNK) bytes of the transmit buffer: 0, or an error
	// that counts as a fault.
	int (*transmit)(u64 cookie, u32 len);
	int (*resume)(u64 cookie); // receives
};
