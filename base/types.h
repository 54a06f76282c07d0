// SPDX-License-Identifier: MIT
// types.h: integer types, physical addresses, and the small arithmetic that everything uses.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
// 64-bit types are `long long` on every target, so that %llu and %llx print them everywhere.
typedef unsigned long long u64;
typedef long long s64;
#ifndef _WIN32
typedef long ssize_t;
#else
typedef long long ssize_t;
#endif

static_assert(sizeof(u64) == 8 && sizeof(size_t) == 8 && sizeof(ssize_t) == 8);

// A physical address; a struct so that it cannot be mistaken for a virtual one.
typedef struct {
	u64 addr;
} phys_t;

static __always_inline phys_t phys(u64 addr)
{
	return (phys_t){addr};
}

static __always_inline phys_t phys_add(phys_t p, u64 bytes)
{
	return (phys_t){p.addr + bytes};
}

static __always_inline bool phys_equal(phys_t a, phys_t b)
{
	return a.addr == b.addr;
}

#define KiB (1ull << 10)
#define MiB (1ull << 20)
#define GiB (1ull << 30)
#define TiB (1ull << 40)

#define ARRAY_SIZE(array)                                                                         \
	(sizeof(array) / sizeof((array)[0]) +                                                     \
	 0 * sizeof(struct {                                                                      \
		 static_assert(!__builtin_types_compatible_p(typeof(array), typeof(&(array)[0])), \
			       "ARRAY_SIZE of a pointer");                                        \
		 int unused;                                                                      \
	 }))

#define sizeof_field(T, member) sizeof(((T *)nullptr)->member)

// The T whose `member` is at `ptr`.
#define container_of(ptr, T, member)                                                          \
	({                                                                                    \
		static_assert(__builtin_types_compatible_p(typeof(*(ptr)),                    \
							   typeof(((T *)nullptr)->member)) || \
				      __builtin_types_compatible_p(typeof(*(ptr)), void),     \
			      "container_of: wrong member type");                             \
		(T *)((char *)(ptr) - offsetof(T, member));                                   \
	})

// min, max and clamp refuse to mix signed with unsigned operands, except for constants >= 0.
#define BASE_IS_SIGNED(x) ((typeof((x) + 0))-1 < (typeof((x) + 0))1)
#define BASE_CONST_NONNEG(x) \
	(__builtin_constant_p(x) && __builtin_choose_expr(__builtin_constant_p(x), (x), -1) >= 0)
#define BASE_SAME_SIGN(a, b) \
	(BASE_IS_SIGNED(a) == BASE_IS_SIGNED(b) || BASE_CONST_NONNEG(a) || BASE_CONST_NONNEG(b))
#define BASE_PICK(a, b, op)                                                            \
	({                                                                             \
		static_assert(BASE_SAME_SIGN(a, b), "min/max of signed and unsigned"); \
		typeof((a) + (b)) pick_a = (typeof((a) + (b)))(a);                     \
		typeof((a) + (b)) pick_b = (typeof((a) + (b)))(b);                     \
		pick_a op pick_b ? pick_a : pick_b;                                    \
	})
#define min(a, b)	 BASE_PICK(a, b, <)
#define max(a, b)	 BASE_PICK(a, b, >)
#define clamp(x, lo, hi) min(max(x, lo), hi)
// For constant expressions, where a statement expression is not allowed.
#define min_const(a, b)	 ((a) < (b) ? (a) : (b))
#define max_const(a, b)	 ((a) > (b) ? (a) : (b))

// Alignment by a power of two. align_up wraps to 0 when the result does not fit: check first what
// comes from outside, or use align_up_checked.
#define align_down(x, align) ((x) & ~((typeof((x) + 0))(align) - 1))
#define align_up(x, align) \
	(((x) + ((typeof((x) + 0))(align) - 1)) & ~((typeof((x) + 0))(align) - 1))
#define is_aligned(x, align) (((x) & ((typeof((x) + 0))(align) - 1)) == 0)

// Rounds x up to the power of two `align` into *out. False when that overflows.
static inline bool align_up_checked(u64 x, u64 align, u64 *out)
{
	u64 sum;
	bool overflow = __builtin_add_overflow(x, align - 1, &sum);
	*out = sum & ~(align - 1);
	return !overflow;
}

#define is_power_of_two(x) ((x) != 0 && ((x) & ((x) - 1)) == 0)
#define div_round_up(n, d) (((n) + (d) - 1) / (d))
// Position of the highest set bit; x is not 0. A constant expression for constant x.
#define ilog2(x)	   (63 - __builtin_clzll((u64)(x)))
// The smallest power of two >= x, for 1 <= x <= 1 << 63.
#define round_up_pow2(x)   ((x) <= 1 ? 1ull : 1ull << (ilog2((u64)(x) - 1) + 1))
#define BIT(n)		   (1ull << (n))

#define swap(a, b)                        \
	do {                              \
		typeof(a) swap_tmp = (a); \
		(a) = (b);                \
		(b) = swap_tmp;           \
	} while (0)

// A single access that the compiler neither repeats nor tears (for naturally aligned words).
#define READ_ONCE(x)	     (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
