// SPDX-License-Identifier: MIT
// atomic_test.c: tests of atomic.h.
#include "base/atomic.h"
#include "base/ktest.h"

KTEST(atomic, arithmetic)
{
	atomic_u32 a = ATOMIC_INIT(5);

	EXPECT_EQ(atomic_load(&a), 5);
	atomic_add(&a, 3);
	atomic_sub(&a, 1);
	atomic_inc(&a);
	atomic_dec(&a);
	EXPECT_EQ(atomic_load_acquire(&a), 7);
	EXPECT_EQ(atomic_fetch_add(&a, 2), 7);
	EXPECT_EQ(atomic_add_return(&a, 2), 11);
	EXPECT_EQ(atomic_sub_return(&a, 1), 10);
	EXPECT_EQ(atomic_fetch_sub(&a, 9), 10);
	EXPECT_TRUE(atomic_dec_and_test(&a));
	EXPECT_FALSE(atomic_dec_and_test(&a));
	EXPECT_EQ(atomic_load(&a), UINT32_MAX);
}

KTEST(atomic, bits)
{
	atomic_u64 a = ATOMIC_INIT(0xff00);

	atomic_or(&a, 0xf);
	EXPECT_EQ(atomic_load(&a), 0xff0f);
	atomic_and(&a, 0xfff);
	EXPECT_EQ(atomic_load(&a), 0xf0f);
	atomic_andnot(&a, 0xf);
	EXPECT_EQ(atomic_load(&a), 0xf00);
	EXPECT_EQ(atomic_fetch_or(&a, BIT(63)), 0xf00);
	EXPECT_EQ(atomic_fetch_andnot(&a, BIT(63)), BIT(63) | 0xf00);
	EXPECT_EQ(atomic_fetch_and(&a, 0), 0xf00);
}

KTEST(atomic, exchange)
{
	atomic_s64 a = ATOMIC_INIT(-1);
	s64 expected = 5;
	int x, y, *p = &x, *expected_p = &x;

	EXPECT_EQ(atomic_xchg(&a, 7), -1);
	EXPECT_EQ(atomic_cmpxchg(&a, 7, 8), 7);
	EXPECT_EQ(atomic_cmpxchg(&a, 7, 9), 8);
	EXPECT_FALSE(atomic_try_cmpxchg(&a, &expected, 1));
	EXPECT_EQ(expected, 8);
	EXPECT_TRUE(atomic_try_cmpxchg(&a, &expected, 1));
	EXPECT_EQ(atomic_load(&a), 1);

	EXPECT_TRUE(try_cmpxchg(&p, &expected_p, &y));
	EXPECT_EQ(load_acquire(&p), &y);
	EXPECT_EQ(xchg(&p, nullptr), &y);
	store_release(&p, &x);
	EXPECT_EQ(load_once(&p), &x);
}

KTEST(refcount, last_reference)
{
	refcount_t r = REFCOUNT_INIT(1);

	refcount_inc(&r);
	EXPECT_FALSE(refcount_dec_and_test(&r));
	EXPECT_TRUE(refcount_inc_not_zero(&r));
	EXPECT_FALSE(refcount_dec_and_test(&r));
	EXPECT_TRUE(refcount_dec_and_test(&r));
	EXPECT_FALSE(refcount_inc_not_zero(&r));
	EXPECT_EQ(refcount_read(&r), 0);
}

KTEST(refcount, saturates)
{
	refcount_t r;

	// Overflow: neither further references nor drops bring it back.
	refcount_set(&r, REFCOUNT_MAX);
	refcount_inc(&r);
	EXPECT_TRUE(refcount_is_saturated(&r));
	for (int i = 0; i < 3; i++)
		EXPECT_FALSE(refcount_dec_and_test(&r));
	EXPECT_TRUE(refcount_is_saturated(&r));
	refcount_set(&r, REFCOUNT_MAX);
	EXPECT_TRUE(refcount_inc_not_zero(&r));
	EXPECT_TRUE(refcount_is_saturated(&r));
	// A reference to, or a drop of, what was freed already.
	refcount_set(&r, 0);
	refcount_inc(&r);
	EXPECT_TRUE(refcount_is_saturated(&r));
	refcount_set(&r, 0);
	EXPECT_FALSE(refcount_dec_and_test(&r));
	EXPECT_TRUE(refcount_is_saturated(&r));
	EXPECT_TRUE(refcount_inc_not_zero(&r));
	EXPECT_TRUE(refcount_is_saturated(&r));
}
