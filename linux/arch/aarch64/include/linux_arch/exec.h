// SPDX-License-Identifier: MIT
// What execve needs of the CPU (AArch64). Privileged.
#pragma once
#include "base/elf.h"
#include "base/types.h"
#include <linux_arch/signal.h>

constexpr u16 ELF_MACHINE = EM_AARCH64;
#define ELF_PLATFORM "aarch64"
constexpr u64 STACK_RANDOM_SPAN = 16ull
				  << 30; // the first stack begins this far below the top at most

// AT_HWCAP and AT_HWCAP2: the CPU's features that programs may use. (hwcap.c)
u64 exec_hwcap(void);
u64 exec_hwcap2(void);
static inline u64 exec_min_signal_stack(void)
{
	return signal_frame_size();
}
