// SPDX-License-Identifier: MIT
// What the vDSO must know of the CPU (AArch64). Privileged.
#pragma once
#include "base/types.h"

// No register that programs can read is left for the CPU's number.
static inline bool vdso_cpu_in_register(void)
{
	return false;
}
