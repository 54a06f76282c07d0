// SPDX-License-Identifier: MIT
// types_test.c: tests of types.h, compiler.h, err.h, errno.h, bytes.h.
#include "base/bytes.h"
#include "base/err.h"
#include "base/ktest.h"
#include "base/string.h"
#include "base/types.h"

KTEST(types, min_max_clamp)
{
	u64 big = 1ull << 40;
	int evaluated = 0;

	EXPECT_EQ(min(big, 5), 5);
	EXPECT_EQ(max(big, 5), big);
	EXPECT_EQ(min(-3, 2), -3);
	EXPECT_EQ(clamp(7, 0, 5), 5);
	EXPECT_EQ(clamp(-7, 0, 5), 0);
	EXPECT_EQ(clamp(3, 0, 5), 3);
	EXPECT_EQ(min(++evaluated, 10), 1);
	EXPECT_EQ(evaluated, 1);
}

KTEST(types, alignment)
{
	u64 sum;

	EXPECT_EQ(align_up(0x1001ull, 0x1000), 0x2000);
	EXPECT_EQ(align_up(0x1000ull, 0x1000), 0x1000);
	EXPECT_EQ(align_up((1ull << 40) + 1, 0x1000), (1ull << 40) + 0x1000);
	EXPECT_EQ(align_down(0x1fffu, 0x1000), 0x1000);
	EXPECT_TRUE(is_aligned(0x3000ull, 0x1000));
	EXPECT_FALSE(is_aligned(0x3008ull, 0x1000));
	EXPECT_TRUE(align_up_checked(5, 8, &sum));
	EXPECT_EQ(sum, 8);
	EXPECT_FALSE(align_up_checked(~0ull, 8, &sum));
}

KTEST(types, powers_of_two)
{
	static_assert(ilog2(1) == 0 && ilog2(4096) == 12 && ilog2(4097) == 12);
	EXPECT_EQ(ilog2(~0ull), 63);
	EXPECT_EQ(round_up_pow2(1), 1);
	EXPECT_EQ(round_up_pow2(5), 8);
	EXPECT_EQ(round_up_pow2(8), 8);
	EXPECT_TRUE(is_power_of_two(64));
	EXPECT_FALSE(is_power_of_two(0));
	EXPECT_FALSE(is_power_of_two(96));
	EXPECT_EQ(div_round_up(9, 4), 3);
	EXPECT_EQ(div_round_up(8, 4), 2);
}

KTEST(types, container_of_and_array_size)
{
	struct outer {
		int before;
		u64 inner;
	} o;
	u64 *inner = &o.inner;
	u8 array[7];

	EXPECT_EQ(container_of(inner, struct outer, inner), &o);
	EXPECT_EQ(ARRAY_SIZE(array), 7);
	EXPECT_EQ(sizeof_field(struct outer, inner), 8);
}

static int guard_depth;

static void guard_enter(int *counter)
{
	++*counter;
}

static void guard_exit(int *counter)
{
	--*counter;
}

DEFINE_GUARD(counting, int *, guard_enter(_T), guard_exit(_T));

static int leave_early(void)
{
	guard(counting, &guard_depth);
	return guard_depth;
}

KTEST(types, guards)
{
	int inside = 0;

	EXPECT_EQ(leave_early(), 1);
	EXPECT_EQ(guard_depth, 0);
	scoped_guard(counting, &guard_depth)
	{
		guard(counting, &guard_depth);
		inside = guard_depth;
	}
	EXPECT_EQ(inside, 2);
	EXPECT_EQ(guard_depth, 0);
	for (int i = 0; i < 3; i++) {
		scoped_guard(counting, &guard_depth) break;
	}
	EXPECT_EQ(guard_depth, 0);
}

KTEST(types, user_pointers)
{
	int __user *p = user_ptr(int, 0x7fff0000);

	EXPECT_EQ(user_addr(p), 0x7fff0000);
	EXPECT_EQ(user_addr(p + 1), 0x7fff0004);
	EXPECT_EQ(user_force(int, p), (int *)0x7fff0000);
}

KTEST(err, pointers)
{
	int object;

	EXPECT_TRUE(is_err(err_ptr(-ENOMEM)));
	EXPECT_TRUE(is_err(err_ptr(-MAX_ERRNO)));
	EXPECT_EQ(ptr_err(err_ptr(-ENOMEM)), -ENOMEM);
	EXPECT_FALSE(is_err(&object));
	EXPECT_FALSE(is_err(nullptr));
	EXPECT_TRUE(is_err_or_null(nullptr));
	EXPECT_EQ(ptr_err_or_zero(&object), 0);
	EXPECT_EQ(ptr_err_or_zero(err_ptr(-EIO)), -EIO);
}

KTEST(err, names)
{
	EXPECT_STREQ(errno_name(-ENOENT), "ENOENT");
	EXPECT_STREQ(errno_name(ENOSYS), "ENOSYS");
	EXPECT_STREQ(errno_name(EHWPOISON), "EHWPOISON");
	EXPECT_STREQ(errno_name(-ERESTARTSYS), "ERESTARTSYS");
	EXPECT_STREQ(errno_name(0), "E?");
	EXPECT_STREQ(errno_name(41), "E?");
	EXPECT_STREQ(errno_name(INT32_MIN), "E?");
	EXPECT_EQ(EWOULDBLOCK, 11);
	EXPECT_EQ(ENOTSUP, 95);
}

KTEST(bytes, orders)
{
	u8 b[9] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8};

	EXPECT_EQ(load_le16(b + 1), 0x0201);
	EXPECT_EQ(load_le32(b + 1), 0x04030201);
	EXPECT_EQ(load_le64(b + 1), 0x0807060504030201);
	EXPECT_EQ(load_be16(b + 1), 0x0102);
	EXPECT_EQ(load_be32(b + 1), 0x01020304);
	EXPECT_EQ(load_be64(b + 1), 0x0102030405060708);
	store_be32(b + 1, 0xa0b0c0d0);
	EXPECT_EQ(load_le32(b + 1), 0xd0c0b0a0);
	store_be64(b + 1, 0x0102030405060708);
	EXPECT_EQ(b[1], 1);
	EXPECT_EQ(b[8], 8);
	store_be16(b + 3, 0x1122);
	EXPECT_EQ(b[3], 0x11);
	EXPECT_EQ(b[0], 0xff);
}
