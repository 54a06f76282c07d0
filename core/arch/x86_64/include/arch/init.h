// SPDX-License-Identifier: MIT
// Steps of boot that every CPU architecture provides (x86-64). Privileged.
#pragma once
void cpu_early_init(void); // boot CPU, first of all: features, tables, protections, early console
void fpu_init(void);	   // boot CPU, after slab_init()
