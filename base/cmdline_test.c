// SPDX-License-Identifier: MIT
// cmdline_test.c: tests of cmdline.c.
#include "base/cmdline.h"
#include "base/errno.h"
#include "base/fmt.h"
#include "base/ktest.h"
#include "base/string.h"

// All words as "key|value;", with "!" before those for init, and "E" at an error.
static const char *words(const char *cmdline)
{
	static char out[200];
	struct cmdline_iter it;
	struct cmdline_arg arg;
	int got, n = 0;

	out[0] = '\0';
	cmdline_iter_init(&it, cmdline);
	while ((got = cmdline_iter_next(&it, &arg)) > 0) {
		n += scnprintf(out + n, sizeof(out) - (size_t)n, "%s%.*s", arg.for_init ? "!" : "",
			       (int)arg.key_len, arg.key);
		if (arg.value)
			n += scnprintf(out + n, sizeof(out) - (size_t)n, "|%.*s",
				       (int)arg.value_len, arg.value);
		n += scnprintf(out + n, sizeof(out) - (size_t)n, ";");
	}
	if (got < 0)
		scnprintf(out + n, sizeof(out) - (size_t)n, "E");
	return out;
}

KTEST(cmdline, words)
{
	EXPECT_STREQ(words(""), "");
	EXPECT_STREQ(words("  \t\n "), "");
	EXPECT_STREQ(words("quiet"), "quiet;");
	EXPECT_STREQ(words("  console=ttyS0  rdinit=/init\n"), "console|ttyS0;rdinit|/init;");
	EXPECT_STREQ(words("a= b"), "a|;b;");
	EXPECT_STREQ(words("a=b=c"), "a|b=c;");
	EXPECT_STREQ(words("=x"), "|x;");
}

KTEST(cmdline, quotes)
{
	EXPECT_STREQ(words("a=\"b c\" d"), "a|b c;d;");
	EXPECT_STREQ(words("\"a=b c\" d"), "a|b c;d;");
	EXPECT_STREQ(words("\"a b\""), "a b;");
	EXPECT_STREQ(words("a=\"\" b"), "a|;b;");
	EXPECT_STREQ(words("\"\""), ";");
	EXPECT_STREQ(words("a=x\"y z\" b"), "a|x\"y z\";b;");
	EXPECT_STREQ(words("a=\"b=c d\""), "a|b=c d;");
}

KTEST(cmdline, unterminated_quote)
{
	EXPECT_STREQ(words("ok a=\"b c"), "ok;E");
	EXPECT_STREQ(words("\""), "E");
}

KTEST(cmdline, arguments_for_init)
{
	EXPECT_STREQ(words("quiet -- -s x=y --"), "quiet;!-s;!x|y;!--;");
}

KTEST(cmdline, several_values)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;
	int n = 0;

	cmdline_iter_init(&it, "e=/a x e=/b e -- e=/c");
	while (cmdline_next_of(&it, "e", &arg) > 0)
		n++;
	EXPECT_EQ(n, 3);
}

static struct cmdline_option options[4];
static char text[64];
static struct cmdline_table table;
static size_t at; // the word with the unterminated quote

// With room for so many bytes of text.
static int split_into(const char *cmdline, size_t size)
{
	table = (struct cmdline_table){
		.options = options, .max = ARRAY_SIZE(options), .text = text, .text_size = size};
	return cmdline_split(&table, cmdline, &at);
}

static int split(const char *cmdline)
{
	return split_into(cmdline, sizeof(text));
}

KTEST(cmdline_table, last_value_wins)
{
	ASSERT_EQ(split("init=/a x init=/bin/b -- init=/c"), 0);
	EXPECT_EQ(table.count, 3);
	EXPECT_STREQ(cmdline_table_value(&table, "init"), "/bin/b");
	EXPECT_STREQ(cmdline_table_value(&table, "x"), "");
	EXPECT_NULL(cmdline_table_value(&table, "ini"));
	EXPECT_NULL(cmdline_table_value(&table, "initx"));
	ASSERT_EQ(split(" \t"), 0);
	EXPECT_EQ(table.count, 0);
}

KTEST(cmdline_table, dashes_equal_underscores)
{
	ASSERT_EQ(split("lock-check lock_order=1 -"), 0);
	EXPECT_NOT_NULL(cmdline_table_value(&table, "lock_check"));
	EXPECT_STREQ(cmdline_table_value(&table, "lock-order"), "1");
	EXPECT_NOT_NULL(cmdline_table_value(&table, "_"));
	EXPECT_NULL(cmdline_table_value(&table, ""));
}

KTEST(cmdline_table, every_value)
{
	u32 cursor = 0;
	const char *value;

	ASSERT_EQ(split("e=/a s.x=1 e=\"/b c\" s."), 0);
	ASSERT_TRUE(cmdline_table_next(&table, "e", &cursor, &value));
	EXPECT_STREQ(value, "/a");
	ASSERT_TRUE(cmdline_table_next(&table, "e", &cursor, &value));
	EXPECT_STREQ(value, "/b c");
	EXPECT_FALSE(cmdline_table_next(&table, "e", &cursor, &value));
	cursor = 0;
	ASSERT_TRUE(cmdline_table_next_behind(&table, "s.", &cursor, &value));
	EXPECT_STREQ(value, "x");
	ASSERT_TRUE(cmdline_table_next_behind(&table, "s.", &cursor, &value));
	EXPECT_STREQ(value, "");
	EXPECT_FALSE(cmdline_table_next_behind(&table, "s.", &cursor, &value));
}

KTEST(cmdline_table, damaged_or_too_long)
{
	EXPECT_EQ(split("ok a=\"b c"), -EINVAL);
	EXPECT_EQ(at, 3);
	EXPECT_NOT_NULL(cmdline_table_value(&table, "ok"));
	EXPECT_EQ(split("a b c d"), 0);
	EXPECT_EQ(split("a b c d eee"), -E2BIG);
	EXPECT_EQ(table.count, 4);
	for (size_t size = 0; size < 7; size++) { // a key, its value, and what ends them
		EXPECT_EQ(split_into("aa=bbb", size), -E2BIG);
		EXPECT_EQ(table.count, 0);
	}
	EXPECT_EQ(split_into("aa=bbb", 7), 0);
	EXPECT_EQ(split_into("a b c", 2 * 5 + 2), 0); // the most that a line of five may take
	EXPECT_EQ(split_into("", 0), 0);
}
