// SPDX-License-Identifier: MIT
// hwcap.h: the CPU's features by Linux's names (AArch64). Privileged.
#pragma once
#include "base/types.h"

// The name of a feature that this CPU has and programs may use: bit n of AT_HWCAP (n < 64), or bit
// n - 64 of AT_HWCAP2. nullptr: it has not.
const char *hwcap_name(u32 n);
constexpr u32 HWCAP_COUNT = 128;
