// SPDX-License-Identifier: MIT
// What programs are told about the CPU (AArch64). Privileged.
#pragma once
#include "base/types.h"

struct text;
#define UNAME_MACHINE "aarch64"
void cpuinfo_show(struct text *t, u32 cpu); // a CPU's paragraph of /proc/cpuinfo
