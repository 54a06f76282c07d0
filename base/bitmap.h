// SPDX-License-Identifier: MIT
// bitmap.h: bit sets over arrays of u64, plain and atomic.
//
// Searches return nbits when nothing is found. Bits beyond nbits in the last word are ignored.
#pragma once

#include "base/types.h"

#define BITMAP_WORDS(nbits)	    (((nbits) + 63) / 64)
#define BITMAP_DECLARE(name, nbits) u64 name[BITMAP_WORDS(nbits)]

static inline bool bitmap_test(const u64 *map, size_t bit)
{
	return READ_ONCE(map[bit / 64]) >> (bit % 64) & 1;
}

static inline void bitmap_set(u64 *map, size_t bit)
{
	map[bit / 64] |= BIT(bit % 64);
}

static inline void bitmap_clear(u64 *map, size_t bit)
{
	map[bit / 64] &= ~BIT(bit % 64);
}

static inline void bitmap_assign(u64 *map, size_t bit, bool value)
{
	if (value)
		bitmap_set(map, bit);
	else
		bitmap_clear(map, bit);
}

// Result: whether the bit was set before.
static inline bool bitmap_test_and_set(u64 *map, size_t bit)
{
	bool was = bitmap_test(map, bit);

	bitmap_set(map, bit);
	return was;
}

static inline bool bitmap_test_and_clear(u64 *map, size_t bit)
{
	bool was = bitmap_test(map, bit);

	bitmap_clear(map, bit);
	return was;
}

static inline void bitmap_clear_all(u64 *map, size_t nbits)
{
	for (size_t i = 0; i < BITMAP_WORDS(nbits); i++)
		map[i] = 0;
}

// Sets exactly the bits 0..nbits-1; the rest of the last word becomes 0.
static inline void bitmap_set_all(u64 *map, size_t nbits)
{
	for (size_t i = 0; i < nbits / 64; i++)
		map[i] = ~0ull;
	if (nbits % 64)
		map[nbits / 64] = BIT(nbits % 64) - 1;
}

static inline void bitmap_set_range(u64 *map, size_t first, size_t count)
{
	while (count) {
		size_t in_word = min(count, 64 - first % 64);
		u64 mask = in_word == 64 ? ~0ull : (BIT(in_word) - 1) << (first % 64);

		map[first / 64] |= mask;
		first += in_word;
		count -= in_word;
	}
}

static inline void bitmap_clear_range(u64 *map, size_t first, size_t count)
{
	while (count) {
		size_t in_word = min(count, 64 - first % 64);
		u64 mask = in_word == 64 ? ~0ull : (BIT(in_word) - 1) << (first % 64);

		map[first / 64] &= ~mask;
		first += in_word;
		count -= in_word;
	}
}

// First bit >= from that, XORed with invert, is set.
static inline size_t bitmap_scan(const u64 *map, size_t nbits, size_t from, u64 invert)
{
	if (from >= nbits)
		return nbits;
	size_t word = from / 64;
	u64 bits = (READ_ONCE(map[word]) ^ invert) & (~0ull << (from % 64));

	while (!bits) {
		if (++word >= BITMAP_WORDS(nbits))
			return nbits;
		bits = READ_ONCE(map[word]) ^ invert;
	}
	return min(word * 64 + (size_t)__builtin_ctzll(bits), nbits);
}

static inline size_t bitmap_find_next(const u64 *map, size_t nbits, size_t from)
{
	return bitmap_scan(map, nbits, from, 0);
}

static inline size_t bitmap_find_first(const u64 *map, size_t nbits)
{
	return bitmap_scan(map, nbits, 0, 0);
}

static inline size_t bitmap_find_next_zero(const u64 *map, size_t nbits, size_t from)
{
	return bitmap_scan(map, nbits, from, ~0ull);
}

static inline size_t bitmap_find_first_zero(const u64 *map, size_t nbits)
{
	return bitmap_scan(map, nbits, 0, ~0ull);
}

// First bit >= from of `count` clear bits in a row; nbits when there is no such run.
static inline size_t bitmap_find_zero_run(const u64 *map, size_t nbits, size_t from, size_t count)
{
	for (;;) {
		size_t start = bitmap_find_next_zero(map, nbits, from);

		if (start >= nbits || nbits - start < count)
			return nbits;
		from = bitmap_find_next(map, start + count, start);
		if (from >= start + count)
			return start;
	}
}

// Number of set bits.
static inline size_t bitmap_weight(const u64 *map, size_t nbits)
{
	size_t n = 0;

	for (size_t i = 0; i < nbits / 64; i++)
		n += (size_t)__builtin_popcountll(map[i]);
	if (nbits % 64)
		n += (size_t)__builtin_popcountll(map[nbits / 64] & (BIT(nbits % 64) - 1));
	return n;
}

static inline bool bitmap_is_empty(const u64 *map, size_t nbits)
{
	return bitmap_find_first(map, nbits) == nbits;
}

// `bit` is a size_t declared by the caller.
#define bitmap_for_each(bit, map, nbits)                             \
	for ((bit) = bitmap_find_first(map, nbits); (bit) < (nbits); \
	     (bit) = bitmap_find_next(map, nbits, (bit) + 1))

// Atomic variants, sequentially consistent when they have a result, else relaxed.
static inline void bitmap_atomic_set(u64 *map, size_t bit)
{
	__atomic_fetch_or(&map[bit / 64], BIT(bit % 64), __ATOMIC_RELAXED);
}

static inline void bitmap_atomic_clear(u64 *map, size_t bit)
{
	__atomic_fetch_and(&map[bit / 64], ~BIT(bit % 64), __ATOMIC_RELAXED);
}

static inline bool bitmap_atomic_test_and_set(u64 *map, size_t bit)
{
	return __atomic_fetch_or(&map[bit / 64], BIT(bit % 64), __ATOMIC_SEQ_CST) >> (bit % 64) & 1;
}

static inline bool bitmap_atomic_test_and_clear(u64 *map, size_t bit)
{
	return __atomic_fetch_and(&map[bit / 64], ~BIT(bit % 64), __ATOMIC_SEQ_CST) >> (bit % 64) &
	       1;
}
