// SPDX-License-Identifier: MIT
// PCI where there is no MCFG: what the device tree says; there is no configuration space but in
// memory (AArch64). Privileged. Callers: core/pci/.
#pragma once
#include "base/types.h"
#include "core/pci.h"

// Whether a function's I/O ports can be reached; where not, firmware need not give them addresses.
constexpr bool ARCH_PCI_PORTS = false;

// The i-th hierarchy that the platform knows where there is no MCFG; false: no more. Where firmware
// has not done it, its buses are numbered and its functions given addresses now. May sleep.
// (pci_host.c)
bool arch_pci_host(u32 i, struct pci_host *host);

static inline bool arch_pci_config_present(void)
{
	return false;
}
static inline u32 arch_pci_config_read(u8, u8, u8, u32, u32)
{
	return ~0u;
}
static inline void arch_pci_config_write(u8, u8, u8, u32, u32, u32)
{
}
