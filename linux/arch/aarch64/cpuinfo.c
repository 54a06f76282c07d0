// SPDX-License-Identifier: MIT
// Owns a CPU's paragraph of /proc/cpuinfo (AArch64). All CPUs are taken to be like the one that
// reads.
#include <linux_arch/cpuinfo.h>
#include "linux/arch/aarch64/hwcap.h"
#include "linux/proc/text.h"
#include <arch/cpu.h>

static void features_show(struct text *t)
{
	for (u32 i = 0; i < HWCAP_COUNT; i++) {
		const char *name = hwcap_name(i);
		if (!name)
			continue;
		text_putc(t, ' ');
		text_puts(t, name);
	}
}

void cpuinfo_show(struct text *t, u32 cpu)
{
	u64 midr = cpu_sysreg_read("midr_el1"), hz = cpu_sysreg_read("cntfrq_el0");
	// Linux waits by the counter too, two of its "instructions" a tick.
	text_printf(t, "processor\t: %u\nBogoMIPS\t: %llu.%02llu\nFeatures\t:", cpu, hz / 500000,
		    hz / 5000 % 100);
	features_show(t);
	text_printf(
		t,
		"\nCPU implementer\t: 0x%02llx\nCPU architecture: 8\nCPU variant\t: 0x%llx\nCPU part\t: 0x%03llx\n"
		"CPU revision\t: %llu\n\n",
		midr >> 24 & 0xff, midr >> 20 & 15, midr >> 4 & 0xfff, midr & 15);
}
