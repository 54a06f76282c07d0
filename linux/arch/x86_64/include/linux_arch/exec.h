// SPDX-License-Identifier: MIT
// What execve needs of the CPU (x86-64). Privileged.
#pragma once
#include "base/elf.h"
#include "base/types.h"
#include <arch/cpuid.h>
#include <linux_arch/signal.h>

constexpr u16 ELF_MACHINE = EM_X86_64;
#define ELF_PLATFORM "x86_64"
constexpr u64 STACK_RANDOM_SPAN = 16ull
				  << 30; // the first stack begins this far below the top at most

static inline u64 exec_hwcap(void)
{
	return cpuid(1, 0).edx;
}
static inline u64 exec_hwcap2(void)
{
	return 1 << 1; // FSGSBASE instructions
}
static inline u64 exec_min_signal_stack(void)
{
	return signal_frame_size();
}
