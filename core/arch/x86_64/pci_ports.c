// SPDX-License-Identifier: MIT
// pci_ports.c: PCI configuration space through ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2).
// Privileged.
#include <arch/pci.h>

#include "core/arch/x86_64/x86.h"
#include "core/panic.h"

constexpr u16 CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc;
constexpr u32 CONFIG_ENABLE = 1u << 31;

bool arch_pci_config_present(void)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE);
	return inl(CONFIG_ADDRESS) == CONFIG_ENABLE;
}

// Selects the register; returns the port of its byte in the data window.
static u16 config_select(u8 bus, u8 slot, u8 function, u32 offset)
{
	assert(offset < 256);
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (u32)bus << 16 | (u32)slot << 11 | (u32)function << 8 |
				     (offset & 0xfc));
	return (u16)(CONFIG_DATA + (offset & 3));
}

u32 arch_pci_config_read(u8 bus, u8 slot, u8 function, u32 offset, u32 size)
{
	u16 port = config_select(bus, slot, function, offset);

	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void arch_pci_config_write(u8 bus, u8 slot, u8 function, u32 offset, u32 size, u32 value)
{
	u16 port = config_select(bus, slot, function, offset);

	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}
