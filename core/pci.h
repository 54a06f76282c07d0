// SPDX-License-Identifier: MIT
// PCI Express by ECAM: configuration space, BARs, capabilities, MSI and MSI-X. Privileged.
#pragma once
#include "base/list.h"
#include "base/types.h"
#include "core/irq.h"

struct pci_bar {
	u64 base, len;
	bool io;
};
struct pci_device {
	struct list link;
	u16 segment;
	u8 bus, slot, function;
	u16 vendor, device, subsystem_vendor, subsystem;
	u8 class_code, subclass, prog_if, revision, header;
	struct pci_bar bar[6]; // after pci_bars_read
	u16 cap_msi, cap_msix; // offsets, 0: none
	u16 msix_count;
};
// A hierarchy of buses, as those say who describe the machine.
struct pci_host {
	u16 segment;
	u32 first_bus, last_bus;
	u64 ecam; // physical, of bus 0, whether that is there or not
};
void pci_init(void);
struct pci_device *pci_next(struct pci_device *after); // nullptr: first
u32 pci_config_read(const struct pci_device *d, u32 offset, u32 size);
void pci_config_write(const struct pci_device *d, u32 offset, u32 size, u32 value);
u32 pci_find_capability(const struct pci_device *d, u8 id, u32 after); // offset or 0
// Finds what addresses the function has: fills d->bar. The function is off the bus meanwhile, which
// costs time, so it is not done before somebody asks; once is enough. pci_enable does it
// itself. May sleep.
void pci_bars_read(struct pci_device *d);
// Lets the function decode its addresses. -ENODEV: firmware gave it none. May sleep.
int pci_enable(struct pci_device *d);
int pci_msix_enable(struct pci_device *d);
int pci_msix_set(struct pci_device *d, u32 entry, u32 cpu, irq_handler_t fn, void *arg,
		 const char *name, u32 *handle);
int pci_msi_set(struct pci_device *d, u32 cpu, irq_handler_t fn, void *arg, const char *name,
		u32 *handle);
// The function sends that message no more. The handle is still to be freed (irq_msi_free).
void pci_msix_clear(struct pci_device *d, u32 entry);
void pci_msi_clear(struct pci_device *d);
// Where the table of MSI-X lies: false when there is none. Who can write it can interrupt any CPU.
bool pci_msix_table(struct pci_device *d, u32 *bar, u64 *offset, u64 *len);
// Whether the function may reach memory, and send messages.
void pci_bus_master_set(struct pci_device *d, bool on);
