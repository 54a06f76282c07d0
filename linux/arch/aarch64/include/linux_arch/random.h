// SPDX-License-Identifier: MIT
// The CPU's own source of random numbers (AArch64). Privileged.
#pragma once
#include "base/types.h"

// One number from the CPU's own generator. Result: bits of entropy in *out that may be counted on,
// 0 when there is no such generator or it had nothing to give. Any context.
u32 arch_random_seed(u64 *out);
