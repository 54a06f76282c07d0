// SPDX-License-Identifier: MIT
// muldiv.h: 64-bit arithmetic with 128-bit intermediates, without the compiler's run-time library.
#pragma once

#include "base/types.h"

// a * b >> shift, for shift <= 64 and a result that fits.
static inline u64 mul_u64_shr(u64 a, u64 b, unsigned int shift)
{
	return (u64)(((unsigned __int128)a * b) >> shift);
}

// a * b / d, rounded down, for d != 0; saturates at U64_MAX when the quotient does not fit.
u64 mul_div_u64(u64 a, u64 b, u64 d);
