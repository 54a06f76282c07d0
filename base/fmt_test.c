// SPDX-License-Identifier: MIT
// fmt_test.c: tests of fmt.c. On the host each format is also compared with the C library's answer.
#include "base/fmt.h"
#include "base/ktest.h"
#include "base/string.h"

#define EXPECT_FORMAT(expected, ...)                                                      \
	do {                                                                              \
		char fmt_buf[80];                                                         \
		int fmt_len = BASE_LIBC(snprintf)(fmt_buf, sizeof(fmt_buf), __VA_ARGS__); \
		EXPECT_STREQ(fmt_buf, expected);                                          \
		EXPECT_EQ(fmt_len, strlen(expected));                                     \
	} while (0)

KTEST(fmt, integers)
{
	EXPECT_FORMAT("0", "%d", 0);
	EXPECT_FORMAT("-42 42", "%d %i", -42, 42);
	EXPECT_FORMAT("-2147483648", "%d", INT32_MIN);
	EXPECT_FORMAT("4294967295", "%u", UINT32_MAX);
	EXPECT_FORMAT("-9223372036854775808", "%lld", INT64_MIN + 0ll);
	EXPECT_FORMAT("18446744073709551615", "%llu", ~0ull);
	EXPECT_FORMAT("deadbeef DEADBEEF", "%x %X", 0xdeadbeef, 0xdeadbeef);
	EXPECT_FORMAT("1777777777777777777777", "%llo", ~0ull);
	EXPECT_FORMAT("ffffffffffffffff", "%lx", -1l);
}

KTEST(fmt, lengths)
{
	EXPECT_FORMAT("-1 255", "%hhd %hhu", -1, 255);
	EXPECT_FORMAT("1", "%hhd", (signed char)0x01);
	EXPECT_FORMAT("-32768 65535", "%hd %hu", (short)-32768, (unsigned short)65535);
	EXPECT_FORMAT("-5 5", "%ld %lu", -5l, 5ul);
	EXPECT_FORMAT("7 -7", "%zu %td", (size_t)7, (ptrdiff_t)-7);
	EXPECT_FORMAT("9 9", "%jd %ju", (intmax_t)9, (uintmax_t)9);
}

KTEST(fmt, width_flags_precision)
{
	EXPECT_FORMAT("[   42]", "[%5d]", 42);
	EXPECT_FORMAT("[42   ]", "[%-5d]", 42);
	EXPECT_FORMAT("[00042]", "[%05d]", 42);
	EXPECT_FORMAT("[-0042]", "[%05d]", -42);
	EXPECT_FORMAT("[+42] [ 42]", "[%+d] [% d]", 42, 42);
	EXPECT_FORMAT("[  007]", "[%5.3d]", 7);
	EXPECT_FORMAT("[007  ]", "[%-5.3d]", 7);
	EXPECT_FORMAT("[]", "[%.0d]", 0);
	EXPECT_FORMAT("[0x2a]", "[%#x]", 42u);
	EXPECT_FORMAT("[0X2A]", "[%#X]", 42u);
	EXPECT_FORMAT("[0]", "[%#x]", 0u);
	EXPECT_FORMAT("[0x0000002a]", "[%#010x]", 42u);
	EXPECT_FORMAT("[052]", "[%#o]", 42u);
	EXPECT_FORMAT("[0]", "[%#o]", 0u);
	EXPECT_FORMAT("[    5]", "[%*d]", 5, 5);
	EXPECT_FORMAT("[5    ]", "[%*d]", -5, 5);
	EXPECT_FORMAT("[00005]", "[%.*d]", 5, 5);
	EXPECT_FORMAT("[5]", "[%.*d]", -1, 5);
	EXPECT_FORMAT("[                              1]", "[%31d]", 1);
}

KTEST(fmt, strings_and_characters)
{
	EXPECT_FORMAT("a b", "%c %c", 'a', 'b');
	EXPECT_FORMAT("[  x][x  ]", "[%3c][%-3c]", 'x', 'x');
	EXPECT_FORMAT("[hello]", "[%s]", "hello");
	EXPECT_FORMAT("[  hello]", "[%7s]", "hello");
	EXPECT_FORMAT("[hello  ]", "[%-7s]", "hello");
	EXPECT_FORMAT("[hel]", "[%.3s]", "hello");
	EXPECT_FORMAT("[  hel]", "[%*.*s]", 5, 3, "hello");
	EXPECT_FORMAT("100%", "%d%%", 100);
	EXPECT_FORMAT("", "%s", "");
	const char *null = nullptr;

	EXPECT_FORMAT("(null)", "%s", null);
	// With a precision no NUL is needed.
	EXPECT_FORMAT("ab", "%.2s", (const char[]){'a', 'b'});
}

