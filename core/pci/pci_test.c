// SPDX-License-Identifier: MIT
// pci_test.c: what enumeration found is consistent, and on machines with PCI there is a host
// bridge. Privileged.
#include "base/acpi.h"
#include "base/ktest.h"
#include "core/acpi.h"
#include "core/pci/pci_priv.h"

KTEST(pci, host_bridge)
{
	u32 len;

	if (!acpi_table("MCFG", 0, &len))
		ktest_skip("no PCI Express here");
	struct pci_device *first = pci_next(nullptr);

	ASSERT_NOT_NULL(first);
	EXPECT_EQ(first->slot, 0);
	EXPECT_EQ(first->class_code, 0x06);
	EXPECT_EQ(first->subclass, 0x00);
}

KTEST(pci, functions_are_sane)
{
	for (struct pci_device *d = pci_next(nullptr); d; d = pci_next(d)) {
		EXPECT_EQ(pci_config_read(d, PCI_VENDOR, 2), d->vendor);
		EXPECT_EQ(pci_config_read(d, PCI_VENDOR, 4), d->vendor | (u32)d->device << 16);
		EXPECT_NE(d->vendor, 0xffff);
		for (u32 i = 0; i < 6; i++) {
			const struct pci_bar *b = &d->bar[i];
			if (!b->len)
				continue;
			EXPECT_TRUE(is_power_of_two(b->len));
			EXPECT_EQ(b->base % b->len, 0);
		}
		for (struct pci_device *e = pci_next(d); e; e = pci_next(e))
			EXPECT_FALSE(e->segment == d->segment && e->bus == d->bus &&
				     e->slot == d->slot && e->function == d->function);
	}
}

KTEST(pci, capabilities_end)
{
	for (struct pci_device *d = pci_next(nullptr); d; d = pci_next(d)) {
		u32 n = 0;
		for (u32 at = pci_find_capability(d, PCI_CAP_MSIX, 0); at;
		     at = pci_find_capability(d, PCI_CAP_MSIX, at))
			n++;
		EXPECT_LE(n, 1);
		EXPECT_EQ(pci_find_capability(d, 0xfe, 0), 0);
	}
}
