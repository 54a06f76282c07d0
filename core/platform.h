// SPDX-License-Identifier: MIT
// Devices that lie at fixed places of the machine: serial ports and the like. Privileged; immutable
// after boot.
#pragma once
#include "base/list.h"
#include "base/types.h"

struct platform_device {
	struct list link;
	const char *name; // of its kind: "uart16550"
	u32 unit;
	u64 ports, nports; // x86 I/O ports, or 0
	phys_t registers;  // memory, or 0
	u64 registers_len;
	u32 clock_hz; // UARTs: what their speed is made of; 0: not known
	u32 irq;      // line
	bool irq_isa; // as irq_line_add takes it
	// UARTs; nullptr: it is none. Both keep apart from the log. Any context.
	// Gives the transmitter what it takes at once: how many bytes.
	size_t (*transmit)(struct platform_device *d, const void *bytes, size_t len);
	// Programs divisor and line control, as the device has them (divisor 0: neither): as
	// gate_uart_line returns them.
	s64 (*line)(struct platform_device *d, u32 divisor, u32 control);
};
void platform_device_add(struct platform_device *d); // boot CPU, before services start
struct platform_device *platform_device_next(struct platform_device *after); // nullptr: first
