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
	size_t offset = 0;

	EXPECT_STREQ(words("ok a=\"b c"), "ok;E");
	EXPECT_STREQ(words("\""), "E");
	EXPECT_EQ(cmdline_check("ok a=\"b c", &offset), -EINVAL);
	EXPECT_EQ(offset, 3);
	EXPECT_EQ(cmdline_check("ok a=\"b c\"", &offset), 0);
}

KTEST(cmdline, arguments_for_init)
{
	EXPECT_STREQ(words("quiet -- -s x=y --"), "quiet;!-s;!x|y;!--;");
	EXPECT_FALSE(cmdline_contains("quiet -- debug", "debug"));
	EXPECT_TRUE(cmdline_contains("debug -- quiet", "debug"));
}

KTEST(cmdline, last_value_wins)
{
	char buf[16];

	EXPECT_EQ(cmdline_get("init=/a x init=/bin/b", "init", buf, sizeof(buf)), 6);
	EXPECT_STREQ(buf, "/bin/b");
	EXPECT_EQ(cmdline_get("init=/a", "ini", buf, sizeof(buf)), -ENOENT);
	EXPECT_EQ(cmdline_get("init=/a", "initx", buf, sizeof(buf)), -ENOENT);
	EXPECT_EQ(cmdline_get("init", "init", buf, sizeof(buf)), 0);
	EXPECT_STREQ(buf, "");
	EXPECT_EQ(cmdline_get("a=12345678901234567890", "a", buf, sizeof(buf)), -E2BIG);
	EXPECT_EQ(cmdline_get("a=1 b=\"", "a", buf, sizeof(buf)), -EINVAL);
}

KTEST(cmdline, dashes_equal_underscores)
{
	EXPECT_TRUE(cmdline_contains("lock-check", "lock_check"));
	EXPECT_TRUE(cmdline_contains("lock_check=1", "lock-check"));
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

KTEST(cmdline, typed_values)
{
	const char *line = "a=on b c=off d=7 e=0x20 f=64M g=junk h=";
	bool flag = false;
	u64 number = 0;

	EXPECT_EQ(cmdline_get_bool(line, "a", &flag), 0);
	EXPECT_TRUE(flag);
	EXPECT_EQ(cmdline_get_bool(line, "c", &flag), 0);
	EXPECT_FALSE(flag);
	EXPECT_EQ(cmdline_get_bool(line, "b", &flag), 0);
	EXPECT_TRUE(flag);
	EXPECT_EQ(cmdline_get_bool(line, "g", &flag), -EINVAL);
	EXPECT_EQ(cmdline_get_bool(line, "h", &flag), -EINVAL);
	EXPECT_EQ(cmdline_get_bool(line, "z", &flag), -ENOENT);
	EXPECT_EQ(cmdline_get_u64(line, "d", &number), 0);
	EXPECT_EQ(number, 7);
	EXPECT_EQ(cmdline_get_u64(line, "e", &number), 0);
	EXPECT_EQ(number, 32);
	EXPECT_EQ(cmdline_get_u64(line, "b", &number), -EINVAL);
	EXPECT_EQ(cmdline_get_u64(line, "f", &number), -EINVAL);
	EXPECT_EQ(cmdline_get_size(line, "f", &number), 0);
	EXPECT_EQ(number, 64 * MiB);
	EXPECT_EQ(cmdline_get_size(line, "h", &number), -EINVAL);
}
