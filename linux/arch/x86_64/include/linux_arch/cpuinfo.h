// SPDX-License-Identifier: MIT
// What programs are told about the CPU (x86-64). Privileged.
#pragma once
#include "base/types.h"

struct text;
#define UNAME_MACHINE "x86_64"
void cpuinfo_show(struct text *t, u32 cpu); // a CPU's paragraph of /proc/cpuinfo
