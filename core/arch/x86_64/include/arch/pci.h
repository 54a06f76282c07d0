// SPDX-License-Identifier: MIT
// PCI configuration space without memory-mapped windows (x86-64: ports 0xcf8, 0xcfc). Privileged.
// Callers: core/pci/.
#pragma once
#include "base/types.h"
#include "core/pci.h"

// Whether a function's I/O ports can be reached.
constexpr bool ARCH_PCI_PORTS = true;

// The i-th hierarchy that the platform knows where there is no MCFG (x86-64: none); false: no more.
static inline bool arch_pci_host(u32 i, struct pci_host *host)
{
	(void)i;
	(void)host;
	return false;
}

bool arch_pci_config_present(void);
// size 1, 2 or 4, offset a multiple of it and below 256. The caller holds the pci lock.
u32 arch_pci_config_read(u8 bus, u8 slot, u8 function, u32 offset, u32 size);
void arch_pci_config_write(u8 bus, u8 slot, u8 function, u32 offset, u32 size, u32 value);
