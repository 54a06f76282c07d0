// SPDX-License-Identifier: MIT
// The instruction behind a native call (x86-64). Runs in programs.
#pragma once

static inline long halyard_call_(long nr)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr) : "rcx", "r11", "memory", "cc");
	return r;
}
