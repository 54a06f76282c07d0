// SPDX-License-Identifier: MIT
// machine.h: what firmware says that the machine has, in one form whether a device tree or ACPI
// said it. Privileged; immutable after machine_init().
//
// Order at boot, on the boot CPU: the Image door calls devtree_boot(); uart_early_init() calls
// machine_early_init(), which knows what a device tree says; irq_init() calls machine_init(), which
// takes ACPI's tables where there was no tree.
#pragma once

#include "base/types.h"
#include "core/percpu.h"

constexpr u32 MACHINE_GICRS = 32, MACHINE_ITSES = 8, MACHINE_V2MS = 8, MACHINE_UARTS = 4,
	      MACHINE_PCIS = 8, MACHINE_WINDOWS = 4, MACHINE_MSI_MAPS = 4;

struct machine_irq {
	u32 intid; // 0: none
	bool level;
};

struct machine_range {
	u64 base, len; // len 0: none
};

enum machine_gic : u32 { GIC_NONE, GIC_V2, GIC_V3 };
enum machine_psci : u32 { PSCI_NONE, PSCI_HVC, PSCI_SMC };

struct machine_uart { // a PL011
	struct machine_range registers;
	struct machine_irq irq;
	u32 clock_hz; // 0: not known, so its speed stays as firmware left it
	bool fixed;   // SBSA's: data, flags and interrupts, no settings
};

// A piece of the address space behind a PCI host.
struct machine_window {
	u64 pci, cpu, len;
	bool io, wide; // wide: for BARs of 64 bits
};

// Requester ids [first, first + n) are devices id, id + 1, … of that ITS.
struct machine_msi_map {
	u32 first, n, id;
	u32 its;
};

struct machine_pci {
	u16 segment;
	u32 first_bus, last_bus;
	struct machine_range ecam; // of first_bus
	u32 nwindows, nmaps;
	struct machine_window windows[MACHINE_WINDOWS];
	struct machine_msi_map maps[MACHINE_MSI_MAPS];
	bool keep; // firmware has assigned addresses
};

struct machine {
	const char *source; // "device tree", "ACPI"; nullptr: nothing is known
	u32 ncpus, ncpus_left_out;
	u64 mpidr[CPU_MAX];    // affinity bits of MPIDR_EL1; the boot CPU's first
	u64 cpu_gicr[CPU_MAX]; // its redistributor, where each is listed; else 0
	enum machine_psci psci;

	enum machine_gic gic;
	struct machine_range gicd, gicc;
	struct machine_range gicrs[MACHINE_GICRS]; // regions of redistributors
	u64 gicr_stride;			   // 0: as each one says
	struct machine_range its[MACHINE_ITSES];
	struct {
		struct machine_range registers;
		u32 first, n; // SPIs; n 0: as its register says
	} v2m[MACHINE_V2MS];
	u32 ngicrs, nits, nv2ms;

	struct machine_irq timer; // virtual
	struct machine_uart uarts[MACHINE_UARTS];
	u32 nuarts;
	u32 console;		  // of uarts: firmware's own; nuarts: none
	struct machine_range rtc; // a PL031
	struct machine_pci pcis[MACHINE_PCIS];
	u32 npcis;
};
extern struct machine machine;

constexpr u64 MPIDR_AFFINITY = 0xff00ffffff;

// Takes memory, command line and initramfs from the device tree at bootinfo.dtb into bootinfo, for
// doors that have nothing else. The tree must be readable in the direct map. False: it is not one.
bool devtree_boot(void);
// What the device tree at bootinfo.dtb says, if there is one.
void machine_early_init(void);
void machine_init(void); // after acpi_init()

// devtree.c, machine_acpi.c: false when it describes no interrupt controller.
bool devtree_describe(struct machine *m);
bool acpi_describe(struct machine *m);
// Adds a CPU: the boot CPU goes first, whenever it comes. gicr: 0 or its redistributor.
void machine_cpu_add(struct machine *m, u64 mpidr, u64 gicr);
void machine_psci_check(void); // psci.c
