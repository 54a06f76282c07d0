// SPDX-License-Identifier: MIT
// Tests of the growing texts of /proc and /sys.
#include "base/ktest.h"
#include "base/string.h"
#include "linux/proc/text.h"
#include "linux/proc/tree.h"

// The text as a string, which lives until the next call.
static const char *string_of(struct text *t)
{
	text_putc(t, 0);
	t->len--;
	return t->buf;
}

KTEST(text, numbers)
{
	struct text t = {};
	text_u64(&t, 0, ' ');
	text_u64(&t, ~0ull, ' ');
	text_s64(&t, INT64_MIN, ' ');
	text_hex(&t, 0, 1, ' ');
	text_hex(&t, 0x1f, 8, ' ');
	text_hex(&t, ~0ull, 4, '\n');
	EXPECT_STREQ(string_of(&t),
		     "0 18446744073709551615 -9223372036854775808 0 0000001f ffffffffffffffff\n");
	text_free(&t);
}

KTEST(text, escapes)
{
	struct text t = {};
	text_escaped(&t, "a b\tc\\d\n\xc3\xa4", " \t\n");
	EXPECT_STREQ(string_of(&t), "a\\040b\\011c\\134d\\012\xc3\xa4");
	t.len = 0;
	text_escaped(&t, "a b\n", "\n");
	EXPECT_STREQ(string_of(&t), "a b\\012");
	text_free(&t);
}

KTEST(text, bit_lists)
{
	static const struct {
		u64 mask;
		const char *list;
	} cases[] = {
		{0, ""},	   {1, "0"},	       {3, "0-1"},	{5, "0,2"},
		{0xf7, "0-2,4-7"}, {1ull << 63, "63"}, {~0ull, "0-63"},
	};
	struct text t = {};
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		t.len = 0;
		text_bit_list(&t, cases[i].mask);
		EXPECT_STREQ(string_of(&t), cases[i].list);
	}
	text_free(&t);
}

KTEST(text, grows_and_keeps)
{
	struct text t = {};
	for (u32 i = 0; i < 20000; i++)
		text_u64(&t, i % 10, '\n');
	ASSERT_FALSE(t.failed);
	ASSERT_EQ(t.len, 40000);
	for (u32 i = 0; i < 20000; i++)
		if (t.buf[2 * i] != (char)('0' + i % 10) || t.buf[2 * i + 1] != '\n') {
			EXPECT_EQ(i, ~0u);
			break;
		}
	text_free(&t);
}

KTEST(text, refuses_what_no_allocation_can_hold)
{
	struct text t = {};
	text_puts(&t, "x");
	EXPECT_NULL(text_room(&t, 4 * MiB));
	EXPECT_TRUE(t.failed);
	EXPECT_EQ(t.len, 1);
	EXPECT_NULL(text_room(&t, 2 * MiB)); // it stays useless
	text_free(&t);
}

KTEST(text, stored_numbers)
{
	u64 v;
	EXPECT_EQ(store_parse_u64(" 42 \n", &v), 0);
	EXPECT_EQ(v, 42);
	EXPECT_EQ(store_parse_u64("", &v), -EINVAL);
	EXPECT_EQ(store_parse_u64("\n", &v), -EINVAL);
	EXPECT_EQ(store_parse_u64("4x", &v), -EINVAL);
	EXPECT_EQ(store_parse_u64("-1", &v), -EINVAL);
	EXPECT_EQ(store_parse_u64("99999999999999999999999", &v), -EINVAL);
}
