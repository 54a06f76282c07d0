// SPDX-License-Identifier: MIT
// machine.h: the machine that we run on, as firmware describes it. Privileged; immutable after
// machine_init().
//
// Order at boot, on the boot CPU: the Image door calls devtree_boot(); uart_early_init() calls
// machine_early_init(), which knows what a device tree says; irq_init() calls machine_init(), which
// takes ACPI's tables where there was no tree.
#pragma once

#include "base/fdt_machine.h"

extern struct machine machine;

// Takes memory, command line and initramfs from the device tree at bootinfo.dtb into bootinfo, for
// doors that have nothing else. The tree must be readable in the direct map. False: it is not one.
bool devtree_boot(void);
// What the device tree at bootinfo.dtb says, if there is one.
void machine_early_init(void);
void machine_init(void); // after acpi_init()

// devtree.c, machine_acpi.c: false when it describes no interrupt controller.
bool devtree_describe(struct machine *m);
bool acpi_describe(struct machine *m);
void machine_psci_check(void); // psci.c
