// SPDX-License-Identifier: MIT
// msi.c: message-signalled interrupts of PCI functions: MSI and MSI-X. Privileged.
//
// All of a function's calls come from the one driver that claimed it, one at a time.
#include "core/pci/pci_priv.h"

#include "base/errno.h"
#include "core/panic.h"
#include "core/slab.h"

// PCI Express 6.0, 7.7.1 and 7.7.2: offsets in the capability
enum msi_reg : u32 {
	MSI_CONTROL = 2,
	MSI_ADDRESS = 4,
	MSI_DATA_32 = 8,
	MSI_ADDRESS_HIGH = 8,
	MSI_DATA_64 = 12
};
enum msix_reg : u32 { MSIX_CONTROL = 2, MSIX_TABLE = 4 };
constexpr u32 MSI_ENABLE = 1 << 0, MSI_COUNT = 7 << 4, MSI_64_BIT = 1 << 7;
constexpr u32 MSIX_ENABLE = 1 << 15, MSIX_MASK_ALL = 1 << 14;
// An entry of the table is four words: address, its upper half, data, control.
constexpr u32 ENTRY_WORDS = 4, ENTRY_CONTROL = 3, ENTRY_MASKED = 1;

// As core/irq.h wants it.
static u32 source_of(const struct pci_device *d)
{
	return (u32)d->segment << 16 | (u32)d->bus << 8 | (u32)d->slot << 3 | d->function;
}

static void intx_off(struct pci_device *d)
{
	pci_config_write(d, PCI_COMMAND, 2,
			 pci_config_read(d, PCI_COMMAND, 2) | PCI_COMMAND_NO_INTX);
}

int pci_msi_set(struct pci_device *d, u32 cpu, irq_handler_t fn, void *arg, const char *name,
		u32 *handle)
{
	u64 address;
	u32 data;

	if (!d->cap_msi)
		return -ENODEV;
	int err = irq_msi_alloc(source_of(d), cpu, fn, arg, name, &address, &data, handle);

	if (err)
		return err;
	u32 control = pci_config_read(d, d->cap_msi + MSI_CONTROL, 2) & ~MSI_COUNT; // one message

	pci_config_write(d, d->cap_msi + MSI_CONTROL, 2, control & ~MSI_ENABLE);
	pci_config_write(d, d->cap_msi + MSI_ADDRESS, 4, (u32)address);
	if (control & MSI_64_BIT) {
		pci_config_write(d, d->cap_msi + MSI_ADDRESS_HIGH, 4, (u32)(address >> 32));
		pci_config_write(d, d->cap_msi + MSI_DATA_64, 2, data);
	} else {
		pci_config_write(d, d->cap_msi + MSI_DATA_32, 2, data);
	}
	intx_off(d);
	pci_config_write(d, d->cap_msi + MSI_CONTROL, 2, control | MSI_ENABLE);
	return 0;
}

void pci_msi_clear(struct pci_device *d)
{
	u32 control = pci_config_read(d, d->cap_msi + MSI_CONTROL, 2);

	pci_config_write(d, d->cap_msi + MSI_CONTROL, 2, control & ~MSI_ENABLE);
}

bool pci_msix_table(struct pci_device *d, u32 *bar, u64 *offset, u64 *len)
{
	if (!d->cap_msix)
		return false;
	u32 where = pci_config_read(d, d->cap_msix + MSIX_TABLE, 4);

	*bar = where & 7;
	*offset = where & ~7u;
	*len = (u64)d->msix_count * ENTRY_WORDS * 4;
	return true;
}

int pci_msix_enable(struct pci_device *d)
{
	struct pci_function *f = pci_function_of(d);
	u64 offset, bytes;
	u32 bar;

	if (!pci_msix_table(d, &bar, &offset, &bytes))
		return -ENODEV;
	if (f->msix_table)
		return 0;
	pci_bars_read(d);
	// What a device says about itself is not to be trusted with our address space.
	if (bar >= 6 || d->bar[bar].io || !d->bar[bar].base || offset > d->bar[bar].len ||
	    bytes > d->bar[bar].len - offset)
		return -EIO;
	volatile u32 *table = mmio_map(phys(d->bar[bar].base + offset), bytes);

	if (!table)
		return -ENOMEM;
	u32 control = pci_config_read(d, d->cap_msix + MSIX_CONTROL, 2) | MSIX_ENABLE;

	// Enabled but masked as a whole until each entry is known to be masked.
	pci_config_write(d, d->cap_msix + MSIX_CONTROL, 2, control | MSIX_MASK_ALL);
	for (u32 i = 0; i < d->msix_count; i++)
		table[i * ENTRY_WORDS + ENTRY_CONTROL] |= ENTRY_MASKED;
	intx_off(d);
	pci_config_write(d, d->cap_msix + MSIX_CONTROL, 2, control & ~MSIX_MASK_ALL);
	f->msix_table = table;
	return 0;
}

int pci_msix_set(struct pci_device *d, u32 entry, u32 cpu, irq_handler_t fn, void *arg,
		 const char *name, u32 *handle)
{
	struct pci_function *f = pci_function_of(d);
	u64 address;
	u32 data;

	if (!f->msix_table || entry >= d->msix_count)
		return -EINVAL;
	int err = irq_msi_alloc(source_of(d), cpu, fn, arg, name, &address, &data, handle);

	if (err)
		return err;
	volatile u32 *words = f->msix_table + entry * ENTRY_WORDS;

	words[ENTRY_CONTROL] |= ENTRY_MASKED;
	words[0] = (u32)address;
	words[1] = (u32)(address >> 32);
	words[2] = data;
	words[ENTRY_CONTROL] &= ~ENTRY_MASKED;
	return 0;
}

void pci_msix_clear(struct pci_device *d, u32 entry)
{
	struct pci_function *f = pci_function_of(d);

	if (f->msix_table && entry < d->msix_count)
		f->msix_table[entry * ENTRY_WORDS + ENTRY_CONTROL] |= ENTRY_MASKED;
}
