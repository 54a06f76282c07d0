// SPDX-License-Identifier: MIT
// The CPU's exceptions by number (x86-64: vectors, Intel SDM 3A, 6.3.1). Privileged. Callers: arch/
// folders.
#pragma once
#include "base/types.h"

enum exception_vector : u32 {
	VEC_DE = 0,
	VEC_DB = 1,
	VEC_NMI = 2,
	VEC_BP = 3,
	VEC_OF = 4,
	VEC_UD = 6,
	VEC_NM = 7,
	VEC_DF = 8,
	VEC_TS = 10,
	VEC_NP = 11,
	VEC_SS = 12,
	VEC_GP = 13,
	VEC_PF = 14,
	VEC_MF = 16,
	VEC_AC = 17,
	VEC_MC = 18,
	VEC_XM = 19,
};
