// SPDX-License-Identifier: MIT
// machine.c: chooses who describes the machine: a device tree that the door handed over, else ACPI.
// Privileged; boot CPU.
#include "core/arch/aarch64/machine.h"

#include "core/arch/aarch64/cpu_priv.h"
#include "core/bootinfo.h"
#include "core/log.h"

struct machine machine;

static_assert(MACHINE_CPUS == CPU_MAX);

static void begin(void)
{
	machine = (struct machine){};
	machine_cpu_add(&machine, cpu_sysreg_read("mpidr_el1"), 0);
}

void machine_early_init(void)
{
	begin();
	if (bootinfo.dtb.addr && devtree_describe(&machine))
		machine.source = "device tree";
	else
		begin(); // half a description is none
}

void machine_init(void)
{
	if (!machine.source && acpi_describe(&machine))
		machine.source = "ACPI";
	if (machine.source)
		log_info("machine: described by %s", machine.source);
	if (machine.ncpus_left_out)
		log_warn("machine: %u CPUs more than the %u that there is room for",
			 machine.ncpus_left_out, CPU_MAX);
}

u32 firmware_cpu_list(u64 *mpidrs, u32 max)
{
	u32 n = min(machine.ncpus, max);

	for (u32 i = 0; i < n; i++)
		mpidrs[i] = machine.mpidr[i];
	return n;
}
