// SPDX-License-Identifier: MIT
// pci_test.c: what enumeration found is consistent, and on machines with PCI there is a host
// bridge. Privileged.
#include "base/acpi.h"
#include "base/ktest.h"
#include "core/acpi.h"
#include "core/pci/pci_priv.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/time.h"
#include <arch/cpu.h>

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
		pci_bars_read(d);
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

// QEMU's teaching device (-device edu) raises an interrupt when told to: all the way from
// configuration space to the handler.
constexpr u16 EDU_VENDOR = 0x1234, EDU_DEVICE = 0x11e8;
enum edu_reg : u32 { EDU_LIVE = 0x04, EDU_RAISE = 0x60, EDU_ACK = 0x64 };

static atomic_u32 edu_interrupts, edu_cpu;

static void edu_interrupt(void *registers)
{
	((volatile u32 *)registers)[EDU_ACK / 4] = 1;
	atomic_store(&edu_cpu, this_cpu_id());
	(void)atomic_inc_return(&edu_interrupts);
}

KTEST(pci, message_from_a_device)
{
	struct pci_device *d = pci_next(nullptr);
	u32 cpu = smp_ncpus - 1, handle;

	while (d && (d->vendor != EDU_VENDOR || d->device != EDU_DEVICE))
		d = pci_next(d);
	if (!d)
		ktest_skip("QEMU was not started with -device edu");
	ASSERT_EQ(pci_enable(d), 0);
	pci_bus_master_set(d, true);
	volatile u32 *registers = mmio_map(phys(d->bar[0].base), d->bar[0].len);

	ASSERT_NOT_NULL((void *)registers);
	registers[EDU_LIVE / 4] = 0x12345678;
	ASSERT_EQ(registers[EDU_LIVE / 4], ~0x12345678u);
	ASSERT_EQ(pci_msi_set(d, cpu, edu_interrupt, (void *)registers, "edu", &handle), 0);
	for (u32 i = 1; i <= 3; i++) {
		registers[EDU_RAISE / 4] = 1;
		for (u64 end = clock_monotonic_ns() + 1000000000;
		     clock_monotonic_ns() < end && atomic_load(&edu_interrupts) < i;)
			cpu_relax();
		EXPECT_EQ(atomic_load(&edu_interrupts), i);
		EXPECT_EQ(atomic_load(&edu_cpu), cpu);
	}
	irq_msi_free(handle);
}
