// SPDX-License-Identifier: MIT
// utf16_test.c: tests of utf16.c.
#include "base/utf16.h"
#include "base/ktest.h"
#include "base/string.h"

KTEST(utf16, every_length)
{
	// A, ä, €, 𝄞: RFC 3629's four lengths
	static const u16 text[] = {'A', 0xe4, 0x20ac, 0xd834, 0xdd1e, 0, 'x'};
	char out[16];

	EXPECT_EQ(utf16le_to_utf8(out, sizeof(out), text, ARRAY_SIZE(text)), 10);
	EXPECT_STREQ(out, "A\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e");
	EXPECT_EQ(utf16le_to_utf8(out, sizeof(out), text, 2), 3);
	EXPECT_STREQ(out, "A\xc3\xa4");
	EXPECT_EQ(utf16le_to_utf8(out, sizeof(out), text, 0), 0);
	EXPECT_STREQ(out, "");
}

KTEST(utf16, limits_of_each_length)
{
	static const u16 text[] = {0x7f,   0x80,   0x7ff,  0x800, 0xffff,
				   0xd800, 0xdc00, 0xdbff, 0xdfff};
	char out[32];

	EXPECT_EQ(utf16le_to_utf8(out, sizeof(out), text, ARRAY_SIZE(text)), 1 + 2 + 2 + 3 + 3 + 8);
	EXPECT_STREQ(out, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"
			  "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

KTEST(utf16, half_pairs)
{
	static const u16 text[] = {0xdc00, 'a', 0xd800, 'b', 0xd800, 0xd800, 0xdc00, 0xd800};
	char out[32];

	(void)utf16le_to_utf8(out, sizeof(out), text, ARRAY_SIZE(text));
	EXPECT_STREQ(out, "\xef\xbf\xbd"
			  "a\xef\xbf\xbd"
			  "b\xef\xbf\xbd\xf0\x90\x80\x80\xef\xbf\xbd");
}

KTEST(utf16, cut_between_characters)
{
	static const u16 text[] = {'A', 0x20ac, 0xd834, 0xdd1e};
	static const size_t whole[] = {0, 0, 1, 1, 1, 4, 4, 4, 4, 8};
	char out[16];

	for (size_t size = 0; size < ARRAY_SIZE(whole); size++) {
		memset(out, '!', sizeof(out));
		EXPECT_EQ(utf16le_to_utf8(out, size, text, ARRAY_SIZE(text)), whole[size]);
		EXPECT_EQ(out[size], '!');
		if (size)
			EXPECT_EQ(out[whole[size]], 0);
	}
}
