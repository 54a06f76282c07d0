// SPDX-License-Identifier: MIT
// What the CPU says about itself (x86-64). Callers: arch/ folders.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};
static __always_inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;
	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}
