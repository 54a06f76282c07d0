// SPDX-License-Identifier: MIT
// tsc.c: what the CPU says about its time-stamp counter. Privileged.
#include "base/string.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"

enum hypervisor { HYPERVISOR_NONE, HYPERVISOR_TCG, HYPERVISOR_KVM, HYPERVISOR_OTHER };

static enum hypervisor hypervisor_find(u32 *max_leaf)
{
	char signature[12];

	*max_leaf = 0;
	if (!(cpuid(1, 0).ecx & BIT(31)))
		return HYPERVISOR_NONE;
	struct cpuid_regs r = cpuid(0x40000000, 0);

	*max_leaf = r.eax;
	memcpy(signature, &r.ebx, 4);
	memcpy(signature + 4, &r.ecx, 4);
	memcpy(signature + 8, &r.edx, 4);
	if (memcmp(signature, "TCGTCGTCGTCG", 12) == 0)
		return HYPERVISOR_TCG;
	return memcmp(signature, "KVMKVMKVM\0\0", 12) == 0 ? HYPERVISOR_KVM : HYPERVISOR_OTHER;
}

bool tsc_is_emulated(void)
{
	u32 max_leaf;

	return hypervisor_find(&max_leaf) == HYPERVISOR_TCG;
}

bool tsc_is_steady(const char **why_not)
{
	u32 max_leaf;
	enum hypervisor h = hypervisor_find(&max_leaf);

	if (!(cpuid(1, 0).edx & BIT(4))) {
		*why_not = "there is none";
		return false;
	}
	if (cpuid(0x80000000, 0).eax >= 0x80000007 && cpuid(0x80000007, 0).edx & BIT(8))
		return true; // invariant: one rate in all states of the CPU
	if (h == HYPERVISOR_TCG)
		return true; // computed from one counter for all CPUs
	if (h == HYPERVISOR_KVM && cpuid(0x40000001, 0).eax & BIT(24))
		return true; // KVM found its host's TSCs steady and equal
	*why_not = "its rate may change";
	return false;
}

u64 tsc_stated_hz(void)
{
	u32 max_leaf;

	hypervisor_find(&max_leaf);
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
