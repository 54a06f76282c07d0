// SPDX-License-Identifier: MIT
// fdt_machine.h: what firmware says that an Arm machine has, in one form whether a device tree or
// ACPI said it; and reading it from a device tree.
//
// Pure functions over a tree that fdt_open has checked. What it says is believed, but for what does
// not fit: that is left out.
#pragma once

#include "base/fdt.h"

constexpr u32 MACHINE_CPUS = 64, MACHINE_GICRS = 32, MACHINE_ITSES = 8, MACHINE_V2MS = 8,
	      MACHINE_UARTS = 4, MACHINE_PCIS = 8, MACHINE_WINDOWS = 4, MACHINE_MSI_MAPS = 4;

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
	u64 mpidr[MACHINE_CPUS]; // what names it (Arm's MPIDR, affinity bits); the boot CPU's first
	u64 cpu_gicr[MACHINE_CPUS]; // its redistributor, where each is listed; else 0
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

constexpr u64 MACHINE_AFFINITY = 0xff00ffffff; // the bits of mpidr that count

// Adds a CPU, if it is not there yet: the boot CPU was added first, whether firmware lists it or
// not. gicr: 0 or its redistributor.
void machine_cpu_add(struct machine *m, u64 mpidr, u64 gicr);
// Adds all that the tree says. False: it describes no interrupt controller.
bool fdt_machine(const struct fdt *tree, struct machine *m);
