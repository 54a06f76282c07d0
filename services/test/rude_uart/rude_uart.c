// SPDX-License-Identifier: MIT
// rude_uart.c: leaves the serial ports in a state in which nobody could send through them, and does
// not drive them. The kernel's log must come out all the same.
#include "services/lib/service.h"
#include "abi/gate/serial.h"

enum { DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4 };
enum { LCR_BREAK = 0x40, LCR_DLAB = 0x80, MCR_LOOP = 16 };

static int probe(u64 self, u64 device)
{
	service_self = self;
	if (gate_uart_line(device, 0x10000, 3) != -EINVAL ||
	    gate_uart_line(device, 1, LCR_DLAB | 3) != -EINVAL ||
	    gate_uart_line(device, 1, 0x103) != -EINVAL)
		service_log(SERVICE_ERR, "what cannot be programmed was accepted");
	(void)gate_uart_line(device, 12, LCR_BREAK | 3);
	(void)gate_device_port_write(device, 0, MCR, 1, MCR_LOOP);
	(void)gate_device_port_write(device, 0, FCR, 1, 0);
	(void)gate_device_port_write(device, 0, IER, 1, 0xf);
	(void)gate_device_port_write(device, 0, LCR, 1, LCR_DLAB);
	(void)gate_device_port_write(device, 0, DATA, 1, 0xff);
	return -ENODEV;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PLATFORM, .name = "uart16550"},
	{},
};

SERVICE(rude_uart, "spoils serial ports, for tests", .provides = GATE_SERIAL, .devices = devices,
	.ops.probe = probe);