KTEST(fmt, pointers)
{
	EXPECT_FORMAT("0xffff800000001000", "%p", (void *)0xffff800000001000);
	EXPECT_FORMAT("0x0000000000000000", "%p", (void *)nullptr);
	EXPECT_FORMAT("[  0x0000000000000001]", "[%20p]", (void *)1);
}

// What the compiler would refuse in a literal.
KTEST(fmt, unknown_conversions_are_printed)
{
	static const char unknown[] = "a %y b", cut[] = "50%";
	char buf[20];

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-security"
#pragma clang diagnostic ignored "-Wformat"
	BASE_LIBC(snprintf)(buf, sizeof(buf), unknown);
	EXPECT_STREQ(buf, "a %y b");
	BASE_LIBC(snprintf)(buf, sizeof(buf), cut);
	EXPECT_STREQ(buf, "50%");
#pragma clang diagnostic pop
}

KTEST(fmt, truncation)
{
	char buf[8] = "xxxxxxx";

	EXPECT_EQ(BASE_LIBC(snprintf)(buf, 5, "%s", "abcdefgh"), 8);
	EXPECT_STREQ(buf, "abcd");
	EXPECT_EQ(buf[5], 'x');
	EXPECT_EQ(BASE_LIBC(snprintf)(nullptr, 0, "%d", 12345), 5);
	EXPECT_EQ(scnprintf(buf, 5, "%s", "abcdefgh"), 4);
	EXPECT_EQ(scnprintf(buf, 0, "%s", "abcdefgh"), 0);
	EXPECT_EQ(scnprintf(buf, sizeof(buf), "%s", "abc"), 3);
	EXPECT_EQ(scnprintf(buf, 1, "%s", "abc"), 0);
	EXPECT_STREQ(buf, "");
}

static void count_sink(void *ctx, const char *, size_t len)
{
	*(size_t *)ctx += len;
}

KTEST(fmt, sink)
{
	size_t seen = 0;

	EXPECT_EQ(fmt_format(count_sink, &seen, "%100d and %s", 1, "text"), 109);
	EXPECT_EQ(seen, 109);
}

#if __STDC_HOSTED__
static void compare(struct ktest *ktest_ctx, const char *format, s64 value, u8 length)
{
	char ours[120], libc[120];

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
	if (length == 8) {
		BASE_LIBC(snprintf)(ours, sizeof(ours), format, value);
		snprintf(libc, sizeof(libc), format, value);
	} else {
		BASE_LIBC(snprintf)(ours, sizeof(ours), format, (int)value);
		snprintf(libc, sizeof(libc), format, (int)value);
	}
#pragma clang diagnostic pop
	if (!str_equal(ours, libc))
		ktest_fail(ktest_ctx, __FILE_NAME__, __LINE__, "%s of %lld: \"%s\", libc \"%s\"",
			   format, value, ours, libc);
}

KTEST(fmt, random_integer_formats_as_libc)
{
	static const char flags[] = "-0+ #", conversions[] = "diuxXo";
	static const struct {
		const char *text;
		u8 bytes;
	} lengths[] = {{"hh", 1}, {"h", 2}, {"", 4}, {"l", 8}, {"ll", 8}, {"z", 8}, {"j", 8}};
	u64 seed = 5;

	for (int i = 0; i < 20000 && !ktest_ctx->failures; i++) {
		char format[40];
		int n = 0;
		u64 r = ktest_random(&seed), which = ktest_random(&seed) % ARRAY_SIZE(lengths);

		format[n++] = '%';
		for (int f = 0; f < 5; f++)
			if (r >> f & 1)
				format[n++] = flags[f];
		if (r >> 5 & 1)
			n += snprintf(format + n, 8, "%d", (int)(r >> 8 & 31));
		if (r >> 6 & 1)
			n += snprintf(format + n, 8, ".%d", (int)(r >> 16 & 31));
		snprintf(format + n, 8, "%s%c", lengths[which].text,
			 conversions[(r >> 24) % (sizeof(conversions) - 1)]);
		compare(ktest_ctx, format, (s64)(ktest_random(&seed) >> (r >> 32 & 63)),
			lengths[which].bytes);
	}
}
#endif
