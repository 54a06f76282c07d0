// SPDX-License-Identifier: MIT
// string_test.c: tests of string.c, ours also where a C library is at hand (BASE_LIBC).
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"

constexpr size_t LEN = 100;
constexpr size_t BUF = LEN + 40;

static void fill(u8 *buf, u64 seed)
{
	for (size_t i = 0; i < BUF; i++)
		buf[i] = (u8)ktest_random(&seed);
}

// The plain definition, which the optimiser may not replace either.
static __no_builtin void model_move(u8 *d, const u8 *s, size_t n)
{
	u8 copy[BUF];

	for (size_t i = 0; i < n; i++)
		copy[i] = s[i];
	for (size_t i = 0; i < n; i++)
		d[i] = copy[i];
}

KTEST(string, memcpy_all_lengths_and_offsets)
{
	u8 src[BUF], dst[BUF], expected[BUF];

	fill(src, 1);
	for (size_t n = 0; n <= LEN; n++) {
		for (size_t at = 0; at < 9; at++) {
			fill(dst, 2);
			fill(expected, 2);
			model_move(expected + at, src + at / 2, n);
			ASSERT_EQ(BASE_LIBC(memcpy)(dst + at, src + at / 2, n), dst + at);
			ASSERT_MEMEQ(dst, expected, BUF);
		}
	}
}

KTEST(string, memmove_all_overlaps)
{
	u8 buf[BUF], expected[BUF];

	for (size_t n = 0; n <= LEN; n += n < 40 ? 1 : 7) {
		for (int distance = -35; distance <= 35; distance++) {
			size_t from = distance < 0 ? 36 : 0, to = (size_t)((int)from + distance);

			fill(buf, n);
			fill(expected, n);
			model_move(expected + to, expected + from, n);
			ASSERT_EQ(BASE_LIBC(memmove)(buf + to, buf + from, n), buf + to);
			ASSERT_MEMEQ(buf, expected, BUF);
		}
	}
}

KTEST(string, memset_all_lengths)
{
	u8 buf[BUF], expected[BUF];

	for (size_t n = 0; n <= LEN; n++) {
		fill(buf, n);
		fill(expected, n);
		for (size_t i = 0; i < n; i++)
			expected[3 + i] = 0xc7;
		ASSERT_EQ(BASE_LIBC(memset)(buf + 3, 0x12c7, n), buf + 3);
		ASSERT_MEMEQ(buf, expected, BUF);
	}
}

KTEST(string, memcmp)
{
	u8 a[40], b[40];

	for (size_t n = 0; n <= sizeof(a); n++) {
		for (size_t i = 0; i < sizeof(a); i++)
			a[i] = b[i] = (u8)i;
		EXPECT_EQ(BASE_LIBC(memcmp)(a, b, n), 0);
		for (size_t i = 0; i < n; i++) {
			// A later difference the other way must not matter.
			b[n - 1] = 0;
			b[i] = 0xff;
			EXPECT_LT(BASE_LIBC(memcmp)(a, b, n), 0);
			EXPECT_GT(BASE_LIBC(memcmp)(b, a, n), 0);
			b[i] = (u8)i;
			b[n - 1] = (u8)(n - 1);
		}
	}
}

KTEST(string, memchr)
{
	u8 buf[40];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = i % 2 ? 0x80 : 0x01;
	for (size_t n = 0; n <= sizeof(buf); n++) {
		EXPECT_NULL(BASE_LIBC(memchr)(buf, 0, n));
		EXPECT_NULL(BASE_LIBC(memchr)(buf, 0x81, n));
		for (size_t at = 0; at < n; at++) {
			u8 was = buf[at];

			buf[at] = 0x77;
			EXPECT_EQ(BASE_LIBC(memchr)(buf, 0x177, n), buf + at);
			EXPECT_NULL(BASE_LIBC(memchr)(buf, 0x77, at));
			buf[at] = was;
		}
	}
}

KTEST(string, memchr_inv)
{
	u8 buf[40] = {};

	EXPECT_NULL(memchr_inv(buf, 0, sizeof(buf)));
	for (size_t at = 0; at < sizeof(buf); at++) {
		buf[at] = 1;
		EXPECT_EQ(memchr_inv(buf, 0, sizeof(buf)), buf + at);
		EXPECT_NULL(memchr_inv(buf, 0, at));
		buf[at] = 0;
	}
}

