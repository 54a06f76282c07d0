// SPDX-License-Identifier: MIT
// Steps of boot that every CPU architecture provides (AArch64). Privileged.
#pragma once
void cpu_early_init(void);	 // boot CPU, first of all: features, vectors, early console
void cpu_protections_init(void); // boot CPU, after cmdline_init(): panics, in the way that the
				 // command line asks for, if a feature is missing
void fpu_init(void);		 // boot CPU, after slab_init()
