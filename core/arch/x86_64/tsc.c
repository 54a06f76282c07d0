// SPDX-License-Identifier: MIT
// tsc.c: what the CPU says about its time-stamp counter. Privileged.
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"
#include <arch/cpu.h>

// The hypervisor's last CPUID leaf; 0: there is no hypervisor.
static u32 hypervisor_leaves(void)
{
	return cpu_has(CPU_HYPERVISOR) ? cpuid(0x40000000, 0).eax : 0;
}

static bool is_kvm(void)
{
	struct cpuid_regs r = cpuid(0x40000000, 0);

	return cpu_has(CPU_HYPERVISOR) && r.ebx == 0x4b4d564b && r.ecx == 0x564b4d56 &&
	       r.edx == 0x4d; // "KVMKVMKVM"
}

bool tsc_is_steady(const char **why_not)
{
	if (cpu_has(CPU_TSC_INVARIANT)) // one rate in all states of the CPU
		return true;
	if (cpu_has(CPU_TCG)) // computed from one counter for all CPUs
		return true;
	if (is_kvm() && cpuid(0x40000001, 0).eax & BIT(24))
		return true; // KVM found its host's TSCs steady and equal
	*why_not = "its rate may change";
	return false;
}

u64 tsc_stated_hz(void)
{
	u32 max_leaf = hypervisor_leaves();

	if (max_leaf >= 0x40000010 && max_leaf < 0x40010000) {
		u64 khz = cpuid(0x40000010, 0).eax;
		if (khz)
			return khz * 1000;
	}
	if (cpuid(0, 0).eax >= 0x15) {
		struct cpuid_regs r = cpuid(0x15, 0); // crystal ecx Hz, ratio ebx / eax
		if (r.eax && r.ebx && r.ecx)
			return (u64)r.ecx * r.ebx / r.eax;
	}
	return 0;
}
