// SPDX-License-Identifier: MIT
// pl011.h: the serial ports, once the kernel has page tables of its own. Privileged.
#pragma once

// Maps the ports that struct machine has, makes platform devices of them, and consoles where that
// was not possible earlier (uart_early_init). Boot CPU, from irq_init().
void pl011_init(void);
