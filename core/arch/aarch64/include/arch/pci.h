// SPDX-License-Identifier: MIT
// PCI configuration space without memory-mapped windows (AArch64: there is no such thing).
// Privileged. Callers: core/pci/.
#pragma once
#include "base/types.h"

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
