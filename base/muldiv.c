// SPDX-License-Identifier: MIT
// muldiv.c: 128-bit by 64-bit division.
#include "base/muldiv.h"

__wraps u64 mul_div_u64(u64 a, u64 b, u64 d)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	u64 high = (u64)(product >> 64), low = (u64)product, quotient = 0;

	if (high >= d)
		return ~0ull;
	if (!high)
		return low / d;
	// Schoolbook division by bits; `high` is the remainder, always < d. Not for hot paths.
	for (int bit = 63; bit >= 0; bit--) {
		bool carry = high >> 63;

		high = high << 1 | (low >> bit & 1);
		if (carry || high >= d) {
			high -= d;
			quotient |= BIT(bit);
		}
	}
	return quotient;
}
