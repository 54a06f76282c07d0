// SPDX-License-Identifier: MIT
// What the vDSO must know of the CPU (x86-64). Privileged.
#pragma once
#include "base/types.h"

// Does RDTSCP tell the CPU's number? (The core writes it to TSC_AUX where the instruction exists.)
static inline bool vdso_cpu_in_register(void)
{
	u32 a = 0x80000001, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d >> 27 & 1;
}
