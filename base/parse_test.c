// SPDX-License-Identifier: MIT
// parse_test.c: tests of parse.c.
#include "base/errno.h"
#include "base/ktest.h"
#include "base/parse.h"
#include "base/string.h"

constexpr u64 UNTOUCHED = 0x1234;

static u64 parsed(const char *s, unsigned int base, int *err)
{
	u64 value = UNTOUCHED;

	*err = strtou64(s, base, &value);
	return value;
}

#define EXPECT_NUMBER(s, base, expected)                           \
	do {                                                       \
		int number_err;                                    \
		EXPECT_EQ(parsed(s, base, &number_err), expected); \
		EXPECT_EQ(number_err, 0);                          \
	} while (0)
#define EXPECT_REFUSED(s, base, expected_err)                       \
	do {                                                        \
		int number_err;                                     \
		EXPECT_EQ(parsed(s, base, &number_err), UNTOUCHED); \
		EXPECT_EQ(number_err, expected_err);                \
	} while (0)

KTEST(parse, numbers)
{
	EXPECT_NUMBER("0", 0, 0);
	EXPECT_NUMBER("0", 10, 0);
	EXPECT_NUMBER("00123", 10, 123);
	EXPECT_NUMBER("123", 0, 123);
	EXPECT_NUMBER("0x1F", 0, 31);
	EXPECT_NUMBER("0X1f", 16, 31);
	EXPECT_NUMBER("1f", 16, 31);
	EXPECT_NUMBER("017", 0, 15);
	EXPECT_NUMBER("101", 2, 5);
	EXPECT_NUMBER("18446744073709551615", 10, ~0ull);
	EXPECT_NUMBER("0xffffffffffffffff", 0, ~0ull);
}

KTEST(parse, refused_numbers)
{
	EXPECT_REFUSED("", 0, -EINVAL);
	EXPECT_REFUSED("x", 0, -EINVAL);
	EXPECT_REFUSED("0x", 0, -EINVAL);
	EXPECT_REFUSED("0x", 16, -EINVAL);
	EXPECT_REFUSED("0xg", 16, -EINVAL);
	EXPECT_REFUSED("08", 0, -EINVAL);
	EXPECT_REFUSED("1 ", 10, -EINVAL);
	EXPECT_REFUSED(" 1", 10, -EINVAL);
	EXPECT_REFUSED("-1", 10, -EINVAL);
	EXPECT_REFUSED("+1", 10, -EINVAL);
	EXPECT_REFUSED("1f", 10, -EINVAL);
	EXPECT_REFUSED("18446744073709551616", 10, -ERANGE);
	EXPECT_REFUSED("99999999999999999999999", 10, -ERANGE);
	EXPECT_REFUSED("0x10000000000000000", 0, -ERANGE);
}

KTEST(parse, counted_text)
{
	u64 value;

	EXPECT_EQ(strntou64("12345", 3, 10, &value), 0);
	EXPECT_EQ(value, 123);
	EXPECT_EQ(strntou64("12", 0, 10, &value), -EINVAL);
	EXPECT_EQ(parse_u64_prefix("12ab", 4, 10, &value), 2);
	EXPECT_EQ(value, 12);
	EXPECT_EQ(parse_u64_prefix("0x1z", 4, 0, &value), 3);
	EXPECT_EQ(parse_u64_prefix("ab", 2, 10, &value), 0);
	EXPECT_EQ(parse_u64_prefix("99999999999999999999", 20, 10, &value), 0);
}

KTEST(parse, signed_numbers)
{
	s64 value;

	EXPECT_EQ(strtos64("-9223372036854775808", 10, &value), 0);
	EXPECT_EQ(value, INT64_MIN);
	EXPECT_EQ(strtos64("+9223372036854775807", 10, &value), 0);
	EXPECT_EQ(value, INT64_MAX);
	EXPECT_EQ(strtos64("9223372036854775808", 10, &value), -ERANGE);
	EXPECT_EQ(strtos64("-9223372036854775809", 10, &value), -ERANGE);
	EXPECT_EQ(strtos64("--1", 10, &value), -EINVAL);
	EXPECT_EQ(strtos64("-", 10, &value), -EINVAL);
}

KTEST(parse, sizes)
{
	u64 value;

	EXPECT_EQ(parse_size("128M", &value), 0);
	EXPECT_EQ(value, 128 * MiB);
	EXPECT_EQ(parse_size("0x10k", &value), 0);
	EXPECT_EQ(value, 16 * KiB);
	EXPECT_EQ(parse_size("4096", &value), 0);
	EXPECT_EQ(value, 4096);
	EXPECT_EQ(parse_size("15E", &value), 0);
	EXPECT_EQ(value, 15ull << 60);
	EXPECT_EQ(parse_size("16E", &value), -ERANGE);
	EXPECT_EQ(parse_size("18446744073709551616k", &value), -ERANGE);
	EXPECT_EQ(parse_size("M", &value), -EINVAL);
	EXPECT_EQ(parse_size("1MB", &value), -EINVAL);
	EXPECT_EQ(parse_size("1q", &value), -EINVAL);
	EXPECT_EQ(parse_size("", &value), -EINVAL);
}

KTEST(parse, booleans)
{
	bool value = false;

	EXPECT_EQ(parse_bool_n("On", 2, &value), 0);
	EXPECT_TRUE(value);
	EXPECT_EQ(parse_bool_n("false!", 5, &value), 0);
	EXPECT_FALSE(value);
	EXPECT_EQ(parse_bool_n("2", 1, &value), -EINVAL);
	EXPECT_EQ(parse_bool_n("", 0, &value), -EINVAL);
}