KTEST(string, lengths_and_comparison)
{
	EXPECT_EQ(BASE_LIBC(strlen)(""), 0);
	EXPECT_EQ(BASE_LIBC(strlen)("halyard"), 7);
	EXPECT_EQ(BASE_LIBC(strnlen)("halyard", 3), 3);
	EXPECT_EQ(BASE_LIBC(strnlen)("ha", 3), 2);
	EXPECT_EQ(BASE_LIBC(strcmp)("a", "a"), 0);
	EXPECT_LT(BASE_LIBC(strcmp)("a", "ab"), 0);
	EXPECT_GT(BASE_LIBC(strcmp)("\xff", "a"), 0);
	EXPECT_EQ(BASE_LIBC(strncmp)("abc", "abd", 2), 0);
	EXPECT_LT(BASE_LIBC(strncmp)("abc", "abd", 3), 0);
	EXPECT_EQ(BASE_LIBC(strncmp)("ab", "ab", 9), 0);
	EXPECT_EQ(BASE_LIBC(strcasecmp)("HaLyard", "halYARD"), 0);
	EXPECT_NE(BASE_LIBC(strcasecmp)("[", "{"), 0);
	EXPECT_EQ(BASE_LIBC(strncasecmp)("ABx", "aby", 2), 0);
	EXPECT_TRUE(str_equal("x", "x"));
	EXPECT_TRUE(str_starts_with("rdinit=/init", "rdinit="));
	EXPECT_FALSE(str_starts_with("rd", "rdinit="));
	EXPECT_TRUE(str_ends_with("a.gz", ".gz"));
	EXPECT_FALSE(str_ends_with("z", ".gz"));
}

KTEST(string, search)
{
	const char *s = "abcabc";

	EXPECT_EQ(BASE_LIBC(strchr)(s, 'b'), s + 1);
	EXPECT_EQ(BASE_LIBC(strrchr)(s, 'b'), s + 4);
	EXPECT_EQ(BASE_LIBC(strchr)(s, 0), s + 6);
	EXPECT_EQ(BASE_LIBC(strrchr)(s, 0), s + 6);
	EXPECT_NULL(BASE_LIBC(strchr)(s, 'x'));
	EXPECT_NULL(BASE_LIBC(strrchr)(s, 'x'));
	EXPECT_EQ(BASE_LIBC(strstr)(s, "ca"), s + 2);
	EXPECT_EQ(BASE_LIBC(strstr)(s, ""), s);
	EXPECT_EQ(BASE_LIBC(strstr)(s, "abcabc"), s);
	EXPECT_NULL(BASE_LIBC(strstr)(s, "abcabcd"));
	EXPECT_EQ(BASE_LIBC(strspn)(s, "ab"), 2);
	EXPECT_EQ(BASE_LIBC(strspn)(s, "abc"), 6);
	EXPECT_EQ(BASE_LIBC(strcspn)(s, "cx"), 2);
	EXPECT_EQ(BASE_LIBC(strcspn)(s, "x"), 6);
}

KTEST(string, strscpy)
{
	char buf[6] = "zzzzz";

	EXPECT_EQ(strscpy(buf, "abc", sizeof(buf)), 3);
	EXPECT_STREQ(buf, "abc");
	EXPECT_EQ(strscpy(buf, "abcde", sizeof(buf)), 5);
	EXPECT_STREQ(buf, "abcde");
	EXPECT_EQ(strscpy(buf, "abcdefgh", sizeof(buf)), -E2BIG);
	EXPECT_STREQ(buf, "abcde");
	EXPECT_EQ(strscpy(buf, "x", 0), -E2BIG);
	EXPECT_STREQ(buf, "abcde");
	EXPECT_EQ(strscpy(buf, "", 1), 0);
	EXPECT_STREQ(buf, "");
	EXPECT_EQ(strscpy_n(buf, sizeof(buf), "hello world", 4), 4);
	EXPECT_STREQ(buf, "hell");
	EXPECT_EQ(strscpy_n(buf, sizeof(buf), "hello world", 11), -E2BIG);
	EXPECT_STREQ(buf, "hello");
}

KTEST(string, memzero_explicit)
{
	u8 secret[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

	memzero_explicit(secret, 8);
	EXPECT_NULL(memchr_inv(secret, 0, 8));
	EXPECT_EQ(secret[8], 9);
}
