// SPDX-License-Identifier: MIT
// sort.h: sorting and searching of arrays.
#pragma once

#include "base/types.h"

// < 0, 0, > 0 as a sorts before, with, behind b.
typedef int sort_compare_fn(const void *a, const void *b, void *ctx);

// Sorts in place, in O(n log n) always, without memory of its own. Not stable.
void sort(void *base, size_t count, size_t size_bytes, sort_compare_fn *compare, void *ctx);

// Number of elements of a sorted array that are <= key (compare(element, key)): where key would be
// inserted behind its equals.
size_t sort_upper_bound(const void *base, size_t count, size_t size_bytes, const void *key,
			sort_compare_fn *compare, void *ctx);
