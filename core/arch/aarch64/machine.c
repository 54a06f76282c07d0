// SPDX-License-Identifier: MIT
// machine.c: chooses who describes the machine: a device tree that the door handed over, else ACPI.
// Privileged; boot CPU.
#include "core/arch/aarch64/machine.h"

#include "core/arch/aarch64/cpu_priv.h"
#include "core/bootinfo.h"
#include "core/log.h"

struct machine machine;

static u64 boot_affinity(void)
{
	return cpu_sysreg_read("mpidr_el1") & MPIDR_AFFINITY;
}

void machine_cpu_add(struct machine *m, u64 mpidr, u64 gicr)
{
	mpidr &= MPIDR_AFFINITY;
	if (!m->ncpus) // its place is kept, whether firmware lists it or not
		m->mpidr[m->ncpus++] = boot_affinity();
	for (u32 i = 0; i < m->ncpus; i++) {
		if (m->mpidr[i] == mpidr) {
			m->cpu_gicr[i] = gicr;
			return;
		}
	}
	if (m->ncpus == CPU_MAX) {
		m->ncpus_left_out++;
		return;
	}
	m->mpidr[m->ncpus] = mpidr;
	m->cpu_gicr[m->ncpus++] = gicr;
}

void machine_early_init(void)
{
	if (bootinfo.dtb.addr && devtree_describe(&machine))
		machine.source = "device tree";
}

void machine_init(void)
{
	if (!machine.source && acpi_describe(&machine))
		machine.source = "ACPI";
	if (!machine.ncpus)
		machine_cpu_add(&machine, boot_affinity(), 0);
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
