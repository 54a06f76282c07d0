// SPDX-License-Identifier: MIT
// The instruction behind a native call (AArch64). Runs in programs.
#pragma once

static inline long halyard_call_(long nr)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0");

	__asm__ volatile("svc #0" : "=r"(x0) : "r"(x8) : "memory");
	return x0;
}
