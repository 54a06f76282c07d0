// SPDX-License-Identifier: MIT
// pci_priv.h: what the files of core/pci/ share. Privileged.
#pragma once

#include "core/lock.h"
#include "core/pci.h"

// PCI 3.0 chapter 6; PCI Express 6.0 chapter 7
enum pci_reg : u32 {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, // then interface, subclass, class
	PCI_HEADER = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SECONDARY_BUS = 0x19, // bridges
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
};
constexpr u32 PCI_COMMAND_IO = 1 << 0, PCI_COMMAND_MEMORY = 1 << 1, PCI_COMMAND_MASTER = 1 << 2,
	      PCI_COMMAND_NO_INTX = 1 << 10;
constexpr u32 PCI_STATUS_CAPABILITIES = 1 << 4;
constexpr u8 PCI_HEADER_MULTI = 0x80;
constexpr u8 PCI_CAP_MSI = 0x05, PCI_CAP_MSIX = 0x11;

struct pci_function {
	struct pci_device dev;
	volatile u8 *ecam;	  // its 4 KiB of configuration space; nullptr: by ports. Immutable
	bool bars_read;		  // bars_lock
	volatile u32 *msix_table; // mapped by pci_msix_enable; the driver's
};

static inline struct pci_function *pci_function_of(const struct pci_device *d)
{
	return container_of((struct pci_device *)d, struct pci_function, dev);
}

extern spinlock_t pci_lock;
