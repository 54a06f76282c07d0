// SPDX-License-Identifier: MIT
// sort.c: heapsort and binary search.
#include "base/sort.h"

static void swap_elements(u8 *a, u8 *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		swap(a[i], b[i]);
}

// Lets the element at `at` sink until no child in [0, count) is greater.
static void sift_down(u8 *base, size_t at, size_t count, size_t size, sort_compare_fn *compare,
		      void *ctx)
{
	// 2 * at + 1 < count, written so that it cannot overflow.
	while (at < count / 2) {
		size_t child = 2 * at + 1;

		if (child + 1 < count &&
		    compare(base + child * size, base + (child + 1) * size, ctx) < 0)
			child++;
		if (compare(base + at * size, base + child * size, ctx) >= 0)
			return;
		swap_elements(base + at * size, base + child * size, size);
		at = child;
	}
}

void sort(void *base, size_t count, size_t size_bytes, sort_compare_fn *compare, void *ctx)
{
	u8 *b = base;

	for (size_t i = count / 2; i-- > 0;)
		sift_down(b, i, count, size_bytes, compare, ctx);
	for (size_t n = count; n > 1; n--) {
		swap_elements(b, b + (n - 1) * size_bytes, size_bytes);
		sift_down(b, 0, n - 1, size_bytes, compare, ctx);
	}
}

size_t sort_upper_bound(const void *base, size_t count, size_t size_bytes, const void *key,
			sort_compare_fn *compare, void *ctx)
{
	const u8 *b = base;
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(b + mid * size_bytes, key, ctx) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
